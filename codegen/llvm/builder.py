"""LLVM IR as text: types, values with operators, functions under construction, and the module around them.

Operators on ``Value`` append one instruction each, so that code which computes on lanes reads like arithmetic:

    >>> x = Value(builder, vector("float", 16), "%x")
    >>> y = fma(x, x, 1.0)      # %.1 = call <16 x float> @llvm.fma.v16f32(...)
    >>> y > 0.0                 # %.2 = fcmp ogt <16 x float> %.1, zeroinitializer

Text is built 3 to 4 times faster than llvmlite's objects, which would be printed and parsed anyway.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Union

_SUFFIX = {"float": "f32", "double": "f64", "half": "f16", "ptr": "p0"}
_BITS = {"float": 32, "double": 64, "half": 16, "ptr": 64}

_NONTEMPORAL = "!0 = !{i32 1}"  # the node that every !nontemporal refers to

Number = Union[int, float]


class Type:
    """An LLVM scalar (``lanes`` == 1) or a fixed vector of one. Made by ``vector``; equal types are one object."""

    __slots__ = ("bits", "element", "is_float", "lanes", "suffix", "text")

    def __init__(self, element: str, lanes: int) -> None:
        self.element, self.lanes = element, lanes
        self.text = element if lanes == 1 else f"<{lanes} x {element}>"
        name = _SUFFIX.get(element, element)
        self.suffix = name if lanes == 1 else f"v{lanes}{name}"
        self.bits = _BITS[element] if element in _BITS else int(element[1:])
        self.is_float = element in ("float", "double", "half")

    def with_element(self, element: str) -> Type:
        """The same number of lanes of another element."""
        return vector(element, self.lanes)

    @property
    def mask(self) -> Type:
        return vector("i1", self.lanes)

    @property
    def integer(self) -> Type:
        """The integer type of the same size."""
        return vector(f"i{self.bits}", self.lanes)

    @property
    def scalar(self) -> Type:
        return vector(self.element, 1)

    def constant(self, value: Number) -> str:
        """The text of a constant, the same in every lane."""
        text = scalar_constant(self.element, value)
        return text if self.lanes == 1 else f"splat ({self.element} {text})"

    def __repr__(self) -> str:
        return self.text


@cache
def vector(element: str, lanes: int) -> Type:
    """``lanes`` elements of an LLVM scalar type: "float", "double", "half", "i1" ... "i64", "ptr"."""
    return Type(element, lanes)


def scalar_constant(element: str, value: Number) -> str:
    """A number as LLVM writes it: floats as the hexadecimal bits of a double, integers wrapped into range."""
    if element == "i1":
        return "true" if value else "false"
    if element == "double":
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    if element == "float":
        return f"0x{struct.unpack('<Q', struct.pack('<d', _to_float32(value)))[0]:016X}"
    bits = int(element[1:])
    wrapped = int(value) & ((1 << bits) - 1)
    return str(wrapped - (1 << bits) if wrapped >> (bits - 1) else wrapped)


def _to_float32(value: Number) -> float:
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return rounded


class Module:
    """Functions, the intrinsics that they declare, and helpers that several of them share."""

    def __init__(self, vector_bits: int) -> None:
        self.vector_bits = vector_bits
        self.intrinsics: dict[tuple[str, tuple[Type, ...]], str] = {}
        self._declarations: dict[str, str] = {}
        self._helpers: dict[str, str] = {}
        self._tables: dict[str, str] = {}
        self.functions: list[str] = []

    def declare(self, name: str, result: str, parameters: Sequence[str]) -> None:
        if name not in self._declarations:
            self._declarations[name] = f"declare {result} @{name}({', '.join(parameters)})"

    def helper(self, name: str, result: Type, parameters: Sequence[Type], build: Callable[..., Value],
               inline: bool) -> None:
        """Defines ``@name`` once: ``build`` is given one Value per parameter and returns the result.

        inline: copied into its callers by the always-inline pass; otherwise an ordinary call on vector registers.
        """
        if name in self._helpers:
            return
        self._helpers[name] = ""  # reserved: a helper may be requested again while it is being built
        function = FunctionBuilder(self)
        arguments = [Value(function, type_, f"%{index}") for index, type_ in enumerate(parameters)]
        outcome = build(*arguments)
        signature = ", ".join(f"{a.type.text} {a.text}" for a in arguments)
        group = "#1" if inline else "#2"
        self._helpers[name] = "\n".join([
            f"define internal {result.text} @{name}({signature}) {group} {{", "entry:", *function.lines,
            f"  ret {outcome.type.text} {outcome.text}", "}"])

    def table(self, name: str, element: Type, numbers: Sequence[Number]) -> str:
        """The name of a constant array, defined once."""
        if name not in self._tables:
            values = ", ".join(f"{element.text} {element.constant(number)}" for number in numbers)
            self._tables[name] = f"@{name} = private constant [{len(numbers)} x {element.text}] [{values}], align 64"
        return f"@{name}"

    def text(self) -> str:
        """The whole module."""
        width = f'"min-legal-vector-width"="{self.vector_bits}" "prefer-vector-width"="{self.vector_bits}"'
        attributes = [f"attributes #0 = {{ nounwind {width} }}",
                      f"attributes #1 = {{ alwaysinline nounwind {width} }}",
                      f"attributes #2 = {{ noinline nounwind {width} }}"]
        parts = [*self._declarations.values(), *self._tables.values(), "", *self.functions, *self._helpers.values(),
                 *attributes]
        return "\n".join([*parts, _NONTEMPORAL]) + "\n"


class FunctionBuilder:
    """The instructions of one function, in order. ``block`` is the label of the block that is being filled."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.lines: list[str] = []
        self.block = "entry"
        self._count = 0

    def temporary(self) -> str:
        self._count += 1
        return f"%.{self._count}"

    def value(self, type_: Type, text: str) -> Value:
        """The result of an instruction, under a new temporary name."""
        self._count += 1
        name = f"%.{self._count}"
        self.lines.append(f"  {name} = {text}")
        return Value(self, type_, name)

    def emit(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append("  " + text)

    def label(self, hint: str) -> str:
        """A new label (not yet placed)."""
        self._count += 1
        return f"{hint}.{self._count}"

    def place(self, label: str) -> None:
        """Starts the block ``label``; the block before must have been ended by a branch."""
        self.lines.append(f"{label}:")
        self.block = label

    def branch(self, target: str) -> None:
        self.lines.append(f"  br label %{target}")

    def branch_if(self, condition: Value, then: str, otherwise: str) -> None:
        self.lines.append(f"  br i1 {condition.text}, label %{then}, label %{otherwise}")

    def constant(self, type_: Type, value: Number) -> Value:
        return Value(self, type_, type_.constant(value))

    def call(self, name: str, result: Type, arguments: Sequence[Value]) -> Value:
        """Calls a function of the module."""
        operands = ", ".join([f"{a.type.text} {a.text}" for a in arguments])
        return self.value(result, f"call {result.text} @{name}({operands})")

    def intrinsic(self, name: str, result: Type, arguments: Sequence[Value], *overloads: Type) -> Value:
        """Calls ``llvm.name`` with the type suffixes of ``overloads`` (by default the result's)."""
        types = overloads or (result,)
        full = self.module.intrinsics.get((name, types))
        if full is None:
            full = self.module.intrinsics[name, types] = f"llvm.{name}." + ".".join(type_.suffix for type_ in types)
            self.module.declare(full, result.text, [argument.type.text for argument in arguments])
        return self.call(full, result, arguments)

    def phi(self, type_: Type, incoming: Sequence[tuple[Value, str]]) -> Value:
        """The value that arrives with the block it comes from."""
        return self.value(type_, phi_text(type_, [(value.text, label) for value, label in incoming]))


def phi_text(type_: Type, incoming: Sequence[tuple[str, str]]) -> str:
    return f"phi {type_.text} " + ", ".join(f"[ {text}, %{label} ]" for text, label in incoming)


class Value:
    """An SSA value or a constant. Operators take values of the same type, or Python numbers."""

    __slots__ = ("builder", "text", "type")

    def __init__(self, builder: FunctionBuilder, type_: Type, text: str) -> None:
        self.builder, self.type, self.text = builder, type_, text

    @property
    def typed(self) -> str:
        return f"{self.type.text} {self.text}"

    def constant(self, value: Number) -> Value:
        """A constant of this value's type."""
        return Value(self.builder, self.type, self.type.constant(value))

    def _operand(self, other: Value | Number) -> str:
        return other.text if isinstance(other, Value) else self.type.constant(other)

    def binary(self, instruction: str, other: Value | Number) -> Value:
        return self.builder.value(self.type, f"{instruction} {self.type.text} {self.text}, {self._operand(other)}")

    def compare(self, predicate: str, other: Value | Number) -> Value:
        """``predicate`` as LLVM names it: olt, ogt, oeq, une, uno, ... for floats; eq, slt, ult, ... for integers."""
        instruction = "fcmp" if self.type.is_float else "icmp"
        return self.builder.value(
            self.type.mask, f"{instruction} {predicate} {self.type.text} {self.text}, {self._operand(other)}")

    def select(self, yes: Value, no: Value | Number) -> Value:
        """``yes`` in the lanes where this mask is on, ``no`` elsewhere."""
        return self.builder.value(
            yes.type, f"select {self.typed}, {yes.typed}, {yes.type.text} {yes._operand(no)}")

    def convert(self, instruction: str, type_: Type) -> Value:
        """zext, sext, trunc, fpext, fptrunc, sitofp, uitofp, bitcast, ... to ``type_``."""
        return self.builder.value(type_, f"{instruction} {self.typed} to {type_.text}")

    def bits(self) -> Value:
        """The bits of a float as an integer of the same size."""
        return self.convert("bitcast", self.type.integer)

    def as_float(self) -> Value:
        """The float with these bits: i32 -> float, i64 -> double."""
        return self.convert("bitcast", self.type.with_element("float" if self.type.bits == 32 else "double"))

    def __add__(self, other: Value | Number) -> Value:
        return self.binary("fadd" if self.type.is_float else "add", other)

    def __sub__(self, other: Value | Number) -> Value:
        return self.binary("fsub" if self.type.is_float else "sub", other)

    def __mul__(self, other: Value | Number) -> Value:
        return self.binary("fmul" if self.type.is_float else "mul", other)

    def __truediv__(self, other: Value | Number) -> Value:
        return self.binary("fdiv", other)

    def __neg__(self) -> Value:
        if self.type.is_float:
            return self.builder.value(self.type, f"fneg {self.typed}")
        return self.constant(0) - self

    def __and__(self, other: Value | Number) -> Value:
        return self.binary("and", other)

    def __or__(self, other: Value | Number) -> Value:
        return self.binary("or", other)

    def __xor__(self, other: Value | Number) -> Value:
        return self.binary("xor", other)

    def __invert__(self) -> Value:
        return self.binary("xor", -1 if self.type.element != "i1" else 1)

    def __lshift__(self, other: Value | Number) -> Value:
        return self.binary("shl", other)

    def __rshift__(self, other: Value | Number) -> Value:
        """Logical shift; ``binary("ashr", n)`` is the arithmetic one."""
        return self.binary("lshr", other)

    def __lt__(self, other: Value | Number) -> Value:
        return self.compare("olt" if self.type.is_float else "slt", other)

    def __gt__(self, other: Value | Number) -> Value:
        return self.compare("ogt" if self.type.is_float else "sgt", other)

    def equals(self, other: Value | Number) -> Value:
        return self.compare("oeq" if self.type.is_float else "eq", other)

    def is_nan(self) -> Value:
        return self.builder.value(self.type.mask, f"fcmp uno {self.typed}, {self.text}")


def fma(a: Value, b: Value | Number, c: Value | Number) -> Value:
    """a * b + c with one rounding."""
    operands = [a, *(x if isinstance(x, Value) else a.constant(x) for x in (b, c))]
    return a.builder.intrinsic("fma", a.type, operands)


def splat(scalar: Value, lanes: int) -> Value:
    """A scalar in every lane."""
    if lanes == 1:
        return scalar
    builder, type_ = scalar.builder, vector(scalar.type.element, lanes)
    first = builder.value(type_, f"insertelement {type_.text} poison, {scalar.typed}, i64 0")
    return builder.value(
        type_, f"shufflevector {first.typed}, {type_.text} poison, <{lanes} x i32> zeroinitializer")


def shuffle(a: Value, lanes: Sequence[int]) -> Value:
    """The lanes of ``a`` with these numbers, in this order."""
    order = ", ".join(f"i32 {lane}" for lane in lanes)
    type_ = vector(a.type.element, len(lanes))
    return a.builder.value(type_, f"shufflevector {a.typed}, {a.type.text} poison, <{len(lanes)} x i32> <{order}>")


def shuffle_two(a: Value, b: Value, lanes: Sequence[int]) -> Value:
    """The lanes with these numbers of ``a`` followed by ``b``, in this order."""
    order = ", ".join(f"i32 {lane}" for lane in lanes)
    type_ = vector(a.type.element, len(lanes))
    return a.builder.value(type_, f"shufflevector {a.typed}, {b.typed}, <{len(lanes)} x i32> <{order}>")


def extract(a: Value, lane: int) -> Value:
    """One lane as a scalar."""
    return a.builder.value(a.type.scalar, f"extractelement {a.typed}, i64 {lane}")
