"""Where the time of a program goes: per kernel, with its bytes, operations and share of the memory bandwidth.

    >>> with profile() as report:
    ...     realize([ir.reduce("sum", x, (0,))])
    >>> print(report)

While a profile is open, programs run region by region with a clock around each. The kernels of one region run together,
so that their times are the region's, divided in proportion to the bytes they move.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from ir.node import Location
from ir.phases import PhaseTimes, recorded_phases
from runtime.device import CompilingDevice
from runtime.program import KernelRecord, Program, Region
from runtime.stepwise import Observer, StepwiseExecutable
from runtime.table import bytes_text, count_text, seconds_text, table_text


@dataclass
class KernelTime:
    """The sum over all launches of the kernels that share a name, a strategy and the user's lines."""

    name: str
    strategy: str
    locations: tuple[Location, ...]
    launches: int = 0
    seconds: float = 0.0
    bytes_moved: int = 0
    flops: int = 0

    @property
    def bytes_per_second(self) -> float:
        return self.bytes_moved / self.seconds if self.seconds else 0.0

    @property
    def flops_per_second(self) -> float:
        return self.flops / self.seconds if self.seconds else 0.0


@dataclass
class Profile:
    """What ``profile()`` collects.

    bandwidth: bytes a second of the memory, for the column ``of peak``.
    phases: where the time of compiling went, for programs that were compiled meanwhile.
    """

    bandwidth: float | None = None
    kernels: dict[tuple[str, str, tuple[Location, ...]], KernelTime] = field(default_factory=dict)
    phases: PhaseTimes = field(default_factory=PhaseTimes)

    _clocked: dict[Program, StepwiseExecutable] = field(default_factory=dict, repr=False)

    @property
    def seconds(self) -> float:
        return sum(kernel.seconds for kernel in self.kernels.values())

    def add(self, record: KernelRecord, seconds: float) -> None:
        """Counts one launch."""
        key = (record.name, record.strategy, record.locations)
        entry = self.kernels.setdefault(key, KernelTime(*key))
        entry.launches += 1
        entry.seconds += seconds
        entry.bytes_moved += record.bytes_moved
        entry.flops += record.flops

    def clocked(self, device: CompilingDevice, program: Program) -> StepwiseExecutable:
        """``program``, with each region timed; compiled region by region at the first request."""
        if program not in self._clocked:
            self._clocked[program] = StepwiseExecutable(device, program, _RegionClock(self))
        return self._clocked[program]

    def sorted(self) -> list[KernelTime]:
        """The kernels, the slowest first."""
        return sorted(self.kernels.values(), key=lambda kernel: -kernel.seconds)

    def __str__(self) -> str:
        total = self.seconds or 1.0
        rows = [[kernel.name, kernel.strategy, str(kernel.launches), seconds_text(kernel.seconds),
                 f"{kernel.seconds / total:.0%}", bytes_text(kernel.bytes_moved),
                 bytes_text(kernel.bytes_per_second) + "/s", self._fraction(kernel),
                 count_text(kernel.flops_per_second) + "FLOP/s", ", ".join(map(str, kernel.locations[:1]))]
                for kernel in self.sorted()]
        header = ["kernel", "strategy", "launches", "time", "share", "bytes", "rate", "of peak", "compute", "from"]
        table = table_text(header, rows) + f"\ntotal {seconds_text(self.seconds)}"
        return f"{table}\n\n{phase_table(self.phases)}" if self.phases.seconds else table

    def _fraction(self, kernel: KernelTime) -> str:
        return f"{kernel.bytes_per_second / self.bandwidth:.0%}" if self.bandwidth else "-"


def phase_table(phases: PhaseTimes) -> str:
    """The phases of compiling, how often each was entered and how long it took."""
    total = phases.total or 1.0
    rows = [[name, str(phases.entries[name]), seconds_text(seconds), f"{seconds / total:.0%}"]
            for name, seconds in phases.seconds.items()]
    return table_text(["phase of compiling", "times", "time", "share"], rows) + f"\ntotal {seconds_text(total)}"


_open_profile: ContextVar[Profile | None] = ContextVar("open_profile", default=None)


def open_profile() -> Profile | None:
    """The profile that programs report to now, if any."""
    return _open_profile.get()


@contextmanager
def profile(bandwidth: float | None = None) -> Iterator[Profile]:
    """Collects the time of every kernel that runs inside; the profile prints as a table."""
    report = Profile(bandwidth)
    token = _open_profile.set(report)
    try:
        with recorded_phases() as report.phases:
            yield report
    finally:
        _open_profile.reset(token)


class _RegionClock(Observer):
    """Adds the time of each region to ``report``."""

    def __init__(self, report: Profile) -> None:
        self._report = report
        self._start = 0.0

    def before(self, region: Region) -> None:
        self._start = time.perf_counter()

    def after(self, region: Region) -> None:
        elapsed = time.perf_counter() - self._start
        records = [launch.record for launch in region.launches if launch.record is not None]
        weights = [max(1, record.bytes_moved) for record in records]
        for record, weight in zip(records, weights, strict=True):
            self._report.add(record, elapsed * weight / sum(weights))
