"""A graph made ready for a device: where each output comes from, what must be allocated, and the executable."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ir.dtype import DType
from ir.node import Node, Shape
from ir.phases import PhaseTimes, phase, recorded_phases
from runtime.buffer import storage_bytes
from runtime.build import program_of, schedule_graph
from runtime.canonical import CanonicalGraph, OutputPlan, canonicalize
from runtime.counters import counters
from runtime.device import CompilingDevice, Device, Executable, InterpretingDevice
from runtime.errors import BufferUseError, DeviceError
from runtime.profile import open_profile
from runtime.program import KernelRecord, Program, walk
from runtime.search import open_search, search_schedule
from runtime.structure import Structure


@dataclass(frozen=True)
class Cost:
    """What one run costs, by the schedule's estimate."""

    kernels: int = 0
    operations: int = 0
    bytes_moved: int = 0


@dataclass(frozen=True, eq=False)
class PreparedGraph:
    """An executable and what a caller must know to run it. Keeps no node and no buffer of the caller alive.

    program: what the executable was compiled from (None for an interpreting device, and where nothing is computed).
    fresh: dtype and shape of the buffers that each run allocates. assigned: the numbers of the leaves it writes to.
    symbols: the names of the symbol table in slot order; bounds: those that the caller gives, with their bounds.
    phases: how long preparing took.
    """

    executable: Executable | None
    program: Program | None
    leaf_types: tuple[tuple[DType, Shape], ...]
    outputs: tuple[OutputPlan, ...]
    fresh: tuple[tuple[DType, Shape], ...]
    assigned: frozenset[int]
    symbols: tuple[str, ...]
    bounds: Mapping[str, tuple[int, int]]
    cost: Cost
    phases: PhaseTimes

    @property
    def peak_bytes(self) -> int:
        """Temporaries and fresh outputs: what a run needs beside the leaves."""
        arena = self.program.arena_bytes if self.program is not None else 0
        return arena + sum(storage_bytes(dtype, shape) for dtype, shape in self.fresh)

    def symbol_values(self, given: Mapping[str, int]) -> list[int]:
        """One value per slot of the symbol table; the steps of scans start at 0."""
        values = [0] * len(self.symbols)
        for name, (low, high) in self.bounds.items():
            if name not in given:
                raise BufferUseError(f"the graph needs a value for the variable {name!r} ({low} to {high}); bind it")
            if not low <= given[name] <= high:
                raise BufferUseError(f"the variable {name!r} must lie in {low} to {high}; got {given[name]}")
            if name in self.symbols:
                values[self.symbols.index(name)] = int(given[name])
        return values

    def run(self, device: Device, addresses: Sequence[int], symbols: Sequence[int]) -> None:
        """One run, counted. Addresses of the leaves in order, then of the fresh outputs."""
        if self.executable is None:
            return
        executable = self._profiled(device) or self.executable
        with device.lock:
            start = time.perf_counter()
            executable.run(addresses, symbols)
            counters.seconds += time.perf_counter() - start
        counters.programs += 1
        counters.kernels += self.cost.kernels
        counters.operations += self.cost.operations
        counters.bytes_moved += self.cost.bytes_moved

    def _profiled(self, device: Device) -> Executable | None:
        """What runs instead while a profile is open: the same program with a clock around each region."""
        report = open_profile()
        if report is None or self.program is None or not isinstance(device, CompilingDevice):
            return None
        return report.clocked(device, self.program)


def prepare(device: Device, outputs: Sequence[Node], structure: Structure) -> PreparedGraph:
    """Schedules, lowers and compiles the graph (or hands it to the interpreter, as the device wants it)."""
    with recorded_phases() as phases:
        with phase("canonicalize"):
            graph = canonicalize(outputs, structure)
        program, executable = _executable(device, graph, structure) if graph.roots else (None, None)
    return PreparedGraph(
        executable=executable,
        program=program,
        leaf_types=tuple((leaf.dtype, leaf.shape) for leaf in graph.leaves),
        outputs=graph.outputs,
        fresh=tuple((node.dtype, node.shape) for node in graph.fresh),
        assigned=frozenset(graph.assigned),
        symbols=program.symbols if program is not None else tuple(graph.bounds),
        bounds=graph.bounds,
        cost=program_cost(program) if program is not None else Cost(),
        phases=phases,
    )


def _executable(device: Device, graph: CanonicalGraph, structure: Structure) -> tuple[Program | None, Executable]:
    if isinstance(device, InterpretingDevice):
        return None, device.interpret(graph)
    if not isinstance(device, CompilingDevice):
        raise DeviceError(f"{device!r} neither compiles nor interprets graphs")
    program = _program(device, graph, structure)
    counters.compiled += 1
    return program, device.compile(program)


def _program(device: CompilingDevice, graph: CanonicalGraph, structure: Structure) -> Program:
    """The program that the device's store has, or a new one. A search may find better schedules before."""
    store, search = device.store, open_search()
    stamp = device.found.stamp if device.found is not None else ""
    if store is not None and search is None:
        program = store.get(store.key(structure, device.target, stamp), graph)
        if program is not None:
            return program
    scheduled = schedule_graph(graph, device.target)
    if device.found is not None:
        if search is not None:
            search_schedule(device, scheduled, search)
            stamp = device.found.stamp
        device.found.apply(scheduled)
    program = program_of(graph, scheduled, device.target)
    if store is not None:
        store.put(store.key(structure, device.target, stamp), program, graph)
    return program


def program_cost(program: Program) -> Cost:
    """The totals over all launches, those of a Repeat as often as they run."""
    kernels = operations = bytes_moved = 0
    for around, region in walk(program.commands):
        times = prod(repeat.count for repeat in around)
        for launch in region.launches:
            record = launch.record or KernelRecord("", "", 0, 0)
            kernels += times if record.part == 0 else 0
            operations += times * record.flops
            bytes_moved += times * record.bytes_moved
    return Cost(kernels, operations, bytes_moved)
