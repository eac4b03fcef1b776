"""CUDA C text from the loop IR: one translation unit for all kernels of a program.

A vector of n lanes is n scalar variables; a load or store of aligned lanes moves them as one packet (16 bytes at most).
BLOCK and THREAD loops become the grid: their bodies run once per block and thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

from codegen import loops
from codegen.alignment import index_multiples, multiple_of
from codegen.cuda.operations import OPERATIONS
from codegen.cuda.prelude import PRELUDE
from codegen.cuda.types import SIXTEEN_BIT_FLOATS, c_literal, c_type
from codegen.loops import LoopKind, Space
from ir import DType, dtypes

_DIMENSIONS = "xyz"
_PACKET_BYTES = 16
_UNROLLED = 16  # iterations of an innermost loop that nvcc is asked to write out
_OF_INDICES = ("add", "mul", "minimum", "maximum")
_WARP_LANES = 32


class LaunchShape(NamedTuple):
    """How many blocks a kernel is launched with, and how many threads a block has."""

    grid: tuple[int, int, int]
    block: tuple[int, int, int]


class EmissionError(ValueError):
    """The loop IR holds something that CUDA C cannot express; it was lowered for another target."""


def emit_cuda(functions: Sequence[loops.Function]) -> str:
    """The text of a translation unit with one ``extern "C"`` kernel per function.

    A kernel's parameters are the addresses of ``function.parameters``, then the values of ``function.symbols``.
    """
    return "\n".join([PRELUDE, *(_FunctionEmitter(function).text() for function in functions)])


def launch_shape(function: loops.Function) -> LaunchShape:
    """The grid and block of ``function``: the extents of its BLOCK and THREAD loops."""
    sizes = {LoopKind.BLOCK: [1, 1, 1], LoopKind.THREAD: [1, 1, 1]}
    pending = list(function.body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, loops.If):
            pending += statement.then + statement.otherwise
        if not isinstance(statement, loops.For):
            continue
        pending += statement.body
        if statement.kind in sizes:
            extents = sizes[statement.kind]
            extents[statement.dimension] = max(extents[statement.dimension], _constant_extent(statement))
    grid, block = sizes[LoopKind.BLOCK], sizes[LoopKind.THREAD]
    return LaunchShape((grid[0], grid[1], grid[2]), (block[0], block[1], block[2]))


def _constant_extent(loop: loops.For) -> int:
    start, stop = (bound.value if isinstance(bound, loops.Literal) else None for bound in (loop.start, loop.stop))
    if start == 0 and stop is not None and loop.step == 1:
        return int(stop)
    raise EmissionError(f"a {loop.kind.value} loop must run from 0 to a constant by 1, {loop.index.name} does not")


class _FunctionEmitter:
    def __init__(self, function: loops.Function) -> None:
        self.function = function
        self.shape = launch_shape(function)
        self.lines: list[str] = []
        self.depth = 1
        self.names: dict[loops.Variable, str] = {}
        self.taken = {buffer.name for buffer in function.parameters}
        self.multiples = index_multiples(function)
        self.indices: set[loops.Variable] = set()  # loop variables, and what is computed from nothing else

    def text(self) -> str:
        parameters = [self._parameter(buffer) for buffer in self.function.parameters]
        parameters += [f"const long long symbol_{name}" for name in self.function.symbols]
        threads = prod(self.shape.block)
        attributes = f'extern "C" __global__ void __launch_bounds__({threads})'
        head = f"{attributes} {self.function.name}({', '.join(parameters)}) {{"
        self._body(self.function.body)
        return "\n".join([head, *self.lines, "}", ""])

    @staticmethod
    def _parameter(buffer: loops.Buffer) -> str:
        # An output may share its storage with an input (assign), so __restrict__ would be a promise we cannot keep.
        return f"{'const ' if buffer.readonly else ''}{c_type(buffer.dtype)}* {buffer.name}"

    def _line(self, text: str) -> None:
        self.lines.append("  " * self.depth + text)

    def _body(self, statements: Sequence[loops.LoopStatement]) -> None:
        for statement in statements:
            _STATEMENTS[type(statement)](self, statement)

    def _block(self, head: str, statements: Sequence[loops.LoopStatement], then: Sequence[str] = ()) -> None:
        self._line(head + " {")
        self.depth += 1
        self._body(statements)
        for line in then:
            self._line(line)
        self.depth -= 1
        self._line("}")

    # ------------------------------------------------------------------------------------------------ values

    def _lane(self, atom: loops.Atom, lane: int) -> str:
        """The expression of one lane of an atom."""
        if isinstance(atom, loops.Literal):
            return c_literal(atom)
        name = self._name(atom)
        return name if atom.type.lanes == 1 else f"{name}_lane{lane}"

    def _name(self, variable: loops.Variable) -> str:
        """A C identifier for the variable: its name without what C does not allow, made unique by a number."""
        known = self.names.get(variable)
        if known is not None:
            return known
        stem = re.sub(r"\W", "_", variable.name)
        name, number = f"{stem}_", 1
        while name in self.taken:
            number += 1
            name = f"{stem}_{number}"
        self.taken.add(name)
        self.names[variable] = name
        return name

    def let(self, statement: loops.Let) -> None:
        value, target = statement.value, statement.variable
        if isinstance(value, loops.Load) and self._is_packet(value):
            self._load_packet(target, value)
            return
        if isinstance(value, loops.Operation) and value.code in _OF_INDICES and self._is_index(value):
            self.indices.add(target)
        scalar_type = c_type(target.type.dtype)
        for lane in range(target.type.lanes):
            expression = _VALUES[type(value)](self, value, lane)
            self._line(f"const {scalar_type} {self._lane(target, lane)} = {expression};")

    def _operation(self, value: loops.Operation, lane: int) -> str:
        operands = tuple(self._lane(operand, lane) for operand in value.operands)
        spelling = OPERATIONS.get(value.code)
        if spelling is None:
            raise EmissionError(f"no CUDA C row for the elementwise op '{value.code}'")
        dtype = value.operands[-1].type.dtype
        if dtype in SIXTEEN_BIT_FLOATS and value.code != "where":
            wide = tuple(convert(operand, dtype, dtypes.float32) for operand in operands)
            text = f"({spelling(dtypes.float32, wide)})"
            return convert(text, dtypes.float32, value.type.dtype) if value.type.dtype == dtype else text
        if value.code in ("add", "mul") and self._is_index(value):
            return spelling(dtypes.uint64, operands)  # inside a buffer: it does not wrap
        return f"({c_type(value.type.dtype)})({spelling(dtype, operands)})"

    def _is_index(self, value: loops.Operation) -> bool:
        """True for arithmetic on addresses: 64-bit sums and products of loop variables, with factors that are known."""
        return value.type.dtype == dtypes.int64 and all(
            isinstance(operand, loops.Literal) or operand in self.indices for operand in value.operands)

    def _convert(self, value: loops.Convert, lane: int) -> str:
        return convert(self._lane(value.operand, lane), value.operand.type.dtype, value.type.dtype)

    def _reinterpret(self, value: loops.Reinterpret, lane: int) -> str:
        return f"same_bits<{c_type(value.type.dtype)}>({self._lane(value.operand, lane)})"

    def _fma(self, value: loops.Fma, lane: int) -> str:
        name = "fma" if value.type.dtype == dtypes.float64 else "fmaf"
        return f"{name}({', '.join(self._lane(atom, lane) for atom in (value.a, value.b, value.c))})"

    def _copy(self, value: loops.Atom, lane: int) -> str:
        return self._lane(value, lane)

    def _splat(self, value: loops.Splat, lane: int) -> str:
        return self._lane(value.operand, 0)

    def _lane_index(self, value: loops.LaneIndex, lane: int) -> str:
        return str(lane)

    def _load(self, value: loops.Load, lane: int) -> str:
        element = f"{value.buffer.name}[{_offset(self._lane(value.index, 0), lane)}]"
        return self._masked(element, value.mask, lane, value.type.dtype)

    def _gather_load(self, value: loops.GatherLoad, lane: int) -> str:
        element = f"{value.buffer.name}[{self._lane(value.indices, lane)}]"
        return self._masked(element, value.mask, lane, value.type.dtype)

    def _masked(self, element: str, mask: loops.Atom | None, lane: int, dtype: DType) -> str:
        return element if mask is None else f"{self._lane(mask, lane)} ? {element} : ({c_type(dtype)})0"

    def _vector_reduce(self, value: loops.VectorReduce, lane: int) -> str:
        """Halves are combined until one lane is left: the fixed order that the other emitter uses too."""
        dtype = value.type.dtype
        code = {"sum": "add", "prod": "mul", "max": "maximum", "min": "minimum"}[value.monoid]
        terms = [self._lane(value.operand, i) for i in range(value.operand.type.lanes)]
        while len(terms) > 1:
            half = len(terms) // 2
            pairs = zip(terms[:half], terms[half:], strict=True)
            terms = [f"({c_type(dtype)})({OPERATIONS[code](dtype, pair)})" for pair in pairs]
        return terms[0]

    def _extract(self, value: loops.Extract, lane: int) -> str:
        return self._lane(value.operand, value.lane)

    def _shuffle(self, value: loops.Shuffle, lane: int) -> str:
        number, lanes = value.order[lane], value.first.type.lanes
        return self._lane(value.first, number) if number < lanes else self._lane(value.second, number - lanes)

    def _warp_shuffle(self, value: loops.WarpShuffle, lane: int) -> str:
        lanes = min(_WARP_LANES, prod(self.shape.block))  # naming lanes that do not exist is undefined
        return f"__shfl_xor_sync({(1 << lanes) - 1:#x}u, {self._lane(value.operand, lane)}, {value.offset})"

    def _symbol(self, value: loops.SymbolValue, lane: int) -> str:
        return f"symbol_{value.name}"

    # ------------------------------------------------------------------------------------------------ memory

    def _is_packet(self, value: loops.Load) -> bool:
        return value.mask is None and self._fits_packet(value.type, value.index, value.aligned)

    def _fits_packet(self, type: loops.ValueType, index: loops.Atom, aligned: bool = False) -> bool:
        """True where the lanes are one aligned access of at most 16 bytes: buffers begin at multiples of that."""
        size = type.lanes * type.dtype.itemsize
        if type.lanes == 1 or size > _PACKET_BYTES or size & (size - 1):
            return False
        return aligned or multiple_of(index, self.multiples) % type.lanes == 0

    def _load_packet(self, target: loops.Variable, value: loops.Load) -> None:
        scalar_type, lanes = c_type(target.type.dtype), target.type.lanes
        packet = f"Packet<{scalar_type}, {lanes}>"
        address = f"{value.buffer.name} + {self._lane(value.index, 0)}"
        self._line(f"const {packet} {self._name(target)} = *reinterpret_cast<const {packet}*>({address});")
        for lane in range(lanes):
            self._line(f"const {scalar_type} {self._lane(target, lane)} = {self._name(target)}.lane[{lane}];")

    def store(self, statement: loops.Store) -> None:
        if statement.mask is None and self._fits_packet(statement.value.type, statement.index):
            lanes = ", ".join(self._lane(statement.value, lane) for lane in range(statement.value.type.lanes))
            packet = f"Packet<{c_type(statement.buffer.dtype)}, {statement.value.type.lanes}>"
            address = f"{statement.buffer.name} + {self._lane(statement.index, 0)}"
            self._line(f"*reinterpret_cast<{packet}*>({address}) = {packet}{{{{{lanes}}}}};")
            return
        for lane in range(statement.value.type.lanes):
            place = f"{statement.buffer.name}[{_offset(self._lane(statement.index, 0), lane)}]"
            self._store_lane(place, statement.value, statement.mask, lane)

    def scatter_store(self, statement: loops.ScatterStore) -> None:
        for lane in range(statement.value.type.lanes):
            place = f"{statement.buffer.name}[{self._lane(statement.indices, lane)}]"
            self._store_lane(place, statement.value, statement.mask, lane)

    def _store_lane(self, place: str, value: loops.Atom, mask: loops.Atom | None, lane: int) -> None:
        condition = "" if mask is None else f"if ({self._lane(mask, lane)}) "
        self._line(f"{condition}{place} = {self._lane(value, lane)};")

    def atomic_add(self, statement: loops.AtomicAdd) -> None:
        place = f"&{statement.buffer.name}[{self._lane(statement.index, 0)}]"
        self._line(f"atomicAdd({place}, {self._lane(statement.value, 0)});")

    def allocate(self, statement: loops.Allocate) -> None:
        buffer = statement.buffer
        space = "__shared__ " if buffer.space is Space.SHARED else ""
        self._line(f"alignas(16) {space}{c_type(buffer.dtype)} {buffer.name}[{buffer.size}];")

    # ----------------------------------------------------------------------------------------------- control

    def loop(self, statement: loops.For) -> None:
        if statement.kind in (LoopKind.BLOCK, LoopKind.THREAD):
            self._grid_loop(statement)
        else:
            self._serial_loop(statement)

    def _grid_loop(self, loop: loops.For) -> None:
        source = "blockIdx" if loop.kind is LoopKind.BLOCK else "threadIdx"
        sizes = self.shape.grid if loop.kind is LoopKind.BLOCK else self.shape.block
        if loop.carried:
            raise EmissionError(f"a {loop.kind.value} loop carries no values, {loop.index.name} does")
        name = self._name(loop.index)
        self.indices.add(loop.index)
        extent = _constant_extent(loop)
        self._line("{")
        self.depth += 1
        self._line(f"const long long {name} = {source}.{_DIMENSIONS[loop.dimension]};")
        if extent < sizes[loop.dimension]:
            self._block(f"if ({name} < {extent})", loop.body)
        else:
            self._body(loop.body)
        self.depth -= 1
        self._line("}")

    def _serial_loop(self, loop: loops.For) -> None:
        for carried in loop.carried:
            for lane in range(carried.inside.type.lanes):
                inside = self._lane(carried.inside, lane)
                self._line(f"{c_type(carried.inside.type.dtype)} {inside} = {self._lane(carried.initial, lane)};")
        if loop.kind is LoopKind.UNROLL or _is_short(loop):
            self._line("#pragma unroll")
        name = self._name(loop.index)
        self.indices.add(loop.index)
        start, stop = self._lane(loop.start, 0), self._lane(loop.stop, 0)
        head = f"for (long long {name} = {start}; {name} < {stop}; {name} += {loop.step})"
        self._block(head, loop.body, self._carry_on(loop.carried))
        for carried in loop.carried:
            for lane in range(carried.result.type.lanes):
                result, inside = self._lane(carried.result, lane), self._lane(carried.inside, lane)
                self._line(f"const {c_type(carried.result.type.dtype)} {result} = {inside};")

    def _carry_on(self, carried: Sequence[loops.Carried]) -> list[str]:
        """Assignments at the end of an iteration; through copies where one next value is another's current one."""
        changing = {carry.inside for carry in carried}
        copies, assignments = [], []
        for carry in carried:
            for lane in range(carry.inside.type.lanes):
                inside, following = self._lane(carry.inside, lane), self._lane(carry.next, lane)
                if carry.next in changing and carry.next is not carry.inside:
                    copies.append(f"const {c_type(carry.inside.type.dtype)} {inside}_next = {following};")
                    following = f"{inside}_next"
                assignments.append(f"{inside} = {following};")
        return copies + assignments

    def branch(self, statement: loops.If) -> None:
        self._block(f"if ({self._lane(statement.condition, 0)})", statement.then)
        if statement.otherwise:
            self._block("else", statement.otherwise)

    def barrier(self, statement: loops.Barrier) -> None:
        self._line("__syncthreads();")

    def comment(self, statement: loops.Comment) -> None:
        self._line(f"// {statement.text}")


