"""argsort: the order of the elements along an axis; sorting, medians and the k largest are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from ir.dtype import dtypes
from ir.node import Node, TensorType, make_node
from ir.op import Op, rejected


class ArgsortAttributes(NamedTuple):
    axis: int
    descending: bool
    places: int


class Argsort(Op):
    """``argsort(x, axis, descending=False, places=n)``: the positions (int32) of the elements of x along ``axis`` in
    order, of the first ``places`` of them: the k least, or with descending the k largest.

    The order is stable: equal elements stay in their order, also with descending. NaN counts as larger than everything,
    0.0 and -0.0 are equal. The sorted elements themselves are a gather at these positions, which has their gradient.

        >>> argsort(x, 1)                                   # x: float32[4, 9]
        <argsort int32[4, 9]>
        >>> argsort(x, 1, descending=True, places=2)
        <argsort int32[4, 2]>
    """

    name = "argsort"
    Attributes = ArgsortAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (x,) = operands
        axis, _, places = attributes
        if not 0 <= places <= x.shape[axis]:
            raise rejected("argsort", operands, f"from 0 to {x.shape[axis]} places", f"given {places}")
        return TensorType(dtypes.int32, (*x.shape[:axis], places, *x.shape[axis + 1:]))

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (None,)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        x = np.asarray(operands[0])
        axis, descending, places = node.attributes
        order = np.argsort(_turned(x) if descending else x, axis=axis, kind="stable")
        return np.take(order, range(places), axis).astype(np.int32)


def _turned(x: Any) -> Any:
    """An array of another type whose rising order is the falling order of ``x``, with NaN first."""
    if x.dtype.kind != "f":
        return ~x
    ranks = np.unique(x, return_inverse=True)[1].reshape(x.shape)  # NaN has the highest
    return -ranks


ARGSORT = Argsort()


def argsort(x: Node, axis: int, descending: bool = False, places: int | None = None) -> Node:
    """The positions of the elements of ``x`` along ``axis`` in order, by default of all of them. See ``Argsort``."""
    if not 0 <= axis < len(x.shape) or not isinstance(x.shape[axis], int):
        raise rejected("argsort", (x,), "an axis of fixed length", f"given axis {axis}")
    number = cast(int, x.shape[axis]) if places is None else places
    return make_node(ARGSORT, (x,), ArgsortAttributes(axis, descending, number))
