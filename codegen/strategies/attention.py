"""Attention: contractions that share a tile of rows, whose long rows pass from one to the next in scratch.

    parallel over heads:                             [pack what rows read in vectors across its layout: K, backward V]
        for blocks of rows:
            for tiles of keys, tiles of rows:        scores of the block, a register tile at a time
            for rows:                                maximum, exponentials, sum: a sweep along the row each
            for tiles of columns, tiles of rows:     out = weights V; backward also dQ = dS K
            for tiles of keys, tiles of columns:     backward: dV and dK, which add up over the blocks of rows

Each contraction is a register tile of its own sweep. All sweeps have tiles of the same rows and keys, so that all of
them leave out what a mask leaves needless (``codegen.regions``): causal attention does half the work.

The structure is that of T. Dao, "FlashAttention-2", ICLR 2024, but with whole rows of scores in the second-level cache
instead of a running maximum.
"""

from __future__ import annotations

from itertools import takewhile
from math import prod

from codegen.bounds import Bound
from codegen.expression import axes_of
from codegen.index import Axis
from codegen.kernel import Contraction, Expression, Home, Kernel, Statement
from codegen.nest import Compute, reads_of
from codegen.placement import memory_index
from codegen.regions import needed_regions
from codegen.staging import Stage
from codegen.strategies.operands import longest, operand_stride, sides
from codegen.strategies.plan import Plan, access_cost, accesses, element_bytes, stride
from codegen.target import Target
from ir.node import Node

_ROWS = 32  # of a block, at most
_TILE_VECTORS = 2
_TASKS = 16  # from which on there are enough
_TASK_FLOPS = 1 << 20


def plan_attention(kernel: Kernel, target: Target) -> Plan:
    """The plan of a kernel with contractions that do not run along all loops of what they compute."""
    return _Rows(kernel, target).planned()


