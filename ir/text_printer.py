"""The text form of a graph: one line a node, operands above their uses, exact enough to be parsed back.

    >>> x = ir.parameter(0, ir.dtypes.float32, (4, 8))
    >>> print(ir.format_graph([ir.reduce("sum", x * x, (1,))]))
    %0 = parameter number=0 dtype=float32 shape=(4, 8) : float32[4, 8]  # user.py:1
    %1 = mul %0, %0 : float32[4, 8]  # user.py:2
    %2 = reduce %1 monoid=sum axes=(1,) : float32[4]  # user.py:2
    return %2

A line is ``%result = op operands attributes : type  # user's line``; the attributes are those that the op declares,
so a new op needs nothing here. A symbolic dimension carries its bounds (``2*n[1..64] + 1``), an object that has no
text of its own (the storage behind a buffer) is named ``$name``, and a node whose tag is 3 is written ``op!3``.
The bodies of scans and calls stand above the graph, each once, numbered ``@0``, ``@1``, ..., with values of their own:

    body @0(%0, %1):
        %0 = ...
        return %2

``ir.text_parser`` reads this form; the grammar is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ir.bodies import bodies_in_order
from ir.dtype import DType, dtypes
from ir.graph import topological_order
from ir.node import Node, TensorType
from ir.ops import Body
from ir.symbolic import Dimension

_RESERVED = frozenset({"True", "False", "None", "inf", "nan"})


def format_graph(outputs: Sequence[Node]) -> str:
    """The text of the graph that computes ``outputs`` (linear in its size; bodies that are shared appear once)."""
    printer = _Printer()
    printer.add_all(outputs)
    return "\n".join(printer.lines) + "\n"


def buffers_by_name(outputs: Sequence[Node]) -> dict[str, Node]:
    """The buffers of the graph by the names that ``format_graph`` writes: what ``parse_graph`` takes to find them."""
    printer = _Printer()
    printer.add_all(outputs)
    return printer.buffers


def format_type(type_: TensorType) -> str:
    """``float32[4, n[1..64]]``; ``void`` for the type of an op with several results."""
    if type_.dtype == dtypes.void:
        return "void"
    return f"{type_.dtype.name}[{', '.join(format_dimension(d) for d in type_.shape)}]"


def format_dimension(dimension: int | Dimension) -> str:
    """A dimension whose variables carry their bounds: ``2*n[1..64] + 1``."""
    if not isinstance(dimension, Dimension):
        return str(dimension)
    parts = [v.declaration if factor == 1 else f"{factor}*{v.declaration}" for v, factor in dimension.terms]
    if dimension.constant:
        parts.append(str(dimension.constant))
    return " + ".join(parts).replace("+ -", "- ")


def format_value(value: Any, reference: Callable[[Any], str]) -> str:
    """One attribute's text: words stand for themselves where they cannot be mistaken for anything else.

    reference: the text for a body, and for an object that has no text of its own.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, str):
        return value if is_word(value) else json.dumps(value)
    if isinstance(value, Dimension):
        return format_dimension(value)
    if isinstance(value, DType):
        return value.name
    if isinstance(value, tuple) and not isinstance(value, Body):
        inside = ", ".join(format_value(element, reference) for element in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return reference(value)


def is_word(text: str) -> bool:
    """Whether a string may be written without quotes: an identifier that names no dtype and no literal."""
    return text.isidentifier() and text.isascii() and text not in _RESERVED and not hasattr(dtypes, text)


def has_identity(node: Node) -> bool:
    """True of a buffer: a source whose equal copy would be another one."""
    return not node.op.pure and not node.operands


class _Printer:
    """Collects lines; knows the names of bodies and of objects without text that it has given so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.body_names: dict[Body, str] = {}
        self.object_names: dict[Node | int, str] = {}
        self.used_names: set[str] = set()
        self.buffers: dict[str, Node] = {}

    def add_all(self, outputs: Sequence[Node]) -> None:
        for body in bodies_in_order(outputs):
            name = f"@{len(self.body_names)}"
            parameters = ", ".join(f"%{number}" for number in range(len(body.parameters)))
            self.lines.append(f"body {name}({parameters}):")
            self.add_graph(body.parameters, body.results, indent="    ")
            self.body_names[body] = name
        self.add_graph((), outputs, indent="")

    def add_graph(self, parameters: Sequence[Node], outputs: Sequence[Node], indent: str) -> None:
        names: dict[Node, str] = {}
        for node in dict.fromkeys((*parameters, *topological_order(outputs))):
            operands = [names[operand] for operand in node.operands]
            names[node] = f"%{len(names)}"
            self.lines.append(indent + self.line(names[node], node, operands))
        self.lines.append(f"{indent}return {', '.join(names[node] for node in outputs)}".rstrip())

    def line(self, name: str, node: Node, operands: list[str]) -> str:
        parts = [name, "=", f"{node.op.name}!{node.tag}" if node.tag else node.op.name]
        if operands:
            parts.append(", ".join(operands))
        parts += [f"{field}={self.value(value, node)}"
                  for field, value in zip(node.attributes._fields, node.attributes, strict=True)]
        location = f"  # {node.location}" if node.location else ""
        return f"{' '.join(parts)} : {format_type(node.type)}{location}"

    def value(self, value: Any, node: Node) -> str:
        """The text of an attribute; what a buffer holds on to is named after the buffer."""
        if not has_identity(node):
            return format_value(value, self.reference)

        def buffer_name(handle: Any) -> str:
            name = self.name_of(node, handle)
            self.buffers[name] = node
            return "$" + name

        return buffer_name(value) if isinstance(value, str) else format_value(value, buffer_name)

    def reference(self, value: Any) -> str:
        return self.body_names[value] if isinstance(value, Body) else "$" + self.name_of(id(value), value)

    def name_of(self, owner: Node | int, value: object) -> str:
        """The name of a buffer, or of an object by its id, that nothing else here has.

        It is the string itself or the object's ``name``, with a number where that is taken or no identifier.
        """
        known = self.object_names.get(owner)
        if known is None:
            wanted = value if isinstance(value, str) else getattr(value, "name", None)
            known = wanted if isinstance(wanted, str) and wanted.isidentifier() and wanted.isascii() else "object0"
            stem, number = known.rstrip("0123456789") or "object", 1
            while known in self.used_names:
                known, number = f"{stem}{number}", number + 1
            self.object_names[owner] = known
            self.used_names.add(known)
        return known
