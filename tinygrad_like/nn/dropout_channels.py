"""Dropout of whole channels."""

from __future__ import annotations

from tinygrad_like.context import Context
from tinygrad_like.nn.dropout import Dropout
from tinygrad_like.tensor import Tensor


class _ChannelDropout(Dropout):
    """In training each channel of each example is zero with probability ``p``, the others are divided by 1 - p.

    [n, channels, *space], or [channels, *space] for one example. Neighbours in a feature map say much the same, so that
    dropping elements alone would hide little (Tompson et al., "Efficient Object Localization Using Convolutional
    Networks", 2015).
    """

    dimensions: int

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in (self.dimensions + 1, self.dimensions + 2):
            raise ValueError(f"{type(self).__name__} expects [n, channels] or [channels] and {self.dimensions} "
                             f"dimension(s) of space, got {list(x.shape)}")
        if not self.training or self.p == 0:
            return x
        lead = x.shape[:-self.dimensions]
        with Context(TRAINING=1):
            return x * Tensor.ones(*lead, *[1] * self.dimensions, dtype=x.dtype, device=x.device).dropout(self.p)


class Dropout1d(_ChannelDropout):
    """Channel dropout of [n, channels, l]."""

    dimensions = 1


class Dropout2d(_ChannelDropout):
    """Channel dropout of [n, channels, h, w]."""

    dimensions = 2


class Dropout3d(_ChannelDropout):
    """Channel dropout of [n, channels, d, h, w]."""

    dimensions = 3
