"""``tgl bench``: how fast this machine trains, reads and writes, where compiling and the kernels spend the time."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from ir.phases import PhaseTimes, recorded_phases
from runtime.profile import Profile, phase_table, profile
from tinygrad_like.bench import WORKLOADS, Workload
from tinygrad_like.bench.workload import first_call, repeated
from tinygrad_like.cli.parser import Parser, suggestion
from tinygrad_like.io import InputError

_DEFAULT = ("mlp", "cnn", "lstm", "gpt_small", "gpt_medium")  # what takes seconds and little memory


@dataclass
class _Report:
    """What was found of one workload."""

    name: str
    median_ms: float
    best_ms: float
    first_s: float
    phases: PhaseTimes = field(repr=False)
    kernels: Profile | None = field(repr=False)

    def line(self) -> str:
        return f"{self.name:21} {self.median_ms:10.3f} {self.best_ms:10.3f} {self.first_s:9.3f}"

    def json(self, compile_phases: bool) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.name, "median_ms": round(self.median_ms, 4),
                                 "best_ms": round(self.best_ms, 4), "first_s": round(self.first_s, 4)}
        if compile_phases:
            found["phases"] = {name: round(seconds, 5) for name, seconds in self.phases.seconds.items()}
        if self.kernels is not None:
            found["kernels"] = [{**asdict(kernel), "locations": [str(place) for place in kernel.locations]}
                                for kernel in self.kernels.sorted()]
        return found


_HEADING = f"{'workload':21} {'median ms':>10} {'best ms':>10} {'first s':>9}"


def add_arguments(parser: Parser) -> None:
    """The options of ``tgl bench``."""
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=f"workloads, or beginnings of their names: {', '.join(WORKLOADS)}; "
                             f"default: {', '.join(_DEFAULT)}")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each workload runs after its first call")
    parser.add_argument("--compile", action="store_true",
                        help="show where the first call's time goes (with TGL_CACHE=0: without code from the disk)")
    parser.add_argument("--kernels", action="store_true", help="show every kernel's time, bytes and operations")
    parser.add_argument("--json", action="store_true", help="print one JSON object a workload")


def run(options: argparse.Namespace) -> int:
    """Time the workloads one after the other, and print what was found."""
    names = _chosen(options.names)
    if not options.json:
        print(_HEADING, flush=True)
    for name in names:
        report = _measured(WORKLOADS[name], options.seconds, options.kernels)
        if options.json:
            print(json.dumps(report.json(options.compile)), flush=True)
            continue
        print(report.line(), flush=True)
        if options.compile:
            print(f"\n{phase_table(report.phases)}\n", flush=True)
        if report.kernels is not None:
            print(f"\n{report.kernels}\n", flush=True)
    return 0


def _measured(workload: Workload, seconds: float, kernels: bool) -> _Report:
    call = workload.prepared()
    with recorded_phases() as phases:
        first = first_call(call)
    times = sorted(repeated(call, seconds, least=3, runs=workload.runs))
    report = None
    if kernels:
        with profile() as report:
            call()
    return _Report(workload.name, 1e3 * times[len(times) // 2], 1e3 * times[0], first, phases, report)


def _chosen(names: list[str]) -> list[str]:
    """The workloads that the names stand for, in their own order."""
    for name in names:
        if not any(known.startswith(name) for known in WORKLOADS):
            raise InputError(f"no workload is called {name!r}{suggestion(name, list(WORKLOADS))}")
    beginnings = tuple(name for name in names if name not in WORKLOADS)
    return [known for known in WORKLOADS
            if known in (names or _DEFAULT) or (beginnings and known.startswith(beginnings))]
