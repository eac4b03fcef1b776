"""GPU: contractions in tiles of shared memory.

    for blocks of rows and columns (the grid):
        for k.o:
            all threads copy the tiles of both operands: k.i by rows, k.i by columns; barrier
            for k.i: every thread adds rows x columns products from the tiles to its registers; barrier
        epilogue of the thread's rows and columns, in registers

The copies run along the axis along which the operand is contiguous, so that any transposition reads memory in whole
sectors. Edges: the last tile of rows or columns reads its last element again and stores nothing past the end; the last,
shorter block of k is written out by itself.
"""

from __future__ import annotations

from codegen.block_sharing import Sharing
from codegen.block_steps import StageTile, Tile
from codegen.index import Axis
from codegen.kernel import Contraction, Kernel, Statement
from codegen.placement import memory_index, place_values
from codegen.steps import Bind
from codegen.strategies.operands import longest, operand_stride
from codegen.strategies.plan import Plan, stride
from codegen.target import Target

_THREADS = 16  # along each dimension of the block
_REGISTERS = 4  # rows and columns of one thread, in large products
_DEPTH = 16  # of a tile along k
_PADDING = 4  # elements after each row of a tile: threads that copy along k meet different banks
_SMALLEST = 16


def tiled_contraction(kernel: Kernel) -> int | None:
    """The number of the statement that shared tiles can compute: the only reduction, with enough rows and columns."""
    numbers = [number for number, s in enumerate(kernel.statements) if isinstance(s, Statement) and s.contraction]
    if len(numbers) != 1:
        return None
    statement = kernel.statements[numbers[0]]
    assert isinstance(statement, Statement) and statement.contraction is not None
    contraction, outer = statement.contraction, set(kernel.axes)
    others = [s for s in kernel.statements if s is not statement]
    if any(not isinstance(s, Statement) or s.reduced or s.scatter or set(s.axes) - outer for s in others):
        return None
    if not {*contraction.batch, *contraction.m, *contraction.n} <= outer:
        return None
    rows, columns = longest(contraction.m), longest(contraction.n)
    depth = longest(contraction.k)
    if rows is None or columns is None or depth is None:
        return None
    return numbers[0] if min(rows.extent, columns.extent) >= _SMALLEST and depth.extent >= _DEPTH // 2 else None


def plan_shared_tiles(kernel: Kernel, target: Target, number: int) -> Plan:
    """The plan of ``kernel``, whose statement ``number`` is the contraction."""
    return _Tiling(kernel, target, number).planned()


class _Tiling(Plan):
    def __init__(self, kernel: Kernel, target: Target, number: int) -> None:
        super().__init__(kernel, target)
        statement = kernel.statements[number]
        assert isinstance(statement, Statement) and statement.contraction is not None
        self.number, self.statement = number, statement
        self.contraction: Contraction = statement.contraction
        self.rows, self.columns, self.row_operand, self.column_operand = self._sides()
        depth = longest(self.contraction.k)
        assert depth is not None
        self.depth: Axis = depth

    def _sides(self) -> tuple[Axis, Axis, str, str]:
        """Rows and columns: the output is contiguous along the columns, if along either; then their operands."""
        m, n = longest(self.contraction.m), longest(self.contraction.n)
        assert m is not None and n is not None
        flat = memory_index(self.statement.value, self.statement.indices)
        swapped = stride(flat, m) == 1 != stride(flat, n)
        return (n, m, "right", "left") if swapped else (m, n, "left", "right")

    def planned(self) -> Plan:
        blocks, row, column = self._cut()
        k = self._depth_loops()
        self._stage(k, row[0], column[0])
        for computes, _ in self.sweeps():
            if computes[0].number < len(self.kernel.statements):
                self._write_out(computes[0].number, row[2], column[2])
        block = self.fuse(blocks)
        self.do(Bind(block, "block"))
        self.do(Bind(row[1], "thread", 1))
        self.do(Bind(column[1], "thread", 0))
        Sharing(self.nest, place_values(self.nest))  # raises where the tiles do not fit
        return self

    def _cut(self) -> tuple[list[str], tuple[str, str, str], tuple[str, str, str]]:
        """The loops over blocks; for rows and columns the loops inside a block, over threads, and of one thread."""
        rows, columns = self.name(self.rows), self.name(self.columns)
        names = [self.name(axis) for axis in self.kernel.axes]
        depth = [self.name(axis) for axis in self.contraction.k]
        outer = [name for name in names if name not in (rows, columns, *depth)]
        summed = [name for name in names if name in depth]
        self.reorder([*outer, rows, columns, *summed])
        inside = []
        for name in (rows, columns):
            registers = min(_REGISTERS, -(-self.extent(name) // _THREADS))
            registers = 1 << (registers.bit_length() - 1)
            self.do(Tile(name, _THREADS * registers))
            inside.append((f"{name}.i", *self.split(f"{name}.i", registers)))
        row, column = inside
        bounded = [name for name in outer if self.nest.names[name].limit is not None]
        blocks = [*[name for name in outer if name not in bounded], f"{rows}.o", f"{columns}.o"]
        self.reorder([*blocks, *bounded, row[1], column[1], row[2], column[2]])
        self.sink(row[2])
        self.sink(column[2])
        return blocks, row, column

    def _depth_loops(self) -> str:
        """Orders the reduced loops, the longest last and cut; the loop inside one tile."""
        depth = [self.name(axis) for axis in self.contraction.k]
        last = self.name(self.depth)
        order = [*[name for name in depth if name != last], last]
        if order != depth:
            self.reorder(order, self.number)
        if self.extent(last) <= _DEPTH:
            return last
        return self.split(last, _DEPTH, self.number)[1]

    def _stage(self, k: str, row: str, column: str) -> None:
        for operand, along, axis in ((self.row_operand, row, self.rows), (self.column_operand, column, self.columns)):
            expression = getattr(self.contraction, operand)
            steps = operand_stride(expression, self.depth), operand_stride(expression, axis)
            self.do(StageTile(operand, self.number, k, along, steps[0] == 1 != steps[1], (_THREADS, _THREADS),
                              _PADDING))

    def _write_out(self, number: int, row: str, column: str) -> None:
        """A thread's rows one by one; its columns as one vector where vectors do not end inside the matrix."""
        if self.extent(row) > 1:
            self.unroll(row, number)
        if self.extent(column) > 1 and self.columns.extent % self.extent(column) == 0:
            self.vectorize(column, number)
        elif self.extent(column) > 1:
            self.unroll(column, number)

