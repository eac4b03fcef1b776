"""Contractions in register tiles.

    parallel over blocks of rows and columns:  [pack the rows of the other operand: tiles of k by rows]
        for column tiles:   [pack the panel of the operand read in vectors: k by columns]
            for row tiles:
                for k:      rows x vectors accumulators, carried in registers
                epilogue:   bias, activation, residual, update of the tile

The accumulators are what the loop over k carries for the unrolled rows and vectors. A long epilogue is not written out
for the whole tile: it loops over its rows, and the tile passes through scratch (in L1).

The structure is that of K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS
34(3), 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt

from codegen.block_copies import CopySquares
from codegen.expression import walk
from codegen.guarded_loops import masks
from codegen.index import Axis
from codegen.kernel import Apply, Contraction, Expression, Kernel, Statement
from codegen.staging import Stage
from codegen.strategies.operands import is_injective, longest, operand_bytes, operand_stride, sides
from codegen.strategies.padding import decide_guards
from codegen.strategies.plan import Plan
from codegen.target import Target

_TASK_FLOPS = 1 << 20
_MAXIMUM_TASKS = 64
_UNPACKED_BYTES = 256 << 10  # operands that fit the second-level cache together need no packing
_PANEL_BYTES = 16 << 20
_REUSES = 4  # row tiles that must share a packed panel
_NESTED_ACCUMULATORS = 20
_LONG_EPILOGUE = 6  # operations an element
_REGISTER_TILE = 8  # accumulators up to which any epilogue is written out
_SHARING_TASKS = 16  # that are wanted where all pack the same
_PHASES = 4  # of a stride
_TAPS = 7  # a reduced axis this short is written out inside a longer one


def register_tile(registers: int, rows: int, vectors: int, nested: bool = False, whole: int = 1) -> tuple[int, int]:
    """(rows, vectors) of the register tile: its accumulators, one row of vectors and a splat fit the registers.

    A number of vectors or rows that divides the whole leaves no narrow tiles. Accumulators that pass through several
    ``nested`` reduction loops are fewer: LLVM spills from 22 on. whole: how many rows each of ``rows`` stands for.

        >>> register_tile(32, 1024, 64), register_tile(32, 12, 6), register_tile(16, 100, 16)
        ((8, 2), (6, 3), (5, 2))
    """
    heights = {3: 8, 2: 12, 4: 6, 1: 14} if registers >= 32 else {2: 6, 3: 4, 1: 8}
    fitting = [width for width in heights if width <= vectors]
    width = next((width for width in fitting if width > 1 and vectors % width == 0), fitting[0])
    limit = min(heights[width], *([_NESTED_ACCUMULATORS // width] if nested else [heights[width]]))
    tallest = max(1, min(limit // whole, rows))
    dividing = [height for height in range(tallest, 2 * tallest // 3 - 1, -1) if height and rows % height == 0]
    return dividing[0] if dividing else tallest, width


def plan_register_tile(kernel: Kernel, target: Target, number: int, vector: Axis, lanes: int) -> Plan:
    """The plan of ``kernel``, whose statement ``number`` is the contraction, with lanes along ``vector``."""
    return _Tiling(kernel, target, number, vector, lanes).planned()


class _Tiling(Plan):
    def __init__(self, kernel: Kernel, target: Target, number: int, vector: Axis, lanes: int) -> None:
        super().__init__(kernel, target)
        statement = kernel.statements[number]
        assert isinstance(statement, Statement) and statement.contraction is not None
        self.number, self.lanes = number, lanes
        self.contraction: Contraction = statement.contraction
        self.sides = sides(self.contraction, vector)
        self.k = [self.name(axis) for axis in self.contraction.k]
        self.flops = 2 * prod(axis.extent for axis in {*kernel.axes, *self.contraction.k})
        self.vector = vector
        self.task_flops = self.choices.task_work or _TASK_FLOPS
        self.most_tasks = self.choices.most_tasks or _MAXIMUM_TASKS
        self.vectors = -(-vector.extent // lanes)
        self.shared: list[str] = []  # loops inside a task for which columns are packed once
        self.rows, self.whole_rows = self._row_axes()

    def _row_axes(self) -> tuple[Axis | None, Axis | None]:
        """The axis that is cut into the tile's rows, and one that lies in the tile as a whole: all of its rows.

        The axis is the longest; of the window of a convolution the one whose rows lie together: rows that are far
        apart, in steps of the cache's ways, would evict each other. If that one is short (the taps of a weight
        gradient) it lies in the tile as a whole, and the rows are those of the longest other axis as well.
        """
        choices = [axis for axis in self.sides.rows if axis.limit is None and axis.extent > 1]
        if len(self.contraction.k) == 1 or not choices:
            return longest(self.sides.rows), None
        nearest = min(choices, key=lambda axis: (abs(self._splat_stride(axis) or _PANEL_BYTES), -axis.extent))
        tallest, _ = register_tile(self.target.vector_registers, prod(axis.extent for axis in choices), self.vectors,
                                   nested=True)
        other = longest([axis for axis in choices if axis is not nearest])
        if 2 * nearest.extent > tallest or other is None:
            return nearest, None
        return other, nearest

    def _splat_stride(self, axis: Axis) -> int | None:
        return operand_stride(getattr(self.contraction, self.sides.splats), axis)

    def planned(self) -> Plan:
        whole = self.whole_rows.extent if self.whole_rows else 1
        height, width = register_tile(self.target.vector_registers, self.rows.extent if self.rows else 1,
                                      self.vectors, len(self.k) > 1, whole)
        height, width = self._chosen_tile(whole) or (height, width)
        outer = self._outermost()
        row_tiles, row = self.split(self.name(self.rows), height) if self.rows else ("", "")
        column_tiles, columns = self.split(self.name(self.vector), width * self.lanes)
        vectors, lane = self.split(columns, self.lanes)
        rows = [row] if row else []
        if self.whole_rows is not None:
            rows.append(self.name(self.whole_rows))
        tile = [*rows, vectors, lane]
        blocks, column_tiles, row_tiles = self._blocks(outer, column_tiles, row_tiles, tile)
        for name in tile:
            self.sink(name)
        self._order_taps()
        if self.shared:
            self._pack_columns(self.shared[0], column_tiles, vectors, lane)
        elif row_tiles and self.extent(row_tiles) >= _REUSES:
            self._pack_panel(row_tiles, vectors, lane)
        if self.packs_rows:
            self._pack_rows(column_tiles, row_tiles, row)
        self._write_out(rows, vectors, lane, height * whole * width)
        decide_guards(self, self.number)
        blocks = self.fixed_first(blocks)
        if self.flops >= 2 * self.task_flops and prod(self.extent(name) for name in blocks) > 1:
            self.parallel(self.fuse(blocks))
        return self

    def _chosen_tile(self, whole: int) -> tuple[int, int] | None:
        """The tile that a search has found, as far as the kernel has so many rows (``whole`` at a time) and vectors."""
        if self.choices.tile is None:
            return None
        height, width = self.choices.tile
        rows = self.rows.extent if self.rows else 1
        return min(max(1, height // whole), rows), min(width, self.vectors)

    # -------------------------------------------------------------------------------------------------- loops

    def _outermost(self) -> list[str]:
        """Orders the kernel's loops: those outside the tile (returned), the rows, the vector axis, reduced ones."""
        tile = [self.name(axis) for axis in (self.rows, self.whole_rows, self.vector) if axis is not None]
        names = [self.name(axis) for axis in self.kernel.axes]
        summed = [name for name in names if name in self.k]
        outer = [name for name in names if name not in (*tile, *summed)]
        self.reorder([*outer, *tile, *summed])
        return outer

    def _blocks(self, outer: list[str], column_tiles: str, row_tiles: str,
                tile: list[str]) -> tuple[list[str], str, str]:
        """Cuts the loops over tiles into blocks, which become tasks. Returns the loops over blocks, and those inside.

        Few row blocks: each packs its panels anew. The numbers depend on the shape alone.
        """
        first, shared = self._sharing(outer)
        phases = [name for name in outer if name not in (first, *shared) and self._is_phase(name)]
        outer = [name for name in outer if name not in (*shared, *phases)]
        if first:
            outer, shared = self._in_groups(first, outer, shared, self.extent(column_tiles))
        self.shared = shared
        rest, columns = prod(self.extent(name) for name in outer), self.extent(column_tiles)
        rows = self.extent(row_tiles) if row_tiles else 1
        wanted = max(1, min(self.most_tasks, self.flops // self.task_flops))
        across = columns if not self.packs_rows else self._packing_blocks(columns, wanted / rest)
        row_blocks = max(1, min(-(-wanted // (rest * across)), rows // (2 * _REUSES)))
        grouped = max(1, min(columns, rest * columns * row_blocks // (2 * self.most_tasks)))
        if self.packs_rows:
            grouped = max(grouped, -(-columns // across))
        column_blocks, column_tiles = self.split(column_tiles, grouped, peel=False)
        blocks, inside = [*outer, column_blocks], [*phases, *shared, column_tiles]
        if row_tiles:
            row_block, row_tiles = self.split(row_tiles, -(-rows // row_blocks), peel=False)
            blocks.append(row_block)
            inside.append(row_tiles)
        self.reorder([*blocks, *inside, *tile])
        return blocks, column_tiles, row_tiles

    def _packing_blocks(self, columns: int, wanted: float) -> int:
        """How many blocks of columns there are where rows are packed too: a block of columns packs all rows anew, a
        block of rows all columns, and together that is least where the sides of a block are as the operands."""
        rows, lanes = (operand_bytes(getattr(self.contraction, side)) for side in (self.sides.splats, self.sides.lanes))
        return max(1, min(columns // _REUSES, round(sqrt(wanted * lanes / rows))))

    def _in_groups(self, first: str, outer: list[str], shared: list[str],
                   columns: int) -> tuple[list[str], list[str]]:
        """Cuts the loop ``first`` into groups that share packed columns, as large as leaves tasks enough."""
        tasks, extent = columns * prod(self.extent(name) for name in outer), self.extent(first)
        size = next(n for n in range(max(1, min(extent, tasks // _SHARING_TASKS)), 0, -1) if extent % n == 0)
        if size == 1:
            return outer, shared
        group, inside = self.split(first, size, peel=False)
        return [group if name == first else name for name in outer], [inside, *shared]

    def _is_phase(self, name: str) -> bool:
        """Whether a short loop decides, with a reduced one, what is masked: the phases of a strided window's transpose.

        As a loop inside the tasks it is cut, and the taps of each phase are known.
        """
        axis, reduced = self.nest.names[name], set(self.contraction.k)
        return axis.limit is None and axis.extent <= _PHASES and any(
            axis in guard.index.axes and not reduced.isdisjoint(guard.index.axes)
            for guard in masks(self.kernel.statements[self.number]))

    def _order_taps(self) -> None:
        """Long reduced axes outside, short ones (the taps of a convolution) inside; the last is written out.

        A short axis whose steps are the longest, as over images, is none of the taps.
        """
        steps = {name: abs(self._splat_stride(self.nest.names[name]) or 0) for name in self.k}
        farthest = max(steps.values())
        order = sorted(self.k, key=lambda name: self.extent(name) <= _TAPS and steps[name] < farthest)
        if order != self.k:
            self.reorder(order, self.number)
            self.k = order
        if len(order) > 1 and 1 < self.extent(order[-1]) <= _TAPS and self.nest.names[order[-1]].limit is None:
            self.unroll(order[-1], self.number)

    def _write_out(self, rows: list[str], vectors: str, lane: str, accumulators: int) -> None:
        """Instances for all rows and vectors; of a long epilogue, for the vectors of one row at a time."""
        for computes, path in self.sweeps():
            number = computes[0].number
            if number >= len(self.kernel.statements) or self.nest.names[lane] not in [loop.axis for loop in path]:
                continue
            roots = [c.statement.expression for c in computes if isinstance(c.statement, Statement)]
            reduces = any(isinstance(c.statement, Statement) and c.statement.reduced for c in computes)
            if reduces or accumulators <= _REGISTER_TILE or _operations(roots) < _LONG_EPILOGUE:
                for row in rows:
                    self.unroll(row, number)
            self.unroll(vectors, number)
            self.vectorize(lane, number)

    # ------------------------------------------------------------------------------------------------- packing

    def _pack_panel(self, row_tiles: str, vectors: str, lane: str) -> None:
        """Packs the operand that is read in vectors: where they are strided, or rows of it lie far apart."""
        total = operand_bytes(self.contraction.left) + operand_bytes(self.contraction.right)
        scattered = total > _UNPACKED_BYTES and self._is_packed_once(self.sides.lanes, self.sides.columns)
        wanted = self.sides.stride_of_vector != 1 or scattered
        if self.choices.pack_lanes is not None:
            wanted = self.choices.pack_lanes
        panel = prod(self.extent(name) for name in (*self.k, vectors, lane)) * self.target.vector_bytes // self.lanes
        if wanted and panel <= _PANEL_BYTES:
            self._pack_lanes(row_tiles, (*self.k, vectors, lane))

    def _sharing(self, outer: list[str]) -> tuple[str, list[str]]:
        """The loops outside the tile for all of which operands packed once will do: one that makes tasks, and others.

        That is worth it where the operand is gathered, lane by lane.
        """
        operand = getattr(self.contraction, self.sides.lanes)
        axes = [self.nest.names[name] for name in outer]
        depth = prod(self.extent(name) for name in self.k)
        if (self.sides.stride_of_vector == 1 or self.packs_rows or any(axis.limit is not None for axis in axes)
                or depth * self.vector.extent * self.target.vector_bytes > _PANEL_BYTES * self.lanes):
            return "", []
        first, *others = [name for name, axis in zip(outer, axes, strict=True)
                          if operand_stride(operand, axis) == 0] or [""]
        return first, others

    def _pack_columns(self, at: str, column_tiles: str, vectors: str, lane: str) -> None:
        """Packs the operand that is read in vectors for all tiles of a block of columns, outside the loop ``at``."""
        self._pack_lanes(at, (column_tiles, *self.k, vectors, lane))

    def _pack_lanes(self, at: str, layout: tuple[str, ...]) -> None:
        """Packs the operand that is read in vectors; one that is contiguous along k is read that way, in squares."""
        lane = layout[-1]
        self.do(Stage(self.sides.lanes, self.number, at, layout, lane))
        operand = getattr(self.contraction, self.sides.lanes)
        along = next((axis for axis in self.contraction.k if axis.limit is None and axis.extent >= self.lanes
                      and operand_stride(operand, axis) == 1), None)
        if along is not None and self.sides.stride_of_vector != 1 and self.extent(lane) == self.lanes:
            copy = max(compute.number for compute, _ in self.nest.leaves())
            self.do(CopySquares(copy, self.name(along), lane))

    def _pack_rows(self, at: str, row_tiles: str, row: str) -> None:
        """Packs the broadcast operand for all row tiles of a block, in the order in which it lies in memory."""
        self.do(Stage(self.sides.splats, self.number, at, (row_tiles, *self.k, row), row))
        self.reorder([*self.k, row_tiles, row], max(compute.number for compute, _ in self.nest.leaves()))

    @property
    def packs_rows(self) -> bool:
        """Whether the broadcast operand is packed: it is contiguous along the rows instead of along k, and large.

        It is packed once for a block of rows, and serves the column tiles of the block.
        """
        operand = getattr(self.contraction, self.sides.splats)
        if self.rows is None or not self._is_packed_once(self.sides.splats, self.sides.rows):
            return False
        if self.choices.pack_rows is not None:
            return self.choices.pack_rows
        return (operand_bytes(operand) > _UNPACKED_BYTES and operand_stride(operand, self.rows) == 1
                and all(operand_stride(operand, axis) != 1 for axis in self.contraction.k))

    def _is_packed_once(self, side: str, free: tuple[Axis, ...]) -> bool:
        """Whether packing stores no element twice, as it would those under several taps of a window. ``free``: the axes
        of that operand beside k."""
        axes = (*self.contraction.k, *free, *self.contraction.batch)
        return len(self.k) == 1 or is_injective(getattr(self.contraction, side), axes)


def _operations(expressions: Sequence[Expression]) -> int:
    return sum(isinstance(part, Apply) for part in walk(*expressions))
