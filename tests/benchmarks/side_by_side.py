"""Timing two programs in the same minutes: interleaved runs, medians and their ratio."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

SETTLE_SECONDS = 0.2  # a foreign thread pool spins for a while after its last call and would slow the other side


@dataclass(frozen=True)
class Row:
    """Medians in milliseconds; ``ratio`` is ours over theirs, so below 1 is faster than the peer."""

    name: str
    ours_ms: float
    torch_ms: float
    ours_first_s: float

    @property
    def ratio(self) -> float:
        return self.ours_ms / self.torch_ms

    def line(self) -> str:
        return f"{self.name:21} {self.ours_ms:10.3f} {self.torch_ms:10.3f} {self.ratio:8.2f} {self.ours_first_s:9.2f}"

    def json(self) -> str:
        return json.dumps({**asdict(self), "ratio": round(self.ratio, 3)})


HEADING = f"{'workload':21} {'ours ms':>10} {'torch ms':>10} {'ratio':>8} {'first s':>9}"


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 5,
            seconds: float = 1.0) -> Row:
    """Alternates ``rounds`` times between about ``seconds`` of each side, after a first call of each."""
    start = time.perf_counter()
    ours()
    first = time.perf_counter() - start
    theirs()
    mine: list[float] = []
    other: list[float] = []
    for _ in range(rounds):
        mine += _timed(ours, seconds)
        other += _timed(theirs, seconds)
    return Row(name, 1e3 * statistics.median(mine), 1e3 * statistics.median(other), first)


def _timed(step: Callable[[], object], seconds: float) -> list[float]:
    time.sleep(SETTLE_SECONDS)
    step()
    times: list[float] = []
    begin = time.perf_counter()
    while not times or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return times
