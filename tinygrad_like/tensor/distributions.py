"""Random numbers of further distributions, each a function of evenly distributed ones: nothing is drawn twice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ir import dtypes
from tinygrad_like.tensor.base import TensorBase

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class DistributionsMixin(TensorBase):
    """``shape`` and options are those of ``rand``."""

    __slots__ = ()

    def bernoulli(self, p: float | None = None) -> Tensor:
        """1 with the probability that each element is (or ``p``), else 0; of this shape and dtype."""
        if p is not None and not 0 <= p <= 1:
            raise ValueError(f"bernoulli needs a probability between 0 and 1, got {p}")
        drawn = self.rand_like(dtype=dtypes.default_float)
        return (drawn < (self if p is None else p)).cast(self.dtype)

    @classmethod
    def exponential(cls, *shape: Any, rate: float = 1.0, **options: Any) -> Tensor:
        """Exponentially distributed with mean 1 / ``rate``: -log(1 - u) / rate."""
        _check_positive("exponential", rate=rate)
        return (1 - cls.rand(*shape, **options)).log() * (-1 / rate)

    @classmethod
    def gumbel(cls, *shape: Any, loc: float = 0.0, scale: float = 1.0, **options: Any) -> Tensor:
        """Gumbel's distribution of extremes: loc - scale log(exponential)."""
        _check_positive("gumbel", scale=scale)
        return cls.exponential(*shape, **options).maximum(1e-38).log() * -scale + loc

    @classmethod
    def laplace(cls, *shape: Any, loc: float = 0.0, scale: float = 1.0, **options: Any) -> Tensor:
        """Laplace's distribution: exponential to both sides of ``loc``."""
        _check_positive("laplace", scale=scale)
        centred = cls.rand(*shape, **options) - 0.5
        return (1 - 2 * centred.abs()).maximum(1e-38).log() * centred.sign() * -scale + loc

    @classmethod
    def cauchy(cls, *shape: Any, median: float = 0.0, sigma: float = 1.0, **options: Any) -> Tensor:
        """Cauchy's distribution: median + sigma tan(pi (u - 1/2))."""
        _check_positive("cauchy", sigma=sigma)
        return ((cls.rand(*shape, **options) - 0.5) * math.pi).tan() * sigma + median

    @classmethod
    def log_normal(cls, *shape: Any, mean: float = 0.0, std: float = 1.0, **options: Any) -> Tensor:
        """exp of normal numbers of that ``mean`` and ``std``."""
        return cls.normal(*shape, mean=mean, std=std, **options).exp()

    @classmethod
    def truncated_normal(cls, *shape: Any, mean: float = 0.0, std: float = 1.0, low: float = -2.0,
                         high: float = 2.0, **options: Any) -> Tensor:
        """Normally distributed within [``low``, ``high``] (values, not deviations), the rest of the bell cut off.

        Found by bisection of the distribution function, 32 halvings in float64.
        """
        _check_positive("truncated_normal", std=std)
        if not low < high:
            raise ValueError(f"truncated_normal needs low < high, got {low} and {high}")
        first, last = (math.erf((bound - mean) / std / math.sqrt(2)) for bound in (low, high))
        drawn = cls.rand(*shape, **options)
        wanted = drawn.cast(dtypes.float64) * (last - first) + first
        below, width = wanted * 0 + (low - mean) / std, (high - low) / std
        for _ in range(32):
            width /= 2
            middle = below + width
            below = ((middle * math.sqrt(0.5)).erf() <= wanted).where(middle, below)
        return ((below + width / 2) * std + mean).cast(drawn.dtype).contiguous()


def _check_positive(name: str, **values: float) -> None:
    for key, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} needs {key} > 0, got {value}")
