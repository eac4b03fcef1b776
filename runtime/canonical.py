"""The canonical form of a graph: over numbered placeholders, with a plan where each output will lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import ir
from ir.dtype import dtypes
from ir.node import Node
from ir.symbolic import Dimension
from runtime.structure import Structure


class Source(Enum):
    """Whose memory an output lies in."""

    LEAF = "leaf"  # a buffer that the graph was given: unchanged, or in the version that the graph assigns
    FRESH = "fresh"  # memory that is allocated for each run


class OutputPlan(NamedTuple):
    """Where one output lies: in leaf ``number``, or in fresh buffer ``number``."""

    source: Source
    number: int


class Placeholder(NamedTuple):
    """The handle of a buffer in a canonical graph: the argument of that number."""

    number: int

    def __repr__(self) -> str:
        return f"argument {self.number}"


@dataclass(frozen=True, eq=False)
class CanonicalGraph:
    """What a device prepares. Addresses are given for ``leaves`` in order, then for ``fresh``.

    fresh: the values that are written to fresh memory. assigned: the newest version of every leaf that is assigned to,
    by the leaf's number. bounds: the variables of the graph's dimensions, by name, with their bounds.
    """

    leaves: tuple[Node, ...]
    fresh: tuple[Node, ...]
    assigned: Mapping[int, Node]
    outputs: tuple[OutputPlan, ...]
    bounds: Mapping[str, tuple[int, int]]

    @property
    def roots(self) -> tuple[Node, ...]:
        """Everything that must be computed: fresh values, then new versions."""
        return (*self.fresh, *self.assigned.values())


def canonicalize(outputs: Sequence[Node], structure: Structure) -> CanonicalGraph:
    """``outputs`` over placeholders. An output that is an older version of an assigned buffer is copied beforehand."""
    for node in outputs:
        if node.dtype is dtypes.void:
            raise ir.GraphError(f"{node!r} of {node.location} has several results; take one with ir.project(node, i)")
    leaves = [ir.buffer(Placeholder(i), leaf.dtype, leaf.shape) for i, leaf in enumerate(structure.leaves)]
    replaced = ir.substitute(outputs, dict(zip(structure.leaves, leaves, strict=True)))
    order = ir.topological_order(replaced)
    newest = newest_versions(order)
    plans = _OutputPlans({leaf: number for number, leaf in enumerate(leaves)}, newest)
    for node in replaced:
        plans.add(node)
    assigned = {plans.leaf_numbers[leaf]: version for leaf, version in newest.items()}
    return CanonicalGraph(tuple(leaves), tuple(plans.fresh), assigned, tuple(plans.outputs), variable_bounds(order))


class _OutputPlans:
    """Collects where the outputs lie; equal outputs share a place."""

    def __init__(self, leaf_numbers: dict[Node, int], newest: Mapping[Node, Node]) -> None:
        self.leaf_numbers, self.newest = leaf_numbers, newest
        self.fresh: dict[Node, int] = {}
        self.outputs: list[OutputPlan] = []

    def add(self, node: Node) -> None:
        leaf = assigned_leaf(node)
        if leaf in self.leaf_numbers:
            if self.newest.get(leaf, leaf) is node:
                self.outputs.append(OutputPlan(Source.LEAF, self.leaf_numbers[leaf]))
                return
            node = ir.contiguous(node)  # an older version: it needs memory of its own before it is overwritten
        number = self.fresh.setdefault(node, len(self.fresh))
        self.outputs.append(OutputPlan(Source.FRESH, number))


def assigned_leaf(node: Node) -> Node:
    """The leaf of which ``node`` is a version: through any number of assignments (``node`` itself without any)."""
    while node.op.name == "assign":
        node = node.operands[0]
    return node


def newest_versions(order: Sequence[Node]) -> dict[Node, Node]:
    """The last assignment to each leaf. Raises GraphError where two assignments start from the same version."""
    successors: dict[Node, Node] = {}
    newest: dict[Node, Node] = {}
    for node in order:
        if node.op.name != "assign":
            continue
        target = node.operands[0]
        if target in successors:
            raise ir.GraphError(f"{target!r} is assigned to at {successors[target].location} and again at "
                                f"{node.location} from the same version; assign to the result of the first")
        successors[target] = node
        newest[assigned_leaf(target)] = node
    return newest


def variable_bounds(order: Sequence[Node]) -> dict[str, tuple[int, int]]:
    """The variables of every dimension in the shapes and attributes of ``order``, by name, with their bounds."""
    found: dict[str, tuple[int, int]] = {}
    for node in order:
        pending: list[Any] = [node.shape, node.attributes]
        while pending:
            value = pending.pop()
            if isinstance(value, Dimension):
                found.update((variable.name, (variable.low, variable.high)) for variable in value.variables)
            elif isinstance(value, tuple):
                pending.extend(item for item in value if type(item) is not int and not isinstance(item, Node))
    return dict(sorted(found.items()))
