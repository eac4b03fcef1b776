"""Schedule steps: checked rewritings of a loop nest.

A schedule is a list of steps. Each is a value that prints as the call that makes it, so that a list can be shown, saved
and replayed; a step that would change the meaning of the kernel raises ``ScheduleError``, which says why.

    >>> parse_steps("Split('i0', 16)\\nVectorize('i0.i')")
    [Split('i0', 16), Vectorize('i0.i')]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields

from codegen.index import Axis, Index
from codegen.kernel import Statement
from codegen.nest import Compute, Item, Kind, Loop, Nest, SplitRecord, is_accumulator, is_bounded, reads_of

MAXIMUM_LANES = 64
MAXIMUM_UNROLL = 64


class ScheduleError(ValueError):
    """A step does not apply to the nest, or would change what the kernel computes."""


@dataclass(frozen=True, repr=False)
class Step:
    """One rewriting. ``within``, where a step has it, restricts it to the loops around that statement."""

    def apply(self, nest: Nest) -> None:
        """Rewrites ``nest`` in place; raises ScheduleError where the step is illegal."""
        raise NotImplementedError

    def refuse(self, reason: str) -> ScheduleError:
        return ScheduleError(f"{self}: {reason}")

    def axis(self, nest: Nest, name: str) -> Axis:
        """The axis called ``name``."""
        axis = nest.names.get(name)
        if axis is None:
            raise self.refuse(f"there is no axis {name}; there are {', '.join(nest.names)}")
        return axis

    def loops(self, nest: Nest, name: str, within: int | None = None) -> list[Loop]:
        """The loops over the axis called ``name``; an error where there are none."""
        found = nest.loops_over(self.axis(nest, name), within)
        if not found:
            where = "" if within is None else f" around statement {within}"
            raise self.refuse(f"there is no loop over {name}{where}")
        return found

    def __repr__(self) -> str:
        parts = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.default is MISSING:
                parts.append(repr(value))
            elif value != item.default:
                parts.append(f"{item.name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


# ------------------------------------------------------------------------------------------------------ shaping


@dataclass(frozen=True, repr=False)
class Split(Step):
    """Cuts a loop into blocks of ``factor`` iterations.

        for i < 100:              for i.o < 7:
            S(i)           =>         for i.i < 16:
                                          S(16 * i.o + i.i)

    Where the factor does not divide the extent, the last block is shorter. With ``peel`` it is written out separately,
    so that both forms have constant extents; without, the inner loop has a computed bound and must stay serial.
    """

    name: str
    factor: int
    within: int | None = None
    peel: bool = True

    def apply(self, nest: Nest) -> None:
        axis, loops = self.axis(nest, self.name), self.loops(nest, self.name, self.within)
        if self.factor < 1:
            raise self.refuse("the factor must be at least 1")
        if any(loop.kind is not Kind.SERIAL for loop in loops):
            raise self.refuse(f"{self.name} is already {loops[0].kind.value}")
        if any(is_bounded(loop) for loop in loops):
            raise self.refuse(f"{self.name} leaves out iterations: split it before")
        count, exact = -(-axis.extent // self.factor), axis.extent % self.factor == 0
        peel = self.peel and axis.limit is None
        outer = Axis(count, f"{self.name}.o",
                     None if axis.limit is None else (axis.limit + (self.factor - 1)) // self.factor)
        inner = Axis(self.factor, f"{self.name}.i")
        if not peel and not (exact and axis.limit is None):
            inner.limit = (Index.of(axis.extent) if axis.limit is None else axis.limit) - _free(outer) * self.factor
        nest.add_axis(f"{self.name}.o", outer, nest.origins[axis])
        nest.add_axis(f"{self.name}.i", inner, nest.origins[axis])
        nest.definitions.setdefault(axis, []).append(_free(outer) * self.factor + _free(inner))
        record = SplitRecord(axis, outer, inner, self.factor, peel)
        nest.splits[outer] = nest.inner_splits[inner] = record
        for loop in loops:
            loop.axis, loop.body = outer, [Loop(inner, loop.body)]


@dataclass(frozen=True, repr=False)
class Fuse(Step):
    """Makes one loop of two perfectly nested ones.

        for i < 4:                for i*j < 32:
            for j < 8:     =>         S(i*j // 8, i*j % 8)
                S(i, j)

    Index expressions simplify again: what addressed 8 * i + j addresses i*j afterwards.
    """

    outer: str
    inner: str
    within: int | None = None

    def apply(self, nest: Nest) -> None:
        first, second = self.axis(nest, self.outer), self.axis(nest, self.inner)
        loops = self.loops(nest, self.outer, self.within)
        for loop in loops:
            if len(loop.body) != 1 or not isinstance(loop.body[0], Loop) or loop.body[0].axis is not second:
                raise self.refuse(f"{self.inner} is not the only content of the loop over {self.outer}")
        if first.limit is not None or second.limit is not None:
            raise self.refuse("an extent is known only at run time")
        for compute, path in nest.leaves():
            around = any(loop in path for loop in loops)
            if around and nest.reduces(compute, first) != nest.reduces(compute, second):
                raise self.refuse(f"statement {compute.number} reduces over only one of the two")
        tables = nest.splits, nest.inner_splits
        records = [table[axis] for axis in (first, second) for table in tables if axis in table]
        if any(record.peel and record.parent.extent % record.factor for record in records):
            raise self.refuse("the last block of one of the two is shorter")
        axis = Axis(first.extent * second.extent, f"{self.outer}*{self.inner}")
        nest.add_axis(f"{self.outer}*{self.inner}", axis, nest.origins[first] | nest.origins[second])
        nest.definitions.setdefault(first, []).append(_free(axis) // second.extent)
        nest.definitions.setdefault(second, []).append(_free(axis) % second.extent)
        for loop in loops:
            below = loop.body[0]
            assert isinstance(below, Loop)
            loop.axis, loop.body = axis, below.body


@dataclass(frozen=True, repr=False)
class Reorder(Step):
    """Permutes perfectly nested loops; ``names`` is the new order, outermost first.

        for i:                    for j:
            for j:         =>         for i:
                S(i, j)                   S(i, j)

    Legal for every kernel: iterations of unreduced axes are independent, and the order of a reduction is ours to fix.
    """

    names: tuple[str, ...]
    within: int | None = None

    def apply(self, nest: Nest) -> None:
        wanted = [self.axis(nest, name) for name in self.names]
        tops = [loop for loop, _ in nest.loops() if loop.axis in wanted]
        if self.within is not None:
            tops = [loop for loop in tops if loop in nest.path(self.within)]
        done: set[int] = set()
        for top in tops:
            if id(top) not in done:
                chain = self._chain(top, set(wanted))
                done |= {id(loop) for loop in chain}
                if any(is_bounded(loop) for loop in chain):
                    raise self.refuse("one of the loops leaves out iterations: reorder them before")
                settings = {loop.axis: (loop.kind, loop.separate, loop.dimension) for loop in chain}
                for loop, axis in zip(chain, wanted, strict=True):
                    loop.axis = axis
                    loop.kind, loop.separate, loop.dimension = settings[axis]
        if not done:
            raise self.refuse("there are no such loops")

    def _chain(self, top: Loop, wanted: set[Axis]) -> list[Loop]:
        chain = [top]
        while len(chain) < len(wanted):
            body = chain[-1].body
            if len(body) != 1 or not isinstance(body[0], Loop) or body[0].axis not in wanted:
                raise self.refuse("the loops are not perfectly nested")
            chain.append(body[0])
        return chain


@dataclass(frozen=True, repr=False)
class Sink(Step):
    """Moves a loop into every sweep below it, innermost.

        for r:                    for k:
            for k:                    for r: S(r, k)
                S(r, k)    =>     for r: T(r)
            T(r)

    Legal where a statement reads what another one produced only at the same iteration of the moved loop. Values that
    pass from sweep to sweep then need a register or an element of scratch for each of its iterations.
    """

    name: str

    def apply(self, nest: Nest) -> None:
        axis = self.axis(nest, self.name)
        for loop in self.loops(nest, self.name):
            self._check(nest, loop)
        for loop in self.loops(nest, self.name):
            container = next(body for found, body in nest.loops() if found is loop)
            place = container.index(loop)
            container[place:place + 1] = _sunk(loop)
        assert axis in nest.origins

    def _check(self, nest: Nest, loop: Loop) -> None:
        inside = [compute for compute, path in nest.leaves() if loop in path]
        moved = nest.origins[loop.axis]
        produced = {c.statement.value: c.statement for c in inside if isinstance(c.statement, Statement)}
        for compute in inside:
            for read in reads_of(compute.statement):
                source = produced.get(read.value)
                if source is None or source is compute.statement:
                    continue
                for written, wanted in zip(source.indices, read.indices, strict=True):
                    if written != wanted and not moved.isdisjoint(written.axes):
                        raise self.refuse(f"statement {compute.number} reads {read.value} at another {self.name}")


def _sunk(loop: Loop) -> list[Item]:
    """The body of ``loop`` with a copy of the loop around each run of statements."""
    def rebuilt(body: list[Item]) -> list[Item]:
        result: list[Item] = []
        run: list[Item] = []
        for item in [*body, None]:
            if isinstance(item, Compute):
                run.append(item)
                continue
            if run:
                result.append(Loop(loop.axis, run, loop.kind, loop.separate, loop.dimension))
                run = []
            if item is not None:
                item.body = rebuilt(item.body)  # as deep as the loops are nested
                result.append(item)
        return result
    return rebuilt(loop.body)


# ------------------------------------------------------------------------------------------------------- kinds


@dataclass(frozen=True, repr=False)
class Vectorize(Step):
    """Makes the iterations of an innermost loop the lanes of vectors.

        for i < 16:               y[0:16] = f(x[0:16])
            y[i] = f(x[i])   =>

    A reduced axis may be vectorised: each lane accumulates, and the lanes are combined after the reduction. The axis of
    a scan may not: its steps depend on each other.
    """

    name: str
    within: int | None = None

    def apply(self, nest: Nest) -> None:
        for loop in self.loops(nest, self.name, self.within):
            if loop.axis.extent > MAXIMUM_LANES:
                raise self.refuse(f"{loop.axis.extent} lanes are too many (at most {MAXIMUM_LANES}): split it first")
            if not all(isinstance(item, Compute) for item in loop.body):
                raise self.refuse(f"{self.name} is not innermost")
            if all(axis.extent == 1 for axis in nest.origins[loop.axis]):
                raise self.refuse("there is only one iteration")
            _refuse_scanned(self, nest, loop)
            loop.kind = Kind.VECTOR


@dataclass(frozen=True, repr=False)
class Unroll(Step):
    """Writes the iterations of a loop out, one after the other.

        for k < 2:                s += x[0]
            s += x[k]      =>     s += x[1]

    separate: each iteration of a reduced axis has an accumulator of its own (independent chains of additions), combined
    in a fixed tree after the reduction.
    """

    name: str
    within: int | None = None
    separate: bool = False

    def apply(self, nest: Nest) -> None:
        for loop in self.loops(nest, self.name, self.within):
            if loop.axis.limit is not None:
                raise self.refuse("its extent is known only at run time")
            if loop.axis.extent > MAXIMUM_UNROLL:
                raise self.refuse(f"{loop.axis.extent} copies are too many (at most {MAXIMUM_UNROLL})")
            _refuse_scanned(self, nest, loop)
            loop.kind, loop.separate = Kind.UNROLL, self.separate


@dataclass(frozen=True, repr=False)
class Parallel(Step):
    """Makes the iterations of the outermost loop tasks that may run in any order, on any thread.

    Illegal over a reduced axis (the sum would depend on the order), and where another loop or statement stands beside
    the loop: a function is one parallel loop.
    """

    name: str

    def apply(self, nest: Nest) -> None:
        loops = self.loops(nest, self.name)
        if len(nest.body) != 1 or nest.body[0] is not loops[0]:
            raise self.refuse(f"{self.name} is not the only outermost loop")
        for compute, _ in nest.leaves():
            if nest.reduces(compute, loops[0].axis) and not is_accumulator(compute.statement):
                raise self.refuse(f"statement {compute.number} reduces over {self.name}")
        loops[0].kind = Kind.PARALLEL


@dataclass(frozen=True, repr=False)
class Bind(Step):
    """GPU: iterations become blocks of the grid ('block') or threads of a block ('thread')."""

    name: str
    level: str
    dimension: int = 0

    def apply(self, nest: Nest) -> None:
        for loop in self.loops(nest, self.name):
            for compute, path in nest.leaves():
                if loop in path and nest.reduces(compute, loop.axis):
                    raise self.refuse(f"statement {compute.number} reduces over {self.name}")
            loop.kind, loop.dimension = Kind(self.level), self.dimension


def _refuse_scanned(step: Vectorize | Unroll, nest: Nest, loop: Loop) -> None:
    for compute, path in nest.leaves():
        if loop in path and not isinstance(compute.statement, Statement) and nest.reduces(compute, loop.axis):
            raise step.refuse(f"statement {compute.number} scans along {step.name}: each step needs the one before")


def _free(axis: Axis) -> Index:
    """``axis`` as an index even where its extent is one: definitions must mention every axis they need."""
    return Index(((axis, 1),))


def apply_steps(nest: Nest, steps: Iterable[Step]) -> Nest:
    """Applies the steps in order; returns the same nest."""
    for step in steps:
        step.apply(nest)
    return nest
