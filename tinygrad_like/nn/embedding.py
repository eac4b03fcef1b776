"""A table of vectors."""

from __future__ import annotations

from tinygrad_like.nn import init
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor


class Embedding(Module):
    """Integers to rows of a table: [...] -> [..., embedding_dim].

    weight: [num_embeddings, embedding_dim], normal with deviation 1. An index outside the table gives a row of zeros.

    >>> Embedding(100, 16)(Tensor([[1, 2, 3]])).shape
    (1, 3, 16)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = init.normal(num_embeddings, embedding_dim)

    def forward(self, index: Tensor) -> Tensor:
        if index.is_floating_point():
            raise TypeError(f"Embedding expects integers, got {index.dtype}")
        return self.weight[index]
