"""What all elementwise ops share: one declaration each, in the file of its subject, and the table of them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ir.dtype import DType, DTypes, dtypes
from ir.node import Node, TensorType, make_node
from ir.op import NoAttributes, Op, rejected
from ir.ops.constant import CONSTANT, constant, constant_value

GradientRule = Callable[[Node, Node], "tuple[Node | None, ...]"]
Shortcut = Callable[..., "Node | None"]

ANY: tuple[DType, ...] = DTypes.all
FLOATS: tuple[DType, ...] = DTypes.floats
INTEGERS: tuple[DType, ...] = DTypes.ints
NUMBERS: tuple[DType, ...] = FLOATS + INTEGERS
BITS: tuple[DType, ...] = INTEGERS + (dtypes.bool,)

ELEMENTWISE: dict[str, ElementwiseOp] = {}
_NO_ATTRIBUTES = NoAttributes()


def no_gradient(node: Node, cotangent: Node) -> tuple[Node | None, ...]:
    """The rule of an op that is constant almost everywhere."""
    return (None,) * len(node.operands)


class ElementwiseOp(Op):
    """A scalar function applied to equally shaped operands, element by element. Calling it builds a node.

    name: as in the text form, in ``codegen.kernel.Apply`` and in ``codegen.loops.Operation``.
    function: the NumPy reference. The 16-bit floats are handed over as float32 and its result is rounded.
    accepts: the dtypes the operands may have; all operands have the same one (``where`` and comparisons aside).
    returns: the dtype of the result; None for that of the operands.
    rule: from the node and its cotangent to one cotangent per operand.
    shortcut: from the operands to a simpler node that is always equal, or None.

        >>> add(x, y)
        <add float32[2, 3]>
    """

    Attributes: ClassVar[type[Any]] = NoAttributes

    def __init__(
        self, name: str, function: Callable[..., Any], *, arity: int, accepts: tuple[DType, ...], doc: str,
        returns: DType | None = None, rule: GradientRule = no_gradient, shortcut: Shortcut | None = None,
    ) -> None:
        if name in ELEMENTWISE:
            raise ValueError(f"two elementwise ops are named {name!r}")
        self.name, self.function, self.arity = name, function, arity
        self.accepts, self.returns, self.rule, self.shortcut = accepts, returns, rule, shortcut
        self.__doc__ = doc
        ELEMENTWISE[name] = self

    def __call__(self, *operands: Node) -> Node:
        if self.shortcut is not None and len(operands) == self.arity:
            simpler = self.shortcut(*operands)
            if simpler is not None:
                return simpler
        node = make_node(self, operands, _NO_ATTRIBUTES)
        return self._folded(node) if all(x.op is CONSTANT for x in operands) else node

    def _folded(self, node: Node) -> Node:
        values = [np.asarray(constant_value(x), dtype=x.dtype.held) for x in node.operands]
        with np.errstate(all="ignore"):
            return constant(self.evaluate(node, values).item(), node.dtype, node.shape)

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        if len(operands) != self.arity:
            raise rejected(self.name, operands, f"{self.arity} operands", f"given {len(operands)}")
        first = operands[0]
        for other in operands[1:]:
            if other.shape != first.shape:
                raise rejected(self.name, operands, "equal shapes", "expand (broadcast) the smaller operand first")
        self.check_dtypes(operands)
        return TensorType(self.returns or operands[-1].dtype, first.shape)  # where: condition first

    def check_dtypes(self, operands: tuple[Node, ...]) -> None:
        """Raises GraphError unless the operands have one dtype, and an accepted one."""
        dtype = operands[0].dtype
        for other in operands[1:]:
            if other.dtype is not dtype:
                raise rejected(self.name, operands, "equal dtypes", "cast one operand to the dtype of the other")
        if dtype not in self.accepts:
            raise rejected(self.name, operands, f"one of {', '.join(d.name for d in self.accepts)}",
                           "cast the operand first")

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return self.rule(node, cotangent)

    def evaluate(self, node: Node, operands: Any) -> Any:
        arrays = [np.asarray(x).astype(n.dtype.computed, copy=False)
                  for x, n in zip(operands, node.operands, strict=True)]
        return node.dtype.rounded(self.function(*arrays))

    def __repr__(self) -> str:
        return f"<elementwise {self.name}>"
