"""Running a program region by region, so that something can be done in between: timing it, or poisoning freed memory.

Each region becomes a program of its own whose storages are all arguments, so that every device can run it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

from runtime.device import CompilingDevice, Executable
from runtime.memory_plan import lifetimes, region_count
from runtime.program import Command, Program, Region, Storage

_POISON = 0xFF  # four of them are a NaN, as are two and eight


class Observer:
    """What is told of a stepwise run; the methods do nothing unless a subclass overrides them."""

    def started(self, arena: int) -> None:
        """A run begins, with its temporaries from the address ``arena`` on."""

    def before(self, region: Region) -> None:
        """The region is about to run."""

    def after(self, region: Region) -> None:
        """It has finished."""

    def finished(self, first: int, last: int) -> None:
        """The outermost command of the regions ``first`` to ``last`` (positions in program order) has finished."""


class _Part(NamedTuple):
    """One region, compiled: ``storages`` are the ids whose addresses it takes."""

    executable: Executable
    storages: tuple[int, ...]


class StepwiseExecutable:
    """Runs ``program`` as the device would, one region a call. Slower by the calls; the results are the same."""

    def __init__(self, device: CompilingDevice, program: Program, observer: Observer) -> None:
        self._device, self._program, self._observer = device, program, observer
        self._parts: dict[Region, _Part] = {}

    def run(self, addresses: Sequence[int], symbols: Sequence[int]) -> None:
        program = self._program
        arena = self._device.workspace.reserve(program.arena_bytes)
        table = {storage.id: arena + storage.offset for storage in program.storages if storage.kind == "temporary"}
        table.update(zip(program.arguments, addresses, strict=True))
        values = dict(zip(program.symbols, symbols, strict=True))
        self._observer.started(arena)
        position = 0
        for command in program.commands:
            self._run([command], table, values)
            following = position + region_count([command])
            self._observer.finished(position, following - 1)
            position = following

    def _run(self, commands: Sequence[Command], table: dict[int, int], values: dict[str, int]) -> None:
        for command in commands:
            if isinstance(command, Region):
                part = self._part(command)
                self._observer.before(command)
                part.executable.run([table[key] for key in part.storages], list(values.values()))
                self._device.synchronize()
                self._observer.after(command)
                continue
            steps = range(command.count)
            for step in reversed(steps) if command.reverse else steps:
                values[command.symbol] = step
                self._run(command.body, table, values)

    def _part(self, region: Region) -> _Part:
        if region not in self._parts:
            self._parts[region] = self._compiled(region)
        return self._parts[region]

    def _compiled(self, region: Region) -> _Part:
        used = tuple(dict.fromkeys(key for launch in region.launches for key in launch.arguments))
        numbers = {key: number for number, key in enumerate(used)}
        described = {storage.id: storage for storage in self._program.storages}
        storages = tuple(Storage(numbers[key], described[key].nbytes, described[key].dtype, "argument") for key in used)
        launches = tuple(launch.renumbered(numbers) for launch in region.launches)
        alone = Program((Region(launches),), storages, tuple(range(len(used))), self._program.symbols)
        return _Part(self._device.compile(alone), used)


class Poison(Observer):
    """Fills a temporary's bytes with NaN when its lifetime is over, and all of the arena before a run.

    Only for devices in host memory. A value that is read before it was written, or after the plan gave its memory away,
    then shows in the results.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._ends: dict[int, list[Storage]] = {}
        lives = lifetimes(program.commands)
        for storage in program.storages:
            if storage.kind == "temporary" and storage.id in lives:
                self._ends.setdefault(lives[storage.id].last, []).append(storage)
        self._arena = 0

    def started(self, arena: int) -> None:
        self._arena = arena
        ctypes.memset(arena, _POISON, self._program.arena_bytes)

    def finished(self, first: int, last: int) -> None:
        for position in range(first, last + 1):
            for storage in self._ends.get(position, ()):
                ctypes.memset(self._arena + storage.offset, _POISON, storage.nbytes)
