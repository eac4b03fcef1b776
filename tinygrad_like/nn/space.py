"""Layers that move elements between space and channels, pad, and resample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

from tinygrad_like.nn.convolution import Sizes, per_dimension
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor

Widths = Union[int, Sequence[int]]


class PixelShuffle(Module):
    """[.., channels r², h, w] -> [.., channels, r h, r w] (Shi et al., "Real-Time Super-Resolution", 2016).

    >>> PixelShuffle(2)(Tensor.rand(1, 8, 3, 3)).shape
    (1, 2, 6, 6)
    """

    def __init__(self, upscale_factor: int) -> None:
        self.factor = upscale_factor

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 3 or int(x.shape[-3]) % self.factor**2:
            raise ValueError(f"PixelShuffle({self.factor}) needs [.., channels, h, w] with channels divided by "
                             f"{self.factor**2}, got {list(x.shape)}")
        return x.rearrange("... (c a b) h w -> ... c (h a) (w b)", a=self.factor, b=self.factor)


class PixelUnshuffle(Module):
    """The inverse of ``PixelShuffle``: [.., channels, r h, r w] -> [.., channels r², h, w]."""

    def __init__(self, downscale_factor: int) -> None:
        self.factor = downscale_factor

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 3 or int(x.shape[-1]) % self.factor or int(x.shape[-2]) % self.factor:
            raise ValueError(f"PixelUnshuffle({self.factor}) needs [.., channels, h, w] with sizes divided by "
                             f"{self.factor}, got {list(x.shape)}")
        return x.rearrange("... c (h a) (w b) -> ... (c a b) h w", a=self.factor, b=self.factor)


class Upsample(Module):
    """The last dimensions resampled to ``size``, or by ``scale_factor``; as many as there are behind the channels.

    mode: "nearest", "nearest-exact", "linear" or PyTorch's names of the last for two and three dimensions, "bilinear"
    and "trilinear".
    """

    def __init__(self, size: Sizes | None = None, scale_factor: float | None = None, mode: str = "nearest",
                 align_corners: bool = False) -> None:
        if (size is None) == (scale_factor is None):
            raise ValueError(f"give size or scale_factor, one of both; got {size} and {scale_factor}")
        self.size, self.scale_factor, self.align_corners = size, scale_factor, align_corners
        self.mode = "linear" if mode in ("bilinear", "trilinear") else mode

    def forward(self, x: Tensor) -> Tensor:
        space = x.shape[2:]
        if self.size is not None:
            sizes = per_dimension(self.size, len(space))
        else:
            sizes = tuple(int(int(n) * (self.scale_factor or 1)) for n in space)
        return x.interpolate(sizes, self.mode, self.align_corners)


class _Pad(Module):
    """``padding``: one number, or before and after of each dimension, last dimension first."""

    dimensions: int
    mode: str

    def __init__(self, padding: Widths) -> None:
        self.padding = (padding,) * (2 * self.dimensions) if isinstance(padding, int) else tuple(padding)
        if len(self.padding) != 2 * self.dimensions:
            raise ValueError(f"{type(self).__name__} needs one number or {2 * self.dimensions}, got {padding!r}")

    def forward(self, x: Tensor) -> Tensor:
        return x.pad(self.padding, mode=self.mode)


class ZeroPad2d(_Pad):
    """Zeros around [.., h, w]."""

    dimensions, mode = 2, "constant"


class ReflectionPad1d(_Pad):
    """[.., l] mirrored at its ends, which are not repeated."""

    dimensions, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """[.., h, w] mirrored at its edges, which are not repeated."""

    dimensions, mode = 2, "reflect"


class ReplicationPad1d(_Pad):
    """[.., l] with its ends repeated."""

    dimensions, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """[.., h, w] with its edges repeated."""

    dimensions, mode = 2, "replicate"


class CircularPad2d(_Pad):
    """[.., h, w] continued as on a torus."""

    dimensions, mode = 2, "circular"


class Unfold(Module):
    """The patches of images as columns: [n, c, h, w] -> [n, c * kernel, positions] (im2col)."""

    def __init__(self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> None:
        self.kernel_size, self.dilation = per_dimension(kernel_size, 2), per_dimension(dilation, 2)
        self.padding, self.stride = per_dimension(padding, 2), per_dimension(stride, 2)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ValueError(f"Unfold expects [n, channels, h, w], got {list(x.shape)}")
        return _patches(x, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(Module):
    """Columns added up to images: the transpose of ``Unfold``, [n, c * kernel, positions] -> [n, c, *output_size]."""

    def __init__(self, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0,
                 stride: Sizes = 1) -> None:
        self.output_size = per_dimension(output_size, 2)
        self.kernel_size, self.dilation = per_dimension(kernel_size, 2), per_dimension(dilation, 2)
        self.padding, self.stride = per_dimension(padding, 2), per_dimension(stride, 2)

    def forward(self, x: Tensor) -> Tensor:
        taps = self.kernel_size[0] * self.kernel_size[1]
        if x.ndim != 3 or int(x.shape[1]) % taps:
            raise ValueError(f"Fold expects [n, channels * {taps}, positions], got {list(x.shape)}")
        source = Tensor.zeros(x.shape[0], int(x.shape[1]) // taps, *self.output_size, dtype=x.dtype)
        columns = _patches(source, self.kernel_size, self.dilation, self.padding, self.stride)
        if columns.shape != x.shape:
            raise ValueError(f"Fold to {self.output_size} expects {columns.shape[2]} positions, got {x.shape[2]}")
        return columns.gradient(source, gradient=x)[0]


def _patches(x: Tensor, kernel: Sequence[int], dilation: Sequence[int], padding: Sequence[int],
             stride: Sequence[int]) -> Tensor:
    x = x.pad((padding[1], padding[1], padding[0], padding[0]))
    for axis, (size, gap, step) in enumerate(zip(kernel, dilation, stride, strict=True)):
        windows = x.unfold(2 + axis, gap * (size - 1) + 1, step)
        x = windows[..., ::gap]
    batch, channels, rows, columns, height, width = x.shape
    return x.permute(0, 1, 4, 5, 2, 3).reshape(batch, channels * height * width, rows * columns)
