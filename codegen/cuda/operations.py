"""One row per elementwise op: how it is written in CUDA C."""

from __future__ import annotations

from collections.abc import Callable

from ir import DType, dtypes

Spelling = Callable[[DType, tuple[str, ...]], str]


def _infix(symbol: str) -> Spelling:
    return lambda dtype, operands: f"{operands[0]} {symbol} {operands[1]}"


def _wrapping(symbol: str) -> Spelling:
    """Integer arithmetic wraps: it is done on the unsigned type, where C defines it so."""

    def spell(dtype: DType, operands: tuple[str, ...]) -> str:
        if dtype.kind != "int":
            return f"{operands[0]} {symbol} {operands[1]}"
        return f"(unsigned long long){operands[0]} {symbol} (unsigned long long){operands[1]}"

    return spell


def _function(name: str) -> Spelling:
    """A math function: ``expf`` for float, ``exp`` for double."""
    return lambda dtype, operands: f"{name}{'' if dtype == dtypes.float64 else 'f'}({', '.join(operands)})"


def _device_function(name: str) -> Spelling:
    return lambda dtype, operands: f"{name}({', '.join(operands)})"


def _negation(dtype: DType, operands: tuple[str, ...]) -> str:
    return f"0 - (unsigned long long){operands[0]}" if dtype.kind == "int" else f"-{operands[0]}"


def _absolute(dtype: DType, operands: tuple[str, ...]) -> str:
    (x,) = operands
    if dtype.kind == "float":
        return _function("fabs")(dtype, operands)
    return f"{x} < 0 ? 0 - (unsigned long long){x} : {x}" if dtype.kind == "int" else x


def _floor_division(dtype: DType, operands: tuple[str, ...]) -> str:
    if dtype.kind == "float":
        return _function("floor")(dtype, (f"{operands[0]} / {operands[1]}",))
    return _device_function("floored_quotient")(dtype, operands)


def _truncated_division(dtype: DType, operands: tuple[str, ...]) -> str:
    if dtype.kind == "float":
        return _function("trunc")(dtype, (f"{operands[0]} / {operands[1]}",))
    return _device_function("truncated_quotient")(dtype, operands)


def _reciprocal(dtype: DType, operands: tuple[str, ...]) -> str:
    return f"{'1.0' if dtype == dtypes.float64 else '1.0f'} / {operands[0]}"


def _reciprocal_root(dtype: DType, operands: tuple[str, ...]) -> str:
    return _reciprocal(dtype, (_function("sqrt")(dtype, operands),))


def _complement(dtype: DType, operands: tuple[str, ...]) -> str:
    return f"{'!' if dtype == dtypes.bool else '~'}{operands[0]}"


def _shift(symbol: str) -> Spelling:
    """Shifting by the width or more leaves nothing (of a negative number to the right: the sign)."""

    def spell(dtype: DType, operands: tuple[str, ...]) -> str:
        x, amount = operands
        width = 8 * dtype.itemsize
        if symbol == ">>" and dtype.kind == "int":
            return f"{x} >> ((unsigned long long){amount} < {width} ? {amount} : {width - 1})"
        shifted = f"(unsigned long long){x} << {amount}" if symbol == "<<" else f"{x} >> {amount}"
        return f"(unsigned long long){amount} < {width} ? {shifted} : 0"

    return spell


OPERATIONS: dict[str, Spelling] = {
    "neg": _negation,
    "add": _wrapping("+"),
    "sub": _wrapping("-"),
    "mul": _wrapping("*"),
    "div": _infix("/"),
    "floordiv": _floor_division,
    "mod": _device_function("floored_remainder"),
    "truncdiv": _truncated_division,
    "pow": _function("pow"),
    "maximum": _device_function("maximum"),
    "minimum": _device_function("minimum"),
    "reciprocal": _reciprocal,
    "sqrt": _function("sqrt"),
    "rsqrt": _reciprocal_root,
    "exp": _function("exp"),
    "exp2": _function("exp2"),
    "log": _function("log"),
    "log2": _function("log2"),
    "sin": _function("sin"),
    "cos": _function("cos"),
    "tanh": _function("tanh"),
    "erf": _function("erf"),
    "floor": _function("floor"),
    "ceil": _function("ceil"),
    "trunc": _function("trunc"),
    "round": _function("rint"),
    "tan": _function("tan"),
    "abs": _absolute,
    "less": _infix("<"),
    "less_equal": _infix("<="),
    "equal": _infix("=="),
    "not_equal": _infix("!="),
    "bit_and": _infix("&"),
    "bit_or": _infix("|"),
    "bit_xor": _infix("^"),
    "bit_not": _complement,
    "shift_left": _shift("<<"),
    "shift_right": _shift(">>"),
    "where": lambda dtype, operands: f"{operands[0]} ? {operands[1]} : {operands[2]}",
    "random_bits": _device_function("random_bits"),
}
