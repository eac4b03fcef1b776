"""The memory plan: an independent checker over random programs, reuse, alignment, and values that a Repeat carries."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ir.dtype import dtypes
from runtime.memory_plan import aligned, lifetimes, plan_memory, region_count
from runtime.program import Command, Launch, Program, Region, Repeat, Storage

FUNCTION: Any = None  # the plan looks at no function


def launch(*storages: int) -> Launch:
    return Launch(FUNCTION, storages)


def region(*storages: int) -> Region:
    return Region((launch(*storages),))


def program(commands: list[Command], sizes: list[int]) -> Program:
    storages = tuple(Storage(i, size, dtypes.float32, "temporary") for i, size in enumerate(sizes))
    return Program(tuple(commands), storages, ())


def assert_no_overlap(planned: Program) -> None:
    """By executing: no storage that shares a byte with another is touched between two touches of that one, unless the
    later touch is the first of a new step of a Repeat that contains all touches (which writes it anew)."""
    lives = _lives_by_execution(planned.commands)
    for storage in planned.storages:
        assert storage.offset >= 0 and storage.offset % 64 == 0
        assert storage.offset + storage.nbytes <= planned.arena_bytes or storage.id not in lives
    for key, steps in lives.items():
        for other, other_steps in lives.items():
            a, b = planned.storages[key], planned.storages[other]
            apart = a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset or 0 in (a.nbytes, b.nbytes)
            if key < other and not apart:
                assert not any(x[0] <= y[1] and y[0] <= x[1] for x in steps for y in other_steps), (a, b)


def _lives_by_execution(commands: tuple[Command, ...]) -> dict[int, list[tuple[int, int]]]:
    """For each storage the intervals of executed regions in which it must keep its contents: one for each time that the
    innermost body containing all its uses runs."""
    times: dict[int, list[tuple[tuple[int, ...], int]]] = {}
    clock = 0

    def run(part: tuple[Command, ...], steps: tuple[int, ...]) -> None:
        nonlocal clock
        for command in part:
            if isinstance(command, Repeat):
                for _ in range(2):
                    clock += 1
                    run(command.body, (*steps, clock))
            else:
                clock += 1
                for key in {key for one in command.launches for key in one.arguments}:
                    times.setdefault(key, []).append((steps, clock))

    run(commands, ())
    return {key: _intervals(uses, _innermost(commands, key)) for key, uses in times.items()}


def _innermost(commands: tuple[Command, ...], key: int) -> int:
    """How many Repeats contain every use of ``key``."""
    for command in commands:
        if isinstance(command, Repeat) and _touches(command, key):
            alone = sum(_touches(other, key) for other in commands) == 1
            return 1 + _innermost(command.body, key) if alone else 0
    return 0


def _touches(command: Command, key: int) -> bool:
    if isinstance(command, Repeat):
        return any(_touches(inner, key) for inner in command.body)
    return any(key in one.arguments for one in command.launches)


def _intervals(uses: list[tuple[tuple[int, ...], int]], depth: int) -> list[tuple[int, int]]:
    grouped: dict[tuple[int, ...], list[int]] = {}
    for steps, time in uses:
        grouped.setdefault(steps[:depth], []).append(time)
    return [(min(times), max(times)) for times in grouped.values()]


def test_values_that_are_never_alive_together_share_memory() -> None:
    chain = program([region(0), region(0, 1), region(1, 2), region(2, 3)], [4096] * 4)
    planned = plan_memory(chain)
    assert planned.arena_bytes == 2 * 4096
    assert_no_overlap(planned)


def test_launches_of_one_region_do_not_share() -> None:
    planned = plan_memory(program([Region((launch(0), launch(1), launch(2)))], [100, 100, 100]))
    assert planned.arena_bytes == 3 * 128
    assert_no_overlap(planned)


def test_untouched_and_empty_storages_take_nothing() -> None:
    planned = plan_memory(program([region(0, 1)], [64, 0, 1 << 30]))
    assert planned.arena_bytes == 64


def test_a_small_value_fills_the_gap_that_fits_best() -> None:
    # 0 and 1 are freed and leave holes of 1024 and 256 bytes below 2; the 200 bytes of 3 go into the smaller hole
    commands = [region(0, 1, 2), region(2, 3), region(2, 3)]
    planned = plan_memory(program(commands, [1024, 256, 512, 200]))
    assert planned.arena_bytes == 1024 + 512 + 256
    assert_no_overlap(planned)


def test_a_value_used_in_and_after_a_repeat_lives_through_it() -> None:
    commands: list[Command] = [region(0), Repeat("step", 3, False, (region(0, 1), region(1, 2), region(2))), region(0)]
    planned = plan_memory(program(commands, [256, 256, 256]))
    assert planned.arena_bytes == 3 * 256
    assert_no_overlap(planned)


def test_values_of_one_step_share_memory() -> None:
    body = (region(0, 1), region(1, 2), region(2, 3), region(3, 0))
    commands: list[Command] = [region(0), Repeat("step", 3, False, body), region(0)]
    planned = plan_memory(program(commands, [256] * 4))
    assert planned.arena_bytes == 3 * 256
    assert_no_overlap(planned)


def test_a_value_of_an_outer_step_lives_through_an_inner_repeat() -> None:
    inner = Repeat("inner", 3, False, (region(0, 1), region(2)))
    commands: list[Command] = [Repeat("outer", 3, False, (region(0), inner, region(3)))]
    planned = plan_memory(program(commands, [256] * 4))
    assert lifetimes(commands) == {0: (0, 2), 1: (1, 1), 2: (2, 2), 3: (3, 3)}
    assert planned.arena_bytes == 2 * 256
    assert_no_overlap(planned)


def test_lifetimes_are_positions_of_regions() -> None:
    commands: list[Command] = [region(0), Repeat("step", 9, True, (region(0, 1), region(1))), region(2)]
    assert lifetimes(commands) == {0: (0, 2), 1: (1, 2), 2: (3, 3)}
    assert region_count(commands) == 4


@st.composite
def programs(draw: st.DrawFn) -> Program:
    seed = draw(st.integers(0, 1 << 30))
    generator = random.Random(seed)
    count = generator.randint(1, 25)
    sizes = [generator.choice([0, 4, 64, 100, 4096, 5000, 1 << 20]) for _ in range(count)]

    def commands(depth: int) -> list[Command]:
        result: list[Command] = []
        for _ in range(generator.randint(1, 8)):
            if depth < 3 and generator.random() < 0.25:
                result.append(Repeat(f"step{depth}", 2, False, tuple(commands(depth + 1))))
            else:
                touched = [tuple(generator.sample(range(count), min(count, generator.randint(1, 3)))) for _ in range(2)]
                result.append(Region(tuple(launch(*keys) for keys in touched)))
        return result

    return program(commands(0), sizes)


@settings(max_examples=150, deadline=None)
@given(programs())
def test_random_programs_never_overlap(random_program: Program) -> None:
    planned = plan_memory(random_program)
    assert_no_overlap(planned)
    total = sum(aligned(storage.nbytes) for storage in planned.storages)
    assert planned.arena_bytes <= total


@pytest.mark.parametrize("count", [2000])
def test_large_programs_plan_quickly(count: int) -> None:
    commands: list[Command] = [region(i, i + 1) for i in range(count - 1)]
    planned = plan_memory(program(commands, [64 * (1 + i % 7) for i in range(count)]))
    assert planned.arena_bytes <= 3 * 64 * 7
