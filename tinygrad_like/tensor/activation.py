"""Activation functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tinygrad_like.tensor.base import TensorBase

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class ActivationMixin(TensorBase):
    """Each is applied element by element and keeps the shape."""

    __slots__ = ()

    def relu(self) -> Tensor:
        """max(x, 0); NaN stays, and the gradient at 0 is 0."""
        return (self <= 0).where(0, self)

    def relu6(self) -> Tensor:
        """min(max(x, 0), 6)."""
        return self.clamp(0, 6)

    def leaky_relu(self, neg_slope: float = 0.01) -> Tensor:
        """x above 0, ``neg_slope`` x below."""
        return (self < 0).where(self * neg_slope, self)

    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x)), with an exponential that cannot overflow: exp(x) / (1 + exp(x)) below 0."""
        x = self._as_float()
        positive = x > 0
        exponential = positive.where(-x, x).exp()
        return positive.where(1, exponential) / (exponential + 1)

    def hardsigmoid(self, alpha: float = 1 / 6, beta: float = 0.5) -> Tensor:
        """``alpha`` x + ``beta``, between 0 and 1."""
        return (self * alpha + beta).clamp(0, 1)

    def hardswish(self) -> Tensor:
        """x relu6(x + 3) / 6 (https://arxiv.org/abs/1905.02244)."""
        return self * (self + 3).relu6() * (1 / 6)

    def hardtanh(self, min_val: float = -1, max_val: float = 1) -> Tensor:
        """x between ``min_val`` and ``max_val``."""
        return self.clamp(min_val, max_val)

    def elu(self, alpha: float = 1.0) -> Tensor:
        """x above 0, ``alpha`` (exp(x) - 1) below (https://arxiv.org/abs/1511.07289)."""
        return self._exponential_below(1.0, alpha, 1.0)

    def celu(self, alpha: float = 1.0) -> Tensor:
        """x above 0, ``alpha`` (exp(x / alpha) - 1) below (https://arxiv.org/abs/1704.07483)."""
        return self._exponential_below(1.0, alpha, alpha)

    def selu(self, alpha: float = 1.67326, gamma: float = 1.0507) -> Tensor:
        """``gamma`` elu(x, alpha) (https://arxiv.org/abs/1706.02515)."""
        return self._exponential_below(gamma, alpha, 1.0)

    def _exponential_below(self, scale: float, alpha: float, width: float) -> Tensor:
        """``scale`` x above 0, ``scale alpha (exp(x / width) - 1)`` below."""
        positive = self > 0
        below = positive.where(0, self) / width  # safe: the branch that is not taken must not overflow
        return positive.where(self, (below.exp() - 1) * alpha) * scale

    def gelu(self, approximate: str = "tanh") -> Tensor:
        """x Phi(x), Phi being the normal distribution (https://arxiv.org/abs/1606.08415).

        approximate: "tanh" (tinygrad's and GPT-2's) or "none" for the exact form with erf (PyTorch's default).
        """
        x = self._as_float()
        if approximate == "tanh":
            # 0.5 (1 + tanh(u)) is sigmoid(2 u): fewer operations, and no cancellation where x is far below 0
            scale = 2 * math.sqrt(2 / math.pi)
            return x * (x * (x * x * (0.044715 * scale) + scale)).sigmoid()
        if approximate == "none":
            return x * 0.5 * ((x * math.sqrt(0.5)).erf() + 1)
        raise ValueError(f"approximate must be 'tanh' or 'none', got {approximate!r}")

    def quick_gelu(self) -> Tensor:
        """x sigmoid(1.702 x)."""
        return self * (self * 1.702).sigmoid()

    def swish(self) -> Tensor:
        """x sigmoid(x) (https://arxiv.org/abs/1710.05941)."""
        return self * self.sigmoid()

    def silu(self) -> Tensor:
        """Another name of ``swish``."""
        return self.swish()

    def softplus(self, beta: float = 1.0) -> Tensor:
        """log(1 + exp(beta x)) / beta, without overflow."""
        scaled = self._as_float() * beta
        return (scaled.maximum(0) + (-scaled.abs()).exp().log1p()) * (1 / beta)

    def mish(self) -> Tensor:
        """x tanh(softplus(x)) (https://arxiv.org/abs/1908.08681)."""
        return self * self.softplus().tanh()

    def logsigmoid(self) -> Tensor:
        """log(sigmoid(x)), precise where that is tiny."""
        return -(-self._as_float()).softplus()

    def softsign(self) -> Tensor:
        """x / (1 + |x|)."""
        return self / (self.abs() + 1)

    def hardshrink(self, lambd: float = 0.5) -> Tensor:
        """x where |x| exceeds ``lambd``, else 0."""
        return (self.abs() <= lambd).where(0, self)

    def softshrink(self, lambd: float = 0.5) -> Tensor:
        """x moved towards 0 by ``lambd``, and 0 where it would cross."""
        return (self > lambd).where(self - lambd, (self < -lambd).where(self + lambd, 0))

    def tanhshrink(self) -> Tensor:
        """x - tanh(x)."""
        return self - self.tanh()

    def threshold(self, threshold: float, value: float) -> Tensor:
        """x above ``threshold``, else ``value``."""
        return (self <= threshold).where(value, self)

    def prelu(self, weight: Tensor) -> Tensor:
        """x above 0, ``weight`` x below: one weight, or one for each channel (https://arxiv.org/abs/1502.01852)."""
        if weight.ndim > 1 or (weight.numel() != 1 and (self.ndim < 2 or weight.shape[0] != self.shape[1])):
            raise ValueError(f"prelu of shape {self.shape} needs one weight or one a channel, got shape {weight.shape}")
        slope = weight if weight.numel() == 1 else weight.reshape(-1, *[1] * (self.ndim - 2))
        return (self > 0).where(self, self * slope)

    def glu(self, dim: int = -1) -> Tensor:
        """The first half along ``dim`` times the sigmoid of the second (https://arxiv.org/abs/1612.08083)."""
        if not self.ndim or int(self.shape[self._axis(dim)]) % 2:
            raise ValueError(f"glu needs an even size of dimension {dim}, got shape {self.shape}")
        first, second = self.chunk(2, dim)
        return first * second.sigmoid()
