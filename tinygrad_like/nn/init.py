"""New parameters and their initial values.

Functions without ``_`` make a parameter: a tensor in memory of its own, which requires a gradient. Functions ending in
``_`` overwrite the tensor they are given and return it.
"""

from __future__ import annotations

import math

import numpy as np

from ir import dtypes
from ir.dtype import DType
from tinygrad_like.tensor import Tensor


def zeros(*shape: int, dtype: DType = dtypes.float32) -> Tensor:
    """Zeros."""
    return Tensor(np.zeros(shape, dtype.numpy)).requires_grad_()


def ones(*shape: int, dtype: DType = dtypes.float32) -> Tensor:
    """Ones."""
    return Tensor(np.ones(shape, dtype.numpy)).requires_grad_()


def normal(*shape: int, std: float = 1.0) -> Tensor:
    """Normal with mean 0."""
    return Tensor.normal(*shape, std=std).realize().requires_grad_()


def uniform(*shape: int, bound: float) -> Tensor:
    """Uniform in [-bound, bound)."""
    return Tensor.uniform(*shape, low=-bound, high=bound).realize().requires_grad_()


def fan_in_uniform(*shape: int, fan_in: int) -> Tensor:
    """Uniform in +-1/sqrt(fan_in): PyTorch's default for the weights and biases of linear layers and convolutions.

    It is He's uniform initialisation with a slope of sqrt(5) (He et al., "Delving Deep into Rectifiers", 2015).
    """
    return uniform(*shape, bound=1 / math.sqrt(fan_in) if fan_in > 0 else 0.0)


def xavier_uniform(*shape: int, fan_in: int, fan_out: int) -> Tensor:
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, "Understanding the difficulty...", 2010)."""
    return uniform(*shape, bound=math.sqrt(6 / (fan_in + fan_out)))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Overwrite ``tensor`` with normal random numbers."""
    return tensor.assign(Tensor.normal(*tensor.shape, mean=mean, std=std, dtype=tensor.dtype, device=tensor.device))


def uniform_(tensor: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Overwrite ``tensor`` with uniform random numbers."""
    return tensor.assign(Tensor.uniform(*tensor.shape, low=low, high=high, dtype=tensor.dtype, device=tensor.device))


def constant_(tensor: Tensor, value: float) -> Tensor:
    """Overwrite every element of ``tensor`` with ``value``."""
    return tensor.assign(Tensor.full(tensor.shape, value, dtype=tensor.dtype, device=tensor.device))
