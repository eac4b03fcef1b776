"""Normalisation layers."""

from __future__ import annotations

import math

from ir import dtypes
from tinygrad_like.nn import init
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor


class BatchNorm(Module):
    """Normalise each channel of [n, channels, *space] over the batch (Ioffe and Szegedy, 2015).

    In training the batch's mean and biased variance normalise, and running statistics move towards the batch's mean
    and unbiased variance by ``momentum``; in evaluation the running statistics normalise.
    """

    def __init__(
        self, size: int, eps: float = 1e-5, affine: bool = True, track_running_stats: bool = True, momentum: float = 0.1
    ) -> None:
        self.eps, self.momentum, self.track_running_stats = eps, momentum, track_running_stats
        self.weight: Tensor | None = init.ones(size) if affine else None
        self.bias: Tensor | None = init.zeros(size) if affine else None
        if track_running_stats:
            self.running_mean = _statistic(init.zeros(size))
            self.running_var = _statistic(init.ones(size))
            self.num_batches_tracked = _statistic(init.zeros(dtype=dtypes.int64))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 2:
            raise ValueError(f"BatchNorm expects [n, channels, ...], got {list(x.shape)}")
        if self.training or not self.track_running_stats:
            mean, variance = self._batch_statistics(x)
        else:
            mean, variance = self.running_mean, self.running_var
        return x.batchnorm(self.weight, self.bias, mean, (variance + self.eps).rsqrt())

    def _batch_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        axes = tuple(axis for axis in range(x.ndim) if axis != 1)
        mean = x.mean(axes)
        centred = x - mean.reshape(1, -1, *[1] * (x.ndim - 2))
        variance = (centred * centred).mean(axes)
        if self.track_running_stats and self.training:
            count = math.prod(int(size) for axis, size in enumerate(x.shape) if axis != 1)
            if count < 2:
                raise ValueError(f"BatchNorm in training needs more than one value a channel, got {list(x.shape)}")
            unbiased = variance.detach() * (count / (count - 1))
            self._move(self.running_mean, mean.detach())
            self._move(self.running_var, unbiased)
            self.num_batches_tracked.assign(self.num_batches_tracked + 1)
        return mean, variance

    def _move(self, running: Tensor, batch: Tensor) -> None:
        running.assign(running * (1 - self.momentum) + batch.cast(running.dtype) * self.momentum)


BatchNorm1d = BatchNorm2d = BatchNorm3d = BatchNorm


class LayerNorm(Module):
    """Normalise over the last dimensions, those of ``normalized_shape`` (Ba et al., "Layer Normalization", 2016).

    >>> LayerNorm(8)(Tensor.rand(2, 5, 8)).shape
    (2, 5, 8)
    """

    def __init__(
        self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.weight: Tensor | None = init.ones(*self.normalized_shape) if elementwise_affine else None
        self.bias: Tensor | None = init.zeros(*self.normalized_shape) if elementwise_affine and bias else None

    def forward(self, x: Tensor) -> Tensor:
        count = len(self.normalized_shape)
        if x.shape[-count:] != self.normalized_shape:
            expected = ", ".join(map(str, self.normalized_shape))
            raise ValueError(f"LayerNorm expects [..., {expected}], got {list(x.shape)}")
        return _scale_and_shift(x.layernorm(tuple(range(-count, 0)), self.eps), self.weight, self.bias)


class LayerNorm2d(LayerNorm):
    """Layer normalisation of [n, channels, h, w] over the channels at each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GroupNorm(Module):
    """Normalise [n, channels, *space] over each of ``num_groups`` groups of channels (Wu and He, 2018)."""

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        if num_channels % num_groups:
            raise ValueError(f"num_groups={num_groups} must divide num_channels={num_channels}")
        self.num_groups, self.eps = num_groups, eps
        self.weight: Tensor | None = init.ones(num_channels) if affine else None
        self.bias: Tensor | None = init.zeros(num_channels) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        size = math.prod(x.shape[1:]) // self.num_groups
        y = x.reshape(x.shape[0], self.num_groups, size).layernorm(eps=self.eps).reshape(x.shape)
        shape = (1, -1, *[1] * (x.ndim - 2))
        return _scale_and_shift(
            y,
            None if self.weight is None else self.weight.reshape(shape),
            None if self.bias is None else self.bias.reshape(shape),
        )


class InstanceNorm(GroupNorm):
    """Normalise each channel of each example by itself: one channel a group (Ulyanov et al., 2016)."""

    def __init__(self, num_features: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__(num_features, num_features, eps, affine)


class RMSNorm(Module):
    """x / sqrt(mean(x²) + eps) * weight over the last dimension, computed in float32 (Zhang and Sennrich, 2019)."""

    def __init__(self, dim: int, eps: float = 1e-6, elementwise_affine: bool = True) -> None:
        self.eps = eps
        self.weight: Tensor | None = init.ones(dim) if elementwise_affine else None

    def forward(self, x: Tensor) -> Tensor:
        wide = x if x.dtype in (dtypes.float32, dtypes.float64) else x.float()
        normed = wide * (wide.square().mean(-1, keepdim=True) + self.eps).rsqrt()
        return _scale_and_shift(normed.cast(x.dtype), self.weight, None)


def _statistic(tensor: Tensor) -> Tensor:
    """A tensor that training changes, but not by its gradient."""
    return tensor.is_param_(False).requires_grad_(False)


def _scale_and_shift(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    scaled = x if weight is None else x * weight
    return scaled if bias is None else scaled + bias