class _Rows(Plan):
    """The nest of one kernel, its rows cut into blocks."""

    def __init__(self, kernel: Kernel, target: Target) -> None:
        super().__init__(kernel, target)
        self.statements = [s for s in kernel.statements if isinstance(s, Statement)]
        self.lanes = target.lanes(element_bytes(self.statements))
        self.height = 8 if target.vector_registers >= 32 else 4  # rows of every tile
        self.regions = needed_regions(kernel)
        self.rows = self._row_axis()
        self.shared = self._shared_axes()

    def planned(self) -> Plan:
        heads = [self.name(axis) for axis in self.shared]
        others = [self.name(axis) for axis in self.kernel.axes if axis not in self.shared and axis is not self.rows]
        self.reorder([*heads, *others, self.name(self.rows)])
        blocks, row = self.split(self.name(self.rows), self._block_rows())
        tasks, inside = self._tasks(heads, others, blocks)
        self.sink(row)
        for computes, _ in self.sweeps():
            statement = computes[0].statement
            assert isinstance(statement, Statement)
            if statement.contraction is not None and self._free(statement):
                self._tile(computes[0].number, statement, statement.contraction, row, inside)
            elif self._inner(statement):
                self._sweep(computes, row)
        if prod(self.extent(name) for name in tasks) > 1 and self._flops() >= 2 * _TASK_FLOPS:
            self.parallel(self.fuse(tasks))
        return self

    # -------------------------------------------------------------------------------------------------- loops

    def _row_axis(self) -> Axis:
        """The loop over rows that is cut into blocks: the longest of those that only one operand moves along."""
        outer = set(self.kernel.axes)
        own = [axis for s in self.statements if s.contraction is not None
               for axis in (*s.contraction.m, *s.contraction.n) if axis in outer]
        rows = longest(list(dict.fromkeys(own)))
        assert rows is not None
        return rows

    def _shared_axes(self) -> list[Axis]:
        """The loops that every contraction is a batch of: a task keeps what it packs for all rows inside."""
        batches = [frozenset(s.contraction.batch) for s in self.statements if s.contraction is not None]
        common = frozenset.intersection(*batches)
        return [axis for axis in self.kernel.axes if axis in common]

    def _inner(self, statement: Statement) -> list[Axis]:
        """The statement's loops below those of the kernel."""
        return [axis for axis in statement.axes if axis not in self.kernel.axes]

    def _free(self, statement: Statement) -> list[Axis]:
        return [axis for axis in self._inner(statement) if axis not in statement.reduced]

    def _block_rows(self) -> int:
        """Rows of a block: their scores take a quarter of the second-level cache; blocks are of equal length."""
        fitting = max(1, self.target.l2_bytes // 4 // max(1, self._row_bytes()) // self.height) * self.height
        most = min(_ROWS, fitting, self.rows.extent)
        dividing = [rows for rows in range(most, most // 2, -1)
                    if self.rows.extent % rows == 0 and rows % self.height == 0]
        if dividing:
            return dividing[0]
        blocks = -(-self.rows.extent // most)
        return min(most, -(-self.rows.extent // blocks // self.height) * self.height)

    def _row_bytes(self) -> int:
        """The scratch that one row takes, where a value takes the place of one that it is the last to read."""
        last = {read.value: number for number, s in enumerate(self.statements) for read in reads_of(s)}
        held: dict[Node, int] = {}
        most = 0
        for number, s in enumerate(self.statements):
            held = {value: nbytes for value, nbytes in held.items() if last[value] > number or s.reduced}
            if s.home is Home.SCRATCH:
                held[s.value] = prod(axis.extent for axis in self._free(s)) * s.value.dtype.itemsize
            most = max(most, sum(held.values()))
            held = {value: nbytes for value, nbytes in held.items() if last[value] > number}
        return most

    def _tasks(self, heads: list[str], others: list[str], blocks: str) -> tuple[list[str], list[str]]:
        """The loops that become tasks, and those between them and the sweeps; where heads are few, rows are cut too."""
        count = prod(self.extent(name) for name in heads)
        if any(self.rows in s.reduced for s in self.statements) or count >= _TASKS:
            return heads, [*others, blocks]
        wanted = min(self.extent(blocks), -(-_TASKS // count))
        parts, blocks = self.split(blocks, -(-self.extent(blocks) // wanted), peel=False)
        self.reorder([*heads, parts, *others, blocks])
        return [*heads, parts], [*others, blocks]

    def _flops(self) -> int:
        return sum(2 * prod(axis.extent for axis in {*self.kernel.axes, *s.axes})
                   for s in self.statements if s.contraction is not None)

    # ------------------------------------------------------------------------------------------------- sweeps

    def _tile(self, number: int, statement: Statement, contraction: Contraction, row: str, inside: list[str]) -> None:
        """Register tiles of one contraction; rows of the block, or, of a sum over the rows, of one of its own axes."""
        free = self._free(statement)
        sums_rows = self.rows in statement.reduced
        vector = self._vector_axis(statement, free)
        own = [axis for axis in free if axis is not vector]
        rows = longest(own) if sums_rows else None
        across = self.name(rows) if rows is not None else "" if sums_rows else row
        others = [self.name(axis) for axis in own if axis is not rows]
        summed = [self.name(axis) for axis in self._inner(statement) if axis in statement.reduced]
        summed += [row] if sums_rows else []
        column_tiles, columns = self.split(self.name(vector), _TILE_VECTORS * self.lanes, number)
        vectors, lane = self.split(columns, self.lanes, number)
        row_tiles, inner = self.split(across, self.height, number) if across else ("", "")
        tile = [name for name in (inner, vectors, lane) if name]
        around = [*others, column_tiles, *([row_tiles] if row_tiles else []), *summed]
        self.reorder([*around, *tile], number)
        for name in tile[:-1]:
            self.unroll(name, number)
        self.vectorize(lane, number)
        side = sides(contraction, vector)
        operand = getattr(contraction, side.lanes)
        if side.stride_of_vector != 1 and not sums_rows and operand_stride(operand, self.rows) == 0:
            turned = next((name for name in summed if self._is_turned(operand, name)), "")
            packed_at = self._packing_place(operand, inside)
            self.do(Stage(side.lanes, number, packed_at, (column_tiles, *summed, vectors, lane), lane, turned))
        self._bound(number, around)

    def _packing_place(self, operand: Expression, inside: list[str]) -> str:
        """The outermost of the loops inside a task from which on the operand stays the same."""
        used = axes_of(operand)
        fixed = takewhile(lambda name: self.nest.origins[self.nest.names[name]].isdisjoint(used), reversed(inside))
        return list(fixed)[-1]

    def _is_turned(self, operand: Expression, name: str) -> bool:
        """Whether an operand that is not contiguous along the lanes is so along a summed axis, for blocks of it."""
        axis = self.nest.names[name]
        return axis.limit is None and 2 * axis.extent >= self.lanes and operand_stride(operand, axis) == 1

    def _vector_axis(self, statement: Statement, free: list[Axis]) -> Axis:
        """The axis along which the result is contiguous; the longest where there is none."""
        index = memory_index(statement.value, statement.indices)
        return next((axis for axis in free if stride(index, axis) == 1), longest(free) or free[-1])

    def _sweep(self, computes: list[Compute], row: str) -> None:
        """Pointwise values and reductions along each row of the block."""
        number = computes[0].number
        statements = [c.statement for c in computes if isinstance(c.statement, Statement)]
        inner = self._inner(statements[0])
        vector = min(inner, key=lambda axis: (self._cost(statements, axis), -axis.extent))
        others = [self.name(axis) for axis in inner if axis is not vector]
        row_tiles, inside = self.split(row, self.height, number)
        column_tiles, columns = self.split(self.name(vector), _TILE_VECTORS * self.lanes, number)
        vectors, lane = self.split(columns, self.lanes, number)
        self.reorder([row_tiles, inside, *others, column_tiles, vectors, lane], number)
        self.unroll(vectors, number, separate=any(vector in s.reduced for s in statements))
        self.vectorize(lane, number)
        self._bound(number, [column_tiles], row_tiles)

    def _cost(self, statements: list[Statement], axis: Axis) -> float:
        return sum(access_cost(stride(index, axis)) for s in statements for index in accesses(self.kernel, s))

    def _bound(self, number: int, names: list[str], given: str = "") -> None:
        """Leaves out what a mask makes needless, in the loops that have iterations to leave out."""
        if number in self.regions:
            for name in names:
                if self.extent(name) > 1:
                    self.do(Bound(name, number, given))
