"""Tools on whole graphs: order, substitution, specialisation. All are iterative: depth costs no stack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ir.node import Node, remake_node
from ir.op import Body, GraphError, describe
from ir.symbolic import Dimension, evaluate_dimension


def topological_order(outputs: Iterable[Node]) -> list[Node]:
    """Every node that the outputs depend on, once, operands before their users. Bodies are not entered.

    The order depends only on the structure: depth first, first operand first.
    """
    order: list[Node] = []
    done: set[Node] = set()
    for output in outputs:
        pending = [output]
        while pending:
            node = pending[-1]
            if node in done:
                pending.pop()
                continue
            missing = [operand for operand in node.operands if operand not in done]
            if missing:
                pending.extend(reversed(missing))
                continue
            done.add(node)
            order.append(node)
            pending.pop()
    return order


def substitute(outputs: Sequence[Node], replacements: Mapping[Node, Node]) -> list[Node]:
    """The outputs with nodes replaced by others of the same type. What depends on none of them is kept as it is.

    Replacements are not searched again. New nodes keep the location and tag of those they stand for.
    """
    for old, new in replacements.items():
        if old.type != new.type:
            raise GraphError(f"substitute: {describe(old)} cannot be replaced by {describe(new)} of another type")
    new_of: dict[Node, Node] = dict(replacements)
    for node in topological_order(outputs):
        if node not in new_of:
            operands = tuple([new_of[operand] for operand in node.operands])
            changed = any(new is not old for new, old in zip(operands, node.operands, strict=True))
            new_of[node] = remake_node(node, operands, node.attributes) if changed else node
    return [new_of[output] for output in outputs]


def specialize(outputs: Sequence[Node], symbols: Mapping[str, int]) -> tuple[list[Node], dict[Node, Node]]:
    """The graph for given values of its variables, by name: no symbolic dimension remains.

    Also returns the new node of every old one, for buffers and parameters have new nodes too.
    """
    new_of: dict[Node, Node] = {}
    for node in topological_order(outputs):
        operands = tuple([new_of[operand] for operand in node.operands])
        attributes = _evaluated(node.attributes, symbols)
        same = attributes == node.attributes and all(
            new is old for new, old in zip(operands, node.operands, strict=True))
        new_of[node] = node if same else remake_node(node, operands, attributes)
    return [new_of[output] for output in outputs], new_of


def is_symbolic_graph(nodes: Iterable[Node]) -> bool:
    """Whether any node has a symbolic dimension in its shape or attributes (bodies included)."""
    return any(_mentions_dimension((node.shape, node.attributes)) for node in nodes)


def _evaluated(value: Any, symbols: Mapping[str, int]) -> Any:
    """An attribute with its dimensions evaluated, in tuples, named tuples and bodies too."""
    if isinstance(value, Dimension):
        return evaluate_dimension(value, symbols)
    if isinstance(value, Body):
        nodes, _ = specialize([*value.parameters, *value.results], symbols)
        count = len(value.parameters)
        return Body(tuple(nodes[:count]), tuple(nodes[count:]))
    if not isinstance(value, tuple):
        return value
    items: Any = [_evaluated(item, symbols) for item in value]
    return value._make(items) if hasattr(value, "_make") else tuple(items)


def _mentions_dimension(value: Any) -> bool:
    if isinstance(value, Dimension):
        return True
    if isinstance(value, Body):
        return is_symbolic_graph(topological_order([*value.parameters, *value.results]))
    return isinstance(value, tuple) and any(_mentions_dimension(item) for item in value)
