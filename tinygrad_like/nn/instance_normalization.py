"""Instance normalisation with PyTorch's parameters: by default none, optionally with running statistics."""

from __future__ import annotations

import ir
from ir import dtypes
from tinygrad_like.nn import init
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor


class _InstanceNorm(Module):
    """Normalise each channel of each example of [n, channels, *space] (or [channels, *space]) by itself.

    affine: a weight and a bias for each channel. track_running_stats: in training running statistics move by
    ``momentum`` towards the mean over examples of their means and unbiased variances; in evaluation they normalise.
    num_batches_tracked is part of the state and stays 0, as in PyTorch.
    Source: Ulyanov et al., "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016.
    """

    dimensions: int

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
                 track_running_stats: bool = False) -> None:
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.track_running_stats = track_running_stats
        self.weight: Tensor | None = init.ones(num_features) if affine else None
        self.bias: Tensor | None = init.zeros(num_features) if affine else None
        if track_running_stats:
            self.running_mean, self.running_var = (
                make(num_features).is_param_(False).requires_grad_(False) for make in (init.zeros, init.ones))
            counter = init.zeros(dtype=dtypes.int64)
            self.num_batches_tracked = counter.is_param_(False).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in (self.dimensions + 1, self.dimensions + 2) or x.shape[-1 - self.dimensions] != (
                self.num_features):
            raise ValueError(f"{type(self).__name__}({self.num_features}) expects [n, {self.num_features}, ...] with "
                             f"{self.dimensions} dimension(s) of space, got {list(x.shape)}")
        shape = (self.num_features, *[1] * self.dimensions)
        if self.track_running_stats and not self.training:
            mean, variance = self.running_mean.reshape(shape), self.running_var.reshape(shape)
        else:
            mean, variance = self._own_statistics(x)
        normal = (x - mean) * (variance + self.eps).rsqrt()
        scaled = normal if self.weight is None else normal * self.weight.reshape(shape)
        return scaled if self.bias is None else scaled + self.bias.reshape(shape)

    def _own_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        space = tuple(range(-self.dimensions, 0))
        count = ir.upper_bound(ir.product(x.shape[-self.dimensions:]))
        if self.training and count < 2:
            raise ValueError(f"{type(self).__name__} in training needs more than one value a channel, got "
                             f"{list(x.shape)}")
        mean = x.mean(space, keepdim=True)
        variance = (x - mean).square().mean(space, keepdim=True)
        if self.track_running_stats:
            unbiased = variance.detach() * (count / (count - 1))
            for running, found in ((self.running_mean, mean.detach()), (self.running_var, unbiased)):
                batch = found.reshape(-1, self.num_features).mean(0).cast(running.dtype)
                running.assign(running * (1 - self.momentum) + batch * self.momentum)
        return mean, variance


class InstanceNorm1d(_InstanceNorm):
    """Of [n, channels, l]."""

    dimensions = 1


class InstanceNorm2d(_InstanceNorm):
    """Of [n, channels, h, w]."""

    dimensions = 2


class InstanceNorm3d(_InstanceNorm):
    """Of [n, channels, d, h, w]."""

    dimensions = 3
