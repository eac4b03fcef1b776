"""How each dtype lives in memory and in registers.

============  =========  ========  ==================================================================
dtype         memory     register  note
============  =========  ========  ==================================================================
bool          i8         i1        0 or 1 in memory; masks and conditions need no conversion
float16       half       float     computed in float32 and rounded after every operation
bfloat16      i16        float     the same; rounding is done on the bits, to nearest even
other floats  the same as in registers: float, double
integers      i8 ... i64, signed and unsigned alike; instructions carry the signedness
============  =========  ========  ==================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from codegen.llvm.builder import Type, Value, scalar_constant, vector

if TYPE_CHECKING:
    from codegen import loops

Kind = Literal["float", "signed", "unsigned", "bool"]


class Representation(NamedTuple):
    """The LLVM scalar types of a dtype, the bytes of an element in memory, and which instructions compute on it."""

    memory: str
    register: str
    kind: Kind
    itemsize: int


REPRESENTATIONS: dict[str, Representation] = {
    "bool": Representation("i8", "i1", "bool", 1),
    "int8": Representation("i8", "i8", "signed", 1),
    "int16": Representation("i16", "i16", "signed", 2),
    "int32": Representation("i32", "i32", "signed", 4),
    "int64": Representation("i64", "i64", "signed", 8),
    "uint8": Representation("i8", "i8", "unsigned", 1),
    "uint16": Representation("i16", "i16", "unsigned", 2),
    "uint32": Representation("i32", "i32", "unsigned", 4),
    "uint64": Representation("i64", "i64", "unsigned", 8),
    "float16": Representation("half", "float", "float", 2),
    "bfloat16": Representation("i16", "float", "float", 2),
    "float32": Representation("float", "float", "float", 4),
    "float64": Representation("double", "double", "float", 8),
}

INDEX = vector("i64", 1)
POINTER = vector("ptr", 1)


def register_type(type_: loops.ValueType) -> Type:
    """The LLVM type of a value of the loop IR."""
    return vector(REPRESENTATIONS[type_.dtype.name].register, type_.lanes)


def memory_type(dtype_name: str, lanes: int) -> Type:
    """The LLVM type that is loaded and stored."""
    return vector(REPRESENTATIONS[dtype_name].memory, lanes)


def kind_of(type_: loops.ValueType) -> Kind:
    """Which instructions compute on values of that type."""
    return REPRESENTATIONS[type_.dtype.name].kind


def literal_text(literal: loops.Literal) -> str:
    """The constant as LLVM text, rounded or wrapped to its dtype."""
    dtype, lanes = literal.type
    element = REPRESENTATIONS[dtype.name].register
    text = scalar_constant(element, dtype.constant(literal.value))
    return text if lanes == 1 else f"splat ({element} {text})"


def round_narrow(value: Value, dtype_name: str) -> Value:
    """A float32 rounded to the nearest value of ``dtype_name``; other dtypes unchanged."""
    if dtype_name == "float16":
        half = value.type.with_element("half")
        return value.convert("fptrunc", half).convert("fpext", value.type)
    if dtype_name == "bfloat16":
        return _round_bfloat16(value)
    return value


def _round_bfloat16(value: Value) -> Value:
    """To nearest, ties to even, on the bits: a carry out of the mantissa rightly becomes the next exponent."""
    bits = value.bits()
    odd = (bits >> 16) & 1
    rounded = (bits + odd + 0x7FFF) & -0x10000
    quiet_nan = (bits | 0x400000) & -0x10000
    return value.is_nan().select(quiet_nan, rounded).as_float()


def from_memory(stored: Value, dtype_name: str) -> Value:
    """What was loaded, as it is held in registers."""
    if dtype_name == "bool":
        return stored.compare("ne", 0)
    if dtype_name == "float16":
        return stored.convert("fpext", stored.type.with_element("float"))
    if dtype_name == "bfloat16":
        return (stored.convert("zext", stored.type.with_element("i32")) << 16).as_float()
    return stored


def to_memory(value: Value, dtype_name: str) -> Value:
    """A register value as it is stored (narrow floats are already rounded, so that this is exact)."""
    if dtype_name == "bool":
        return value.convert("zext", value.type.with_element("i8"))
    if dtype_name == "float16":
        return value.convert("fptrunc", value.type.with_element("half"))
    if dtype_name == "bfloat16":
        return (value.bits() >> 16).convert("trunc", value.type.with_element("i16"))
    return value
