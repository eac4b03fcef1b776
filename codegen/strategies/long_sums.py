"""Sums of products that are longer than the rows which share a packed panel: cut into chunks that run in parallel.

The weight gradient of a convolution sums over all images and positions; its outputs are few. Were they shared out,
every task would pack the same images. So the images are: each chunk of them gives a partial sum of all outputs, stored
with the lanes contiguous, and a second kernel adds the chunks in their order and does what follows the sum. Chunks
depend on shapes alone, so that the result is the same for any number of threads.
"""

from __future__ import annotations

from math import prod

from codegen.guarded_loops import masks
from codegen.index import Axis
from codegen.kernel import Kernel, Statement
from codegen.partials import cut_sum
from codegen.strategies.operands import filled, sides
from codegen.target import Target

_CHUNKS = 16  # tasks that are wanted
_ROWS = 48  # that must share a panel
_OUTPUTS = 64  # for each term of the sum: of more, partial sums cost more than packing


def cut_long_sum(kernel: Kernel, target: Target, number: int, lanes: int) -> tuple[Kernel, Kernel, Axis] | None:
    """The kernel of partial sums, the one that finishes them, and the axis of the lanes, where cutting is worth it."""
    statement = kernel.statements[number]
    assert isinstance(statement, Statement) and statement.contraction is not None
    contraction = statement.contraction
    others = [s for s in kernel.statements if s is not statement]
    if (number or contraction.batch or set(kernel.axes) != {*contraction.m, *contraction.n}
            or any(not isinstance(s, Statement) or s.reduced or s.scatter for s in others)
            or any(axis.limit is not None for axis in statement.axes)):
        return None
    vector = _widest(statement, lanes)
    if vector is None:
        return None
    rows, depth = prod(axis.extent for axis in sides(contraction, vector).rows), prod(a.extent for a in contraction.k)
    if rows < _ROWS or depth <= rows or prod(a.extent for a in kernel.axes) > _OUTPUTS * depth:
        return None
    panels = -(-vector.extent // (2 * lanes))
    fitting = -(-depth * 2 * target.vector_bytes // (target.l2_bytes // 2))
    chunks = max(fitting, -(-_CHUNKS // panels))
    masked = frozenset[Axis]().union(*(guard.index.axes for guard in masks(statement)))
    whole = [a for a in contraction.k if a not in masked and a.extent > 1] or list(contraction.k)  # tests inside cost
    axis = next((a for a in whole if a.extent >= chunks), max(whole, key=lambda a: a.extent))
    chunks = next((n for n in range(chunks, 2 * chunks) if axis.extent % n == 0), min(chunks, axis.extent))
    if chunks < 2:
        return None
    return *cut_sum(kernel, statement, axis, chunks, vector), vector


def _widest(statement: Statement, lanes: int) -> Axis | None:
    """The axis that fills vectors best, of those whose panels enough rows share."""
    contraction = statement.contraction
    assert contraction is not None
    filling = [axis for axis in (*contraction.m, *contraction.n) if 2 * axis.extent >= lanes]
    return max(filling, default=None, key=lambda axis: filled(axis, lanes) * min(
        1.0, prod(row.extent for row in sides(contraction, axis).rows) / _ROWS))
