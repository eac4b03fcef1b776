"""States of reductions while loops are being written: each loop carries what its body changes, as values.

Every open loop has a frame. A state that a body touches first is taken over from the frame outside, down to the frame
in which its reduction began; the loop then carries it. So a register tile needs no declaration: it is whatever
instances the body of a reduction loop touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from codegen.evaluate import Point
from codegen.index import Index
from codegen.loop_builder import LoopBuilder
from codegen.loops import Atom, Carried
from codegen.monoids import State
from codegen.steps import ScheduleError


class Key(NamedTuple):
    """One instance of a reduction: the statement, where its result lands, and which of its separate accumulators."""

    statement: int
    indices: tuple[Index, ...]
    separate: tuple[Index, ...] = ()


@dataclass
class _Frame:
    depth: int
    states: dict[Key, State] = field(default_factory=dict)
    carried: dict[Key, list[Carried]] = field(default_factory=dict)
    branch: bool = False


class Accumulators:
    """The states of all reductions that are under way."""

    def __init__(self, builder: LoopBuilder) -> None:
        self.builder = builder
        self._frames = [_Frame(0)]
        self._homes: dict[int, int] = {}
        self.points: dict[Key, Point] = {}

    def begin(self, statement: int) -> None:
        """The reduction of ``statement`` starts here: its states belong to the innermost open frame."""
        self._homes[statement] = len(self._frames) - 1

    def finish(self, statement: int) -> dict[Key, State]:
        """The final states of a reduction that began in this frame, in the order in which they came up."""
        del self._homes[statement]
        frame = self._frames[-1]
        return {key: frame.states.pop(key) for key in list(frame.states) if key.statement == statement}

    def get(self, key: Key, point: Point, initial: Callable[[], State]) -> State:
        """The current state; ``initial`` makes it, in the body where the reduction began, at the first touch."""
        level = len(self._frames) - 1
        while key not in self._frames[level].states and level > self._homes[key.statement]:
            level -= 1
        if key not in self._frames[level].states:
            self.points.setdefault(key, point)
            with self.builder.at(self._frames[level].depth):
                self._frames[level].states[key] = initial()
        for frame in self._frames[level + 1:]:
            self._take_over(frame, key, self._frames[level].states[key])
            level += 1
        return self._frames[-1].states[key]

    def set(self, key: Key, state: State) -> None:
        self._frames[-1].states[key] = state

    def _take_over(self, frame: _Frame, key: Key, outside: State) -> None:
        if frame.branch:
            raise ScheduleError("a reduction would leave a branch: its axis may not end early inside a block of tasks")
        frame.carried[key] = []
        for atom in outside:
            inside = self.builder.variable("carry", atom.type, frame.depth)
            result = self.builder.variable("total", atom.type, frame.depth - 1)
            frame.carried[key].append(Carried(inside, atom, inside, result))
        frame.states[key] = tuple([carried.inside for carried in frame.carried[key]])

    def open_loop(self) -> None:
        """A loop body was opened in the builder."""
        self._frames.append(_Frame(self.builder.depth))

    def close_loop(self) -> list[Carried]:
        """What the loop carries; its results become the states outside. Call it before the body is closed."""
        frame = self._frames.pop()
        everything: list[Carried] = []
        for key, carried in frame.carried.items():
            for value, final in zip(carried, frame.states[key], strict=True):
                value.next = final
            self._frames[-1].states[key] = tuple([value.result for value in carried])
            everything.extend(carried)
        return everything

    def open_branch(self) -> None:
        """A branch was opened: no state may leave it."""
        self._frames.append(_Frame(self.builder.depth, branch=True))

    def close_branch(self) -> None:
        self._frames.pop()


Atoms = tuple[Atom, ...]
