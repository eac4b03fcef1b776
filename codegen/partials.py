"""Reductions over the loops that are to run in parallel: partial results of fixed chunks, combined in a fixed order.

The chunks depend on shapes alone, so the result is the same for any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ir.dtype import DType


@dataclass(frozen=True, eq=False)
class Temporary:
    """Memory that one kernel's launches hand to each other. In expressions it stands where a value does."""

    dtype: DType
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize
