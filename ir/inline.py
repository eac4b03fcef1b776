"""Calls replaced by what they compute, for a compiler that schedules one flat graph."""

from __future__ import annotations

from collections.abc import Sequence

from ir import graph, ops
from ir.node import Node, located, make_node, remake_node, tagged
from ir.op import Body


def inline_calls(outputs: Sequence[Node]) -> list[Node]:
    """The outputs without any call, also inside the bodies of scans.

    A call that recomputes (the derivative of a call) is inlined with a tag of its own: its nodes stay distinct from
    those of the forward pass that they repeat, so that nothing of the forward pass has to be kept for them.
    """
    results = list(outputs)
    while True:
        order = graph.topological_order(results)
        if not any(node.op is ops.CALL or _has_calls_inside(node) for node in order):
            return results
        results = _inlined_once(results, order)


def _has_calls_inside(node: Node) -> bool:
    if node.op is not ops.SCAN:
        return False
    inside = graph.topological_order(node.attributes.body.results)
    return any(n.op is ops.CALL or _has_calls_inside(n) for n in inside)


def _inlined_once(outputs: list[Node], order: list[Node]) -> list[Node]:
    """One level of calls replaced; calls inside those appear."""
    next_tag = max(node.tag for node in order) + 1
    new_of: dict[Node, Node] = {}
    results_of_call: dict[Node, list[Node]] = {}
    for node in order:
        if node.op is ops.PROJECT and node.operands[0] in results_of_call:
            new_of[node] = results_of_call[node.operands[0]][node.attributes.result]
            continue
        operands = tuple([new_of[operand] for operand in node.operands])
        new_of[node] = node
        if node.op is ops.CALL:
            body, tag = node.attributes.body, None
            if node.attributes.recompute:
                tag, next_tag = next_tag, next_tag + 1
            results_of_call[node] = _applied(body, operands, tag)
        elif _has_calls_inside(node):
            body = node.attributes.body
            inner = Body(body.parameters, tuple(inline_calls(body.results)))
            new_of[node] = remake_node(node, operands, node.attributes._replace(body=inner))
        elif operands != node.operands:
            new_of[node] = remake_node(node, operands, node.attributes)
    return [new_of[output] for output in outputs]


def _applied(body: Body, arguments: Sequence[Node], tag: int | None) -> list[Node]:
    """The results of ``body`` on the arguments; with ``tag`` as nodes unlike any other."""
    given = dict(zip(body.parameters, arguments, strict=True))
    if tag is None:
        return graph.substitute(body.results, given)
    for node in graph.topological_order(body.results):
        if node in given:
            continue
        operands = tuple([given[operand] for operand in node.operands])
        with tagged(tag if operands else node.tag), located(node.location):
            given[node] = make_node(node.op, operands, node.attributes)
    return [given[result] for result in body.results]
