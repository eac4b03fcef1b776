"""Bit operations on integers, logical ones on bool: bit_and bit_or bit_xor bit_not shift_left shift_right.

A shift by the width of the type or more (a negative amount counts as such) leaves 0, or the sign for shift_right of a
signed integer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ir.ops.elementwise import BITS, INTEGERS, ElementwiseOp


def _inside(amount: Any) -> tuple[Any, Any]:
    """(whether the amount is in [0, width), the amount where it is, else 0)."""
    inside = (amount >= 0) & (amount < amount.dtype.itemsize * 8)
    return inside, np.where(inside, amount, 0).astype(amount.dtype)


def _shift_left(x: Any, amount: Any) -> Any:
    inside, safe = _inside(amount)
    return np.where(inside, np.left_shift(x, safe), 0)


def _shift_right(x: Any, amount: Any) -> Any:
    inside, safe = _inside(amount)
    return np.where(inside, np.right_shift(x, safe), -(x < 0).astype(x.dtype))


bit_and = ElementwiseOp("bit_and", np.bitwise_and, arity=2, accepts=BITS, doc="x & y; logical and of bool.")
bit_or = ElementwiseOp("bit_or", np.bitwise_or, arity=2, accepts=BITS, doc="x | y; logical or of bool.")
bit_xor = ElementwiseOp("bit_xor", np.bitwise_xor, arity=2, accepts=BITS, doc="x ^ y; exclusive or of bool.")
bit_not = ElementwiseOp("bit_not", np.invert, arity=1, accepts=BITS, doc="~x; logical not of bool.")
shift_left = ElementwiseOp("shift_left", _shift_left, arity=2, accepts=INTEGERS, doc="x << y.")
shift_right = ElementwiseOp("shift_right", _shift_right, arity=2, accepts=INTEGERS,
                            doc="x >> y; arithmetic for signed integers, logical for unsigned ones.")
