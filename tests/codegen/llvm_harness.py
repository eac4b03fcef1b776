"""Running hand-made loop IR natively: what the tests of the LLVM emitter share."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from itertools import count

import numpy as np

from codegen import loops
from codegen.llvm import emit_module, object_code
from codegen.loops import LoopKind, ValueType
from codegen.target import Target
from ir.dtype import DType, dtypes
from runtime.cpu.jit import Library, process_jit

INDEX = ValueType(dtypes.int64)
HOST = Target.host()
_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
_serial = count()


def integer(value: int) -> loops.Literal:
    return loops.Literal(value, INDEX)


def variable(hint: str, type: ValueType = INDEX) -> loops.Variable:
    return loops.Variable(f"{hint}_{next(_serial)}", type)


def let(body: list[loops.LoopStatement], value: loops.Value, hint: str = "v") -> loops.Variable:
    """Binds ``value`` at the end of ``body``."""
    bound = variable(hint, value.type)
    body.append(loops.Let(bound, value))
    return bound


def index_op(body: list[loops.LoopStatement], code: str, left: loops.Atom, right: loops.Atom) -> loops.Variable:
    return let(body, loops.Operation(code, (left, right), INDEX), "index")


def loop(kind: LoopKind, index: loops.Variable, stop: loops.Atom | int, body: list[loops.LoopStatement],
         carried: Sequence[loops.Carried] = (), step: int = 1, start: int = 0) -> loops.For:
    end = integer(stop) if isinstance(stop, int) else stop
    return loops.For(index, integer(start), end, step, kind, body, list(carried))


def elementwise(value: Callable[..., loops.Value], sources: Sequence[DType], result: DType, lanes: int,
                size: int) -> loops.Function:
    """out[i] = value(in0[i], in1[i], ...), ``lanes`` elements per iteration of the PARALLEL loop."""
    inputs = [loops.Buffer(f"in{number}", dtype, size, readonly=True) for number, dtype in enumerate(sources)]
    output, position = loops.Buffer("out", result, size), variable("i")
    body: list[loops.LoopStatement] = []
    loaded = [let(body, loops.Load(buffer, position, ValueType(buffer.dtype, lanes)), "x") for buffer in inputs]
    answer = let(body, value(*loaded, type=ValueType(result, lanes)), "y")
    body.append(loops.Store(output, position, answer))
    return loops.Function("elementwise", (*inputs, output), (), [
        loop(LoopKind.PARALLEL, position, size, body, step=lanes)])


def operation(code: str) -> Callable[..., loops.Value]:
    """For ``elementwise``: the op of that name on all operands."""
    return lambda *operands, type: loops.Operation(code, operands, type)


class Native:
    """A function as machine code of this process. ``text`` is its LLVM IR."""

    def __init__(self, function: loops.Function, slots: Mapping[str, int] | None = None, target: Target = HOST) -> None:
        numbered = slots or {name: slot for slot, name in enumerate(function.symbols)}
        self.text = emit_module([function], target, numbered)
        self.library: Library = process_jit().load(object_code(self.text, target), [function.name])
        self._call = _SIGNATURE(self.library[function.name])

    def __call__(self, *arrays: np.ndarray, begin: int = 0, end: int = 1, symbols: Sequence[int] = (),
                 scratch_bytes: int = 64) -> None:
        addresses = np.array([array.ctypes.data for array in arrays], np.int64)
        table = np.array([*symbols, 0], np.int64)
        scratch = aligned(scratch_bytes, np.dtype(np.uint8))
        self._call(addresses.ctypes.data, table.ctypes.data, begin, end, scratch.ctypes.data)


def aligned(size: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that begin on a cache line."""
    raw = np.zeros(size * dtype.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size * dtype.itemsize].view(dtype)


def aligned_copy(array: np.ndarray) -> np.ndarray:
    copy = aligned(array.size, array.dtype)
    copy[...] = array.reshape(-1)
    return copy


def run_elementwise(value: Callable[..., loops.Value], arrays: Sequence[np.ndarray], sources: Sequence[DType],
                    result: DType, lanes: int, target: Target = HOST) -> np.ndarray:
    """The result of ``elementwise`` on arrays in their stored form; their size is a multiple of ``lanes``."""
    size = arrays[0].size
    output = aligned(size, result.numpy)
    native = Native(elementwise(value, sources, result, lanes, size), target=target)
    native(*[aligned_copy(array) for array in arrays], output, end=size // lanes)
    return output
