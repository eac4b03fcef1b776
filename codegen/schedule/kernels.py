"""From groups to kernels: axes named alike, loops joined again, homes, inputs and outputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import prod

from codegen.expression import Rewriter, walk
from codegen.index import Atom, Axis, Index
from codegen.kernel import Apply, Contraction, Expression, Home, Kernel, Read, ScanStatement, SortStatement, Statement
from codegen.schedule.coalesce import flat_address, joined_axes
from codegen.schedule.computation import Computation
from codegen.schedule.cost import OPERATION_COST, bytes_of
from codegen.schedule.group import Group, Partition
from ir.node import Node


def build_kernel(partition: Partition, group: Group) -> Kernel:
    """The kernel that computes the members of ``group``; its boundaries are left to ``order``."""
    members = _in_order(partition, group)
    if isinstance(members[0].scan, ScanStatement):
        return _scan_kernel(members[0], members[0].scan)
    if isinstance(members[0].scan, SortStatement):
        return _sort_kernel(members[0].scan)
    stored = {member.node for member in members if partition.is_stored(member)}
    outer, statements = _statements(partition, group, members)
    statements = _fold(statements, stored, {member.node: member.overwrites for member in group.writers})
    outer, statements = _joined(outer, statements)
    kernel = Kernel("", "", outer, list(statements), (), ())
    _assign_homes(statements, outer, stored, {member.node for member in group.accumulators})
    kernel.inputs = _inputs(statements)
    kernel.outputs = tuple(statement.value for statement in statements if statement.value in stored)
    kernel.in_place = {member.node: member.owner for member in members if member.owner is not None}
    kernel.strategy = _strategy(statements, outer)
    kernel.name = kernel_name(kernel.strategy, statements)
    kernel.bytes_moved = sum(map(bytes_of, (*kernel.inputs, *kernel.outputs)))
    kernel.flops = sum(map(_flops, statements))
    return kernel


def _in_order(partition: Partition, group: Group) -> list[Computation]:
    """The members in an order in which they can run: contractions first, else as they are numbered.

    Numbers alone are not enough: a value that is computed again may have made a reader of an old version out of a
    member whose number is higher than that of the member that overwrites it.
    """
    pending = sorted(group.members, key=lambda member: (member.contraction is None, member.number))
    result: dict[Computation, None] = {}
    while pending:
        for member in pending:
            producers = (partition.producers.get(access.value) for access in member.accesses)
            before = [earlier for earlier in (*producers, *member.after) if earlier in group.members]
            if all(earlier in result for earlier in before):
                result[member] = None
        pending = [member for member in pending if member not in result]
    return list(result)


# ------------------------------------------------------------------------------------------------------- axes


def _statements(partition: Partition, group: Group,
                members: Sequence[Computation]) -> tuple[tuple[Axis, ...], list[Statement]]:
    """One statement per member, in which the same loop is the same axis object throughout."""
    names = _AxisNames(partition, group)
    statements = [_renamed(member, names.of(member)) for member in members]
    return tuple(names.outer.values()), statements


class _AxisNames:
    """Which axis of the kernel each axis of a member becomes."""

    def __init__(self, partition: Partition, group: Group) -> None:
        self._partition, self._group = partition, group
        self.outer = dict(group.loops)
        self._names: dict[Computation, dict[Axis, Axis]] = {}
        self._first_reader: dict[tuple[Node, int], tuple[Computation, tuple[Index, ...]]] = {}

    def of(self, member: Computation) -> dict[Axis, Axis]:
        loops = self._group.axis_loops[member]
        names = {axis: self.outer[number] for axis, number in loops.items()}
        for axis, name in self._names_of_producers(member):
            if axis not in names and name not in names.values() and axis.extent == name.extent:
                names[axis] = name
        used = set(names.values())
        for axis in member.axes:
            if axis not in names:
                taken = axis in used or axis in self.outer.values()
                names[axis] = Axis(axis.extent, limit=axis.limit) if taken else axis
                used.add(names[axis])
        self._names[member] = names
        return names

    def _names_of_producers(self, member: Computation) -> Iterable[tuple[Axis, Axis]]:
        """Inner axes that walk an earlier value of the kernel, or a value both read, in step with another member."""
        for access in member.accesses:
            producer = self._partition.producers.get(access.value)
            if producer is not None and producer in self._names:
                for axis, index in (producer.digits(access.indices) or {}).items():
                    if index.bare is not None:
                        yield index.bare, self._names[producer][axis]
        for access in member.accesses:
            for dimension, index in enumerate(access.indices):
                key = access.value, dimension
                known = self._first_reader.get(key)
                if known is None:
                    self._first_reader[key] = member, access.indices
                elif known[0] is not member:
                    yield from _same_walk(known[1][dimension], index, self._names[known[0]])


def _same_walk(first: Index, second: Index, names: Mapping[Axis, Axis]) -> Iterable[tuple[Axis, Axis]]:
    """Axes of ``second`` that take the part of axes of ``first`` in an index of the same form."""
    if first.constant == second.constant and len(first.terms) == len(second.terms):
        for (atom, factor), (other, other_factor) in zip(first.terms, second.terms, strict=True):
            if factor == other_factor and isinstance(atom, Axis) and isinstance(other, Axis) and atom in names:
                yield other, names[atom]


def _renamed(member: Computation, names: Mapping[Axis, Axis]) -> Statement:
    replacements: dict[Atom, Index] = {old: Index.of(new) for old, new in names.items() if old is not new}
    statement = Statement(
        member.node, member.axes, member.expression, member.indices, member.reduced, member.monoid, member.position,
        member.guards, member.mode, member.contraction)
    return _substituted(statement, Rewriter(replacements), names) if replacements else statement


def _substituted(statement: Statement, rewriter: Rewriter, names: Mapping[Axis, Axis]) -> Statement:
    """The statement over other axes: ``names`` says which axis each becomes (or becomes a digit of)."""

    def renamed(axes: Iterable[Axis]) -> tuple[Axis, ...]:
        return tuple(dict.fromkeys(names.get(axis, axis) for axis in axes))

    contraction = statement.contraction
    if contraction is not None:
        contraction = Contraction(
            rewriter(contraction.left), rewriter(contraction.right), renamed(contraction.batch), renamed(contraction.m),
            renamed(contraction.n), renamed(contraction.k))
    return Statement(
        statement.value, renamed(statement.axes), rewriter(statement.expression),
        tuple([rewriter.index(index) for index in statement.indices]), frozenset(renamed(statement.reduced)),
        statement.monoid, None if statement.position is None else rewriter.index(statement.position),
        tuple([guard._replace(index=rewriter.index(guard.index)) for guard in statement.guards]), statement.scatter,
        contraction, statement.home)


def _joined(outer: tuple[Axis, ...], statements: list[Statement]) -> tuple[tuple[Axis, ...], list[Statement]]:
    """The kernel with axes joined that every access walks as one."""
    replacements = joined_axes(outer, statements)
    if not replacements:
        return outer, statements
    names = {axis: next(iter(index.axes)) for axis, index in replacements.items() if isinstance(axis, Axis)}
    rewriter = Rewriter(replacements)
    outer = tuple(dict.fromkeys(names.get(axis, axis) for axis in outer))
    return outer, [_substituted(statement, rewriter, names) for statement in statements]


# ------------------------------------------------------------------------------------------------------- homes


def _fold(statements: list[Statement], stored: set[Node], overwritten: Mapping[Node, Node | None]) -> list[Statement]:
    """Pointwise values that one later statement reads at its own point become part of that statement's expression.

    Not across a statement that overwrites (``overwritten``: which version it does) what the value reads.
    """
    reads = _reads_within(statements)
    places = {statement.value: place for place, statement in enumerate(statements)}
    lost = {version: places[value] for value, version in overwritten.items() if version is not None}
    folded: dict[Node, Expression] = {}
    result: list[Statement] = []
    for statement in statements:
        if any(value in folded for value, _ in reads.by_reader[id(statement)]):
            rewriter = Rewriter({}, lambda read: folded.get(read.value, read))
            statement = _substituted(statement, rewriter, {})
        readers = reads.of_value.get(statement.value, [])
        if (statement.monoid is None and statement.scatter is None and statement.value not in stored
                and len(readers) == 1 and _at_own_point(statement, *readers[0])
                and not (lost and _reads_lost(statement, lost, places[readers[0][0].value]))):
            folded[statement.value] = statement.expression
        else:
            result.append(statement)
    return result


def _reads_lost(statement: Statement, lost: Mapping[Node, int], place: int) -> bool:
    """Whether the statement reads a version that is overwritten before the statement at ``place``."""
    return any(isinstance(part, Read) and lost.get(part.value, place) < place for part in walk(*_roots(statement)))


class _ReadsWithin:
    """Which statements of a kernel read which earlier ones, and where."""

    def __init__(self) -> None:
        self.of_value: dict[Node, list[tuple[Statement, list[tuple[Index, ...]]]]] = {}
        self.by_reader: defaultdict[int, list[tuple[Node, tuple[Index, ...]]]] = defaultdict(list)


def _reads_within(statements: Sequence[Statement]) -> _ReadsWithin:
    result = _ReadsWithin()
    values: set[Node] = set()
    for statement in statements:
        found: defaultdict[Node, list[tuple[Index, ...]]] = defaultdict(list)
        for part in walk(*_roots(statement)):
            if isinstance(part, Read) and part.value in values:
                found[part.value].append(part.indices)
                result.by_reader[id(statement)].append((part.value, part.indices))
        for value, indices in found.items():
            result.of_value.setdefault(value, []).append((statement, indices))
        values.add(statement.value)
    return result


def _roots(statement: Statement) -> list[Expression]:
    dynamic = [atom.expression for index in statement.indices for atom in index.dynamics]
    return [statement.expression, *dynamic]


def _at_own_point(statement: Statement, reader: Statement, reads: Sequence[tuple[Index, ...]]) -> bool:
    """Whether the reader, at each point of the same loops, reads just what the statement computes there."""
    return (set(reader.axes) == set(statement.axes) - statement.reduced
            and all(indices == statement.indices for indices in reads))


def _assign_homes(statements: Sequence[Statement], outer: Sequence[Axis], stored: set[Node],
                  accumulators: set[Node]) -> None:
    """Memory for what others read; a register where every reader is at the same point of the same loops, with no
    reduction of these loops in between; else scratch."""
    reads = _reads_within(statements)
    phases = _phases(statements, reads)
    shared = set(outer)
    for statement in statements:
        readers = reads.of_value.get(statement.value, [])
        if statement.value in accumulators:
            statement.home = Home.ACCUMULATOR
        elif statement.value in stored:
            statement.home = Home.MEMORY
        elif set(statement.axes) - statement.reduced <= shared or all(
                _at_own_point(statement, reader, indices) and phases[reader.value] == phases[statement.value]
                for reader, indices in readers):
            statement.home = Home.REGISTER
        else:
            statement.home = Home.SCRATCH


def _phases(statements: Sequence[Statement], reads: _ReadsWithin) -> dict[Node, int]:
    """How many inner reductions must be complete before a statement can begin."""
    phases: dict[Node, int] = {}
    reducing: set[Node] = set()
    for statement in statements:
        below = {value for value, _ in reads.by_reader[id(statement)]}
        phases[statement.value] = max((phases[value] + (value in reducing) for value in below), default=0)
        if statement.reduced:
            reducing.add(statement.value)
    return phases


# ------------------------------------------------------------------------------------------- what a kernel says


def _inputs(statements: Sequence[Statement]) -> tuple[Node, ...]:
    """The values read from memory, in order of first use."""
    inside = {statement.value for statement in statements}
    roots = [root for statement in statements for root in _roots(statement)]
    found = (part.value for part in walk(*roots) if isinstance(part, Read))
    return tuple(dict.fromkeys(value for value in found if value not in inside))


def _strategy(statements: Sequence[Statement], outer: Sequence[Axis]) -> str:
    """The family of loops that the kernel needs."""
    if any(statement.scatter for statement in statements):
        return "scatter"
    contractions = [statement for statement in statements if statement.contraction]
    if contractions:
        whole = all(set(statement.axes) - statement.reduced <= set(outer) for statement in contractions)
        return "contraction" if whole else "attention"
    reductions = [statement for statement in statements if statement.reduced]
    if not reductions:
        return "elementwise"
    walks_columns = all(_reads_along(statement, set(outer)) for statement in reductions)
    return "column reduction" if walks_columns and outer else "row reduction"


def _reads_along(statement: Statement, outer: set[Axis]) -> bool:
    """Whether the largest value that a reduction reads is contiguous along an outer axis, not a reduced one."""
    reads = [part for part in walk(statement.expression) if isinstance(part, Read) and part.indices]
    largest = max(reads, key=lambda read: bytes_of(read.value), default=None)
    if largest is None:
        return False
    address = flat_address(largest.value, largest.indices)
    return any(atom in outer for atom, factor in address.terms if factor == 1)


def kernel_name(strategy: str, statements: Sequence[Statement]) -> str:
    """A readable name: the strategy and the extents of the largest statement's loops."""
    largest = max(statements, key=_points)
    extents = "x".join(str(axis.extent) for axis in largest.axes) or "1"
    return f"{strategy.replace(' ', '_')}_{extents}"


