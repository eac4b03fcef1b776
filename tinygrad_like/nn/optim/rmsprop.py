"""RMSprop."""

from __future__ import annotations

from tinygrad_like.nn.optim.optimizer import Optimizer, ParameterGroup, Parameters, state_dtype
from tinygrad_like.tensor import Tensor


class RMSprop(Optimizer):
    """v = alpha v + (1 - alpha) g², p -= lr g / (sqrt(v) + eps).

    centered: v less the square of the running mean of g (Graves, "Generating Sequences With Recurrent Neural
    Networks", 2013). momentum: b = momentum b + g / (sqrt(v) + eps), p -= lr b. weight_decay: g += weight_decay p.
    Source: Tieleman and Hinton, "Neural Networks for Machine Learning", lecture 6.5, 2012.

    >>> optimizer = RMSprop(model.parameters(), lr=0.01)
    """

    def __init__(
        self, params: Parameters, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0,
        momentum: float = 0.0, centered: bool = False,
    ) -> None:
        if not 0 <= alpha < 1:
            raise ValueError(f"alpha lies in [0, 1), got {alpha}")
        if min(eps, weight_decay, momentum) < 0:
            raise ValueError(f"eps, weight_decay and momentum are not negative, got {eps}, {weight_decay}, {momentum}")
        super().__init__(params, lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
                         centered=centered)

    def _allocate(self) -> None:
        self.squares = self._zeros_like_params()
        moving = any(group["momentum"] for group in self.param_groups)
        centred = any(group["centered"] for group in self.param_groups)
        self.velocity: list[Tensor] = self._zeros_like_params() if moving else []
        self.means: list[Tensor] = self._zeros_like_params() if centred else []

    def _state(self) -> dict[str, Tensor]:
        lists = {"squares": self.squares, "velocity": self.velocity, "means": self.means}
        return {f"{name}.{i}": tensor for name, tensors in lists.items() for i, tensor in enumerate(tensors)}

    def _update(self, group: ParameterGroup, numbers: range) -> None:
        alpha, momentum = group["alpha"], group["momentum"]
        for i, p in zip(numbers, group.params, strict=True):
            if p.grad is None:
                continue
            dtype = state_dtype(p)
            value, gradient = p.detach().cast(dtype), p.grad.detach().cast(dtype)
            if group["weight_decay"]:
                gradient = gradient + value * group["weight_decay"]
            spread = self.squares[i].assign(self.squares[i] * alpha + gradient * gradient * (1 - alpha))
            if group["centered"]:
                mean = self.means[i].assign(self.means[i] * alpha + gradient * (1 - alpha))
                spread = spread - mean * mean
            step = gradient / (spread.sqrt() + group["eps"])
            if momentum:
                step = self.velocity[i].assign(self.velocity[i] * momentum + step)
            p.assign((value - step * group.rate(dtype)).cast(p.dtype))
