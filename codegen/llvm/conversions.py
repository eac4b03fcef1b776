"""Numeric conversion between dtypes (``loops.Convert``) and reinterpretation of bits (``loops.Reinterpret``).

Float to integer truncates and saturates, NaN becomes 0; integer to integer keeps the low bits; anything to bool is
"not equal to 0" (NaN is true). float64 reaches float16 with one rounding, and bfloat16 through float32, as in ``ir``.
"""

from __future__ import annotations

from codegen.llvm.builder import Value, vector
from codegen.llvm.types import REPRESENTATIONS, from_memory, memory_type, round_narrow, to_memory


def convert(value: Value, source: str, target: str) -> Value:
    """``value`` of the dtype named ``source`` as the nearest value of the dtype named ``target``."""
    if source == target:
        return value
    before, after = REPRESENTATIONS[source], REPRESENTATIONS[target]
    if after.kind == "bool":
        return value.compare("une" if before.kind == "float" else "ne", 0)
    if after.kind == "float":
        if before.kind == "float":
            return _float_to_float(value, source, target)
        wide = value.type.with_element(after.register)
        return round_narrow(value.convert("sitofp" if before.kind == "signed" else "uitofp", wide), target)
    result = value.type.with_element(after.register)
    if before.kind == "float":
        name = "fptosi.sat" if after.kind == "signed" else "fptoui.sat"
        return value.builder.intrinsic(name, result, [value], result, value.type)
    return _integer_to_integer(value, result.bits, signed=before.kind == "signed")


def _integer_to_integer(value: Value, bits: int, signed: bool) -> Value:
    result = value.type.with_element(f"i{bits}")
    if bits == value.type.bits:
        return value
    return value.convert("trunc" if bits < value.type.bits else "sext" if signed else "zext", result)


def _float_to_float(value: Value, source: str, target: str) -> Value:
    if target == "float64":
        return value.convert("fpext", value.type.with_element("double"))
    if source != "float64":
        return value if target == "float32" else round_narrow(value, target)
    if target == "float16":
        return round_narrow(_to_float_odd(value), target)
    return round_narrow(value.convert("fptrunc", value.type.with_element("float")), target)


def _to_float_odd(value: Value) -> Value:
    """float64 to float32 rounded to odd: rounding the result again to fewer bits is then rounding once.

    An inexact result whose last bit is 0 moves to its neighbour on the other side of the exact value
    (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
    """
    single = value.convert("fptrunc", value.type.with_element("float"))
    back = single.convert("fpext", value.type)
    bits = single.bits()
    beyond = _magnitude(back).compare("ogt", _magnitude(value))
    neighbour = beyond.select(bits - 1, bits + 1)
    even = (bits & 1).equals(0)
    inexact = back.compare("one", value) & even
    return inexact.select(neighbour, bits).as_float()


def _magnitude(value: Value) -> Value:
    return value.builder.intrinsic("fabs", value.type, [value])


def reinterpret(value: Value, source: str, target: str) -> Value:
    """The same bits in memory, read as the dtype named ``target`` (of equal size)."""
    stored = to_memory(value, source)
    wanted = memory_type(target, value.type.lanes)
    if stored.type is not wanted:
        stored = stored.convert("bitcast", vector(wanted.element, wanted.lanes))
    return from_memory(stored, target)
