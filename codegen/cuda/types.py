"""How dtypes are spelled in CUDA C."""

from __future__ import annotations

import math

from codegen.loops import Literal
from ir import DType, dtypes

_NAMES = {
    dtypes.bool: "bool",
    dtypes.int8: "signed char",
    dtypes.int16: "short",
    dtypes.int32: "int",
    dtypes.int64: "long long",
    dtypes.uint8: "unsigned char",
    dtypes.uint16: "unsigned short",
    dtypes.uint32: "unsigned int",
    dtypes.uint64: "unsigned long long",
    dtypes.float16: "unsigned short",
    dtypes.bfloat16: "unsigned short",
    dtypes.float32: "float",
    dtypes.float64: "double",
}
SIXTEEN_BIT_FLOATS = (dtypes.float16, dtypes.bfloat16)


def c_type(dtype: DType) -> str:
    """The type of a value and of a buffer element. 16-bit floats travel as their bits and are computed in float."""
    return _NAMES[dtype]


def c_literal(literal: Literal) -> str:
    """The literal as an exact expression of its type."""
    dtype, value = literal.type.dtype, literal.value
    if dtype in SIXTEEN_BIT_FLOATS:
        short = "half" if dtype == dtypes.float16 else "bfloat16"
        return f"{short}_bits({_float_literal(float(value), 'f')})"
    if dtype == dtypes.float32:
        return _float_literal(float(value), "f")
    if dtype == dtypes.float64:
        return _float_literal(float(value), "")
    if dtype == dtypes.bool:
        return "true" if value else "false"
    return _integer_literal(int(value), dtype)


def _float_literal(value: float, suffix: str) -> str:
    if math.isnan(value):
        return "nanf(\"\")" if suffix else "nan(\"\")"
    if math.isinf(value):
        return ("-" if value < 0 else "") + f"(1.0{suffix} / 0.0{suffix})"
    return f"{value.hex()}{suffix}"


def _integer_literal(value: int, dtype: DType) -> str:
    if dtype == dtypes.int64:
        return f"{value}LL" if value > -(1 << 63) else f"({value + 1}LL - 1)"
    if dtype == dtypes.uint64:
        return f"{value}ULL"
    if dtype == dtypes.uint32:
        return f"{value}u"
    return str(value) if value > -(1 << 31) else f"({value + 1} - 1)"
