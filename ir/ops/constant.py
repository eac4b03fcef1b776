"""constant: the same number in every element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ir.dtype import DType, Scalar
from ir.node import Node, Shape, TensorType, make_node
from ir.op import Op, as_shape


class ConstantAttributes(NamedTuple):
    value: Scalar
    dtype: DType
    shape: Shape


class Constant(Op):
    """``constant(value, dtype, shape)``: every element is ``value`` as the dtype holds it (``DType.constant``).

    Constants are interned by bits: NaN is one object; -0.0 and 0.0, and 1, 1.0 and True are different ones.

        >>> constant(1.5, dtypes.float32, (2, 3))
        <constant float32[2, 3]>
    """

    name = "constant"
    Attributes = ConstantAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        return TensorType(attributes.dtype, attributes.shape)

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return ()

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        return np.full(node.shape, node.attributes.value, dtype=node.dtype.held)


CONSTANT = Constant()


def constant(value: Scalar, dtype: DType, shape: Sequence[Any] = ()) -> Node:
    """A tensor of ``shape`` whose every element is ``value``. Floats round, integers wrap, bool is != 0."""
    return make_node(CONSTANT, (), ConstantAttributes(dtype.constant(value), dtype, as_shape(shape)))


def constant_like(x: Node, value: Scalar) -> Node:
    """A constant of the dtype and shape of ``x``."""
    return constant(value, x.dtype, x.shape)


def constant_value(x: Node) -> Scalar | None:
    """The number in every element of ``x``, or None where ``x`` is no constant."""
    return x.attributes.value if x.op is CONSTANT else None
