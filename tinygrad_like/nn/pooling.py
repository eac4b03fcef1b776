"""Pooling over [batch, channels, *space]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

import numpy as np

from tinygrad_like.nn.convolution import Sizes, per_dimension
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor

MaybeSizes = Union[int, None, Sequence[Union[int, None]]]


class _Pool(Module):
    """What pools share. stride None: the window's size. ceil_mode: also a window that hangs over the end."""

    dimensions: int

    def _set(self, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, ceil_mode: bool) -> None:
        self.kernel_size, self.stride = per_dimension(kernel_size, self.dimensions), stride
        self.padding, self.ceil_mode = padding, ceil_mode

    def _check(self, x: Tensor) -> None:
        if x.ndim not in (self.dimensions + 1, self.dimensions + 2):
            raise ValueError(f"{type(self).__name__} expects [n, channels] or [channels] and {self.dimensions} "
                             f"dimension(s) of space, got {list(x.shape)}")


class _MaxPool(_Pool):
    """The maximum of each window; padding never wins. return_indices: also its position in the flattened plane."""

    def __init__(self, kernel_size: Sizes = 2, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
                 return_indices: bool = False, ceil_mode: bool = False) -> None:
        self._set(kernel_size, stride, padding, ceil_mode)
        self.dilation, self.return_indices = dilation, return_indices

    def forward(self, x: Tensor) -> Any:
        self._check(x)
        return x.max_pool2d(self.kernel_size, self.stride, self.dilation, self.padding, self.ceil_mode,
                            self.return_indices)


class MaxPool1d(_MaxPool):
    """Of [n, channels, l]."""

    dimensions = 1


class MaxPool2d(_MaxPool):
    """Of [n, channels, h, w].

    >>> MaxPool2d(3, stride=2, padding=1)(Tensor.rand(1, 8, 7, 7)).shape
    (1, 8, 4, 4)
    """

    dimensions = 2


class MaxPool3d(_MaxPool):
    """Of [n, channels, d, h, w]."""

    dimensions = 3


class _AvgPool(_Pool):
    """The mean of each window; count_include_pad: padding counts as elements of value 0."""

    def __init__(self, kernel_size: Sizes = 2, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True) -> None:
        self._set(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        return x.avg_pool2d(self.kernel_size, self.stride, 1, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool1d(_AvgPool):
    """Of [n, channels, l]."""

    dimensions = 1


class AvgPool2d(_AvgPool):
    """Of [n, channels, h, w]."""

    dimensions = 2


class AvgPool3d(_AvgPool):
    """Of [n, channels, d, h, w]."""

    dimensions = 3


class _AdaptiveAvgPool(_Pool):
    """The means of so many windows that the space becomes ``output_size`` (None keeps a size).

    Window i of n elements covers floor(i n / output) up to ceil((i + 1) n / output).
    """

    def __init__(self, output_size: MaybeSizes) -> None:
        given = (output_size,) * self.dimensions if output_size is None or isinstance(output_size, int) else output_size
        self.output_size = tuple(given)
        if len(self.output_size) != self.dimensions:
            raise ValueError(f"expected one output size or {self.dimensions}, got {output_size!r}")

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        for axis, wanted in enumerate(self.output_size, x.ndim - self.dimensions):
            size = int(x.shape[axis])
            if wanted is None or wanted == size:
                continue
            if size % wanted == 0:
                x = x.reshape(*x.shape[:axis], wanted, size // wanted, *x.shape[axis + 1:]).mean(axis + 1)
            else:
                weights = Tensor(_window_weights(size, wanted), dtype=x.dtype, device=x.device)
                x = (x.movedim(axis, -1) @ weights).movedim(-1, axis)
        return x


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Of [n, channels, l]."""

    dimensions = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Of [n, channels, h, w].

    >>> AdaptiveAvgPool2d(1)(Tensor.rand(2, 8, 7, 5)).shape
    (2, 8, 1, 1)
    """

    dimensions = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Of [n, channels, d, h, w]."""

    dimensions = 3


def _window_weights(size: int, count: int) -> np.ndarray[Any, Any]:
    """[size, count]: in each column 1 / length within its window."""
    weights = np.zeros((size, count), np.float64)
    for number in range(count):
        start, stop = number * size // count, -(-(number + 1) * size // count)
        weights[start:stop, number] = 1 / (stop - start)
    return weights
