"""Why a graph became the kernels it became.

    >>> print(explain([ir.reduce("sum", ir.exp(x), (0, 1))]))
    #  kernel  strategy  bytes  flops  ends because  from
    ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codegen.choices import RULES
from codegen.kernel import Boundary, Kernel, ScanLoop, Schedule
from codegen.target import Target
from ir.node import Location, Node
from runtime.build import schedule_graph, user_locations
from runtime.canonical import canonicalize
from runtime.found_choices import FoundChoices
from runtime.structure import structure_of
from runtime.table import bytes_text, count_text, table_text

_MERGED = "a result of the graph"


@dataclass(frozen=True)
class ExplainedKernel:
    """One kernel: ``reasons`` say why each value that it stores is in memory; ``runs`` how often a scan repeats it."""

    name: str
    strategy: str
    bytes_moved: int
    flops: int
    reasons: tuple[str, ...]
    locations: tuple[Location, ...]
    runs: int = 1
    level: int = 0


@dataclass(frozen=True)
class Explanation:
    """The kernels of a graph in the order in which they run; prints as a table."""

    kernels: tuple[ExplainedKernel, ...]

    @property
    def kernel_count(self) -> int:
        return len(self.kernels)

    @property
    def bytes_moved(self) -> int:
        return sum(kernel.runs * kernel.bytes_moved for kernel in self.kernels)

    @property
    def flops(self) -> int:
        return sum(kernel.runs * kernel.flops for kernel in self.kernels)

    def __str__(self) -> str:
        rows = []
        for number, kernel in enumerate(self.kernels):
            times = f" x{kernel.runs}" if kernel.runs > 1 else ""
            place = ", ".join(map(str, kernel.locations))
            first, *more = kernel.reasons or ("",)
            rows.append([str(number), kernel.name + times, kernel.strategy, bytes_text(kernel.bytes_moved),
                         count_text(kernel.flops).strip(), first, place])
            rows += [["", "", "", "", "", reason, ""] for reason in more]
        table = table_text(["#", "kernel", "strategy", "bytes", "flops", "ends because", "from"], rows)
        return (f"{table}\n{self.kernel_count} kernels, {bytes_text(self.bytes_moved)} moved, "
                f"{count_text(self.flops).strip()} floating-point operations")


def explain(outputs: Sequence[Node], target: Target | None = None, found: FoundChoices | None = None) -> Explanation:
    """The kernels that ``outputs`` become on ``target`` (by default this machine's CPU), and why. Runs nothing.

    found: what searches have found, by default nothing; the strategy of such a kernel names its choices.
    """
    graph = canonicalize(outputs, structure_of(outputs))
    if not graph.roots:
        return Explanation(())
    scheduled = schedule_graph(graph, target or Target.host())
    if found is not None:
        found.apply(scheduled)
    return explain_schedule(scheduled)


def explain_schedule(scheduled: Schedule) -> Explanation:
    """The explanation of a schedule that is already there."""
    explained: list[ExplainedKernel] = []
    level = 0
    pending: list[tuple[object, int]] = [(step, 1) for step in reversed(scheduled.steps)]
    while pending:
        step, runs = pending.pop()
        if isinstance(step, ScanLoop):
            pending.extend((inner, runs * step.count) for inner in reversed(step.body.steps))
            continue
        explained.extend(_explained(kernel, runs, level) for kernel in step.kernels)  # type: ignore[attr-defined]
        level += 1
    return Explanation(tuple(explained))


def _explained(kernel: Kernel, runs: int, level: int) -> ExplainedKernel:
    reasons = tuple(dict.fromkeys(map(_reason, kernel.boundaries))) or (_MERGED,)
    strategy = kernel.strategy if kernel.choices == RULES else f"{kernel.strategy}, found {kernel.choices}"
    return ExplainedKernel(kernel.name, strategy, kernel.bytes_moved, kernel.flops, reasons,
                           user_locations(kernel), runs, level)


def _reason(boundary: Boundary) -> str:
    if boundary.reader is None:
        return f"{_described(boundary.value)}: {boundary.reason}"
    return f"{_described(boundary.value)} -> {_described(boundary.reader)}: {boundary.reason}"


def _described(node: Node) -> str:
    return f"{node.op.name}{list(node.shape)}"
