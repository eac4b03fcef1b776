"""CUDA C from hand-made loop IR: executed on the emulator, compiled by nvcc where it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from codegen import loops
from codegen.cuda import emit_cuda, launch_shape
from codegen.cuda.operations import OPERATIONS
from codegen.loops import LoopKind, Space, ValueType
from ir import ELEMENTWISE, DType, dtypes

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cuda_emulator"))
from emulated_driver import COMPILER, EmulatedDriver, EmulationError

INDEX = ValueType(dtypes.int64)
FLOAT = ValueType(dtypes.float32)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="the CUDA emulator needs g++ or clang++ on the PATH")


def variable(name: str, kind: ValueType = INDEX) -> loops.Variable:
    return loops.Variable(name, kind)


def integer(value: int) -> loops.Literal:
    return loops.Literal(value, INDEX)


def grid_loop(kind: LoopKind, index: loops.Variable, extent: int, body: list[loops.LoopStatement]) -> loops.For:
    return loops.For(index, integer(0), integer(extent), 1, kind, body, [])


def run(function: loops.Function, arrays: Sequence[np.ndarray], unit: Sequence[loops.Function] = ()) -> None:
    """Launches ``function``, compiled in one translation unit with all of ``unit``."""
    driver = EmulatedDriver()
    functions = unit or [function]
    kernels = driver.load(emit_cuda(functions), {f.name: len(f.parameters) for f in functions})
    grid, block = launch_shape(function)
    driver.launch(kernels[function.name], grid, block, [array.ctypes.data for array in arrays])


def elementwise_function(code: str, dtype: DType, size: int = 128) -> loops.Function:
    """out[i] = code(in0[i], in1[i], ...) with one thread per element and one block per 64."""
    arity, result = ELEMENTWISE[code].arity, ValueType(dtype)
    sources = [loops.Buffer(f"in{i}", dtype, size, readonly=True) for i in range(arity)]
    target = loops.Buffer("out", dtype, size)
    block, thread, start, place = (variable(name) for name in ("block", "thread", "start", "place"))
    values = [variable(f"x{i}", ValueType(source.dtype)) for i, source in enumerate(sources)]
    answer = variable("answer", result)
    body: list[loops.LoopStatement] = [
        loops.Let(start, loops.Operation("mul", (block, integer(64)), INDEX)),
        loops.Let(place, loops.Operation("add", (start, thread), INDEX)),
        *(loops.Let(x, loops.Load(source, place, x.type)) for x, source in zip(values, sources, strict=True)),
        loops.Let(answer, loops.Operation(code, tuple(values), result)),
        loops.Store(target, place, answer),
    ]
    threads = grid_loop(LoopKind.THREAD, thread, 64, body)
    blocks = grid_loop(LoopKind.BLOCK, block, size // 64, [threads])
    return loops.Function(f"apply_{code}_{dtype.name}", (*sources, target), (), [blocks])


def block_sum(barriers: bool = True) -> loops.Function:
    """out[b] = sum of the 64 elements of row b: a warp shuffle tree, then shared memory across the two warps."""
    source, target = loops.Buffer("x", dtypes.float32, 256, readonly=True), loops.Buffer("out", dtypes.float32, 4)
    shared = loops.Buffer("partial", dtypes.float32, 64, Space.SHARED)
    block, thread, row, place = (variable(name) for name in ("block", "thread", "row", "place"))
    terms = [variable(f"s{i}", FLOAT) for i in range(6)]
    body: list[loops.LoopStatement] = [
        loops.Let(row, loops.Operation("mul", (block, integer(64)), INDEX)),
        loops.Let(place, loops.Operation("add", (row, thread), INDEX)),
        loops.Let(terms[0], loops.Load(source, place, FLOAT)),
    ]
    for i, offset in enumerate((16, 8, 4, 2, 1)):
        other = variable(f"o{i}", FLOAT)
        body.append(loops.Let(other, loops.WarpShuffle(terms[i], offset, FLOAT)))
        body.append(loops.Let(terms[i + 1], loops.Operation("add", (terms[i], other), FLOAT)))
    opposite, theirs, total = variable("opposite"), variable("theirs", FLOAT), variable("total", FLOAT)
    first = variable("first", ValueType(dtypes.bool))
    body += [
        loops.Store(shared, thread, terms[5]),
        *([loops.Barrier()] if barriers else []),
        loops.Let(opposite, loops.Operation("bit_xor", (thread, integer(32)), INDEX)),
        loops.Let(theirs, loops.Load(shared, opposite, FLOAT)),
        loops.Let(total, loops.Operation("add", (terms[5], theirs), FLOAT)),
        loops.Let(first, loops.Operation("equal", (thread, integer(0)), ValueType(dtypes.bool))),
        loops.If(first, [loops.Store(target, block, total)], []),
    ]
    threads = grid_loop(LoopKind.THREAD, thread, 64, body)
    whole = grid_loop(LoopKind.BLOCK, block, 4, [loops.Allocate(shared), threads])
    return loops.Function("block_sum", (source, target), (), [whole])


def test_every_elementwise_op_has_a_row() -> None:
    assert set(OPERATIONS) == set(ELEMENTWISE)


INTEGER_CODES = ("add", "sub", "mul", "floordiv", "mod", "truncdiv", "maximum", "minimum", "bit_xor")
INTEGER_TYPES = (dtypes.int32, dtypes.int8, dtypes.uint8, dtypes.int64)
FLOAT_CODES = ("exp", "log", "tanh", "erf", "sin", "sqrt", "rsqrt", "floor", "round", "abs", "neg", "maximum", "tan")


@cache
def operation_unit() -> list[loops.Function]:
    """Every operation that the tests below execute: compiling them together costs one compiler run."""
    integer_functions = [elementwise_function(code, dtype) for code in INTEGER_CODES for dtype in INTEGER_TYPES]
    return integer_functions + [elementwise_function(code, dtypes.float32) for code in FLOAT_CODES]


def apply(code: str, dtype: DType, *arrays: np.ndarray) -> np.ndarray:
    out = np.zeros(128, dtype.numpy)
    function = next(f for f in operation_unit() if f.name == f"apply_{code}_{dtype.name}")
    run(function, [*arrays, out], operation_unit())
    return out


@needs_compiler
@pytest.mark.parametrize("code", INTEGER_CODES)
@pytest.mark.parametrize("dtype", INTEGER_TYPES, ids=lambda dtype: dtype.name)
def test_integer_operations_equal_the_reference(code: str, dtype: DType, rng: np.random.Generator) -> None:
    info = np.iinfo(dtype.numpy)
    edges = np.array([info.min, info.max, 0, 1, info.max - 1, 7, 3, 2], dtype.numpy)
    x, y = np.resize(np.repeat(edges, 8), 128), np.resize(edges, 128)
    x[64:], y[64:] = rng.integers(-9, 9, 64).astype(dtype.numpy), rng.integers(-9, 9, 64).astype(dtype.numpy)
    with np.errstate(all="ignore"):
        expected = np.asarray(ELEMENTWISE[code].function(x, y)).astype(dtype.numpy)
    np.testing.assert_array_equal(apply(code, dtype, x, y), expected)


@needs_compiler
@pytest.mark.parametrize("code", [code for code in FLOAT_CODES if ELEMENTWISE[code].arity == 1])
def test_float_functions_equal_the_reference(code: str) -> None:
    x = np.concatenate([np.linspace(-5, 5, 120), [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 1e30, 0.5]]).astype("f4")
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(apply(code, dtypes.float32, x), ELEMENTWISE[code].function(x), rtol=3e-6)


@needs_compiler
def test_maximum_keeps_nan() -> None:
    x, y = np.resize([1, np.nan, 2, np.nan], 128).astype("f4"), np.resize([np.nan, 1, 1, np.nan], 128).astype("f4")
    expected = np.resize([np.nan, np.nan, 2, np.nan], 128).astype("f4")
    np.testing.assert_array_equal(apply("maximum", dtypes.float32, x, y), expected)


@needs_compiler
@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
def test_shared_memory_and_shuffles(order: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.setenv("CUDA_EMULATOR_ORDER", order)
    x, out = rng.standard_normal(256).astype("f4"), np.zeros(4, np.float32)
    run(block_sum(), [x, out])
    np.testing.assert_allclose(out, x.reshape(4, 64).sum(1), rtol=1e-5)


@needs_compiler
def test_a_missing_barrier_is_noticed(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    x = rng.standard_normal(256).astype("f4")
    results = []
    for order in ("forward", "reverse"):
        monkeypatch.setenv("CUDA_EMULATOR_ORDER", order)
        out = np.zeros(4, np.float32)
        run(block_sum(barriers=False), [x, out])
        results.append(out)
    assert not np.array_equal(*results)


@needs_compiler
def test_a_divergent_barrier_is_an_error() -> None:
    thread, small = variable("thread"), variable("small", ValueType(dtypes.bool))
    body: list[loops.LoopStatement] = [
        loops.Let(small, loops.Operation("less", (thread, integer(16)), ValueType(dtypes.bool))),
        loops.If(small, [loops.Barrier()], [loops.Barrier()]),
    ]
    function = loops.Function("divergent", (), (), [grid_loop(LoopKind.THREAD, thread, 32, body)])
    with pytest.raises(EmulationError, match="different barriers"):
        run(function, [])


@needs_compiler
@pytest.mark.parametrize("kind", [dtypes.float16, dtypes.bfloat16])
def test_sixteen_bit_floats_round_to_nearest_even(kind: DType, rng: np.random.Generator) -> None:
    edges = [0.0, -0.0, np.inf, np.nan, 65504.0, 65520.0, 1e-7, 6e-8, 3e38, -1e-5]
    halfway = [1.0009765625, 1.00048828125, 1.0048828125, 1.00390625]
    x = np.resize(np.concatenate([rng.standard_normal(100), edges, halfway]).astype("f4"), 128)
    source, target = loops.Buffer("x", dtypes.float32, 128, readonly=True), loops.Buffer("out", dtypes.float32, 128)
    thread, narrow = variable("thread"), variable("narrow", ValueType(kind))
    value, wide = variable("value", FLOAT), variable("wide", FLOAT)
    body: list[loops.LoopStatement] = [
        loops.Let(value, loops.Load(source, thread, FLOAT)),
        loops.Let(narrow, loops.Convert(value, ValueType(kind))),
        loops.Let(wide, loops.Convert(narrow, FLOAT)),
        loops.Store(target, thread, wide),
    ]
    function = loops.Function("round_trip", (source, target), (), [grid_loop(LoopKind.THREAD, thread, 128, body)])
    out = np.zeros(128, np.float32)
    run(function, [x, out])
    np.testing.assert_array_equal(out, rounded(x, kind))


def rounded(x: np.ndarray, kind: DType) -> np.ndarray:
    if kind is dtypes.float16:
        with np.errstate(over="ignore"):
            return x.astype(np.float16).astype(np.float32)
    torch = pytest.importorskip("torch", reason="torch rounds to bfloat16 independently")
    return torch.from_numpy(x).bfloat16().float().numpy()


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not on the PATH")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_nvcc_accepts_the_text(architecture: str, tmp_path: Path) -> None:
    functions = [block_sum(), elementwise_function("pow", dtypes.float32),
                 elementwise_function("random_bits", dtypes.uint64), *operation_unit()]
    source = tmp_path / "kernels.cu"
    source.write_text(emit_cuda(functions))
    output = str(tmp_path / "kernels.cubin")
    command = ["nvcc", "-cubin", "-std=c++17", f"-arch={architecture}", "-o", output, str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
