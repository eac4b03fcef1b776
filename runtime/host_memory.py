"""Memory of the host process, aligned: for the devices that compute where Python lives."""

from __future__ import annotations

import ctypes
from math import prod
from typing import Any

import numpy as np

from runtime.device import ALIGNMENT, Allocation, Array, Device
from runtime.errors import OutOfMemory

KEPT_BYTES = 64 << 20  # of released memory


class HostMemory(Device):
    """The memory half of a device in this process; a mixin beside the half that runs programs.

    Released allocations serve the next requests of their size: their pages are there, and in the caches. When they
    amount to more than ``KEPT_BYTES``, all of them go back to the system.
    """

    def __init__(self) -> None:
        super().__init__()
        self._released: dict[int, list[Allocation]] = {}
        self._released_bytes = 0

    def allocate(self, nbytes: int) -> Allocation:
        try:
            kept = self._released[nbytes].pop()
        except (KeyError, IndexError):
            return self._fresh(nbytes)
        self._released_bytes -= nbytes
        return kept

    def release(self, allocation: Allocation) -> None:
        nbytes = allocation.nbytes
        if nbytes > KEPT_BYTES:
            return
        if self._released_bytes + nbytes > KEPT_BYTES:
            self._released.clear()
            self._released_bytes = 0
        self._released.setdefault(nbytes, []).append(allocation)
        self._released_bytes += nbytes

    def _fresh(self, nbytes: int) -> Allocation:
        """Memory from the system."""
        try:
            raw = np.empty(nbytes + ALIGNMENT, np.uint8)
        except (MemoryError, ValueError) as error:
            raise OutOfMemory(f"{self.name} cannot allocate {nbytes:,} bytes; use a smaller batch or free what is no "
                              "longer needed") from error
        address = raw.ctypes.data
        return Allocation(address + -address % ALIGNMENT, nbytes, raw)

    def copy_in(self, allocation: Allocation, array: Array) -> None:
        host_array(allocation.address, array.dtype, array.shape)[...] = array

    def copy_out(self, allocation: Allocation, array: Array) -> None:
        array[...] = host_array(allocation.address, array.dtype, array.shape)


def host_array(address: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """The memory of this process from ``address`` on as an array. Whoever calls keeps the memory alive."""
    raw = (ctypes.c_uint8 * (prod(shape) * dtype.itemsize)).from_address(address)
    array: Array = np.ndarray(shape, dtype, memoryview(raw))
    return array
