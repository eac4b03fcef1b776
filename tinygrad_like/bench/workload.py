"""A piece of work that is timed: what it is given, how it is made, and how its time is taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Call = Callable[[], object]


@dataclass(frozen=True)
class Workload:
    """Work with a name. ``build(*inputs())`` makes a call that does it once; the first call compiles.

    inputs: makes the arrays that every framework is given; the same numbers whenever it is called.
    runs: how many equal parts of a call are one piece of work (tokens of a text), for the time of one.
    """

    name: str
    inputs: Callable[[], Sequence[Array]]
    build: Callable[..., Call]
    runs: int = 1

    def prepared(self) -> Call:
        """A call that does the work once on the inputs."""
        return self.build(*self.inputs())


class Timing(NamedTuple):
    """Seconds: of the first call, which compiles, and of the later ones, by the piece of work."""

    first: float
    times: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.times)


def measure(workload: Workload, seconds: float = 1.0) -> Timing:
    """Prepares the workload and calls it for about ``seconds``, three times at least."""
    call = workload.prepared()
    first = first_call(call)
    return Timing(first, tuple(repeated(call, seconds, least=3, runs=workload.runs)))


def first_call(call: Call) -> float:
    """The seconds of the first call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def repeated(call: Call, seconds: float, least: int = 1, runs: int = 1) -> list[float]:
    """The seconds of each ``run`` of the calls of about ``seconds``, after one that is not counted."""
    call()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < least or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) / runs)
    return times


def floats(*shapes: Sequence[int]) -> Callable[[], list[Array]]:
    """Makes standard normal float32 arrays."""
    def make() -> list[Array]:
        rng = np.random.default_rng(0)
        return [rng.standard_normal(shape, np.float32) for shape in shapes]

    return make


def integers(limit: int, *shapes: Sequence[int]) -> Callable[[], list[Array]]:
    """Makes int32 arrays of uniform numbers below ``limit``: tokens or labels."""
    def make() -> list[Array]:
        rng = np.random.default_rng(0)
        return [rng.integers(0, limit, shape, np.int32) for shape in shapes]

    return make


def together(*makers: Callable[[], list[Array]]) -> Callable[[], list[Array]]:
    """Makes the arrays of several makers, one after the other."""
    return lambda: [array for maker in makers for array in maker()]


def named(workloads: Sequence[Workload]) -> Mapping[str, Workload]:
    """The workloads by name."""
    return {workload.name: workload for workload in workloads}
