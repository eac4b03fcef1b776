"""LARS."""

from __future__ import annotations

from tinygrad_like.nn.optim.optimizer import ParameterGroup, Parameters, state_dtype
from tinygrad_like.nn.optim.sgd import SGD
from tinygrad_like.tensor import Tensor


class LARS(SGD):
    """SGD with momentum and a rate for each tensor: r = tcoef |p| / (|g| + weight_decay |p|).

    b = momentum b + lr r (g + weight_decay p), p -= b; with ``nesterov`` p -= lr r (...) + momentum b. Without
    ``classic`` the rates multiply after the momentum. Where |p| or |g| is 0, r is 1. Source: You et al., "Large Batch
    Training of Convolutional Networks", 2017.
    """

    def __init__(
        self, params: Parameters, lr: float = 0.001, momentum: float = 0.9, weight_decay: float = 1e-4,
        nesterov: bool = False, classic: bool = True, tcoef: float = 0.001,
    ) -> None:
        self.classic, self.tcoef = classic, tcoef
        super().__init__(params, lr, momentum, weight_decay, nesterov)

    def _update(self, group: ParameterGroup, numbers: range) -> None:
        momentum, weight_decay = group["momentum"], group["weight_decay"]
        for i, p in zip(numbers, group.params, strict=True):
            if p.grad is None:
                continue
            dtype = state_dtype(p)
            value, gradient = p.detach().cast(dtype), p.grad.detach().cast(dtype)
            rate = group.rate(dtype) * trust_ratio(value, gradient, self.tcoef, weight_decay)
            step = gradient + value * weight_decay
            step = step * rate if self.classic else step
            if momentum:
                velocity = self.velocity[i].assign(self.velocity[i] * momentum + step)
                step = step + velocity * momentum if group["nesterov"] else velocity
            p.assign((value - (step if self.classic else step * rate)).cast(p.dtype))


def trust_ratio(value: Tensor, direction: Tensor, scale: float = 1.0, weight_decay: float = 0.0) -> Tensor:
    """scale |value| / (|direction| + weight_decay |value|), and 1 where one of the norms is 0."""
    size, length = value.square().sum().sqrt(), direction.square().sum().sqrt()
    usable = (size > 0) & (length > 0)
    below = usable.where(length + size * weight_decay, 1.0)
    return usable.where(size * scale / below, 1.0)
