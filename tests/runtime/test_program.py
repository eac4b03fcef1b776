"""Programs: walking commands, and running them region by region on a device that only records."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from codegen.loops import Buffer, Function
from ir.dtype import dtypes
from runtime.device import CompilingDevice, Executable
from runtime.host_memory import HostMemory
from runtime.memory_plan import plan_memory
from runtime.prepare import program_cost
from runtime.profile import profile
from runtime.program import KernelRecord, Launch, Program, Region, Repeat, Storage, walk
from runtime.stepwise import Observer, Poison, StepwiseExecutable

F = Function("f", (Buffer("a", dtypes.float32, 4),), (), [])
G = Function("g", (Buffer("a", dtypes.float32, 4),), ("step",), [])


def region(function: Function, *arguments: int, record: KernelRecord | None = None) -> Region:
    return Region((Launch(function, arguments, record),))


class RecordingDevice(HostMemory, CompilingDevice):
    """Compiles to programs that only note which function ran where, with which symbols."""

    name = "RECORDING"

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[int, ...], dict[str, int]]] = []

    def compile(self, program: Program) -> Executable:
        device = self

        class Recorded:
            def run(self, addresses: Sequence[int], symbols: Sequence[int]) -> None:
                places = dict(zip(program.arguments, addresses, strict=True))
                values = dict(zip(program.symbols, symbols, strict=True))
                for launch in program.launches():
                    device.calls.append((launch.function.name, tuple(places[key] for key in launch.arguments), values))

        return Recorded()


def example() -> Program:
    storages = (Storage(0, 16, dtypes.float32, "argument"), Storage(1, 16, dtypes.float32, "temporary"),
                Storage(2, 16, dtypes.float32, "temporary"))
    body = (region(G, 1), region(F, 2))
    return plan_memory(Program((region(F, 0), Repeat("step", 3, True, body), region(F, 1)), storages, (0,),
                               ("n", "step")))


def test_walk_gives_regions_with_the_repeats_around_them() -> None:
    program = example()
    assert [len(around) for around, _ in walk(program.commands)] == [0, 1, 1, 0]
    assert [launch.function for launch in program.launches()] == [F, G, F, F]
    assert program.functions() == (F, G)


def test_cost_counts_repeated_launches_and_kernels_once() -> None:
    record = KernelRecord("k", "elementwise", bytes_moved=10, flops=5)
    finishing = record._replace(part=1, bytes_moved=0, flops=0)
    inner = Repeat("step", 4, False, (region(F, 0, record=record), region(F, 0, record=finishing)))
    cost = program_cost(Program((region(F, 0, record=record), inner), (), ()))
    assert (cost.kernels, cost.bytes_moved, cost.operations) == (5, 50, 25)


def test_stepwise_runs_in_program_order_with_the_symbols() -> None:
    device, program = RecordingDevice(), example()
    memory = device.allocate(16)
    StepwiseExecutable(device, program, Observer()).run([memory.address], [7, 0])
    arena = device.workspace.reserve(program.arena_bytes)
    offsets = {storage.id: arena + storage.offset for storage in program.storages[1:]}
    steps = [(values["n"], values["step"]) for name, _, values in device.calls if name == "g"]
    assert steps == [(7, 2), (7, 1), (7, 0)]
    assert [name for name, _, _ in device.calls] == ["f", *["g", "f"] * 3, "f"]
    assert [places for _, places, _ in device.calls] == [
        (memory.address,), *[(offsets[1],), (offsets[2],)] * 3, (offsets[1],)]


def test_poison_fills_what_is_no_longer_alive() -> None:
    device = RecordingDevice()
    storages = tuple(Storage(i, 64, dtypes.float32, "temporary") for i in range(2))
    program = plan_memory(Program((region(F, 0), region(F, 0, 1), region(F, 1)), storages, ()))
    seen: list[list[bool]] = []

    class Watching(Poison):
        def before(self, region: Region) -> None:
            arena = device.workspace.reserve(program.arena_bytes)
            data = np.frombuffer(ctypes.string_at(arena, program.arena_bytes), np.float32).reshape(2, 16)
            seen.append([bool(np.isnan(data[storage.offset // 64]).all()) for storage in program.storages])

        def after(self, region: Region) -> None:
            arena = device.workspace.reserve(program.arena_bytes)
            for launch in region.launches:
                for key in launch.arguments:
                    ctypes.memset(arena + program.storages[key].offset, 0, 64)

    StepwiseExecutable(device, program, Watching(program)).run([], [])
    assert seen == [[True, True], [False, True], [True, False]]


def test_profiles_divide_a_region_by_bytes() -> None:
    device = RecordingDevice()
    records = [KernelRecord(name, "elementwise", nbytes, 8) for name, nbytes in (("big", 300), ("small", 100))]
    program = Program((Region(tuple(Launch(F, (0,), record) for record in records)),),
                      (Storage(0, 16, dtypes.float32, "argument"),), (0,))
    with profile(bandwidth=1e9) as report:
        executable = report.clocked(device, program)
        assert report.clocked(device, program) is executable
        for _ in range(3):
            executable.run([0], [])
    big, small = report.sorted()
    assert (big.name, big.launches, big.bytes_moved, big.flops) == ("big", 3, 900, 24)
    assert big.seconds == pytest.approx(3 * small.seconds)
    text = str(report)
    assert text.splitlines()[0].split()[:3] == ["kernel", "strategy", "launches"]
    assert "total" in text.splitlines()[-1]


def test_workspaces_grow_and_are_released() -> None:
    device: Any = RecordingDevice()
    first = device.workspace.reserve(100)
    assert device.workspace.reserve(50) == first and device.workspace.nbytes == 100
    device.workspace.reserve(1000)
    assert device.workspace.nbytes == 1000
    device.workspace.release()
    assert device.workspace.nbytes == 0
