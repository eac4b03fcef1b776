"""Memory of the host process, aligned: for the devices that compute where Python lives."""

from __future__ import annotations

import numpy as np

from runtime.device import ALIGNMENT, Allocation, Array, Device
from runtime.errors import OutOfMemory


class HostMemory(Device):
    """The memory half of a device in this process; a mixin beside the half that runs programs."""

    def allocate(self, nbytes: int) -> Allocation:
        try:
            raw = np.empty(nbytes + ALIGNMENT, np.uint8)
        except (MemoryError, ValueError) as error:
            raise OutOfMemory(f"{self.name} cannot allocate {nbytes:,} bytes; use a smaller batch or free what is no "
                              "longer needed") from error
        address = raw.ctypes.data
        return Allocation(address + -address % ALIGNMENT, nbytes, raw)

    def copy_in(self, allocation: Allocation, array: Array) -> None:
        _view(allocation, array.nbytes)[...] = array.reshape(-1).view(np.uint8)

    def copy_out(self, allocation: Allocation, array: Array) -> None:
        array.reshape(-1).view(np.uint8)[...] = _view(allocation, array.nbytes)


def _view(allocation: Allocation, nbytes: int) -> Array:
    """The first ``nbytes`` bytes of the allocation."""
    raw = allocation.owner
    assert isinstance(raw, np.ndarray)
    start = allocation.address - raw.ctypes.data
    return raw[start : start + nbytes]
