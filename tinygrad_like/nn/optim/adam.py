"""Adam and AdamW."""

from __future__ import annotations

from ir import dtypes
from tinygrad_like.nn.optim.optimizer import Optimizer, ParameterGroup, Parameters, state_dtype
from tinygrad_like.tensor import Tensor


class Adam(Optimizer):
    """m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g², p -= lr m̂ / (sqrt(v̂) + eps), m̂ = m / (1 - b1ᵗ), v̂ = v / (1 - b2ᵗ).

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015. weight_decay: g += weight_decay p.

    >>> optimizer = Adam(nn.state.get_parameters(model), lr=3e-4)
    """

    decoupled = False

    def __init__(
        self, params: Parameters, lr: float = 0.001, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        for name, value in (("b1", b1), ("b2", b2)):
            if not 0 <= value < 1:
                raise ValueError(f"{name} lies in [0, 1), got {value}")
        if eps < 0 or weight_decay < 0:
            raise ValueError(f"eps and weight_decay are not negative, got {eps} and {weight_decay}")
        super().__init__(params, lr, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay)

    def _allocate(self) -> None:
        self.m, self.v = self._zeros_like_params(), self._zeros_like_params()
        # b1ᵗ and b2ᵗ in float64: 1 - b2ᵗ loses three digits to cancellation in the first steps.
        self.powers = [
            Tensor([1.0, 1.0], dtype=dtypes.float64, device=group.lr.device).is_param_(False).requires_grad_(False)
            for group in self.param_groups
        ]

    def _state(self) -> dict[str, Tensor]:
        lists = {"m": self.m, "v": self.v, "powers": self.powers}
        return {f"{name}.{i}": tensor for name, tensors in lists.items() for i, tensor in enumerate(tensors)}

    def _update(self, group: ParameterGroup, numbers: range) -> None:
        b1, b2, eps, weight_decay = group["b1"], group["b2"], group["eps"], group["weight_decay"]
        step_size, root = self._step_size_and_root(group)
        for i, p in zip(numbers, group.params, strict=True):
            if p.grad is None:
                continue
            dtype = state_dtype(p)
            value, gradient = p.detach().cast(dtype), p.grad.detach().cast(dtype)
            if weight_decay and self.decoupled:
                value = value * (1 - group.rate(dtype) * weight_decay)
            elif weight_decay:
                gradient = gradient + value * weight_decay
            m = self.m[i].assign(self.m[i] * b1 + gradient * (1 - b1))
            v = self.v[i].assign(self.v[i] * b2 + gradient * gradient * (1 - b2))
            denominator = v.sqrt() / root.cast(dtype) + eps
            p.assign((value - step_size.cast(dtype) * m / denominator).cast(p.dtype))

    def _step_size_and_root(self, group: ParameterGroup) -> tuple[Tensor, Tensor]:
        """lr / (1 - b1ᵗ) and sqrt(1 - b2ᵗ) of this step, computed once for all parameters of the group."""
        powers = self.powers[self.param_groups.index(group)]
        decay = Tensor([group["b1"], group["b2"]], dtype=dtypes.float64, device=powers.device)
        correction = 1 - powers.assign(powers * decay)
        step_size = group.rate(dtypes.float64) / correction[0]
        root = correction[1].sqrt()
        return step_size.cast(group.dtype).contiguous(), root.cast(group.dtype).contiguous()


class AdamW(Adam):
    """Adam with decoupled weight decay: p *= 1 - lr weight_decay before Adam's update.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.
    """

    decoupled = True

    def __init__(
        self, params: Parameters, lr: float = 0.001, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, b1, b2, eps, weight_decay)
