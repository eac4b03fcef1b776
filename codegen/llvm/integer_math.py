"""Integer operations that are more than one instruction: division, shifts and random bits.

Nothing traps and nothing is undefined: a division by zero yields 0, INT_MIN / -1 wraps, a shift by the width or more
moves every bit out.
"""

from __future__ import annotations

from codegen.llvm.builder import Value


def constant_of(value: Value) -> int | None:
    """The number that every lane of an integer value is, where it is a constant."""
    if value.text.startswith("%"):
        return None
    number = value.text.rpartition(" ")[2].rstrip(")")
    return int(number) if number.lstrip("-").isdigit() else None


def truncating_divide(x: Value, y: Value) -> Value:
    """x / y rounded toward zero, as in C."""
    known = constant_of(y)
    if known not in (None, 0, -1):
        return x.binary("sdiv", y)
    zero, minus_one = y.equals(0), y.equals(-1)
    quotient = x.binary("sdiv", (zero | minus_one).select(y.constant(1), y))
    return zero.select(y.constant(0), minus_one.select(-x, quotient))


def floor_divide(x: Value, y: Value) -> Value:
    """x / y rounded down, as Python's ``//``."""
    shift = _power_of_two(y)
    if shift is not None:
        return x.binary("ashr", shift)
    quotient = truncating_divide(x, y)
    remainder = x - quotient * y
    rounded_up = remainder.compare("ne", 0) & (remainder ^ y).compare("slt", 0)
    return _unless_zero(y, rounded_up.select(quotient - 1, quotient))


def floored_modulo(x: Value, y: Value) -> Value:
    """What ``floor_divide`` leaves: 0, or of the sign of y, as Python's ``%``."""
    shift = _power_of_two(y)
    if shift is not None:
        return x & ((1 << shift) - 1)
    remainder = x - truncating_divide(x, y) * y
    opposite = remainder.compare("ne", 0) & (remainder ^ y).compare("slt", 0)
    return _unless_zero(y, opposite.select(remainder + y, remainder))


def divide_unsigned(x: Value, y: Value) -> Value:
    """x / y rounded down."""
    if constant_of(y) not in (None, 0):
        return x.binary("udiv", y)
    zero = y.equals(0)
    return zero.select(y.constant(0), x.binary("udiv", zero.select(y.constant(1), y)))


def modulo_unsigned(x: Value, y: Value) -> Value:
    """The remainder of ``divide_unsigned``."""
    if constant_of(y) not in (None, 0):
        return x.binary("urem", y)
    zero = y.equals(0)
    return zero.select(y.constant(0), x.binary("urem", zero.select(y.constant(1), y)))


def _power_of_two(y: Value) -> int | None:
    known = constant_of(y)
    return known.bit_length() - 1 if known is not None and known > 0 and known & (known - 1) == 0 else None


def _unless_zero(y: Value, result: Value) -> Value:
    return result if constant_of(y) not in (None, 0) else y.equals(0).select(y.constant(0), result)


def shift_left(x: Value, amount: Value) -> Value:
    """x * 2**amount, wrapping."""
    return _guarded(x, amount, "shl")


def shift_right_unsigned(x: Value, amount: Value) -> Value:
    """x // 2**amount."""
    return _guarded(x, amount, "lshr")


def _guarded(x: Value, amount: Value, instruction: str) -> Value:
    known = constant_of(amount)
    if known is not None and 0 <= known < x.type.bits:
        return x.binary(instruction, amount)
    inside = amount.compare("ult", x.type.bits)
    return inside.select(x.binary(instruction, inside.select(amount, 0)), 0)


def shift_right_signed(x: Value, amount: Value) -> Value:
    """x // 2**amount: the sign moves in."""
    last = x.type.bits - 1
    known = constant_of(amount)
    if known is not None and 0 <= known <= last:
        return x.binary("ashr", amount)
    return x.binary("ashr", amount.compare("ult", last).select(amount, last))


_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def random_bits(counter: Value, key: Value) -> Value:
    """Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).

    The low words of the 64-bit counter and key are their first words; the results are joined in the same order.
    """
    half = counter.type.with_element("i32")
    x0, x1 = counter.convert("trunc", half), (counter >> 32).convert("trunc", half)
    k0, k1 = key.convert("trunc", half), (key >> 32).convert("trunc", half)
    keys = (k1, k0 ^ k1 ^ _PARITY, k0)
    x0, x1 = x0 + keys[2], x1 + keys[0]
    for block in range(5):
        for distance in _ROTATIONS[block % 2]:
            x0 = x0 + x1
            x1 = x0 ^ rotate_left(x1, distance)
        x0, x1 = x0 + keys[block % 3], x1 + keys[(block + 1) % 3] + (block + 1)
    return (x1.convert("zext", counter.type) << 32) | x0.convert("zext", counter.type)


def rotate_left(x: Value, distance: int) -> Value:
    """The bits of x moved left by ``distance``, those that fall out entering at the right."""
    return x.builder.intrinsic("fshl", x.type, [x, x, x.constant(distance)])
