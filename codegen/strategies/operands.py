"""Questions about the operands of a contraction."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from codegen.expression import walk
from codegen.index import Axis
from codegen.kernel import Contraction, Expression, Read
from codegen.placement import memory_extents, memory_index
from codegen.strategies.plan import stride


class Sides(NamedTuple):
    """The two operands, seen from the axis that becomes lanes.

    lanes: the operand ('left' or 'right') whose index moves along the vector axis; splats: the other, whose elements
    are broadcast. columns and rows: the axes of each.
    """

    lanes: str
    splats: str
    columns: tuple[Axis, ...]
    rows: tuple[Axis, ...]
    stride_of_vector: int | None


def sides(contraction: Contraction, vector: Axis) -> Sides:
    """Which operand is read in vectors if lanes run along ``vector``."""
    if vector in contraction.n:
        return Sides("right", "left", contraction.n, contraction.m, operand_stride(contraction.right, vector))
    return Sides("left", "right", contraction.m, contraction.n, operand_stride(contraction.left, vector))


def operand_stride(operand: Expression, axis: Axis) -> int | None:
    """By how many elements the reads of an operand move along ``axis``: the longest step, None if one is irregular."""
    steps = [stride(memory_index(part.value, part.indices), axis)
             for part in walk(operand) if isinstance(part, Read) and part.indices]
    return None if None in steps else max((step for step in steps if step is not None), key=abs, default=0)


def operand_bytes(operand: Expression) -> int:
    """The memory that the values of an operand take."""
    values = dict.fromkeys(part.value for part in walk(operand) if isinstance(part, Read))
    return sum(prod(memory_extents(value)) * value.dtype.itemsize for value in values)


def filled(axis: Axis, lanes: int) -> float:
    """How much of the vectors along ``axis`` is used."""
    return axis.extent / (-(-axis.extent // lanes) * lanes)


def is_injective(operand: Expression, axes: Sequence[Axis]) -> bool:
    """Whether different places along the axes that the operand depends on are different elements: each axis steps over
    the whole of those with shorter steps."""
    reach = 1
    steps = [(operand_stride(operand, axis), axis.extent) for axis in axes]
    for step, extent in sorted((abs(step or 0), extent) for step, extent in steps if step != 0):
        if step < reach:
            return False
        reach = step * extent
    return True


def longest(axes: Sequence[Axis]) -> Axis | None:
    """The axis with the largest extent (the innermost of equals) among those of constant extent above one."""
    choices = [axis for axis in reversed(axes) if axis.extent > 1 and axis.limit is None]
    return max(choices, key=lambda axis: axis.extent, default=None)
