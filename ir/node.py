"""Nodes of the graph: immutable, interned, and aware of the line of user code that made them.

A node is an operation applied to operands. Two pure nodes with the same operation, operands and attributes are one
object, so that common subexpressions vanish at construction and comparing graphs is comparing identities.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary

from ir.dtype import DType
from ir.symbolic import Dimension

if TYPE_CHECKING:
    from ir.op import Op

Shape = tuple["int | Dimension", ...]


class TensorType(NamedTuple):
    """What is known of a value before it exists: the dtype of its elements and its shape."""

    dtype: DType
    shape: Shape


class Location(NamedTuple):
    """A line of user code."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Node:
    """One operation of the graph. Construct it through its op's builder (``ir.add(x, y)``), never directly.

    ``attributes`` is the NamedTuple that the op declares. An op with several results (scan, call) has the type of none
    of them: its node carries ``dtypes.void`` and ``()``, and ``ir.project(node, i)`` is its i-th result.
    """

    __slots__ = ("__weakref__", "attributes", "dtype", "location", "op", "operands", "shape", "tag")

    op: Op
    operands: tuple[Node, ...]
    attributes: Any
    dtype: DType
    shape: Shape
    location: Location | None
    tag: int

    @property
    def type(self) -> TensorType:
        return TensorType(self.dtype, self.shape)

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.dtype.name}{list(self.shape)}>"


_interned: WeakValueDictionary[tuple[Any, ...], Node] = WeakValueDictionary()
_location: ContextVar[Location | None] = ContextVar("location", default=None)
_tag: ContextVar[int] = ContextVar("tag", default=0)
_OWN_PACKAGES = frozenset({"ir", "codegen", "runtime", "tinygrad_like"})


def make_node(op: Op, operands: tuple[Node, ...], attributes: Any) -> Node:
    """The node of ``op`` on ``operands``: an existing one where the op is pure and an equal node is alive."""
    return _node(op, operands, attributes, _tag.get(), _location.get())


def unique_node(op: Op, attributes: Any, dtype: DType, shape: Shape, location: Location | None = None) -> Node:
    """A node without operands that equals no other. location: by default that of ``located``, else the user's line."""
    return _new_node(op, (), attributes, _tag.get(), dtype, shape, location or _location.get())


def remake_node(node: Node, operands: tuple[Node, ...], attributes: Any) -> Node:
    """The node of the same op, location and tag on other operands or attributes."""
    return _node(node.op, operands, attributes, node.tag, node.location)


def _node(op: Op, operands: tuple[Node, ...], attributes: Any, tag: int, location: Location | None) -> Node:
    if not op.pure:
        return _new_node(op, operands, attributes, tag, *op.infer(operands, attributes), location)
    key = (op, operands, attributes, tag)
    node = _interned.get(key)
    if node is None:
        node = _new_node(op, operands, attributes, tag, *op.infer(operands, attributes), location)
        _interned[key] = node
    return node


def _new_node(op: Op, operands: tuple[Node, ...], attributes: Any, tag: int, dtype: DType, shape: Shape,
              location: Location | None) -> Node:
    node = Node()
    node.op, node.operands, node.attributes, node.tag = op, operands, attributes, tag
    node.dtype, node.shape = dtype, shape
    node.location = location or user_location()
    return node


def live_node_count() -> int:
    """How many interned nodes are alive (a training loop must not make this grow)."""
    return len(_interned)


def user_location() -> Location | None:
    """The innermost line on the stack that belongs to no package of this project."""
    frame = sys._getframe(1)
    while frame is not None:
        if not _is_own(frame.f_globals.get("__name__", "")):
            return Location(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]  # None ends the walk
    return None


@cache
def _is_own(module: str) -> bool:
    """Whether the module belongs to this project."""
    return module.partition(".")[0] in _OWN_PACKAGES


@contextmanager
def located(location: Location | None) -> Iterator[None]:
    """Nodes made inside carry ``location``: a gradient belongs to the line of the operation it differentiates."""
    token = _location.set(location)
    try:
        yield
    finally:
        _location.reset(token)


@contextmanager
def tagged(tag: int) -> Iterator[None]:
    """Nodes made inside are distinct from equal nodes outside: a recomputed copy must escape interning."""
    token = _tag.set(tag)
    try:
        yield
    finally:
        _tag.reset(token)
