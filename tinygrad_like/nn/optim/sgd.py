"""Stochastic gradient descent."""

from __future__ import annotations

from tinygrad_like.nn.optim.optimizer import Optimizer, ParameterGroup, Parameters, state_dtype
from tinygrad_like.tensor import Tensor


class SGD(Optimizer):
    """p -= lr g, with momentum p -= lr b where b = momentum b + g (Sutskever et al., 2013).

    weight_decay: g += weight_decay p. nesterov: p -= lr (g + momentum b).

    >>> optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    """

    def __init__(
        self, params: Parameters, lr: float = 0.001, momentum: float = 0.0, weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        if momentum < 0 or weight_decay < 0:
            raise ValueError(f"momentum and weight_decay are not negative, got {momentum} and {weight_decay}")
        if nesterov and momentum == 0:
            raise ValueError("Nesterov's rule needs a momentum above 0")
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def _allocate(self) -> None:
        moving = any(group["momentum"] for group in self.param_groups)
        self.velocity: list[Tensor] = self._zeros_like_params() if moving else []

    def _state(self) -> dict[str, Tensor]:
        return {f"velocity.{i}": tensor for i, tensor in enumerate(self.velocity)}

    def _update(self, group: ParameterGroup, numbers: range) -> None:
        momentum, weight_decay = group["momentum"], group["weight_decay"]
        for i, p in zip(numbers, group.params, strict=True):
            if p.grad is None:
                continue
            dtype = state_dtype(p)
            value, step = p.detach().cast(dtype), p.grad.detach().cast(dtype)
            if weight_decay:
                step = step + value * weight_decay
            if momentum:
                velocity = self.velocity[i].assign(self.velocity[i] * momentum + step)
                step = step + velocity * momentum if group["nesterov"] else velocity
            p.assign((value - step * group.rate(dtype)).cast(p.dtype))
