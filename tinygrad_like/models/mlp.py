"""The multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tinygrad_like import nn
from tinygrad_like.tensor import Tensor


class MLP(nn.Module):
    """Linear layers with ReLU between them; an image is flattened first: [n, ...] -> [n, sizes[-1]].

    >>> MLP((784, 512, 512, 10))(Tensor.rand(32, 1, 28, 28)).shape
    (32, 10)
    """

    def __init__(self, sizes: Sequence[int] = (784, 512, 512, 10)) -> None:
        if len(sizes) < 2:
            raise ValueError(f"an MLP needs the sizes of its input and output at least, got {list(sizes)}")
        self.layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)
