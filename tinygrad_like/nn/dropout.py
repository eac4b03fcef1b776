"""Dropout."""

from __future__ import annotations

from tinygrad_like.context import Context
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor


class Dropout(Module):
    """In training each element is zero with probability ``p``, and the others are divided by 1 - p; else the identity.

    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014.
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"a probability lies between 0 and 1, got p={p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        with Context(TRAINING=1):
            return x.dropout(self.p)
