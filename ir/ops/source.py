"""Values that come from outside the graph: buffer, parameter, iota."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from ir.dtype import DType, dtypes
from ir.node import Location, Node, Shape, TensorType, make_node, unique_node
from ir.op import GraphError, Op, as_shape, as_size, describe
from ir.symbolic import Dimension


class BufferAttributes(NamedTuple):
    handle: Any
    dtype: DType
    shape: Shape


class BufferOp(Op):
    """Memory that the runtime owns. Two buffers are never the same node, even with equal attributes."""

    name = "buffer"
    pure = False
    Attributes = BufferAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        return TensorType(attributes.dtype, attributes.shape)

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return ()

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        raise GraphError(f"no value was given for the buffer {describe(node)}; bind it: "
                         "ir.evaluate(outputs, {buffer: array})")


BUFFER = BufferOp()


def buffer(handle: Any, dtype: DType, shape: Sequence[int | Dimension], location: Location | None = None) -> Node:
    """The contents of ``handle`` (the runtime's object for the memory) as a value."""
    shape = as_shape(shape)
    return unique_node(BUFFER, BufferAttributes(handle, dtype, shape), dtype, shape, location)


class ParameterAttributes(NamedTuple):
    number: int
    dtype: DType
    shape: Shape


class Parameter(Op):
    """The ``number``-th argument of a body or of a canonical program."""

    name = "parameter"
    Attributes = ParameterAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        return TensorType(attributes.dtype, attributes.shape)

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return ()

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        raise GraphError(f"no value was given for parameter {node.attributes.number} {describe(node)}; bind it: "
                         "ir.evaluate(outputs, {parameter: array})")


PARAMETER = Parameter()
_FIRST_FRESH_NUMBER = 1 << 32
_fresh_numbers = count(_FIRST_FRESH_NUMBER)


def parameter(number: int, dtype: DType, shape: Sequence[int | Dimension]) -> Node:
    """The placeholder for argument ``number``. Equal placeholders are one node."""
    return make_node(PARAMETER, (), ParameterAttributes(number, dtype, as_shape(shape)))


def fresh_parameter(dtype: DType, shape: Sequence[int | Dimension]) -> Node:
    """A placeholder unlike any other, for tracing a body that may lie inside another; ``body`` renumbers it."""
    return parameter(next(_fresh_numbers), dtype, shape)


def is_fresh(node: Node) -> bool:
    """Whether ``node`` is a fresh parameter: one of a body that is still being traced."""
    return node.op is PARAMETER and node.attributes.number >= _FIRST_FRESH_NUMBER


class IotaAttributes(NamedTuple):
    length: int | Dimension
    dtype: DType


class Iota(Op):
    """``iota(length)``: 0, 1, ..., length - 1.

        >>> iota(4)
        <iota int32[4]>
    """

    name = "iota"
    Attributes = IotaAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        length, dtype = attributes
        if not length >= 0:
            raise GraphError(f"iota({length}): expected a length of at least 0")
        if not (dtype.is_integer or dtype.is_float):
            raise GraphError(f"iota({length}, {dtype}): expected an integer or floating-point dtype")
        return TensorType(dtype, (length,))

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return ()

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        return node.dtype.rounded(np.arange(node.attributes.length))


IOTA = Iota()


def iota(length: int | Dimension, dtype: DType = dtypes.int32) -> Node:
    """The numbers 0, 1, ..., length - 1 as a vector."""
    return make_node(IOTA, (), IotaAttributes(as_size(length), dtype))
