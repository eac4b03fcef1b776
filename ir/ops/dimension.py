"""dimension_value: a symbolic dimension as a number to compute with."""

from __future__ import annotations

from ir.dtype import DType, dtypes
from ir.node import Node
from ir.ops.arithmetic import add
from ir.ops.constant import constant, constant_like
from ir.ops.reshape import reshape
from ir.ops.slice import slice
from ir.ops.source import iota
from ir.symbolic import Dimension


def dimension_value(dimension: int | Dimension, dtype: DType = dtypes.int32) -> Node:
    """The scalar that ``dimension`` is in a run: one element of a range, so that it needs no op of its own.

        >>> position = Variable("position", 0, 1023)
        >>> less_equal(iota(1024), expand(reshape(dimension_value(position), (1,)), (1024,)))    # a causal mask
        <less_equal bool[1024]>
    """
    if not isinstance(dimension, Dimension):
        return constant(dimension, dtype)
    numbers = iota(dimension.high - dimension.low + 1, dtype)
    place = dimension - dimension.low
    value = reshape(slice(numbers, [(place, place + 1, 1)]), ())
    return add(value, constant_like(value, dimension.low)) if dimension.low else value
