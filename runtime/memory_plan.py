"""Where temporaries lie: offsets in one arena, shared by values that are never alive together.

Greedy by size (the strategy that Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020,
found best): the largest storage first, each at the smallest gap that holds it among the placed ones whose lives meet
its own. A storage lives from the first to the last region that touches it, and through a whole Repeat where it is
touched both inside and outside. What is touched only inside is written anew in each step before it is read there: a
value that is carried from step to step is written before the loop.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from runtime.device import ALIGNMENT
from runtime.program import Command, Program, Region, Repeat


class Lifetime(NamedTuple):
    """The regions, by position in program order, from which to which (inclusive) a storage must keep its contents."""

    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        return self.first <= other.last and other.first <= self.last


def plan_memory(program: Program) -> Program:
    """``program`` with an offset for every temporary and the size of its arena."""
    lives = lifetimes(program.commands)
    sizes = {storage.id: storage.nbytes for storage in program.storages
             if storage.kind == "temporary" and storage.id in lives}
    offsets = place(sizes, lives)
    storages = tuple(storage._replace(offset=offsets.get(storage.id, 0)) if storage.kind == "temporary" else storage
                     for storage in program.storages)
    arena = max((offset + aligned(sizes[key]) for key, offset in offsets.items()), default=0)
    return replace(program, storages=storages, arena_bytes=arena)


def aligned(nbytes: int) -> int:
    """``nbytes``, rounded up to whole cache lines."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


class _Span(NamedTuple):
    """The positions of the regions of a Repeat."""

    first: int
    last: int


def lifetimes(commands: Sequence[Command]) -> dict[int, Lifetime]:
    """The lifetime of every storage that a launch touches."""
    touched: dict[int, list[tuple[int, tuple[_Span, ...]]]] = {}
    for position, (spans, region) in enumerate(_regions(commands)):
        for launch in region.launches:
            for key in launch.arguments:
                touched.setdefault(key, []).append((position, spans))
    return {key: _lifetime(uses) for key, uses in touched.items()}


def _lifetime(uses: Sequence[tuple[int, tuple[_Span, ...]]]) -> Lifetime:
    """From the first to the last use, extended to every Repeat that contains some of the uses, but not all of them."""
    first, last = uses[0][0], uses[-1][0]
    around_all = set(uses[0][1]).intersection(*(around for _, around in uses))
    spans = {span for _, around in uses for span in around} - around_all
    return Lifetime(min([first, *(span.first for span in spans)]), max([last, *(span.last for span in spans)]))


def _regions(commands: Sequence[Command]) -> Iterable[tuple[tuple[_Span, ...], Region]]:
    """Every region in program order with the spans of the repeats around it."""
    position = 0
    pending: list[tuple[tuple[_Span, ...], Command]] = [((), command) for command in reversed(commands)]
    while pending:
        spans, command = pending.pop()
        if isinstance(command, Region):
            yield spans, command
            position += 1
        else:
            inner = (*spans, _Span(position, position + region_count(command.body) - 1))
            pending.extend((inner, child) for child in reversed(command.body))


def region_count(commands: Sequence[Command]) -> int:
    """How many regions there are, those of a Repeat counted once."""
    count, pending = 0, list(commands)
    while pending:
        command = pending.pop()
        if isinstance(command, Repeat):
            pending.extend(command.body)
        else:
            count += 1
    return count


def place(sizes: dict[int, int], lives: dict[int, Lifetime]) -> dict[int, int]:
    """An offset for each storage such that no two overlap whose lifetimes meet."""
    offsets: dict[int, int] = {}
    placed: list[tuple[int, int, int, int]] = []  # (offset, end, first, last), sorted by offset
    for key in sorted(sizes, key=lambda key: (-sizes[key], lives[key].first, key)):
        first, last = lives[key]
        taken = [(start, end) for start, end, begun, done in placed if begun <= last and first <= done]
        start = offsets[key] = _smallest_gap(taken, aligned(sizes[key]))
        insort(placed, (start, start + aligned(sizes[key]), first, last))
    return offsets


def _smallest_gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    """The start of the smallest gap of at least ``size`` bytes among intervals sorted by start (else the end)."""
    best, best_size, cursor = -1, 0, 0
    for start, end in taken:
        gap = start - cursor
        if gap >= size and (best < 0 or gap < best_size):
            best, best_size = cursor, gap
        cursor = max(cursor, end)
    return best if best >= 0 else cursor
