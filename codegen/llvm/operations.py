"""The elementwise operations as LLVM instructions: one row per op of ``ir.ops``, one column per kind of element.

A rule receives one ``Value`` per operand, all of the same type (scalars or vectors alike), appends instructions and
returns the result. Narrow floats are float32 here; ``apply`` rounds their results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from codegen.llvm import integer_math, vector_math
from codegen.llvm.builder import Value
from codegen.llvm.types import Kind, round_narrow

Rule = Callable[..., Value]


class Row(NamedTuple):
    """How one op is computed on each kind of element; None where the op has no meaning.

    exact: the result of narrow floats needs no rounding (it is one of the operands, an integer, or a condition).
    """

    floating: Rule | None = None
    signed: Rule | None = None
    unsigned: Rule | None = None
    boolean: Rule | None = None
    exact: bool = False

    def rule(self, kind: Kind) -> Rule | None:
        """The rule for a kind of element."""
        return self[_COLUMN[kind]]  # type: ignore[return-value]  # the last field is never addressed


_COLUMN: dict[Kind, int] = {"float": 0, "signed": 1, "unsigned": 2, "bool": 3}


class UnsupportedOperation(ValueError):
    """The loop IR asks for an operation that this target, or this dtype, does not have."""


def apply(code: str, dtype_name: str, kind: Kind, operands: Sequence[Value]) -> Value:
    """The result of the op named ``code`` on operands of the dtype named ``dtype_name``.

    Raises UnsupportedOperation for a name that is no elementwise op, and for a dtype that the op is not defined on.
    """
    row = OPERATIONS.get(code)
    rule = None if row is None else row.rule(kind)
    if row is None or rule is None:
        known = "no elementwise operation has this name" if row is None else f"it is not defined on {dtype_name}"
        raise UnsupportedOperation(f"cannot emit {code!r}: {known}")
    result = rule(*operands)
    return result if row.exact or kind != "float" else round_narrow(result, dtype_name)


def _instruction(name: str) -> Rule:
    return lambda x, y: x.binary(name, y)


def _predicate(name: str) -> Rule:
    return lambda x, y: x.compare(name, y)


def _unary_intrinsic(name: str) -> Rule:
    return lambda x: x.builder.intrinsic(name, x.type, [x])


def _comparison(floating: str, signed: str, unsigned: str) -> Row:
    return Row(_predicate(floating), _predicate(signed), _predicate(unsigned), _predicate(unsigned), exact=True)


def _arithmetic(floating: str, integer: str) -> Row:
    return Row(_instruction(floating), _instruction(integer), _instruction(integer))


def _bitwise(name: str) -> Row:
    rule = _instruction(name)
    return Row(None, rule, rule, rule)


def _mathematical(name: str) -> Row:
    return Row(lambda *operands: vector_math.call(name, operands))


def _rounding(intrinsic: str) -> Row:
    return Row(_unary_intrinsic(intrinsic), exact=True)


def _identity(x: Value) -> Value:
    return x


def _negate(x: Value) -> Value:
    return -x


def _extreme(predicate: str) -> Rule:
    """The operand that compares true; a NaN in either operand wins."""
    def rule(x: Value, y: Value) -> Value:
        if not x.type.is_float:
            return x.compare(predicate, y).select(x, y)
        return x.is_nan().select(x, x.compare(predicate, y).select(x, y))
    return rule


def _absolute_signed(x: Value) -> Value:
    return (x < 0).select(-x, x)


def _where(condition: Value, x: Value, y: Value) -> Value:
    return condition.select(x, y)


def _reciprocal(x: Value) -> Value:
    return x.constant(1.0) / x


def _rsqrt(x: Value) -> Value:
    return x.constant(1.0) / x.builder.intrinsic("sqrt", x.type, [x])


def _invert(x: Value) -> Value:
    return ~x


OPERATIONS: dict[str, Row] = {
    # arithmetic
    "neg": Row(_negate, _negate, _negate, exact=True),
    "add": _arithmetic("fadd", "add"),
    "sub": _arithmetic("fsub", "sub"),
    "mul": _arithmetic("fmul", "mul"),
    "div": Row(_instruction("fdiv")),
    "floordiv": Row(None, integer_math.floor_divide, integer_math.divide_unsigned),
    "truncdiv": Row(None, integer_math.truncating_divide, integer_math.divide_unsigned),
    "mod": Row(None, integer_math.floored_modulo, integer_math.modulo_unsigned),
    "pow": _mathematical("pow"),
    "maximum": Row(_extreme("ogt"), _extreme("sgt"), _extreme("ugt"), _instruction("or"), exact=True),
    "minimum": Row(_extreme("olt"), _extreme("slt"), _extreme("ult"), _instruction("and"), exact=True),
    "reciprocal": Row(_reciprocal),
    "abs": Row(_unary_intrinsic("fabs"), _absolute_signed, _identity, exact=True),
    # roots, exponentials, trigonometry
    "sqrt": Row(_unary_intrinsic("sqrt")),
    "rsqrt": Row(_rsqrt),
    "exp": _mathematical("exp"),
    "exp2": _mathematical("exp2"),
    "log": _mathematical("log"),
    "log2": _mathematical("log2"),
    "sin": _mathematical("sin"),
    "cos": _mathematical("cos"),
    "tan": _mathematical("tan"),
    "tanh": _mathematical("tanh"),
    "erf": _mathematical("erf"),
    # rounding to whole numbers
    "floor": _rounding("floor"),
    "ceil": _rounding("ceil"),
    "trunc": _rounding("trunc"),
    "round": _rounding("roundeven"),
    # comparison and choice
    "less": _comparison("olt", "slt", "ult"),
    "less_equal": _comparison("ole", "sle", "ule"),
    "equal": _comparison("oeq", "eq", "eq"),
    "not_equal": _comparison("une", "ne", "ne"),
    "where": Row(_where, _where, _where, _where, exact=True),
    # bits
    "bit_and": _bitwise("and"),
    "bit_or": _bitwise("or"),
    "bit_xor": _bitwise("xor"),
    "bit_not": Row(None, _invert, _invert, _invert),
    "shift_left": Row(None, integer_math.shift_left, integer_math.shift_left),
    "shift_right": Row(None, integer_math.shift_right_signed, integer_math.shift_right_unsigned),
    "random_bits": Row(None, None, integer_math.random_bits),
}
