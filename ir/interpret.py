"""The NumPy interpreter: what every graph means, slowly and plainly. The oracle for all that is compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ir import graph
from ir.dtype import bfloat16_to_float32, dtypes
from ir.node import Node
from ir.op import Array, GraphError, describe


class Plan:
    """The order in which the nodes under some outputs are evaluated, and when each value is last needed."""

    def __init__(self, outputs: Sequence[Node]) -> None:
        self.outputs = tuple(outputs)
        self.order = graph.topological_order(outputs)
        last_use = {operand: number for number, node in enumerate(self.order) for operand in node.operands}
        kept = set(self.outputs)
        self.dead_after: list[list[Node]] = [[] for _ in self.order]
        for operand, number in last_use.items():
            if operand not in kept:
                self.dead_after[number].append(operand)

    def run(self, values: Mapping[Node, Any]) -> list[Any]:
        """The outputs' values, given those of buffers and parameters (or of any other nodes)."""
        known: dict[Node, Any] = dict(values)
        with np.errstate(all="ignore"):
            for node, dead in zip(self.order, self.dead_after, strict=True):
                if node not in known:
                    known[node] = _evaluated(node, [known[operand] for operand in node.operands])
                for operand in dead:
                    if operand not in values:
                        del known[operand]
        return [known[output] for output in self.outputs]


def evaluate(
    outputs: Sequence[Node], values: Mapping[Node, Any] | None = None, symbols: Mapping[str, int] | None = None,
) -> list[Any]:
    """The values of the outputs, as NumPy arrays, given the arrays that buffers and parameters hold.

    bfloat16 is handed over as its bits (uint16) or as float32, and comes back as float32 rounded to bfloat16. An output
    with several results is a tuple of arrays. symbols: the values of the graph's variables, by name; GraphError where
    a shape does not fit, a value is missing or the graph is malformed.

        >>> x = parameter(0, dtypes.float32, (2,))
        >>> evaluate([add(x, x)], {x: np.array([1, 2])})
        [array([2., 4.], dtype=float32)]
    """
    given = dict(values or {})
    if symbols or graph.is_symbolic_graph(graph.topological_order(outputs)):
        outputs, new_of = graph.specialize(outputs, symbols or {})
        given = {new_of[node]: value for node, value in given.items() if node in new_of}
    return Plan(outputs).run({node: _checked(node, value) for node, value in given.items()})


def _evaluated(node: Node, operands: list[Any]) -> Any:
    value = node.op.evaluate(node, operands)
    if node.dtype is dtypes.void:
        return value
    array = np.asarray(value)
    if array.shape != node.shape or array.dtype != node.dtype.held:
        raise GraphError(f"the NumPy reference of {node.op.name} gave {array.dtype}{list(array.shape)} for "
                         f"{describe(node)}")
    return array


def _checked(node: Node, value: Any) -> Array:
    """A given value as the interpreter holds it."""
    array = np.asarray(value)
    if array.shape != node.shape:
        raise GraphError(f"the value given for {node.op.name} {describe(node)} has shape {list(array.shape)}")
    if node.dtype is dtypes.bfloat16 and array.dtype == np.uint16:
        return np.asarray(bfloat16_to_float32(array))
    return np.asarray(node.dtype.rounded(array))
