"""Finding the bodies of scans and calls within a graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ir.graph import topological_order
from ir.node import Node
from ir.ops import Body


def bodies_of(node: Node) -> Iterator[Body]:
    """The bodies among the node's attributes."""
    return (value for value in node.attributes if isinstance(value, Body))


def bodies_in_order(outputs: Sequence[Node]) -> list[Body]:
    """Every body that the graph holds, at any depth, once, those inside another before it."""
    ordered: dict[Body, None] = {}
    pending = [(body, False) for body in _bodies_in_graph(outputs)][::-1]
    while pending:
        body, entered = pending.pop()
        if body in ordered:
            continue
        if entered:
            ordered[body] = None
            continue
        pending.append((body, True))
        pending.extend((inner, False) for inner in _bodies_in_graph(body.results)[::-1])
    return list(ordered)


def _bodies_in_graph(outputs: Sequence[Node]) -> list[Body]:
    return [body for node in topological_order(outputs) for body in bodies_of(node)]
