"""LAMB."""

from __future__ import annotations

from ir import dtypes
from tinygrad_like.nn.optim.adam import Adam
from tinygrad_like.nn.optim.lars import trust_ratio
from tinygrad_like.nn.optim.optimizer import ParameterGroup, Parameters, state_dtype
from tinygrad_like.tensor import Tensor


class LAMB(Adam):
    """Adam's direction u = m̂ / (sqrt(v̂) + eps) + weight_decay p with a rate for each tensor: p -= lr |p| / |u| u.

    Where |p| or |u| is 0 the ratio is 1. Source: You et al., "Large Batch Optimization for Deep Learning: Training
    BERT in 76 minutes", 2020.

    >>> optimizer = LAMB(model.parameters(), lr=1e-3, weight_decay=0.01)
    """

    def __init__(
        self, params: Parameters, lr: float = 0.001, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, b1, b2, eps, weight_decay)

    def _update(self, group: ParameterGroup, numbers: range) -> None:
        b1, b2, eps, weight_decay = group["b1"], group["b2"], group["eps"], group["weight_decay"]
        powers = self.powers[self.param_groups.index(group)]
        decay = Tensor([b1, b2], dtype=dtypes.float64, device=powers.device)
        correction = (1 - powers.assign(powers * decay)).cast(group.dtype).contiguous()
        for i, p in zip(numbers, group.params, strict=True):
            if p.grad is None:
                continue
            dtype = state_dtype(p)
            value, gradient = p.detach().cast(dtype), p.grad.detach().cast(dtype)
            m = self.m[i].assign(self.m[i] * b1 + gradient * (1 - b1))
            v = self.v[i].assign(self.v[i] * b2 + gradient * gradient * (1 - b2))
            first, second = correction[0].cast(dtype), correction[1].cast(dtype)
            direction = (m / first) / ((v / second).sqrt() + eps) + value * weight_decay
            ratio = trust_ratio(value, direction)
            p.assign((value - group.rate(dtype) * ratio * direction).cast(p.dtype))
