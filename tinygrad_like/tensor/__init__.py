"""``Tensor``, one subject a file; see ``tinygrad_like.tensor.tensor``."""

from __future__ import annotations

from tinygrad_like.tensor.random_state import random_state
from tinygrad_like.tensor.tensor import Tensor

__all__ = ["Tensor", "random_state"]
