"""Bodies: closed sub-graphs that scan and call apply to their operands; project: one of several results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ir import graph
from ir.node import Node, TensorType, make_node, tagged
from ir.op import Body, GraphError, Op, describe
from ir.ops.source import BUFFER, PARAMETER, parameter


def canonical_body(body: Body, owner: str) -> Body:
    """The body with its parameters numbered from 0, so that equal functions are equal; GraphError if not closed."""
    if len(set(body.parameters)) != len(body.parameters):
        raise GraphError(f"the body of {owner} has the same parameter twice; number them apart, or use fresh_parameter")
    canonical = tuple(parameter(number, old.dtype, old.shape) for number, old in enumerate(body.parameters))
    results = graph.substitute(body.results, dict(zip(body.parameters, canonical, strict=True)))
    allowed = {*body.parameters}
    for node in graph.topological_order(body.results):
        if (node.op is PARAMETER and node not in allowed) or node.op is BUFFER:
            raise GraphError(f"the body of {owner} reads {describe(node)}, a {node.op.name} from outside; hand it over "
                             f"as an operand of {owner}" + (f" (at {node.location})" if node.location else ""))
    return Body(canonical, tuple(results))


class ProjectAttributes(NamedTuple):
    result: int


class Project(Op):
    """``project(node, result)``: one result, by number, of a node with several (scan, call)."""

    name = "project"
    Attributes = ProjectAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (source,) = operands
        types: tuple[TensorType, ...] = source.op.result_types(source)
        number = attributes.result
        if not 0 <= number < len(types):
            raise GraphError(f"project: {source.op.name} has {len(types)} results; there is no result {number}")
        chosen: TensorType = types[number]
        return chosen

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        return operands[0][node.attributes.result]


PROJECT = Project()


def project(node: Node, result: int) -> Node:
    """Result number ``result`` of a node that has several; it has the node's tag, so that there is one of each."""
    with tagged(node.tag):
        return make_node(PROJECT, (node,), ProjectAttributes(result))


def results_of(node: Node) -> tuple[Node, ...]:
    """All results of a node that has several."""
    return tuple(project(node, number) for number in range(len(node.op.result_types(node))))


def check_operands(owner: str, parameters: Sequence[Node], given: Sequence[TensorType]) -> None:
    """Raises GraphError unless the operands have the types that the parameters ask for."""
    if len(parameters) != len(given):
        raise GraphError(f"{owner}: its body has {len(parameters)} parameters, given {len(given)} operands")
    for number, (wanted, found) in enumerate(zip(parameters, given, strict=True)):
        if wanted.type != found:
            raise GraphError(f"{owner}: parameter {number} of its body is {describe(wanted)}, given {describe(found)}")
