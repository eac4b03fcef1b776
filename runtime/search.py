"""Searching for schedules: candidates for a kernel are compiled, checked against the rules' own result, and timed.

    >>> with searching() as report:
    ...     step(x, y)                  # whatever is compiled meanwhile is searched
    >>> print(report)

TGL_SEARCH=1 searches whatever a process compiles. Winners are kept by the device (``FoundChoices``) and are used from
then on without searching. A candidate that only walks the same additions in other tiles must give the same bits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import ir
from codegen.choices import RULES, Choices
from codegen.kernel import Kernel, Schedule
from codegen.lower import Temporary, lower
from codegen.neighbourhood import rounds
from codegen.steps import ScheduleError
from ir.dtype import DType
from ir.node import Node
from runtime.buffer import storage_bytes
from runtime.device import CompilingDevice, Executable
from runtime.found_choices import kernel_digest, kernels_within
from runtime.program import Launch, Program, Region, Storage
from runtime.table import seconds_text, table_text

_WORTH_FINDING = 0.97  # of the time of the rules' schedule, or it stays
_HOPELESS = 1.3  # times the best: not timed again
_SHORTEST = 5e-6  # seconds a kernel takes, to be searched
_SAMPLE = 1e-3  # seconds of runs in one measurement
_SAMPLES = 5
_TOLERANCE = {"float64": 1e-10, "float32": 1e-4, "float16": 2e-2, "bfloat16": 5e-2}


@dataclass
class KernelSearch:
    """The outcome for one structure. ``kernels``: how many of the searched programs have it; seconds are of one."""

    name: str
    seconds_by_rule: float
    seconds: float
    choices: Choices
    candidates: int
    refused: int
    kernels: int = 1


@dataclass
class SearchReport:
    """What searches have found, by the digest of each kernel's structure; prints as a table."""

    found: dict[str, KernelSearch] = field(default_factory=dict)

    @property
    def seconds_by_rule(self) -> float:
        return sum(each.kernels * each.seconds_by_rule for each in self.found.values())

    @property
    def seconds(self) -> float:
        return sum(each.kernels * each.seconds for each in self.found.values())

    def __str__(self) -> str:
        rows = [[each.name, str(each.kernels), seconds_text(each.seconds_by_rule), seconds_text(each.seconds),
                 f"{each.seconds / each.seconds_by_rule:.2f}", str(each.candidates), str(each.refused),
                 repr(each.choices) if each.choices != RULES else "the rules"]
                for each in sorted(self.found.values(), key=lambda each: -each.kernels * each.seconds_by_rule)]
        header = ["kernel", "times", "by rule", "found", "ratio", "tried", "refused", "choices"]
        if not rows:
            return "nothing was searched: no kernel was compiled that has choices and is not known"
        gain = self.seconds / self.seconds_by_rule
        return f"{table_text(header, rows)}\nkernels searched: {seconds_text(self.seconds_by_rule)} by rule, " \
               f"{seconds_text(self.seconds)} found ({gain:.2f})"


_open_search: ContextVar[SearchReport | None] = ContextVar("open_search", default=None)


def open_search() -> SearchReport | None:
    """The search that is open now: that of ``searching``, or with TGL_SEARCH=1 one whose report nobody reads."""
    found = _open_search.get()
    return SearchReport() if found is None and os.environ.get("TGL_SEARCH") == "1" else found


@contextmanager
def searching() -> Iterator[SearchReport]:
    """Searches the kernels of every program that is compiled inside."""
    report = SearchReport()
    token = _open_search.set(report)
    try:
        yield report
    finally:
        _open_search.reset(token)


def search_schedule(device: CompilingDevice, scheduled: Schedule, report: SearchReport) -> None:
    """Searches the kernels of a schedule that ``device.found`` does not know, and tells it what was found."""
    found = device.found
    if found is None:
        return
    for kernel in kernels_within(scheduled):
        digest = kernel_digest(kernel)
        if digest in report.found:
            report.found[digest].kernels += 1
        elif not found.knows(kernel) and rounds(kernel, device.target):
            outcome = search_kernel(device, kernel)
            if outcome is not None:
                report.found[digest] = outcome
                found.put(kernel, outcome.choices)


def search_kernel(device: CompilingDevice, kernel: Kernel) -> KernelSearch | None:
    """The best choices for one kernel; None where it depends on run-time integers and cannot be run alone."""
    bench = _Bench(device, kernel)
    if bench.symbols:
        return None
    by_rule = bench.candidate(RULES)
    assert by_rule is not None, "the rules' own schedule can be lowered"
    expected = bench.results(by_rule)
    base = best_seconds = bench.seconds(by_rule, float("inf"))
    best, tried, refused = RULES, 0, 0
    steps = {by_rule.steps}
    for variants in rounds(kernel, device.target) if base >= _SHORTEST else ():
        for choices in variants(best):
            candidate = bench.candidate(choices)
            if candidate is None or candidate.steps in steps:
                continue
            steps.add(candidate.steps)
            tried += 1
            if not bench.agree(bench.results(candidate), expected, choices):
                refused += 1
                continue
            seconds = bench.seconds(candidate, best_seconds)
            if seconds < _WORTH_FINDING * best_seconds:
                best, best_seconds = choices, seconds
    if best != RULES:  # once more, side by side
        winner = bench.candidate(best)
        assert winner is not None
        base, best_seconds = bench.side_by_side(by_rule, winner)
        if best_seconds > _WORTH_FINDING * base:
            best, best_seconds = RULES, base
    return KernelSearch(kernel.name, base, best_seconds, best, tried, refused)


