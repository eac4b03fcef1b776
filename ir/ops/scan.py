"""scan: a recurrence; cumulative sums, recurrent networks and state-space models are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ir import interpret, scan_gradient
from ir.dtype import dtypes
from ir.node import Node, TensorType, make_node
from ir.op import Body, GraphError, Op, describe, rejected
from ir.ops.body import canonical_body, check_operands
from ir.symbolic import Dimension


class ScanAttributes(NamedTuple):
    body: Body
    carries: int
    length: int | Dimension
    reverse: bool
    axis: int


class Scan(Op):
    """``scan(body, carries, inputs, reverse=False, axis=0)``: the body applied step after step.

        for t in range(length):                             # from the last to the first with reverse
            carries, outputs[t] = body(carries, inputs[0][t], inputs[1][t], ...)

    The body's parameters are the carries, then one slice of each input (its dimension ``axis`` removed); its results
    are the new carries, of the same types, then the outputs of one step. Results of the node: the final carries, then
    the outputs stacked along a new dimension ``axis`` (in the order of the inputs, also with reverse).

        >>> total, x = parameter(0, dtypes.float32, ()), parameter(1, dtypes.float32, ())
        >>> sums = scan(Body((total, x), (add(total, x), add(total, x))), [zero], [xs])    # xs: float32[8]
        >>> project(sums, 1)                                # the cumulative sum
        <project float32[8]>

    A value that every step reads whole is a carry that the body returns unchanged. The builder adds to the body's
    outputs what the gradient reads (see ``ir.scan_gradient``): every changing carry as it is before the step, and the
    sums that a step computes. Results that nothing projects cost nothing.
    """

    name = "scan"
    Attributes = ScanAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        body, carries, length, _, axis = attributes
        if not 0 <= carries <= min(len(operands), len(body.results)):
            raise GraphError(f"scan: {carries} carries, but {len(operands)} operands and {len(body.results)} results")
        for x in operands[carries:]:
            if len(x.shape) <= axis or x.shape[axis] != length:
                raise rejected("scan", operands, f"inputs whose axis {axis} is {length} steps long")
        for x in body.results[carries:]:
            if len(x.shape) < axis:
                raise rejected("scan", operands, f"outputs that can be stacked along axis {axis}",
                               f"a step yields {describe(x)} (or saves that carry)")
        slices = [_slice_type(x, axis) for x in operands[carries:]]
        check_operands("scan", body.parameters, [x.type for x in operands[:carries]] + slices)
        for number, (before, after) in enumerate(zip(body.parameters[:carries], body.results, strict=False)):
            if before.type != after.type:
                raise GraphError(f"scan: carry {number} is {describe(before)} before a step and {describe(after)} after"
                                 "; a carry keeps its dtype and shape")
        return TensorType(dtypes.void, ())

    def result_types(self, node: Node) -> tuple[TensorType, ...]:
        body, carries, length, _, axis = node.attributes
        stacked = [TensorType(x.dtype, (*x.shape[:axis], length, *x.shape[axis:])) for x in body.results[carries:]]
        return (*(x.type for x in body.results[:carries]), *stacked)

    def gradient(self, node: Node, cotangent: Any) -> tuple[Node | None, ...]:
        return scan_gradient.scan_gradient(node, cotangent)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        body, count, length, reverse, axis = node.attributes
        carries, inputs = list(operands[:count]), [np.moveaxis(x, axis, 0) for x in operands[count:]]
        outputs = [np.zeros((length, *x.shape), x.dtype.held) for x in body.results[count:]]
        order = interpret.Plan(body.results)
        for step in reversed(range(length)) if reverse else range(length):
            values = order.run(dict(zip(body.parameters, [*carries, *(x[step] for x in inputs)], strict=True)))
            carries = values[:count]
            for output, value in zip(outputs, values[count:], strict=True):
                output[step] = value
        return (*carries, *(np.moveaxis(output, 0, axis) for output in outputs))


SCAN = Scan()


def scan(body: Body, carries: Sequence[Node], inputs: Sequence[Node], reverse: bool = False,
         length: int | Dimension | None = None, axis: int = 0) -> Node:
    """``body`` applied to the carries and to one slice of each input after another; see ``Scan``.

    length: the number of steps; needed only where there are no inputs. axis: the dimension of the inputs and outputs
    along which the steps lie.
    """
    if length is None:
        if not inputs or len(inputs[0].shape) <= axis:
            raise rejected("scan", [*carries, *inputs], f"inputs with steps along axis {axis}", "or give length=")
        length = inputs[0].shape[axis]
    if len(body.parameters) != len(carries) + len(inputs):
        raise GraphError(f"scan: its body has {len(body.parameters)} parameters, given {len(carries)} carries and "
                         f"{len(inputs)} inputs")
    body = canonical_body(body, "scan")
    outputs = body.results[len(carries):]
    changing = [before for before, after in zip(body.parameters, body.results[:len(carries)], strict=False)
                if before is not after]
    saved = tuple(x for x in (*changing, *scan_gradient.sums_worth_keeping(body, len(carries), axis))
                  if x not in outputs)
    attributes = ScanAttributes(Body(body.parameters, body.results + saved), len(carries), length, reverse, axis)
    return make_node(SCAN, (*carries, *inputs), attributes)


def _slice_type(x: Node, axis: int) -> TensorType:
    """The type of one step's slice of an input."""
    return TensorType(x.dtype, x.shape[:axis] + x.shape[axis + 1:])