def _points(statement: Statement) -> int:
    return prod(axis.extent for axis in statement.axes)


def _flops(statement: Statement) -> int:
    each = sum(OPERATION_COST.get(part.code, 1) for part in walk(statement.expression) if isinstance(part, Apply))
    return _points(statement) * (each + (1 if statement.reduced else 0))


def _scan_kernel(member: Computation, scan: ScanStatement) -> Kernel:
    """The kernel of one recurrence; every element of its axes is independent of the others."""
    names = {name for name, _, _ in scan.carries}
    roots = [*(start for _, start, _ in scan.carries), *(after for _, _, after in scan.carries),
             *(expression for _, expression, _ in scan.outputs)]
    reads = (part.value for part in walk(*roots) if isinstance(part, Read))
    inputs = tuple(dict.fromkeys(value for value in reads if value not in names))
    points = prod(axis.extent for axis in (*scan.axes, scan.axis))
    each = sum(OPERATION_COST.get(part.code, 1) for part in walk(*roots) if isinstance(part, Apply))
    extents = "x".join(str(axis.extent) for axis in (*scan.axes, scan.axis))
    return Kernel(f"scan_{extents}", "scan", scan.axes, [scan], inputs, member.values,
                  bytes_moved=sum(map(bytes_of, (*inputs, *member.values))), flops=points * each)


def _sort_kernel(sort: SortStatement) -> Kernel:
    """The kernel that puts rows in order; every row is independent of the others."""
    reads = (part.value for part in walk(sort.expression) if isinstance(part, Read))
    inputs = tuple(dict.fromkeys(reads))
    extents = "x".join(str(axis.extent) for axis in (*sort.axes, sort.axis))
    return Kernel(f"sort_{extents}", "sort", sort.axes, [sort], inputs, (sort.value,),
                  bytes_moved=sum(map(bytes_of, (*inputs, sort.value))))
