"""Convolutions over [batch, channels, *space]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Union

from tinygrad_like.nn import init
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor

Sizes = Union[int, Sequence[int]]


class Convolution(Module):
    """What convolutions of one, two and three dimensions share; use ``Conv1d``, ``Conv2d`` or ``Conv3d``.

    weight: [out_channels, in_channels / groups, *kernel_size], bias: [out_channels], both uniform in +-1/sqrt(fan_in)
    with fan_in = in_channels / groups * prod(kernel_size). ``padding`` is a number, one number a dimension, or "same".
    """

    dimensions: int

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes | str = 0,
        dilation: Sizes = 1, groups: int = 1, bias: bool = True,
    ) -> None:
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}")
        self.kernel_size = per_dimension(kernel_size, self.dimensions)
        self.stride, self.dilation, self.groups = stride, per_dimension(dilation, self.dimensions), groups
        self.padding = self._padding(padding)
        fan_in = in_channels // groups * math.prod(self.kernel_size)
        self.weight = init.fan_in_uniform(out_channels, in_channels // groups, *self.kernel_size, fan_in=fan_in)
        self.bias: Tensor | None = init.fan_in_uniform(out_channels, fan_in=fan_in) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return x.conv2d(self.weight, self.bias, self.groups, self.stride, self.dilation, self.padding)

    def _padding(self, padding: Sizes | str) -> int | tuple[int, ...]:
        if not isinstance(padding, str):
            return padding if isinstance(padding, int) else tuple(padding)
        if padding != "same":
            raise ValueError(f"padding={padding!r} is unknown; expected a number, one a dimension, or 'same'")
        if set(per_dimension(self.stride, self.dimensions)) != {1}:
            raise ValueError(f"padding='same' needs stride 1, got {self.stride}")
        totals = [d * (k - 1) for d, k in zip(reversed(self.dilation), reversed(self.kernel_size), strict=True)]
        return tuple(amount for total in totals for amount in (total // 2, total - total // 2))


class Conv1d(Convolution):
    """[n, in_channels, l] -> [n, out_channels, (l + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1]."""

    dimensions = 1


class Conv2d(Convolution):
    """[n, in_channels, h, w] -> [n, out_channels, h', w'], each of h and w as in ``Conv1d``.

    >>> Conv2d(3, 8, kernel_size=3, padding=1)(Tensor.rand(2, 3, 32, 32)).shape
    (2, 8, 32, 32)
    """

    dimensions = 2


class Conv3d(Convolution):
    """[n, in_channels, d, h, w] -> [n, out_channels, d', h', w']."""

    dimensions = 3


def per_dimension(value: Sizes, count: int) -> tuple[int, ...]:
    """One size for each of ``count`` dimensions from one number or several; ValueError for another number of them."""
    result = (value,) * count if isinstance(value, int) else tuple(value)
    if len(result) != count:
        raise ValueError(f"expected one number or {count}, got {value!r}")
    return result
