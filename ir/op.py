"""The declaration that every operation makes: one op, one place.

An op's file in ``ir/ops`` holds a subclass of ``Op`` with its attributes, its shape and dtype rule, its gradient, its
NumPy reference and its builder. Everything else in the project reads these declarations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np

from ir.node import Node, Shape, TensorType, user_location
from ir.symbolic import Dimension

Array = np.ndarray[Any, np.dtype[Any]]


class NoAttributes(NamedTuple):
    """The attributes of an op that has none."""


class GraphError(ValueError):
    """An operation was given operands that its shape or dtype rule refuses."""


def rejected(operation: str, operands: Sequence[Node], expected: str, fix: str = "") -> GraphError:
    """The error to raise for operands that a rule refuses: what was given, what was expected, where, how to fix it."""
    location = user_location()
    given = ", ".join(describe(operand) for operand in operands)
    parts = [f"{operation}({given})", f"expected {expected}"]
    if fix:
        parts.append(fix)
    return GraphError("; ".join(parts) + (f" (at {location})" if location else ""))


def describe(value: Node | TensorType) -> str:
    """A type as errors and dumps write it: ``float32[2, 3]``."""
    return f"{value.dtype.name}{list(value.shape)}"


def as_size(value: int | Dimension) -> int | Dimension:
    """A size as graphs hold it: a Dimension or a Python int (not NumPy's, which prints differently)."""
    return value if isinstance(value, Dimension) else index(value)


def as_shape(sizes: Iterable[int | Dimension]) -> Shape:
    """A shape as graphs hold it; GraphError for a size below 0 or of another type than int and Dimension."""
    given = tuple(sizes)
    if all(type(size) is int and size >= 0 for size in given):  # as nearly always
        return given
    try:
        shape = tuple([as_size(size) for size in given])
    except TypeError:
        raise GraphError(f"a shape consists of integers and Dimensions, got {given}") from None
    if not all(size >= 0 for size in shape):
        raise GraphError(f"the sizes of a shape are at least 0, got {given}")
    return shape


def concrete(node: Node) -> tuple[int, ...]:
    """The shape of a node without symbolic dimensions, as the interpreter sees every node."""
    return cast(tuple[int, ...], node.shape)


class Body(NamedTuple):
    """A function on values, the attribute of scan and call: ``results`` are nodes over ``parameters``.

    A body is closed: whatever it reads of the graph around it must be handed over as an operand (an unchanging carry
    for scan). Bodies hash and compare by the identity of their nodes.
    """

    parameters: tuple[Node, ...]
    results: tuple[Node, ...]


class Op:
    """The declaration of one operation. Ops are singletons, compared by identity.

    pure: equal nodes are one object. Nodes with identity or effects (buffer, assign) are not pure.
    view: the op moves no data; codegen folds it into index expressions.
    """

    name: str
    pure: ClassVar[bool] = True
    view: ClassVar[bool] = False
    Attributes: ClassVar[type[Any]] = NoAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        """The type of the result; raises GraphError with shapes, op and what was expected."""
        raise NotImplementedError(f"{self.name} declares no shape and dtype rule")

    def result_types(self, node: Node) -> tuple[TensorType, ...]:
        """The types of all results; several only for scan and call, whose nodes are void."""
        return (node.type,)

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        """One cotangent per operand, None where the operand has none (an index, a condition).

        An op with several results receives a tuple of cotangents instead, None for results that nothing reads.
        """
        raise NotImplementedError(f"{self.name} has no gradient")

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        """The NumPy reference: arrays in, array out (a tuple of arrays for several results)."""
        raise NotImplementedError(f"{self.name} has no NumPy reference")
