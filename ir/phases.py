"""Where compiling spends its time: every phase has a name and a clock.

    >>> with recorded_phases() as times:
    ...     with phase("schedule"):
    ...         with phase("simplify"):
    ...             pass
    >>> sorted(times.seconds)
    ['schedule', 'simplify']

A program that ``jit`` makes goes through trace, autodiff, canonicalize, simplify, schedule, lower and plan memory, then
(on a CPU) commands, and for each of its functions emit, parse, optimise, generate and load; those that are on disk are
only loaded. A GPU's programs are emitted, compiled by nvcc and loaded as a whole. The times are kept with what was
compiled: ``PreparedGraph.phases``, ``CompiledFunction.phases``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class PhaseTimes:
    """What ``recorded_phases`` collects: by the name of a phase, in the order in which they were first entered.

    seconds: the time spent in it, without that of the phases inside it. entries: how often it was entered ('generate'
    was entered once for each function that LLVM generated code for).
    """

    seconds: dict[str, float] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)
    _inside: float = field(default=0.0, repr=False, compare=False)  # of complete phases inside the open one

    @property
    def total(self) -> float:
        """The seconds of all phases together."""
        return sum(self.seconds.values())

    def add(self, other: PhaseTimes) -> None:
        """Counts what ``other`` has counted."""
        for name, seconds in other.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            self.entries[name] = self.entries.get(name, 0) + other.entries[name]


_open: ContextVar[PhaseTimes | None] = ContextVar("open_phase_times", default=None)


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Counts what happens inside as the phase ``name``, for whoever records phases now."""
    times = _open.get()
    if times is None:
        yield
        return
    times.seconds.setdefault(name, 0.0)
    times.entries[name] = times.entries.get(name, 0) + 1
    outside, times._inside = times._inside, 0.0
    start = time.perf_counter()
    try:
        yield
    finally:
        elapsed = time.perf_counter() - start
        times.seconds[name] += elapsed - times._inside
        times._inside = outside + elapsed


@contextmanager
def recorded_phases() -> Iterator[PhaseTimes]:
    """Collects the phases that are entered inside; a recording around this one counts them too."""
    around = _open.get()
    times = PhaseTimes()
    token = _open.set(times)
    try:
        yield times
    finally:
        _open.reset(token)
        if around is not None:
            around.add(times)
            around._inside += times.total
