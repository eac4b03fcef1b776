"""What strategies share: a nest with the steps taken so far, and the strides and work of its accesses."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from codegen.choices import Choices
from codegen.index import Axis, Index
from codegen.kernel import Kernel, Statement
from codegen.nest import Compute, Kind, Loop, Nest, Path, build_nest, reads_of
from codegen.placement import memory_index
from codegen.steps import Fuse, Parallel, Reorder, Sink, Split, Step, Unroll, Vectorize
from codegen.target import Target
from ir.node import Node

TASK_WORK = 1 << 14  # elements that are worth a task of their own


class Plan:
    """A nest and the list of steps that shaped it. Methods take steps and return the names of what they made."""

    def __init__(self, kernel: Kernel, target: Target) -> None:
        self.nest: Nest = build_nest(kernel)
        self.steps: list[Step] = []
        self.target = target

    def do(self, step: Step) -> None:
        step.apply(self.nest)
        self.steps.append(step)

    # -------------------------------------------------------------------------------------------------- steps

    def split(self, name: str, factor: int, within: int | None = None, peel: bool = True) -> tuple[str, str]:
        """Splits a loop; the names of the outer and the inner loop."""
        known = set(self.nest.names)
        self.do(Split(name, factor, within, peel))
        outer, inner = [new for new in self.nest.names if new not in known]
        return outer, inner

    def fuse(self, names: list[str], within: int | None = None) -> str:
        """One loop out of the nested loops ``names``."""
        fused = names[0]
        for name in names[1:]:
            known = set(self.nest.names)
            self.do(Fuse(fused, name, within))
            (fused,) = [new for new in self.nest.names if new not in known]
        return fused

    def reorder(self, names: list[str], within: int | None = None) -> None:
        if len(names) > 1:
            self.do(Reorder(tuple(names), within))

    def sink(self, name: str) -> None:
        self.do(Sink(name))

    def vectorize(self, name: str, within: int | None = None) -> None:
        self.do(Vectorize(name, within))

    def unroll(self, name: str, within: int | None = None, separate: bool = False) -> None:
        self.do(Unroll(name, within, separate))

    def parallel(self, name: str) -> None:
        self.do(Parallel(name))

    # ---------------------------------------------------------------------------------------------- questions

    @property
    def kernel(self) -> Kernel:
        return self.nest.kernel

    @property
    def choices(self) -> Choices:
        return self.nest.kernel.choices

    def extent(self, name: str) -> int:
        return self.nest.names[name].extent

    def name(self, axis: Axis) -> str:
        return self.nest.name(axis)

    def sweeps(self) -> list[tuple[list[Compute], Path]]:
        """The runs of statements that share their innermost body, with the loops around them."""
        runs: list[tuple[list[Compute], Path]] = []
        for compute, path in self.nest.leaves():
            if runs and _same_body(runs[-1], compute, path):
                runs[-1][0].append(compute)
            else:
                runs.append(([compute], path))
        return runs

    def outer_names(self) -> list[str]:
        """The loops that stand alone above everything else, outermost first."""
        names: list[str] = []
        body = self.nest.body
        while len(body) == 1 and isinstance(body[0], Loop):
            names.append(self.name(body[0].axis))
            body = body[0].body
        return names

    # ------------------------------------------------------------------------------------------------- tasks

    def fixed_first(self, names: list[str]) -> list[str]:
        """Moves nested loops whose length is known only at run time inside the others; the names of the others.

        A loop that stands alone may be of either kind.
        """
        fixed = [name for name in names if self.nest.names[name].limit is None]
        if len(names) > 1 and len(fixed) < len(names):
            self.reorder([*fixed, *[name for name in names if name not in fixed]])
        return names if len(names) == 1 else fixed

    def make_tasks(self, names: list[str], work: int, minimum: int = TASK_WORK) -> None:
        """Makes tasks of the outermost loops ``names``; each takes enough iterations for ``minimum`` elements of work.

        work: the elements of one iteration. A kernel that is no more than two tasks stays one.
        """
        minimum = self.choices.task_work or minimum
        names = self.fixed_first(names)
        if not names:
            return
        count = prod(self.extent(name) for name in names)
        chunk = max(1, minimum // max(1, work))
        if count < 2 or count * work < 2 * minimum:
            return
        fused = self.fuse(names)
        if chunk > 1:
            fused, _ = self.split(fused, chunk, peel=False)
        if self.extent(fused) > 1:
            self.parallel(fused)


def _same_body(run: tuple[list[Compute], Path], compute: Compute, path: Path) -> bool:
    last, around = run
    body_is_same = len(path) == len(around) and all(a is b for a, b in zip(path, around, strict=True))
    return body_is_same and (not path or _adjacent(path[-1], last[-1], compute))


def _adjacent(loop: Loop, first: Compute, second: Compute) -> bool:
    return loop.body.index(first) + 1 == loop.body.index(second)


def accesses(kernel: Kernel, statement: Statement) -> Iterator[Index]:
    """The flat index of everything that a statement reads from memory or stores (over the kernel's axes)."""
    produced = {s.value for s in kernel.statements if isinstance(s, Statement)}
    for read in reads_of(statement):
        if read.value not in produced:
            yield memory_index(read.value, read.indices)
    if not statement.reduced or statement.value in kernel.outputs:
        yield memory_index(statement.value, statement.indices)


def stride(index: Index, axis: Axis) -> int | None:
    """By how many elements a flat index moves along ``axis``; None where the step is not constant."""
    return index.coefficient(axis) if index.is_affine_in(axis) else None


def access_cost(step: int | None) -> float:
    """The relative cost of one vector access: shared by all lanes, contiguous, or gathered."""
    return 0.1 if step == 0 else 1.0 if step == 1 else 10.0


def element_bytes(statements: list[Statement]) -> int:
    """The size of the elements that decide how many lanes a vector has: the narrowest of 4 bytes and more."""
    sizes = [statement.value.dtype.itemsize for statement in statements]
    sizes += [read.value.dtype.itemsize for statement in statements for read in reads_of(statement)]
    return max(4, min(sizes, default=4))


__all__ = ["Kind", "Node", "Plan", "access_cost", "accesses", "element_bytes", "stride"]
