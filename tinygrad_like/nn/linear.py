"""Fully connected layers."""

from __future__ import annotations

from tinygrad_like.nn import init
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor


class Linear(Module):
    """y = x Wᵀ + b on the last dimension: [..., in_features] -> [..., out_features].

    weight: [out_features, in_features], bias: [out_features], both uniform in +-1/sqrt(in_features).

    >>> Linear(3, 4)(Tensor.rand(2, 3)).shape
    (2, 4)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.weight = init.fan_in_uniform(out_features, in_features, fan_in=in_features)
        self.bias: Tensor | None = init.fan_in_uniform(out_features, fan_in=in_features) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1:] != (self.in_features,):
            raise ValueError(f"Linear({self.in_features}, {self.out_features}) expects [..., {self.in_features}], "
                             f"got {list(x.shape)}")
        return x.linear(self.weight.transpose(0, 1), self.bias)
