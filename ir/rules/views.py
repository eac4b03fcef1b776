"""Rules for views, reductions, gathers and markers: compositions, dead parts, work done before repetition.

Exact for every dtype, except where a rule says that it is for integers: summing a repeated float is not a product
(every addition rounds), and neither are sums of sums the same sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ir import ops
from ir.dtype import Scalar
from ir.node import Node, Shape, make_node
from ir.op import Op
from ir.ops.constant import constant, constant_like, constant_value
from ir.ops.elementwise import ELEMENTWISE
from ir.rewrite import Capture, Match, Rule, rule
from ir.symbolic import upper_bound

X, Y = Capture("x"), Capture("y")
BUILDERS: dict[Op, Callable[..., Node]] = {
    ops.RESHAPE: ops.reshape, ops.PERMUTE: ops.permute, ops.EXPAND: ops.expand, ops.PAD: ops.pad, ops.SLICE: ops.slice,
    ops.FLIP: ops.flip, ops.WINDOW: ops.window, ops.SKEW: ops.skew,
}
POINTWISE: tuple[Op, ...] = (*ELEMENTWISE.values(), ops.CAST, ops.BITCAST)


def has_known_shape(node: Node) -> bool:
    """No symbolic dimension, neither in the shape nor in those of the operands."""
    return all(isinstance(n, int) for shape in (node.shape, *(x.shape for x in node.operands)) for n in shape)


def is_integer(node: Node) -> bool:
    return node.dtype.is_integer


def is_empty(node: Node) -> bool:
    """A computed value of no elements."""
    return 0 in node.shape and bool(node.operands) and node.op.pure


@rule(Match(None, name="node", guard=is_empty), measure="a constant is lightest")
def nothing_computed(node: Node) -> Node:
    """A value without elements is the constant without elements."""
    return constant(0, node.dtype, node.shape)


# ------------------------------------------------------------------------------------------------ compositions


@rule(Match(tuple(BUILDERS), X, name="view"), measure="one view fewer; a window is heavier than what it becomes")
def views_composed(view: Node, x: Node) -> Node:
    """What the builder makes of a view: reshape of reshape, permute of permute, slice of slice, ... are one."""
    return BUILDERS[view.op](x, *view.attributes)


@rule(Match(ops.SLICE, Match(ops.EXPAND, X, name="expanded"), name="node"), measure="fewer elements below the slice")
def slice_of_expand(node: Node, expanded: Node, x: Node) -> Node:
    """A slice of a repetition is a shorter repetition of a slice."""
    ranges = [(0, 1, 1) if n != repeated else bounds
              for n, repeated, bounds in zip(x.shape, expanded.shape, node.attributes.ranges, strict=True)]
    return ops.expand(ops.slice(x, ranges), node.shape)


@rule(Match(ops.SLICE, Match(ops.PERMUTE, X, name="permuted"), name="node"), measure="fewer elements below the slice")
def slice_of_permute(node: Node, permuted: Node, x: Node) -> Node:
    """A slice of reordered axes is a slice with its axes reordered."""
    order = permuted.attributes.order
    ranges = sorted(zip(order, node.attributes.ranges, strict=True), key=lambda pair: pair[0])
    return ops.permute(ops.slice(x, [bounds for _, bounds in ranges]), order)


@rule(Match(ops.SLICE, Match(ops.PAD, X, name="padded", guard=has_known_shape), name="node", guard=has_known_shape),
      measure="fewer elements below the slice")
def slice_of_pad(node: Node, padded: Node, x: Node) -> Node | None:
    """A slice of a pad is a narrower pad of a narrower slice; where only padding is left, a constant."""
    ranges, widths = [], []
    parameters = zip(node.attributes.ranges, padded.attributes.widths, x.shape, node.shape, strict=True)
    for (start, stop, step), (before, after), length, count in parameters:
        if not all(isinstance(n, int) for n in (start, stop, before, after)):
            return None
        first = min(max(-(-(before - start) // step), 0), count)  # the elements [first, last) lie inside x
        last = min(max(-(-(before + length - start) // step), first), count)
        if first == last:
            return constant(padded.attributes.fill, node.dtype, node.shape)
        begin = start + first * step - before
        ranges.append((begin, begin + (last - first - 1) * step + 1, step))
        widths.append((first, count - last))
    return ops.pad(ops.slice(x, ranges), widths, padded.attributes.fill)


# ------------------------------------------------------------------------------------------------------- concat


@rule(Match(ops.SLICE, Match(ops.CONCAT, name="joined", guard=has_known_shape), name="node", guard=has_known_shape),
      measure="the concat loses operands")
def slice_of_concat(node: Node, joined: Node) -> Node | None:
    """Operands of a concat that the slice does not touch are dropped."""
    axis = joined.attributes.axis
    start, stop, step = node.attributes.ranges[axis]
    last = start + (node.shape[axis] - 1) * step
    kept: list[Node] = []
    origin = offset = 0
    for operand in joined.operands:
        if offset + operand.shape[axis] > start and offset <= last:
            kept.append(operand)
        elif not kept:
            origin = offset + operand.shape[axis]
        offset += operand.shape[axis]
    if not kept or len(kept) == len(joined.operands):
        return None
    ranges = list(node.attributes.ranges)
    ranges[axis] = (start - origin, min(stop - origin, sum(x.shape[axis] for x in kept)), step)
    return ops.slice(ops.concat(kept, axis), ranges)


@rule(Match(ops.CONCAT, name="node"), measure="one concat fewer")
def concat_of_concat(node: Node) -> Node | None:
    """Concats within a concat along the same axis are one; empty operands vanish."""
    operands = [inner for x in node.operands for inner in
                (x.operands if x.op is ops.CONCAT and x.attributes == node.attributes else (x,))]
    return ops.concat(operands, node.attributes.axis)


@rule(Match(ops.CONCAT, name="node", guard=has_known_shape), measure="the concat loses operands")
def neighbours_joined(node: Node) -> Node | None:
    """Neighbours in a concat that are adjacent slices of one value, or equal constants, are one operand."""
    axis = node.attributes.axis
    operands = [node.operands[0]]
    for operand in node.operands[1:]:
        merged = _joined(operands[-1], operand, axis)
        operands[-1:] = [operands[-1], operand] if merged is None else [merged]
    return ops.concat(operands, axis) if len(operands) < len(node.operands) else None


def _joined(left: Node, right: Node, axis: int) -> Node | None:
    """One node for the concat of the two, if a slice or a constant is equal to it."""
    if left.op is ops.CONSTANT and right.op is ops.CONSTANT and _same(left.attributes.value, right.attributes.value):
        shape = list(left.shape)
        shape[axis] += right.shape[axis]
        return constant(left.attributes.value, left.dtype, shape)
    if left.op is not ops.SLICE or right.op is not ops.SLICE or left.operands != right.operands:
        return None
    ranges, others = list(left.attributes.ranges), list(right.attributes.ranges)
    (start, middle, step), (restart, stop, other_step) = ranges[axis], others[axis]
    ranges[axis] = others[axis] = (start, stop, 1)
    adjacent = step == other_step == 1 and middle == restart and ranges == others
    return ops.slice(left.operands[0], ranges) if adjacent else None


def _same(left: Scalar, right: Scalar) -> bool:
    return left is right or left == right


@rule(Match(ops.add, Match(ops.PAD, X, name="left", guard=has_known_shape), Match(ops.PAD, Y, name="right",
            guard=has_known_shape), name="node", commutative=True), measure="one pad fewer")
def neighbouring_pads_added(node: Node, left: Node, right: Node, x: Node, y: Node) -> Node | None:
    """The sum of two values padded with zeros, side by side, is their concat: no element is added to any but zero.

    Adding 0.0 turns -0.0 into 0.0: float operands keep that addition unless they are known to hold no -0.0.
    """
    if left.attributes.fill != 0 or right.attributes.fill != 0:
        return None
    differing = [axis for axis, (a, b) in enumerate(zip(left.attributes.widths, right.attributes.widths, strict=True))
                 if a != b]
    if len(differing) != 1:
        return None
    (axis,) = differing
    (before, _), (start, after) = left.attributes.widths[axis], right.attributes.widths[axis]
    if start != before + x.shape[axis]:
        return None
    widths = list(left.attributes.widths)
    widths[axis] = (before, after)
    return ops.pad(ops.concat([_plus_zero(x), _plus_zero(y)], axis), widths)


def _plus_zero(x: Node) -> Node:
    """x + 0.0, for which x itself serves where it holds no -0.0: integers, squares, what 0.0 has been added to."""
    pending = [x]
    while pending:
        node = pending.pop()
        if node.op.view and node.op not in (ops.PAD, ops.WINDOW):
            pending.extend(node.operands)
        elif node.dtype.is_float and not _never_negative_zero(node):
            return ops.add(x, constant_like(x, 0))
    return x


def _never_negative_zero(node: Node) -> bool:
    if node.op is ops.CONSTANT:
        return bool(node.attributes.value != node.dtype.constant(-0.0))
    if node.op is ops.add:
        return any(constant_value(operand) == 0 for operand in node.operands)
    return node.op in (ops.abs, ops.exp, ops.exp2)


# --------------------------------------------------------------------------------------------- repeated values


def reads_repeated(node: Node) -> bool:
    """Whether some operand is an expand, and every other one too or a constant."""
    return (any(x.op is ops.EXPAND for x in node.operands)
            and all(x.op in (ops.EXPAND, ops.CONSTANT) for x in node.operands))


def size(shape: Shape) -> int:
    """How many elements, of the largest that a symbolic shape can be."""
    return math.prod(upper_bound(n) for n in shape)


@rule(Match(POINTWISE, name="node", guard=reads_repeated), measure="fewer elements computed")
def computed_before_repetition(node: Node) -> Node | None:
    """f(expand(x), expand(y)) = expand(f(x, y)), where x and y have one shape; constants count as repeated."""
    sources = [x.operands[0] for x in node.operands if x.op is ops.EXPAND]
    shape = sources[0].shape
    if any(x.shape != shape for x in sources) or size(shape) >= size(node.shape):
        return None
    operands = tuple(x.operands[0] if x.op is ops.EXPAND else constant(x.attributes.value, x.dtype, shape)
                     for x in node.operands)
    return ops.expand(make_node(node.op, operands, node.attributes), node.shape)


@rule(Match(ops.REDUCE, Match(ops.EXPAND, X, name="repeated"), name="node"), measure="fewer elements reduced")
def reduced_before_repetition(node: Node, repeated: Node, x: Node) -> Node | None:
    """Rows that are copies of one have one sum (product, maximum, ...): the reduction of one row, repeated."""
    monoid, axes = node.attributes
    if size(x.shape) >= size(repeated.shape):
        return None
    shape = [n if axis in axes else x.shape[axis] for axis, n in enumerate(repeated.shape)]
    once = ops.reduce(monoid, ops.expand(x, shape), axes)
    return ops.expand(once, node.shape) if once.shape != node.shape else None


@rule(Match(ops.REDUCE, Match(ops.EXPAND, X, name="repeated", guard=has_known_shape), name="node"),
      measure="fewer elements reduced")
def copies_reduced(node: Node, repeated: Node, x: Node) -> Node | None:
    """max and min of copies are those of one; the sum of copies, for integers, is one times their number."""
    monoid, axes = node.attributes
    if monoid not in ("max", "min") and not (monoid == "sum" and is_integer(node)):
        return None
    shape = [x.shape[axis] if axis in axes else n for axis, n in enumerate(repeated.shape)]
    count = size(repeated.shape) // max(size(tuple(shape)), 1)
    if count <= 1:
        return None
    once = ops.reduce(monoid, ops.expand(x, shape), axes)
    return ops.mul(once, constant_like(once, count)) if monoid == "sum" else once


@rule(Match(ops.REDUCE, Match(ops.REDUCE, X, name="inner"), name="outer"), measure="one node fewer")
def reduction_of_reduction(outer: Node, inner: Node, x: Node) -> Node | None:
    """max of max and min of min over other axes are one; for integers also sum of sum and prod of prod."""
    monoid = outer.attributes.monoid
    if monoid != inner.attributes.monoid or not (monoid in ("max", "min") or
                                                 (monoid in ("sum", "prod") and is_integer(x))):
        return None
    kept = [axis for axis in range(len(x.shape)) if axis not in inner.attributes.axes]
    return ops.reduce(monoid, x, [*inner.attributes.axes, *(kept[axis] for axis in outer.attributes.axes)])


@rule(Match(ops.REDUCE, X, name="node"), measure="one node fewer, or a lighter one")
def reduction_composed(node: Node, x: Node) -> Node:
    """What the builder makes of a reduction: over no axis, over axes of length 1, or of a constant."""
    return ops.reduce(node.attributes.monoid, x, node.attributes.axes)


# ---------------------------------------------------------------------------------------- gathers and markers


@rule(Match(ops.GATHER, X, Match(ops.IOTA, name="index"), name="node", guard=has_known_shape),
      measure="a slice is lighter than a gather")
def gather_of_iota(node: Node, x: Node, index: Node) -> Node | None:
    """x[0], x[1], ... is the beginning of x."""
    count: Any = index.shape[0]
    if node.attributes.batch != 0 or count > x.shape[0]:
        return None
    return ops.slice(x, [(0, count, 1), *((0, n, 1) for n in x.shape[1:])])


def _is_carry_of_no_steps(node: Node) -> bool:
    scan = node.operands[0]
    return scan.op is ops.SCAN and scan.attributes.length == 0 and node.attributes.result < scan.attributes.carries


@rule(Match(ops.PROJECT, name="node", guard=_is_carry_of_no_steps), measure="one node fewer")
def carry_of_no_steps(node: Node) -> Node:
    """A scan of no steps ends with what it began with."""
    carry: Node = node.operands[0].operands[node.attributes.result]
    return carry


@rule(Match(ops.STOP_GRADIENT, X), measure="one node fewer")
def stop_gradient_removed(x: Node) -> Node:
    """stop_gradient(x) = x, once gradients are taken: simplify after differentiation."""
    return x


@rule(Match(ops.CONTIGUOUS, Match(ops.CONTIGUOUS, name="stored")), measure="one node fewer")
def already_contiguous(stored: Node) -> Node:
    """What has a home of its own needs no second one. (A buffer does: its copy outlives the next assignment.)"""
    return stored


RULES: tuple[Rule, ...] = tuple(value for value in vars().values() if isinstance(value, Rule))
