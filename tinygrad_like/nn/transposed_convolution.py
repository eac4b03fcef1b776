"""Transposed convolutions of one to three dimensions."""

from __future__ import annotations

import math

from tinygrad_like.nn import init
from tinygrad_like.nn.convolution import Sizes, per_dimension
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor


class TransposedConvolution(Module):
    """The transpose of a convolution: its output has the size that the convolution would make its input from.

    weight: [in_channels, out_channels / groups, *kernel_size]; fan_in = out_channels / groups * prod(kernel_size).
    """

    dimensions: int

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes = 0,
        output_padding: Sizes = 0, groups: int = 1, bias: bool = True, dilation: Sizes = 1,
    ) -> None:
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}")
        self.kernel_size = per_dimension(kernel_size, self.dimensions)
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.groups, self.dilation = groups, dilation
        fan_in = out_channels // groups * math.prod(self.kernel_size)
        self.weight = init.fan_in_uniform(in_channels, out_channels // groups, *self.kernel_size, fan_in=fan_in)
        self.bias: Tensor | None = init.fan_in_uniform(out_channels, fan_in=fan_in) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return x.conv_transpose2d(
            self.weight, self.bias, self.groups, self.stride, self.dilation, self.padding, self.output_padding
        )


class ConvTranspose1d(TransposedConvolution):
    """[n, in_channels, l] -> [n, out_channels, l']."""

    dimensions = 1


class ConvTranspose2d(TransposedConvolution):
    """[n, in_channels, h, w] -> [n, out_channels, h', w'], h' as the h of ``Conv2d`` that gives h."""

    dimensions = 2


class ConvTranspose3d(TransposedConvolution):
    """[n, in_channels, d, h, w] -> [n, out_channels, d', h', w']."""

    dimensions = 3
