"""Contractions: sums of products, in register tiles or as dot products.

What a contraction is like is told by strides alone, so that matmul in every transposition, einsum, convolution and
their gradients are one code path. Lanes run along the axis along which the output is contiguous (``register_tile``),
unless its operand would have to be packed for too few rows and both operands are contiguous along k (``dot_form``).
"""

from __future__ import annotations

from math import prod

from codegen.index import Axis
from codegen.kernel import Contraction, Kernel, Statement
from codegen.placement import memory_index
from codegen.strategies.dot_form import plan_dot_form
from codegen.strategies.long_sums import cut_long_sum
from codegen.strategies.operands import filled, operand_bytes, operand_stride, sides
from codegen.strategies.plan import Plan, accesses, element_bytes, stride
from codegen.strategies.register_tile import plan_register_tile
from codegen.strategies.sweeps import plan_sweeps
from codegen.target import Target

_WELL_FILLED = 0.8  # of the lanes
_WORTH_SCATTERING = 1.25  # by how much better lanes must be filled to be stored one by one
_STRIDED = 0.5  # what vectors that must be gathered are worth
_LONG_SUM = 128  # terms
_PACK_ROWS = 16  # rows that must share a panel to pay for packing it with long strides


def plan_contraction(kernel: Kernel, target: Target) -> list[Plan]:
    """The plans of a kernel with a contraction among its statements."""
    number = _main(kernel)
    statement = kernel.statements[number]
    assert isinstance(statement, Statement) and statement.contraction is not None
    contraction = statement.contraction
    if not {*contraction.batch, *contraction.m, *contraction.n} <= set(kernel.axes):
        return [plan_sweeps(kernel, target)]
    lanes = target.lanes(element_bytes([s for s in kernel.statements if isinstance(s, Statement)]))
    vector = _contiguous_axis(kernel, statement, lanes)
    if vector is None or sides(contraction, vector).stride_of_vector != 1:
        cut = cut_long_sum(kernel, target, number, lanes)
        if cut is not None:
            main, finishing, axis = cut
            return [plan_register_tile(main, target, 0, axis, lanes), plan_sweeps(finishing, target)]
    return [_plan_whole(kernel, target, number, vector, lanes)]


def _plan_whole(kernel: Kernel, target: Target, number: int, vector: Axis | None, lanes: int) -> Plan:
    """The plan where one kernel does it all; ``vector``: the axis along which the output is contiguous."""
    statement = kernel.statements[number]
    assert isinstance(statement, Statement) and statement.contraction is not None
    contraction = statement.contraction
    along = _dot_axis(contraction)
    used = max((filled(axis, lanes) for axis in (vector, along) if axis is not None), default=0.0)
    if vector is not None and len(contraction.k) > 1 and (sides(contraction, vector).stride_of_vector or 0) > 1:
        used *= _STRIDED  # lanes along the steps of a window
    if used < _WELL_FILLED:
        better = _filling_axis(contraction, used, lanes, target)
        if better is not None:
            return plan_register_tile(kernel, target, number, better, lanes)
    if along is not None and (vector is None or not _reads_lanes_well(contraction, vector)):
        return plan_dot_form(kernel, target, number, along, lanes)
    if vector is None:
        return plan_sweeps(kernel, target)
    return plan_register_tile(kernel, target, number, vector, lanes)


def _main(kernel: Kernel) -> int:
    """The contraction that takes most of the kernel's time."""
    work = {number: prod(axis.extent for axis in {*kernel.axes, *statement.axes})
            for number, statement in enumerate(kernel.statements)
            if isinstance(statement, Statement) and statement.contraction}
    return max(work, key=lambda number: (work[number], -number))


def _contiguous_axis(kernel: Kernel, statement: Statement, lanes: int) -> Axis | None:
    """The axis of m or n along which most of what the tile reads and writes besides the operands is contiguous.

    It must fill vectors at least by half. Without an epilogue that is the axis along which the output is contiguous.
    """
    assert statement.contraction is not None
    around = [index for s in kernel.statements if isinstance(s, Statement) and not s.reduced
              for index in accesses(kernel, s)]
    if not around or statement.value in kernel.outputs:
        around.append(memory_index(statement.value, statement.indices))
    votes = {axis: sum(stride(index, axis) == 1 for index in around)
             for axis in (*statement.contraction.n, *statement.contraction.m)
             if 2 * axis.extent >= lanes and axis.limit is None}
    best = max(votes, key=lambda axis: votes[axis], default=None)
    return best if best is not None and votes[best] else None


def _filling_axis(contraction: Contraction, used: float, lanes: int, target: Target) -> Axis | None:
    """An axis that fills vectors better than ``used``, though the output is not contiguous along it.

    Storing the output lane by lane, and packing the operand by gathers, must be worth it: for long sums and enough
    rows, but not for panels that leave the caches. The smaller operand is packed.
    """
    depth = prod(axis.extent for axis in contraction.k)
    if depth < _LONG_SUM or depth * target.vector_bytes > target.l2_bytes:
        return None
    least = max(_WELL_FILLED, _WORTH_SCATTERING * used)
    fitting = [axis for axis in (*contraction.n, *contraction.m) if axis.limit is None and axis.extent >= lanes
               and filled(axis, lanes) >= least
               and prod(row.extent for row in sides(contraction, axis).rows) >= _PACK_ROWS]
    return min(fitting, default=None, key=lambda axis: (
        operand_bytes(getattr(contraction, sides(contraction, axis).lanes)), axis.extent))


def _dot_axis(contraction: Contraction) -> Axis | None:
    """A reduced axis along which both operands are contiguous."""
    return next((axis for axis in contraction.k if axis.extent > 1 and
                 operand_stride(contraction.left, axis) == 1 == operand_stride(contraction.right, axis)), None)


def _reads_lanes_well(contraction: Contraction, vector: Axis) -> bool:
    """True where lanes along ``vector`` are read directly, or by enough rows to pay for packing."""
    side = sides(contraction, vector)
    return side.stride_of_vector == 1 or prod(axis.extent for axis in side.rows) >= _PACK_ROWS
