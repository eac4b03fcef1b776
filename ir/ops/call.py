"""call: a named sub-graph, optionally with a gradient of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ir import autodiff, interpret, ops
from ir.dtype import dtypes
from ir.node import Node, TensorType, make_node
from ir.op import Body, GraphError, Op, describe
from ir.ops.body import canonical_body, check_operands, project
from ir.ops.constant import constant


class CallAttributes(NamedTuple):
    body: Body
    gradient: Body | None
    label: str
    recompute: bool


class Call(Op):
    """``call(body, arguments, gradient=None, label="", recompute=False)``: the results of the body on the arguments.

    Without ``gradient`` the derivative is a call of the derived body, which computes again what it needs of the
    forward pass (checkpointing; ``recompute`` says so to ``inline_calls``). With it, that body computes the
    cotangents: its parameters are the arguments, the results, then a cotangent of each floating-point result; its
    results are a cotangent of each floating-point argument.

        >>> x, y, g = (parameter(i, dtypes.float32, (4,)) for i in range(3))
        >>> straight_through = call(Body((x,), (round(x),)), [value], gradient=Body((x, y, g), (g,)))
        >>> project(straight_through, 0)
        <project float32[4]>
    """

    name = "call"
    Attributes = CallAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        body, gradient = attributes.body, attributes.gradient
        check_operands("call", body.parameters, [x.type for x in operands])
        if gradient is not None:
            wanted = [*body.parameters, *body.results, *(y for y in body.results if y.dtype.is_float)]
            check_operands("the gradient of call", gradient.parameters, [x.type for x in wanted])
            arguments = [x for x in body.parameters if x.dtype.is_float]
            if [x.type for x in gradient.results] != [x.type for x in arguments]:
                raise GraphError(f"the gradient of call: expected one result for each floating-point argument, "
                                 f"{', '.join(map(describe, arguments))}; "
                                 f"given {', '.join(map(describe, gradient.results)) or 'none'}")
        return TensorType(dtypes.void, ())

    def result_types(self, node: Node) -> tuple[TensorType, ...]:
        return tuple(result.type for result in node.attributes.body.results)

    def gradient(self, node: Node, cotangent: Any) -> tuple[Node | None, ...]:
        body, own, label, _ = node.attributes
        results = [number for number, y in enumerate(body.results) if y.dtype.is_float]
        arriving = [cotangent[number] or constant(0, *body.results[number].type) for number in results]
        if own is not None:
            forward = [project(node, number) for number in range(len(body.results))]
            back = call(own, [*node.operands, *forward, *arriving], label=f"{label}.gradient")
        else:
            back = call(_derived(body, results), [*node.operands, *arriving], None, f"{label}.gradient", recompute=True)
        position = iter(range(len(body.parameters)))
        return tuple(project(back, next(position)) if x.dtype.is_float else None for x in body.parameters)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        body = node.attributes.body
        return tuple(interpret.Plan(body.results).run(dict(zip(body.parameters, operands, strict=True))))


CALL = Call()


def call(body: Body, arguments: Sequence[Node], gradient: Body | None = None, label: str = "",
         recompute: bool = False) -> Node:
    """``body`` applied to the arguments; ``project`` gives its results. See ``Call`` for a gradient of its own."""
    body = canonical_body(body, "call")
    own = None if gradient is None else canonical_body(gradient, "the gradient of call")
    return make_node(CALL, tuple(arguments), CallAttributes(body, own, label, recompute))


def _derived(body: Body, results: list[int]) -> Body:
    """The body (arguments, cotangents of the floating-point results) -> cotangents of the floating-point arguments."""
    seeds = [ops.fresh_parameter(*body.results[number].type) for number in results]
    targets = [x for x in body.parameters if x.dtype.is_float]
    gradients = autodiff.gradient([body.results[number] for number in results], seeds, targets)
    zeros_where_none = [constant(0, *x.type) if g is None else g for x, g in zip(targets, gradients, strict=True)]
    return Body((*body.parameters, *seeds), tuple(zeros_where_none))