@dataclass
class _Candidate:
    """One schedule of the kernel, ready to run; ``steps`` tells equal ones."""

    executable: Executable
    steps: str


class _Bench:
    """Memory for everything that a kernel reads and writes, and the kernel alone as a program."""

    def __init__(self, device: CompilingDevice, kernel: Kernel) -> None:
        self.device, self.kernel = device, kernel
        values = (*kernel.inputs, *kernel.outputs)
        self._homes = list(dict.fromkeys(kernel.in_place.get(value, value) for value in values))
        random = np.random.default_rng(0)
        self._contents = [_contents(home, random) for home in self._homes]
        self._memory = [device.allocate(max(1, array.nbytes)) for array in self._contents]
        self.symbols = any(launch.function.symbols for launch in lower(kernel, device.target).launches)

    def candidate(self, choices: Choices) -> _Candidate | None:
        """The kernel with these choices; None where they cannot be carried out."""
        try:
            lowered = lower(replace(self.kernel, choices=choices), self.device.target)
        except ScheduleError:
            return None
        numbers: dict[Node | Temporary, int] = {home: number for number, home in enumerate(self._homes)}
        storages = [Storage(number, storage_bytes(home.dtype, home.shape), home.dtype, "argument")
                    for number, home in enumerate(self._homes)]
        offset, regions = 0, []
        for launch in lowered.launches:
            for argument in launch.arguments:
                if isinstance(argument, Temporary) and argument not in numbers:
                    numbers[argument] = len(storages)
                    storages.append(Storage(len(storages), argument.nbytes, argument.dtype, "temporary", offset))
                    offset += -(-argument.nbytes // 64) * 64
            arguments = tuple(numbers[self.kernel.in_place.get(a, a) if isinstance(a, Node) else a]
                              for a in launch.arguments)
            regions.append(Region((Launch(launch.function, arguments),)))
        program = Program(tuple(regions), tuple(storages), tuple(range(len(self._homes))), (), offset)
        return _Candidate(self.device.compile(program), repr(lowered.schedules))

    def _run(self, candidate: _Candidate) -> None:
        with self.device.lock:
            candidate.executable.run([memory.address for memory in self._memory], [])
            self.device.synchronize()

    def results(self, candidate: _Candidate) -> list[Any]:
        """What one run leaves in memory, from the same contents each time."""
        for memory, array in zip(self._memory, self._contents, strict=True):
            self.device.copy_in(memory, array)
        self._run(candidate)
        results = []
        for value in self.kernel.outputs:
            number = self._homes.index(self.kernel.in_place.get(value, value))
            results.append(np.empty_like(self._contents[number]))
            self.device.copy_out(self._memory[number], results[-1])
        return results

    def agree(self, results: Sequence[Any], expected: Sequence[Any], choices: Choices) -> bool:
        """Equal bits, or where additions may come in another order, equal but for rounding."""
        for value, result, wanted in zip(self.kernel.outputs, results, expected, strict=True):
            if result.tobytes() == wanted.tobytes():
                continue
            if choices.vectors is None or not value.dtype.is_float:
                return False
            got, want = (_as_numbers(array, value.dtype) for array in (result, wanted))
            tolerance = _TOLERANCE[value.dtype.name]
            largest = float(np.abs(want[np.isfinite(want)]).max(initial=0.0))
            if not np.allclose(got, want, rtol=tolerance, atol=tolerance * largest, equal_nan=True):
                return False
        return True

    def seconds(self, candidate: _Candidate, best: float) -> float:
        """The least time of a run; of a candidate that is far behind ``best`` that of the first."""
        self._run(candidate)
        first = self._sample(candidate, 1)
        if first > 3 * _HOPELESS * best:
            return first
        runs = max(1, int(_SAMPLE / max(first, 1e-7)))
        least = self._sample(candidate, runs)
        if least > _HOPELESS * best:
            return least
        return min(least, *(self._sample(candidate, runs) for _ in range(_SAMPLES - 1)))

    def side_by_side(self, first: _Candidate, second: _Candidate) -> tuple[float, float]:
        """The least times of both, measured in turn."""
        pairs = [(self.seconds(first, float("inf")), self.seconds(second, float("inf"))) for _ in range(2)]
        return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)

    def _sample(self, candidate: _Candidate, runs: int) -> float:
        start = time.perf_counter()
        for _ in range(runs):
            self._run(candidate)
        return (time.perf_counter() - start) / runs


def _contents(value: Node, random: np.random.Generator) -> Any:
    """Harmless numbers: positive floats below 1, so that logarithms exist; indices 0 and 1, which most tables have."""
    size = storage_bytes(value.dtype, value.shape) // value.dtype.itemsize
    if not value.dtype.is_float:
        return random.integers(0, 2, size).astype(value.dtype.numpy)
    numbers = random.random(size, np.float32) * 0.9 + 0.1
    return ir.float32_to_bfloat16(numbers) if value.dtype is ir.dtypes.bfloat16 else numbers.astype(value.dtype.numpy)


def _as_numbers(array: Any, dtype: DType) -> Any:
    return ir.bfloat16_to_float32(array) if dtype is ir.dtypes.bfloat16 else array.astype(np.float64)
