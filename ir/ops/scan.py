"""scan: a recurrence; cumulative sums, recurrent networks and state-space models are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ir import autodiff, interpret, ops
from ir.dtype import dtypes
from ir.node import Node, TensorType, make_node
from ir.op import Body, GraphError, Op, describe, rejected
from ir.ops.body import canonical_body, check_operands, project
from ir.ops.constant import constant
from ir.symbolic import Dimension


class ScanAttributes(NamedTuple):
    body: Body
    carries: int
    length: int | Dimension
    reverse: bool


class Scan(Op):
    """``scan(body, carries, inputs, reverse=False)``: the body applied step after step.

        for t in range(length):                             # from the last to the first with reverse
            carries, outputs[t] = body(carries, inputs[0][t], inputs[1][t], ...)

    The body's parameters are the carries, then one slice (the leading axis removed) of each input; its results are the
    new carries, of the same types, then the outputs of one step. Results of the node: the final carries, then the
    outputs stacked along a new leading axis (in the order of the inputs, also with reverse).

        >>> total, x = parameter(0, dtypes.float32, ()), parameter(1, dtypes.float32, ())
        >>> sums = scan(Body((total, x), (add(total, x), add(total, x))), [zero], [xs])    # xs: float32[8]
        >>> project(sums, 1)                                # the cumulative sum
        <project float32[8]>

    The builder adds to the body's outputs every carry as it is before the step, for the gradient to read: a scan in the
    other direction over those saved carries, whose own carries are the cotangents. Results that nothing projects
    cost nothing.
    """

    name = "scan"
    Attributes = ScanAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        body, carries, length, _ = attributes
        if not 0 <= carries <= min(len(operands), len(body.results)):
            raise GraphError(f"scan: {carries} carries, but {len(operands)} operands and {len(body.results)} results")
        for x in operands[carries:]:
            if not x.shape or x.shape[0] != length:
                raise rejected("scan", operands, f"inputs whose leading axis is {length} steps long")
        slices = [TensorType(x.dtype, x.shape[1:]) for x in operands[carries:]]
        check_operands("scan", body.parameters, [x.type for x in operands[:carries]] + slices)
        for number, (before, after) in enumerate(zip(body.parameters[:carries], body.results, strict=False)):
            if before.type != after.type:
                raise GraphError(f"scan: carry {number} is {describe(before)} before a step and {describe(after)} after"
                                 "; a carry keeps its dtype and shape")
        return TensorType(dtypes.void, ())

    def result_types(self, node: Node) -> tuple[TensorType, ...]:
        body, carries, length, _ = node.attributes
        stacked = [TensorType(x.dtype, (length, *x.shape)) for x in body.results[carries:]]
        return (*(x.type for x in body.results[:carries]), *stacked)

    def gradient(self, node: Node, cotangent: Any) -> tuple[Node | None, ...]:
        return _reversed_scan(node, cotangent)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        body, count, length, reverse = node.attributes
        carries, inputs = list(operands[:count]), operands[count:]
        outputs = [np.zeros((length, *x.shape), x.dtype.held) for x in body.results[count:]]
        order = interpret.Plan(body.results)
        for step in reversed(range(length)) if reverse else range(length):
            values = order.run(dict(zip(body.parameters, [*carries, *(x[step] for x in inputs)], strict=True)))
            carries = values[:count]
            for output, value in zip(outputs, values[count:], strict=True):
                output[step] = value
        return (*carries, *outputs)


SCAN = Scan()


def scan(body: Body, carries: Sequence[Node], inputs: Sequence[Node], reverse: bool = False,
         length: int | Dimension | None = None) -> Node:
    """``body`` applied to the carries and to one slice of each input after another; see ``Scan``.

    length: the number of steps; needed only where there are no inputs.
    """
    if length is None:
        if not inputs or not inputs[0].shape:
            raise rejected("scan", [*carries, *inputs], "inputs with a leading axis of steps", "or give length=")
        length = inputs[0].shape[0]
    if len(body.parameters) != len(carries) + len(inputs):
        raise GraphError(f"scan: its body has {len(body.parameters)} parameters, given {len(carries)} carries and "
                         f"{len(inputs)} inputs")
    body = canonical_body(body, "scan")
    outputs = body.results[len(carries):]
    saved = tuple(x for x in body.parameters[:len(carries)] if x not in outputs)
    attributes = ScanAttributes(Body(body.parameters, body.results + saved), len(carries), length, reverse)
    return make_node(SCAN, (*carries, *inputs), attributes)


def _reversed_scan(node: Node, cotangents: Sequence[Node | None]) -> tuple[Node | None, ...]:
    """The cotangents of a scan's operands.

    Backward carries: the cotangent of each floating-point carry. Inputs: what the forward step read, and the cotangents
    of its outputs. Outputs: the cotangent of each floating-point input.
    """
    body, count, length, reverse = node.attributes
    read = [_saved_carry(node, number) for number in range(count)] + list(node.operands[count:])
    arriving = [(number, g) for number, g in enumerate(cotangents) if number >= count and g is not None]
    differentiable = [x.dtype.is_float for x in body.parameters]
    carried = [number for number in range(count) if differentiable[number]]

    carry_cotangents = {number: ops.fresh_parameter(*body.results[number].type) for number in carried}
    output_cotangents = [ops.fresh_parameter(*body.results[number].type) for number, _ in arriving]
    seeds = {**carry_cotangents, **dict(zip([number for number, _ in arriving], output_cotangents, strict=True))}
    targets = [number for number in range(len(body.parameters)) if differentiable[number]]
    gradients = autodiff.gradient(
        [body.results[number] for number in seeds], list(seeds.values()), [body.parameters[n] for n in targets])
    results = [constant(0, *body.parameters[number].type) if g is None else g
               for number, g in zip(targets, gradients, strict=True)]

    backward = Body((*carry_cotangents.values(), *body.parameters, *output_cotangents), tuple(results))
    initial = [cotangents[number] or constant(0, *body.results[number].type) for number in carried]
    back = scan(backward, initial, [*read, *(g for _, g in arriving)], not reverse, length)
    position = {number: index for index, number in enumerate(targets)}
    return tuple(project(back, position[number]) if number in position else None
                 for number in range(len(body.parameters)))


def _saved_carry(node: Node, number: int) -> Node:
    """The carry before each step, stacked: an output of the scan, or of the scan extended by it."""
    body, count, length, reverse = node.attributes
    outputs = body.results[count:]
    if body.parameters[number] in outputs:
        return project(node, count + outputs.index(body.parameters[number]))
    extended = scan(body, node.operands[:count], node.operands[count:], reverse, length)
    return _saved_carry(extended, number)
