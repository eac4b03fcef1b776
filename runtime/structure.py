"""The structure of a graph: what two graphs have in common when one compiled program serves both.

Buffers and parameters are numbered by first occurrence, every other node by its place in topological order. Values that
compare equal in Python but are different constants (0.0 and -0.0, 1 and True, any two NaN) stay different.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import ir
from ir.node import Node


class Structure(NamedTuple):
    """``key``: equal for equal structures. ``leaves``: the buffers and parameters, in order of first occurrence."""

    key: Hashable
    leaves: tuple[Node, ...]


def structure_of(outputs: Sequence[Node], first: Sequence[Node] = ()) -> Structure:
    """The structure of the graph of ``outputs``; ``first`` are leaves that come first, whether they occur or not."""
    leaves = dict.fromkeys(first)
    numbers: dict[Node, int] = {}
    entries: list[Hashable] = []
    for number, node in enumerate(ir.topological_order(outputs)):
        numbers[node] = number
        if node.operands:
            attributes = node.attributes
            key = _attributes_key(attributes) if attributes else attributes
            entries.append((node.op, key, tuple([numbers[operand] for operand in node.operands])))
        elif is_leaf(node):
            leaves.setdefault(node)
        else:
            entries.append((node.op, _attributes_key(node.attributes)))
    leaf_entries = tuple((leaf.dtype.name, leaf.shape, numbers.get(leaf)) for leaf in leaves)
    return Structure((tuple(entries), leaf_entries, tuple(numbers[node] for node in outputs)), tuple(leaves))


def is_leaf(node: Node) -> bool:
    """Whether the value comes from outside: a buffer, or a parameter."""
    return node.op.name in ("buffer", "parameter")


_AMBIGUOUS = frozenset({float, type(ir.dtypes.float32.constant(-0.0)), bool, ir.Body})


def _attributes_key(attributes: Any) -> Hashable:
    """``attributes`` in a form that is equal only where it means the same."""
    return tuple([_field_key(field) if type(field) in _AMBIGUOUS else field for field in attributes])


def _field_key(field: Any) -> Hashable:
    """The key of a field whose equality says too little (0.0 == -0.0, True == 1) or too much (bodies, NaN)."""
    if isinstance(field, float):
        return struct.pack("<d", field)
    if isinstance(field, bool):
        return ("bool", field)
    # a body is closed: its only leaves are its parameters
    return structure_of(field.results, first=field.parameters).key
