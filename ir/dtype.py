"""Element types, their promotion, and constants in them.

    >>> dtypes.float16.itemsize, dtypes.int8.minimum, dtypes.int8.maximum
    (2, -128, 127)
    >>> promote(dtypes.int32, dtypes.float16), promote(dtypes.int8, dtypes.uint8)
    (dtypes.float16, dtypes.int16)
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cache
from typing import Any, Union

import numpy as np

Scalar = Union[bool, int, float]
_Boolean = bool
_Integer = int


class NegativeZero(float):
    """-0.0 as a constant: equal only to itself, so that a table of constants or kernels never takes it for 0.0."""

    def __new__(cls) -> NegativeZero:
        return super().__new__(cls, -0.0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NegativeZero)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, NegativeZero)

    def __hash__(self) -> int:
        return hash("-0.0")

    def __reduce__(self) -> tuple[Any, ...]:
        return NegativeZero, ()


NEGATIVE_ZERO = NegativeZero()
NAN = math.nan  # one object: a NaN equals nothing but is found again by identity


@dataclass(frozen=True, eq=False)
class DType:
    """The type of the elements of a tensor. One object each: compared by identity.

    kind: 'bool', 'int' (signed), 'uint', 'float' or 'void' (the type of a node with several results).
    rank: the position in promotion order.
    numpy: how elements are stored; bfloat16, which NumPy lacks, is stored as the uint16 with its bits.
    """

    name: str
    kind: str
    itemsize: int
    rank: int
    numpy: np.dtype[Any]

    @property
    def bits(self) -> int:
        """The width of one element: 1 for bool."""
        return 1 if self.kind == "bool" else self.itemsize * 8

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_integer(self) -> bool:
        """Signed or unsigned; bool is no integer."""
        return self.kind in ("int", "uint")

    @property
    def is_signed(self) -> bool:
        return self.kind in ("int", "float")

    @property
    def is_bool(self) -> bool:
        return self.kind == "bool"

    @property
    def minimum(self) -> Scalar:
        """The smallest value: minus infinity for floats, False for bool."""
        if self.kind == "float":
            return -math.inf
        return -(1 << (self.bits - 1)) if self.kind == "int" else False if self.kind == "bool" else 0

    @property
    def maximum(self) -> Scalar:
        """The largest value: infinity for floats, True for bool."""
        if self.kind == "float":
            return math.inf
        return (1 << (self.bits - (self.kind == "int"))) - 1 if self.kind != "bool" else True

    @property
    def held(self) -> np.dtype[Any]:
        """The NumPy dtype in which the interpreter holds values: float32 (rounded to bfloat16) for bfloat16."""
        return np.dtype(np.float32) if self.name == "bfloat16" else self.numpy

    @property
    def computed(self) -> np.dtype[Any]:
        """The NumPy dtype in which the interpreter computes: float32 for 16-bit floats, each result then rounded."""
        return np.dtype(np.float32) if self.kind == "float" and self.itemsize == 2 else self.numpy

    def constant(self, value: Scalar) -> Scalar:
        """``value`` as this type holds it, a Python number: floats rounded, integers wrapped, NaN and -0.0 canonical.

            >>> dtypes.uint8.constant(-1), dtypes.float32.constant(0.1), dtypes.bool.constant(2)
            (255, 0.10000000149011612, True)
        """
        if self.kind == "bool":
            return bool(value)
        if self.kind in ("int", "uint"):
            return _wrapped_integer(value, self)
        if self.kind == "void":
            raise ValueError("void has no constants")
        rounded = float(value)
        if rounded != rounded:
            return NAN
        if self.itemsize < 8:
            rounded = _rounded_float(rounded, self.name)
        return NEGATIVE_ZERO if rounded == 0.0 and math.copysign(1.0, rounded) < 0 else rounded

    def rounded(self, values: Any) -> Any:
        """An array of computed values as the interpreter holds them: rounded to this type, to the nearest even."""
        with np.errstate(all="ignore"):
            held = np.asarray(values).astype(self.held, copy=False)
        return round_to_bfloat16(held) if self.name == "bfloat16" else held

    def __repr__(self) -> str:
        return f"dtypes.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return dtype_named, (self.name,)


def _wrapped_integer(value: Scalar, dtype: DType) -> int:
    if isinstance(value, float):
        if value != value:
            return 0
        value = min(max(value, float(dtype.minimum)), float(dtype.maximum))  # saturates, as cast does
        return min(int(value), int(dtype.maximum))
    wrapped = int(value) & ((1 << dtype.bits) - 1)
    return wrapped - (1 << dtype.bits) if dtype.kind == "int" and wrapped >> (dtype.bits - 1) else wrapped


def _rounded_float(value: float, name: str) -> float:
    """One number rounded to float16, bfloat16 (through float32) or float32, quickly: every constant passes here."""
    code = "e" if name == "float16" else "f"
    try:
        (rounded,) = struct.unpack(code, struct.pack(code, value))
    except OverflowError:
        return math.copysign(math.inf, value)
    if name == "bfloat16" and math.isfinite(rounded):
        (bits,) = struct.unpack("I", struct.pack("f", rounded))
        (rounded,) = struct.unpack("f", struct.pack("I", (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000))
    return float(rounded)


def round_to_bfloat16(values: Any) -> Any:
    """float32 values rounded to the nearest bfloat16 (ties to even), still as float32."""
    return bfloat16_to_float32(float32_to_bfloat16(values))


def float32_to_bfloat16(values: Any) -> Any:
    """The bits (uint16) of float32 values rounded to the nearest bfloat16, ties to even; NaN stays NaN."""
    source = np.asarray(values, dtype=np.float32)
    bits = source.view(np.uint32) if source.ndim else source.reshape(1).view(np.uint32).reshape(())
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(source), np.uint32(0x7FC0), rounded).astype(np.uint16)


def bfloat16_to_float32(bits: Any) -> Any:
    """The float32 values of bfloat16 bits (uint16)."""
    widened = np.asarray(bits, dtype=np.uint16).astype(np.uint32) << np.uint32(16)
    return np.asarray(widened).reshape(-1).view(np.float32).reshape(np.shape(bits))


def _declare(name: str, kind: str, itemsize: int, rank: int, numpy: str | None = None) -> DType:
    return DType(name, kind, itemsize, rank, np.dtype(numpy or name))


class DTypes:
    """All element types by name: ``dtypes.float32``, and by the aliases that C and tinygrad use: ``dtypes.float``."""

    void = _declare("void", "void", 0, 0, "V0")
    bool = _declare("bool", "bool", 1, 1)
    int8 = _declare("int8", "int", 1, 2)
    uint8 = _declare("uint8", "uint", 1, 3)
    int16 = _declare("int16", "int", 2, 4)
    uint16 = _declare("uint16", "uint", 2, 5)
    int32 = _declare("int32", "int", 4, 6)
    uint32 = _declare("uint32", "uint", 4, 7)
    int64 = _declare("int64", "int", 8, 8)
    uint64 = _declare("uint64", "uint", 8, 9)
    float16 = _declare("float16", "float", 2, 10)
    bfloat16 = _declare("bfloat16", "float", 2, 11, "uint16")
    float32 = _declare("float32", "float", 4, 12)
    float64 = _declare("float64", "float", 8, 13)

    half, float, double = float16, float32, float64
    char, short, int, long = int8, int16, int32, int64
    uchar, ushort, uint, ulong = uint8, uint16, uint32, uint64

    floats = (float16, bfloat16, float32, float64)
    sints = (int8, int16, int32, int64)
    uints = (uint8, uint16, uint32, uint64)
    ints = uints + sints
    int8s, int16s, int32s, int64s = (uint8, int8), (uint16, int16), (uint32, int32), (uint64, int64)
    all = floats + ints + (bool,)

    default_float = float32
    default_int = int32

    @staticmethod
    def is_float(dtype: DType) -> _Boolean:
        return dtype.is_float

    @staticmethod
    def is_int(dtype: DType) -> _Boolean:
        """Signed or unsigned."""
        return dtype.is_integer

    @staticmethod
    def is_unsigned(dtype: DType) -> _Boolean:
        return dtype.kind == "uint"

    @staticmethod
    def is_bool(dtype: DType) -> _Boolean:
        return dtype.is_bool

    @staticmethod
    def from_py(value: object) -> DType:
        """The type of a tensor that is made of a number, or of a list of numbers."""
        if isinstance(value, (list, tuple)):
            return promote(*map(dtypes.from_py, value)) if value else dtypes.default_float
        return dtype_of_value(value)

    @staticmethod
    def finfo(dtype: DType) -> tuple[_Integer, _Integer]:
        """(bits of the exponent, explicit bits of the mantissa) of a floating-point type."""
        known = {"float16": (5, 10), "bfloat16": (8, 7), "float32": (8, 23), "float64": (11, 52)}
        if dtype.name not in known:
            raise ValueError(f"{dtype} is not a floating-point type")
        return known[dtype.name]


dtypes = DTypes()
_BY_NAME: dict[str, DType] = {name: value for name, value in vars(DTypes).items() if isinstance(value, DType)}
DTypeLike = Union[DType, str]


def dtype_named(name: str) -> DType:
    """The type with this name or alias; ValueError lists the names."""
    found = _BY_NAME.get(name.lower().removeprefix("dtypes."))
    if found is None:
        raise ValueError(f"no dtype is named {name!r}; there are {', '.join(d.name for d in DTypes.all)}")
    return found


def to_dtype(dtype: DTypeLike) -> DType:
    """A dtype from itself or from its name."""
    return dtype if isinstance(dtype, DType) else dtype_named(dtype)


def dtype_of_numpy(dtype: Any) -> DType:
    """The type of the elements of a NumPy array (a dtype named 'bfloat16', as ml_dtypes defines, is ours too)."""
    name = np.dtype(dtype).name
    if name not in _BY_NAME or name == "void":
        raise ValueError(f"NumPy's {name} has no equivalent; convert the array to one of "
                         f"{', '.join(d.name for d in DTypes.all)}")
    return _BY_NAME[name]


def dtype_of_value(value: object) -> DType:
    """The type that a Python number has by default: bool, int32, float32."""
    if isinstance(value, (bool, np.bool_)):
        return dtypes.bool
    if isinstance(value, (int, np.integer)):
        return dtypes.default_int
    if isinstance(value, (float, np.floating)):
        return dtypes.default_float
    raise TypeError(f"expected a bool, int or float, got {type(value).__name__} {value!r}")


_WIDER: dict[DType, tuple[DType, ...]] = {
    dtypes.bool: (dtypes.int8, dtypes.uint8),
    dtypes.int8: (dtypes.int16,),
    dtypes.uint8: (dtypes.int16, dtypes.uint16),
    dtypes.int16: (dtypes.int32,),
    dtypes.uint16: (dtypes.int32, dtypes.uint32),
    dtypes.int32: (dtypes.int64,),
    dtypes.uint32: (dtypes.int64, dtypes.uint64),
    dtypes.int64: (dtypes.float16, dtypes.bfloat16),
    dtypes.uint64: (dtypes.float16, dtypes.bfloat16),
    dtypes.float16: (dtypes.float32,),
    dtypes.bfloat16: (dtypes.float32,),
    dtypes.float32: (dtypes.float64,),
    dtypes.float64: (),
}


def _upper_set(dtype: DType) -> frozenset[DType]:
    found, pending = {dtype}, [dtype]
    while pending:
        for wider in _WIDER[pending.pop()]:
            if wider not in found:
                found.add(wider)
                pending.append(wider)
    return frozenset(found)


@cache
def promote(*operands: DType) -> DType:
    """The type of the result of an operation on mixed types: the least type above all in the promotion lattice.

    The lattice is JAX's (https://docs.jax.dev/en/latest/jep/9407-type-promotion.html) without complex numbers, as in
    tinygrad: an integer and a float16 give float16. int64 and uint64, which no integer type holds, give float32.
    """
    if not operands or dtypes.void in operands:
        raise ValueError(f"promotion needs one or more element types, got {operands}")
    common = frozenset.intersection(*(_upper_set(dtype) for dtype in operands))
    least = min(common, key=lambda dtype: dtype.rank)
    ambiguous = least is dtypes.float16 and dtypes.bfloat16 in common  # neither is above the other
    return dtypes.default_float if ambiguous else least