def _offset(index: str, lane: int) -> str:
    return f"{index} + {lane}" if lane else index


def _is_short(loop: loops.For) -> bool:
    """True for an innermost loop of few iterations whose number is constant."""
    if not isinstance(loop.start, loops.Literal) or not isinstance(loop.stop, loops.Literal):
        return False
    iterations = -(-(int(loop.stop.value) - int(loop.start.value)) // loop.step)
    return iterations <= _UNROLLED and not any(isinstance(inner, loops.For) for inner in loop.body)


def convert(operand: str, source: DType, target: DType) -> str:
    """``operand`` as ``target``: rounded to nearest, saturated where an integer type cannot hold it."""
    if source in SIXTEEN_BIT_FLOATS:
        operand, source = f"from_{'half' if source == dtypes.float16 else 'bfloat16'}({operand})", dtypes.float32
    if target in SIXTEEN_BIT_FLOATS:
        return f"{'half' if target == dtypes.float16 else 'bfloat16'}_bits((float)({operand}))"
    if target == dtypes.bool:
        return f"{operand} != 0"
    if source.kind == "float" and target.kind in ("int", "uint"):
        width = 8 * target.itemsize
        low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if target.kind == "int" else (0, (1 << width) - 1)
        bounds = ", ".join(c_literal(loops.Literal(bound, loops.ValueType(target))) for bound in (low, high))
        return f"saturated<{c_type(target)}>({operand}, {bounds})"
    return f"({c_type(target)})({operand})"


_VALUES: dict[type, Callable[[_FunctionEmitter, Any, int], str]] = {
    loops.Literal: _FunctionEmitter._copy,
    loops.Variable: _FunctionEmitter._copy,
    loops.Operation: _FunctionEmitter._operation,
    loops.Convert: _FunctionEmitter._convert,
    loops.Reinterpret: _FunctionEmitter._reinterpret,
    loops.Fma: _FunctionEmitter._fma,
    loops.Splat: _FunctionEmitter._splat,
    loops.LaneIndex: _FunctionEmitter._lane_index,
    loops.Load: _FunctionEmitter._load,
    loops.GatherLoad: _FunctionEmitter._gather_load,
    loops.VectorReduce: _FunctionEmitter._vector_reduce,
    loops.Extract: _FunctionEmitter._extract,
    loops.Shuffle: _FunctionEmitter._shuffle,
    loops.WarpShuffle: _FunctionEmitter._warp_shuffle,
    loops.SymbolValue: _FunctionEmitter._symbol,
}

_STATEMENTS: dict[type, Callable[[_FunctionEmitter, Any], None]] = {
    loops.Let: _FunctionEmitter.let,
    loops.Store: _FunctionEmitter.store,
    loops.ScatterStore: _FunctionEmitter.scatter_store,
    loops.AtomicAdd: _FunctionEmitter.atomic_add,
    loops.For: _FunctionEmitter.loop,
    loops.If: _FunctionEmitter.branch,
    loops.Allocate: _FunctionEmitter.allocate,
    loops.Barrier: _FunctionEmitter.barrier,
    loops.Comment: _FunctionEmitter.comment,
}
