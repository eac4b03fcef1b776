"""From a graph to a program: schedule it, lower its kernels, give every value a storage, and plan the memory."""

from __future__ import annotations

from collections.abc import Sequence

import ir
from codegen.kernel import Kernel, KernelBatch, ScanLoop, Schedule
from codegen.lower import Temporary, lower
from codegen.schedule import schedule
from codegen.target import Target
from ir.dtype import DType
from ir.node import Location, Node
from ir.phases import phase
from runtime.buffer import storage_bytes
from runtime.canonical import CanonicalGraph
from runtime.memory_plan import plan_memory
from runtime.program import Command, KernelRecord, Launch, Program, Region, Repeat, Storage

_LOCATIONS_SHOWN = 4


def schedule_graph(graph: CanonicalGraph, target: Target) -> Schedule:
    """The schedule of the simplified graph; ``Schedule.outputs`` corresponds to ``graph.roots``."""
    roots = ir.simplify(graph.roots)
    fresh, assigned = roots[: len(graph.fresh)], roots[len(graph.fresh) :]
    with phase("schedule"):
        return schedule([*_with_homes(fresh), *assigned], target)


def _with_homes(fresh: Sequence[Node]) -> list[Node]:
    """Copies in place of values that have a home already: another output's, or that of a buffer."""
    result: dict[Node, None] = {}
    for number, node in enumerate(fresh):
        if node in result or node.op.name in ("assign", "buffer"):
            with ir.tagged(-number - 1):
                node = ir.make_node(ir.CONTIGUOUS, (node,), ir.NoAttributes())  # also of what is contiguous
        result[node] = None
    return list(result)


def program_of(graph: CanonicalGraph, scheduled: Schedule, target: Target) -> Program:
    """The program of ``schedule_graph(graph, target)``, its memory planned.

    It computes ``graph.roots``; its arguments are the leaves, then the fresh outputs.
    """
    storages = _Storages(graph, scheduled)
    commands = _Commands(storages, target)
    with phase("lower"):
        body = commands.of(scheduled)
    arguments = tuple(range(len(graph.leaves) + len(graph.fresh)))
    program = Program(body, tuple(storages.all), arguments, (*graph.bounds, *commands.steps))
    with phase("plan memory"):
        return plan_memory(program)


class _Storages:
    """The storages of a program, by the node whose value they hold."""

    def __init__(self, graph: CanonicalGraph, scheduled: Schedule) -> None:
        self.all: list[Storage] = []
        self._ids: dict[Node, int] = {}
        for leaf in graph.leaves:
            self._ids[leaf] = self._new(storage_bytes(leaf.dtype, leaf.shape), leaf.dtype, argument=True)
        for node in scheduled.outputs[: len(graph.fresh)]:
            self._ids[node] = self._new(storage_bytes(node.dtype, node.shape), node.dtype, argument=True)

    def _new(self, nbytes: int, dtype: DType, argument: bool = False) -> int:
        storage = Storage(len(self.all), nbytes, dtype, "argument" if argument else "temporary")
        self.all.append(storage)
        return storage.id

    def of(self, node: Node) -> int:
        """The storage of a value; a temporary where it has none yet."""
        if node not in self._ids:
            self._ids[node] = self._new(storage_bytes(node.dtype, node.shape), node.dtype)
        return self._ids[node]

    def share(self, version: Node, buffer: Node) -> None:
        """``version`` is written in place: into the storage of ``buffer``."""
        self._ids[version] = self.of(buffer)

    def partials(self, temporary: Temporary) -> int:
        """A temporary that one kernel's launches hand to each other."""
        return self._new(temporary.nbytes, temporary.dtype)


class _Commands:
    """Translates schedules; ``steps`` collects the symbols of the scans."""

    def __init__(self, storages: _Storages, target: Target) -> None:
        self.storages, self.target = storages, target
        self.steps: list[str] = []

    def of(self, scheduled: Schedule) -> tuple[Command, ...]:
        commands: list[Command] = []
        for step in scheduled.steps:
            if isinstance(step, ScanLoop):
                name = str(step.step)
                self.steps.append(name)
                commands.append(Repeat(name, step.count, step.reverse, self.of(step.body)))
            else:
                commands.extend(self._regions(step))
        return tuple(commands)

    def _regions(self, batch: KernelBatch) -> list[Region]:
        """The n-th launches of all kernels of the batch form its n-th region."""
        sequences = [self._launches(kernel) for kernel in batch.kernels]
        depth = max(map(len, sequences), default=0)
        return [Region(tuple(sequence[i] for sequence in sequences if i < len(sequence))) for i in range(depth)]

    def _launches(self, kernel: Kernel) -> list[Launch]:
        for version, buffer in kernel.in_place.items():
            self.storages.share(version, buffer)
        lowered = lower(kernel, self.target)
        partials: dict[Temporary, int] = {}
        record = kernel_record(kernel)
        launches = []
        for part, launch in enumerate(lowered.launches):
            arguments = tuple(self._argument(value, partials) for value in launch.arguments)
            launches.append(Launch(launch.function, arguments, record if part == 0 else _continued(record, part)))
        return launches

    def _argument(self, value: Node | Temporary, partials: dict[Temporary, int]) -> int:
        if isinstance(value, Node):
            return self.storages.of(value)
        if value not in partials:
            partials[value] = self.storages.partials(value)
        return partials[value]


def _continued(record: KernelRecord, part: int) -> KernelRecord:
    """The record of a kernel's later launches: its cost is already counted."""
    return record._replace(part=part, bytes_moved=0, flops=0)


def kernel_record(kernel: Kernel) -> KernelRecord:
    """What a program remembers of a kernel."""
    return KernelRecord(kernel.name, kernel.strategy, kernel.bytes_moved, kernel.flops, user_locations(kernel))


def user_locations(kernel: Kernel) -> tuple[Location, ...]:
    """The user's lines that a kernel's values come from, those of its outputs first."""
    values: Sequence[Node] = [*kernel.outputs, *(s.value for s in kernel.statements if hasattr(s, "value"))]
    return tuple(dict.fromkeys(node.location for node in values if node.location))[:_LOCATIONS_SHOWN]
