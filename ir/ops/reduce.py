"""reduce: the elements along some axes combined into one. Softmax, norms, contractions and losses are made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import Any, NamedTuple

import numpy as np

from ir import ops
from ir.dtype import DType, Scalar, dtypes
from ir.node import Node, Shape, TensorType, make_node
from ir.op import GraphError, Op, rejected
from ir.ops.constant import constant, constant_value
from ir.symbolic import product


class ReduceAttributes(NamedTuple):
    monoid: str
    axes: tuple[int, ...]


class Monoid(NamedTuple):
    """How a reduction combines, in NumPy; ``identity`` is the result of reducing nothing, by dtype."""

    combine: Callable[..., Any]
    identity: Callable[[DType], Scalar]
    accepts_bool: bool


MONOIDS: dict[str, Monoid] = {
    "sum": Monoid(np.sum, lambda dtype: dtype.constant(0), False),
    "prod": Monoid(np.prod, lambda dtype: dtype.constant(1), False),
    "max": Monoid(np.max, lambda dtype: dtype.minimum, True),
    "min": Monoid(np.min, lambda dtype: dtype.maximum, True),
}
ARGUMENT_MONOIDS: dict[str, Callable[..., Any]] = {"argmax": np.argmax, "argmin": np.argmin}


def identity(monoid: str, dtype: DType) -> Scalar:
    """What ``monoid`` gives for no elements: 0, 1, and the least and greatest value for max and min."""
    return MONOIDS[monoid].identity(dtype)


class Reduce(Op):
    """``reduce(monoid, x, axes)``: the reduced axes disappear.

    sum, prod: of numbers, in the dtype of x; integers wrap; 16-bit floats accumulate in float32. max, min: NaN wins;
    bool counts False < True. argmax, argmin: the int32 position of the first extreme element (of the first NaN where
    there is one), counted row-major over the reduced axes. No elements give the monoid's identity.

        >>> reduce("sum", x, (0, 2))                        # x: float32[2, 3, 4]
        <reduce float32[3]>

    Gradient: max and min share the cotangent equally among ties; prod is exact with zeros, at any order.
    """

    name = "reduce"
    Attributes = ReduceAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (x,) = operands
        monoid, axes = attributes
        call = f"reduce '{monoid}'"
        if monoid not in MONOIDS and monoid not in ARGUMENT_MONOIDS:
            raise GraphError(f"no reduction is named {monoid!r}; there are {', '.join([*MONOIDS, *ARGUMENT_MONOIDS])}")
        if list(axes) != sorted(set(axes)) or (axes and not 0 <= axes[0] <= axes[-1] < len(x.shape)):
            raise rejected(call, operands, f"distinct axes in [0, {len(x.shape)}) in rising order", f"given {axes}")
        if x.dtype.is_bool and monoid in MONOIDS and not MONOIDS[monoid].accepts_bool:
            raise rejected(call, operands, "numbers", "cast first; 'max' of bool is any, 'min' is all")
        if monoid in ARGUMENT_MONOIDS and any(x.shape[axis] == 0 for axis in axes):
            raise rejected(call, operands, "at least one element to choose from")
        shape = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
        return TensorType(dtypes.int32 if monoid in ARGUMENT_MONOIDS else x.dtype, shape)

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        x = node.operands[0]
        monoid, axes = node.attributes
        if monoid == "sum":
            return (spread(cotangent, x.shape, axes),)
        if monoid == "prod":
            return (ops.mul(spread(cotangent, x.shape, axes), products_of_others(x, axes)),)
        if monoid in ARGUMENT_MONOIDS:
            return (None,)
        extreme = ops.equal(x, spread(node, x.shape, axes))
        share = ops.div(cotangent, reduce("sum", ops.cast(extreme, x.dtype), axes))
        return (ops.where(extreme, spread(share, x.shape, axes), constant(0, x.dtype, x.shape)),)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        x = np.asarray(operands[0]).astype(node.operands[0].dtype.computed, copy=False)
        monoid, axes = node.attributes
        if monoid in ARGUMENT_MONOIDS:
            kept = [axis for axis in range(x.ndim) if axis not in axes]
            flat = x.transpose(*kept, *axes).reshape(*(x.shape[axis] for axis in kept), -1)
            return ARGUMENT_MONOIDS[monoid](flat, axis=-1).astype(np.int32)
        rule = MONOIDS[monoid]
        options: dict[str, Any] = {"initial": rule.identity(node.dtype)} if monoid in ("max", "min") else {
            "dtype": x.dtype}
        return node.dtype.rounded(rule.combine(x, axis=axes, **options))


REDUCE = Reduce()


def reduce(monoid: str, x: Node, axes: Sequence[int]) -> Node:
    """``x`` reduced over ``axes`` (negative ones count from the end), which disappear from its shape."""
    axes = tuple(sorted(axis + len(x.shape) if axis < 0 else axis for axis in map(index, axes)))
    if monoid in MONOIDS:
        if not axes:
            return x
        if all(0 <= axis < len(x.shape) and x.shape[axis] == 1 for axis in axes) and len(set(axes)) == len(axes):
            return ops.reshape(x, [size for axis, size in enumerate(x.shape) if axis not in axes])
    node = make_node(REDUCE, (x,), ReduceAttributes(monoid, axes))
    value, count = constant_value(x), product(x.shape[axis] for axis in axes)
    if value is None or not isinstance(count, int) or count == 0:
        return node
    if monoid in ("max", "min"):
        return constant(value, x.dtype, node.shape)
    return constant(value * count, x.dtype, node.shape) if monoid == "sum" else node


def spread(reduced: Node, shape: Shape, axes: tuple[int, ...]) -> Node:
    """A reduced value repeated along the reduced axes, up to ``shape`` again."""
    kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
    return ops.expand(ops.reshape(reduced, kept), shape)


def products_of_others(x: Node, axes: tuple[int, ...]) -> Node:
    """At each element the product of all the others along ``axes``: of those before times of those after.

    Dividing the whole product by the element would fail at zeros, and at the second order next to them.
    """
    if len(axes) == 1:
        return ops.mul(_running_product(x, axes[0], reverse=False), _running_product(x, axes[0], reverse=True))
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    order = [*axes, *kept]
    moved = ops.permute(x, order)
    rows = ops.reshape(moved, [product(x.shape[axis] for axis in axes), *(x.shape[axis] for axis in kept)])
    others = products_of_others(rows, (0,))
    return ops.permute(ops.reshape(others, moved.shape), sorted(range(len(order)), key=order.__getitem__))


def _running_product(x: Node, axis: int, reverse: bool) -> Node:
    """The product of the elements before each along ``axis`` (after it, in reverse)."""
    shape = x.shape[:axis] + x.shape[axis + 1:]
    so_far, row = (ops.parameter(number, x.dtype, shape) for number in (0, 1))
    step = ops.Body((so_far, row), (ops.mul(so_far, row), so_far))
    return ops.project(ops.scan(step, (constant(1, x.dtype, shape),), (x,), reverse, axis=axis), 1)
