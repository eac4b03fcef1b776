"""What can be seen of the sign of a value: gradients need no guard against 0 below a softmax or a norm."""

from __future__ import annotations

from ir.node import Node
from ir.ops.constant import constant_value

_KEEPS_SIGN = frozenset({"reshape", "permute", "expand", "slice", "flip", "contiguous", "stop_gradient", "sqrt"})
_ALWAYS_POSITIVE = frozenset({"exp", "exp2"})
_STEPS = 64


def is_positive(x: Node) -> bool:
    """Whether every element is above 0 in exact arithmetic, as far as a short look at what computes ``x`` shows.

        >>> is_positive(reduce("sum", exp(x), (1,))), is_positive(add(mul(x, x), constant_like(x, 1e-5)))
        (True, True)
    """
    pending = [(x, True)]  # values that must be above 0 (True), or at least 0
    for _ in range(_STEPS):
        if not pending:
            return True
        needed = _needed(*pending.pop())
        if needed is None:
            return False
        pending.extend(needed)
    return False


def _needed(x: Node, strictly: bool) -> list[tuple[Node, bool]] | None:
    """What must hold of the operands for ``x`` to be positive (or not negative); None where nothing shows it."""
    name = x.op.name
    value = constant_value(x)
    if value is not None:
        return [] if value > 0 or (value == 0 and not strictly) else None
    if name in _ALWAYS_POSITIVE or (not strictly and (name == "abs" or _is_square(x))):
        return []
    if name in _KEEPS_SIGN or (name == "reduce" and x.attributes.monoid in ("sum", "prod", "max", "min")):
        return [(x.operands[0], strictly)]
    if name in ("mul", "div"):
        return [(x.operands[0], strictly), (x.operands[1], strictly or name == "div")]
    if name in ("add", "maximum"):
        first, second = sorted(x.operands, key=lambda operand: constant_value(operand) is None)
        positive = constant_value(first)
        if positive is not None and positive > 0:
            return [(second, False)] if name == "add" else []
        return [(first, strictly), (second, strictly)]
    return None


def _is_square(x: Node) -> bool:
    return x.op.name == "mul" and x.operands[0] is x.operands[1]
