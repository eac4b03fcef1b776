"""cast and bitcast: the same number, or the same bits, as another dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ir.dtype import DType, bfloat16_to_float32, dtypes, float32_to_bfloat16
from ir.node import Node, TensorType, make_node
from ir.op import Op, rejected
from ir.ops.constant import constant, constant_value


class CastAttributes(NamedTuple):
    dtype: DType


class Cast(Op):
    """``cast(x, dtype)``: the nearest number in ``dtype``.

    To bool: whether x is not 0 (NaN is true). Float to integer: truncated toward zero, saturated at the ends of the
    type, NaN becomes 0 (LLVM's fptosi.sat, PTX's cvt.rzi.sat). Integer to integer: the low bits (wraps). To a
    narrower float: nearest, ties to even; float64 reaches bfloat16 through float32.

        >>> cast(x, dtypes.int32)
        <cast int32[2, 3]>
    """

    name = "cast"
    Attributes = CastAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (x,) = operands
        if x.dtype is dtypes.void or attributes.dtype is dtypes.void:
            raise rejected("cast", operands, f"element types, not {attributes.dtype}")
        return TensorType(attributes.dtype, x.shape)

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        source = node.operands[0].dtype
        return (cast(cotangent, source) if source.is_float and node.dtype.is_float else None,)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        x, target = np.asarray(operands[0]), node.dtype
        if target.is_bool:
            return x != 0
        if target.is_integer and node.operands[0].dtype.is_float:
            return _saturated(x.astype(np.float64), target)
        return target.rounded(x)


def _saturated(x: Any, target: DType) -> Any:
    low, high = int(target.minimum), int(target.maximum)
    too_high, too_low = x >= float(high), x <= float(low)
    inside = np.where(np.isnan(x) | too_high | too_low, 0.0, x).astype(target.held)
    return np.where(too_high, target.held.type(high), np.where(too_low, target.held.type(low), inside))


CAST = Cast()


def cast(x: Node, dtype: DType) -> Node:
    """``x`` with its elements converted to ``dtype``."""
    if x.dtype is dtype:
        return x
    node = make_node(CAST, (x,), CastAttributes(dtype))
    value = constant_value(x)
    if value is None:
        return node
    folded = CAST.evaluate(node, [np.asarray(value, dtype=x.dtype.held)])
    return constant(np.asarray(folded).item(), dtype, x.shape)


class Bitcast(Op):
    """``bitcast(x, dtype)``: the same bits read as another dtype of the same size."""

    name = "bitcast"
    Attributes = CastAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (x,) = operands
        if x.dtype.bits != attributes.dtype.bits:
            raise rejected("bitcast", operands, f"a dtype as wide as {attributes.dtype}, {attributes.dtype.bits} bits",
                           "cast converts between widths")
        return TensorType(attributes.dtype, x.shape)

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (None,)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        x = np.asarray(operands[0])
        stored = float32_to_bfloat16(x) if node.operands[0].dtype is dtypes.bfloat16 else x
        bits = np.ascontiguousarray(stored).view(node.dtype.numpy).reshape(x.shape)
        return bfloat16_to_float32(bits) if node.dtype is dtypes.bfloat16 else bits


BITCAST = Bitcast()


def bitcast(x: Node, dtype: DType) -> Node:
    """``x`` with the bits of its elements read as ``dtype``."""
    return x if x.dtype is dtype else make_node(BITCAST, (x,), CastAttributes(dtype))
