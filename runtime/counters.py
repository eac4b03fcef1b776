"""What running has cost so far: kernels, bytes, operations, time and memory (tinygrad's GlobalCounters)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counters:
    """Totals since the start or the last ``reset``; ``alive_bytes`` is a level, which ``reset`` leaves as it is.

    kernels: launches; operations: floating-point operations; bytes_moved: read and written by kernels, by the
    schedule's estimate; seconds: of running programs; programs: calls into devices; compiled: programs built.
    """

    kernels: int = 0
    operations: int = 0
    bytes_moved: int = 0
    seconds: float = 0.0
    programs: int = 0
    compiled: int = 0
    alive_bytes: int = 0
    peak_bytes: int = 0

    def reset(self) -> None:
        """Starts the totals anew; the peak starts from the bytes that are alive now."""
        self.kernels = self.operations = self.bytes_moved = self.programs = self.compiled = 0
        self.seconds = 0.0
        self.peak_bytes = self.alive_bytes

    # tinygrad's names

    @property
    def kernel_count(self) -> int:
        """``kernels``."""
        return self.kernels

    @property
    def global_ops(self) -> int:
        """``operations``."""
        return self.operations

    @property
    def global_mem(self) -> int:
        """``bytes_moved``."""
        return self.bytes_moved

    @property
    def time_sum_s(self) -> float:
        """``seconds``."""
        return self.seconds

    @property
    def mem_used(self) -> int:
        """``alive_bytes``."""
        return self.alive_bytes

    def allocated(self, nbytes: int) -> None:
        alive = self.alive_bytes = self.alive_bytes + nbytes
        if alive > self.peak_bytes:
            self.peak_bytes = alive

    def released(self, nbytes: int) -> None:
        self.alive_bytes -= nbytes


counters = Counters()
