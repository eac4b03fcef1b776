"""Loops, memory and control flow of the LLVM emitter: hand-made loop IR, executed and compared with NumPy."""

from __future__ import annotations

import ctypes
from functools import partial

import numpy as np
import pytest
from llvm_harness import (
    HOST,
    INDEX,
    Native,
    aligned,
    aligned_copy,
    elementwise,
    index_op,
    integer,
    let,
    loop,
    operation,
    run_elementwise,
    variable,
)
from work import lines_executed

from codegen import loops
from codegen.llvm import UnsupportedOperation, assembly, emit_module, object_code, scratch_bytes, task_count
from codegen.llvm.scratch import STACK_BYTES
from codegen.loops import LoopKind, Space, ValueType
from ir.dtype import DType, bfloat16_to_float32, dtypes, float32_to_bfloat16
from runtime.cpu.jit import process_jit

FLOAT = ValueType(dtypes.float32)
FLOATS = ValueType(dtypes.float32, 16)
MASK = ValueType(dtypes.bool, 16)
INDICES = ValueType(dtypes.int64, 16)


def function(body: list[loops.LoopStatement], *parameters: loops.Buffer, symbols: tuple[str, ...] = (),
             name: str = "kernel") -> loops.Function:
    return loops.Function(name, parameters, symbols, body)


def buffer(name: str, size: int, dtype: DType = dtypes.float32, space: Space = Space.GLOBAL) -> loops.Buffer:
    return loops.Buffer(name, dtype, size, space)


def add(body: list[loops.LoopStatement], left: loops.Atom, right: loops.Atom) -> loops.Variable:
    return let(body, loops.Operation("add", (left, right), left.type))


def running_sum(stop: loops.Atom | int, source: loops.Buffer, body: list[loops.LoopStatement],
                start: int = 0, step: int = 1) -> loops.Variable:
    """sum(source[start:stop:step]) bound at the end of ``body``."""
    index, inner = variable("i"), []
    carried = loops.Carried(variable("sum", FLOAT), loops.Literal(0.0, FLOAT), integer(0), variable("total", FLOAT))
    carried.next = add(inner, carried.inside, let(inner, loops.Load(source, index, FLOAT)))
    body.append(loop(LoopKind.SERIAL, index, stop, inner, [carried], step=step, start=start))
    return carried.result


@pytest.mark.parametrize(("start", "stop", "step"), [(0, 10, 1), (3, 10, 4), (9, 10, 1), (0, 0, 1), (5, 3, 1)])
def test_serial_loop_carries_values(start: int, stop: int, step: int, rng: np.random.Generator) -> None:
    source, target = buffer("x", 10), buffer("y", 1)
    body: list[loops.LoopStatement] = []
    body.append(loops.Store(target, integer(0), running_sum(stop, source, body, start, step)))
    x, y = rng.integers(0, 9, 10).astype(np.float32), np.zeros(1, np.float32)
    Native(function(body, source, target))(x, y)
    assert y[0] == x[start:stop:step].sum()


@pytest.mark.parametrize("limit", [0, 1, 7, 10])
def test_loop_bound_is_a_symbol(limit: int, rng: np.random.Generator) -> None:
    source, target = buffer("x", 10), buffer("y", 1)
    body: list[loops.LoopStatement] = []
    stop = let(body, loops.SymbolValue("n", INDEX))
    body.append(loops.Store(target, integer(0), running_sum(stop, source, body)))
    x, y = rng.integers(0, 9, 10).astype(np.float32), np.ones(1, np.float32)
    native = Native(function(body, source, target, symbols=("n",)), {"unused": 0, "n": 1})
    native(x, y, symbols=(99, limit))
    assert y[0] == x[:limit].sum()


def test_two_accumulators_swap() -> None:
    """Phis take their operands at once: (a, b) = (b, a + b) is Fibonacci's sequence."""
    target, index, body = buffer("y", 1, dtypes.int64), variable("i"), []
    a, b = (loops.Carried(variable(n), integer(v), integer(0), variable(f"{n}_last")) for n, v in (("a", 0), ("b", 1)))
    inner: list[loops.LoopStatement] = []
    a.next, b.next = b.inside, add(inner, a.inside, b.inside)
    body += [loop(LoopKind.SERIAL, index, 50, inner, [a, b]), loops.Store(target, integer(0), a.result)]
    y = np.zeros(1, np.int64)
    Native(function(body, target))(y)
    assert y[0] == 12586269025


def test_nested_loops_and_unrolling() -> None:
    """out[i, j] = 10 i + j with the inner loop unrolled: every copy has the names of its own."""
    target, i, j = buffer("y", 12, dtypes.int64), variable("i"), variable("j")
    inner: list[loops.LoopStatement] = []
    row = index_op(inner, "mul", i, integer(10))
    value = index_op(inner, "add", row, j)
    place = index_op(inner, "add", index_op(inner, "mul", i, integer(4)), j)
    inner.append(loops.Store(target, place, value))
    body: list[loops.LoopStatement] = [
        loop(LoopKind.SERIAL, i, 3, [loops.Comment("four\ncopies"), loop(LoopKind.UNROLL, j, 4, inner)])]
    y = np.zeros(12, np.int64)
    native = Native(function(body, target))
    native(y)
    np.testing.assert_array_equal(y.reshape(3, 4), 10 * np.arange(3)[:, None] + np.arange(4))
    assert native.text.count("store i64") == 4 and "; copies" in native.text


def test_tasks_are_the_iterations_of_the_parallel_loop() -> None:
    target, i = buffer("y", 40, dtypes.int64), variable("i")
    work = function([loop(LoopKind.PARALLEL, i, 40, [loops.Store(target, i, i)], start=4, step=4)], target)
    native, y = Native(work), np.zeros(40, np.int64)
    native(y, begin=2, end=4)
    assert task_count(work) == 9
    np.testing.assert_array_equal(np.flatnonzero(y), [12, 16])


def test_run_time_task_count() -> None:
    """stop = n + 1 and a step of 4: the count is computed by a function of its own."""
    target, i = buffer("y", 40, dtypes.int64), variable("i")
    body: list[loops.LoopStatement] = []
    unneeded = let(body, loops.Load(target, integer(0), INDEX))
    stop = index_op(body, "add", let(body, loops.SymbolValue("n", INDEX)), integer(1))
    body.append(loop(LoopKind.PARALLEL, i, stop, [loops.Store(target, i, unneeded)], step=4))
    work = function(body, target, symbols=("n",))
    assert task_count(work) is None
    library = process_jit().load(object_code(emit_module([work], HOST, {"n": 0}), HOST), ["kernel.tasks"])
    count = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(library["kernel.tasks"])
    for n in (-7, -1, 0, 3, 4, 39):
        table = np.array([n], np.int64)
        assert count(table.ctypes.data) == len(range(0, n + 1, 4))


def test_branches(rng: np.random.Generator) -> None:
    source, target, i = buffer("x", 32), buffer("y", 32), variable("i")
    inner: list[loops.LoopStatement] = []
    x = let(inner, loops.Load(source, i, FLOAT))
    negative = let(inner, loops.Operation("less", (x, loops.Literal(0.0, FLOAT)), ValueType(dtypes.bool)))
    otherwise: list[loops.LoopStatement] = []
    otherwise.append(loops.Store(target, i, add(otherwise, x, x)))
    inner.append(loops.If(negative, [loops.Store(target, i, loops.Literal(-1.0, FLOAT))], otherwise))
    inner.append(loops.If(loops.Literal(False, ValueType(dtypes.bool)), [loops.Store(target, i, x)], []))
    values, y = rng.standard_normal(32).astype(np.float32), np.zeros(32, np.float32)
    Native(function([loop(LoopKind.SERIAL, i, 32, inner)], source, target))(values, y)
    np.testing.assert_array_equal(y, np.where(values < 0, -1, values + values))


# ------------------------------------------------------------------------------------------------------ memory


def masked_copy(dtype: DType, lanes: int, count: int, size: int) -> loops.Function:
    """y[:count] = x[:count] by one masked load and store of ``lanes``; the lanes that are off lie outside of x."""
    source, target = buffer("x", size, dtype), buffer("y", size, dtype)
    body: list[loops.LoopStatement] = []
    lane = let(body, loops.LaneIndex(ValueType(dtypes.int32, lanes)))
    limit = loops.Literal(count, ValueType(dtypes.int32, lanes))
    mask = let(body, loops.Operation("less", (lane, limit), ValueType(dtypes.bool, lanes)))
    value = let(body, loops.Load(source, integer(0), ValueType(dtype, lanes), mask))
    body.append(loops.Store(target, integer(0), value, mask))
    body.append(loops.Store(buffer("whole", lanes, dtype), integer(0), value))
    return function(body, source, target, buffer("whole", lanes, dtype))


@pytest.mark.parametrize("dtype", dtypes.all, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(("lanes", "count"), [(16, 16), (16, 5), (16, 0), (8, 3), (1, 1), (1, 0)])
def test_masked_lanes_touch_no_memory(dtype: DType, lanes: int, count: int, rng: np.random.Generator) -> None:
    """The vectors end at the end of a page whose successor may not be touched."""
    page = 1 << 14
    raw = np.frombuffer(memoryview(_guarded_pages(page)), np.uint8, page)
    nbytes = count * dtype.itemsize
    x, y = raw[page // 2 - nbytes : page // 2], raw[page - nbytes :]
    x[...] = rng.integers(0, 2, nbytes)
    whole = aligned(lanes, dtype.numpy)
    whole.view(np.uint8)[...] = 1
    native = Native(masked_copy(dtype, lanes, count, count))
    native(x, y, whole)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(whole.view(np.uint8)[:nbytes], x)
    assert not whole.view(np.uint8)[nbytes:].any()


def _guarded_pages(nbytes: int) -> ctypes.Array:
    """Memory of ``nbytes`` before a page that faults when it is touched."""
    import mmap

    region = mmap.mmap(-1, nbytes + mmap.PAGESIZE)
    memory = (ctypes.c_uint8 * nbytes).from_buffer(region)
    libc = ctypes.CDLL(None, use_errno=True)
    guard = ctypes.c_void_p(ctypes.addressof(memory) + nbytes)
    if libc.mprotect(guard, ctypes.c_size_t(mmap.PAGESIZE), 0) != 0:
        pytest.skip("this system has no mprotect")
    return memory


@pytest.mark.parametrize("dtype", dtypes.all, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_gather_and_scatter(dtype: DType, lanes: int, rng: np.random.Generator) -> None:
    source, indices, target = buffer("x", 64, dtype), buffer("at", lanes, dtypes.int64), buffer("y", 64, dtype)
    body: list[loops.LoopStatement] = []
    at = let(body, loops.Load(indices, integer(0), ValueType(dtypes.int64, lanes)))
    limit = loops.Literal(0, ValueType(dtypes.int64, lanes))
    mask = let(body, loops.Operation("less_equal", (limit, at), ValueType(dtypes.bool, lanes)))
    value = let(body, loops.GatherLoad(source, at, ValueType(dtype, lanes), mask))
    body.append(loops.ScatterStore(target, at, value, mask))
    packed = buffer("packed", lanes, dtype)
    body.append(loops.Store(packed, integer(0), value))
    x = rng.integers(0, 2, 64 * dtype.itemsize).astype(np.uint8).view(dtype.numpy)
    places = rng.choice(64, lanes, replace=False).astype(np.int64)
    places[1::3] = -5
    y, out = np.zeros(64, dtype.numpy), np.zeros(lanes, dtype.numpy)
    Native(function(body, source, indices, target, packed))(x, places, y, out)
    expected = np.zeros(64, dtype.numpy)
    expected[places[places >= 0]] = x[places[places >= 0]]
    np.testing.assert_array_equal(y.view(np.uint8), expected.view(np.uint8))
    np.testing.assert_array_equal(out.view(np.uint8), np.where(places >= 0, x[places], 0).astype(
        dtype.numpy).view(np.uint8))


def test_scatter_on_equal_indices_keeps_the_highest_lane() -> None:
    target, body = buffer("y", 4), []
    value = let(body, loops.Convert(let(body, loops.LaneIndex(INDICES)), FLOATS))
    body.append(loops.ScatterStore(target, loops.Literal(2, INDICES), value))
    y = np.zeros(4, np.float32)
    Native(function(body, target))(y)
    np.testing.assert_array_equal(y, [0, 0, 15, 0])


@pytest.mark.parametrize("lanes", [8, 16, 32])
@pytest.mark.parametrize("dtype", dtypes.floats, ids=lambda dtype: dtype.name)
def test_streaming_and_aligned_access(dtype: DType, lanes: int) -> None:
    work = elementwise(operation("add"), [dtype, dtype], dtype, lanes, 256)
    parallel = work.body[0]
    assert isinstance(parallel, loops.For) and isinstance(parallel.body[-1], loops.Store)
    parallel.body[-1].streaming = True
    native = Native(work)
    assert "!nontemporal" in native.text
    ones = np.ones(256, np.float32)
    x = float32_to_bfloat16(ones) if dtype is dtypes.bfloat16 else ones.astype(dtype.numpy)
    y = aligned(256, dtype.numpy)
    native(aligned_copy(x), aligned_copy(x), y, end=256 // lanes)
    np.testing.assert_array_equal(bfloat16_to_float32(y) if dtype is dtypes.bfloat16 else y, 2 * ones)


def test_streaming_needs_a_known_alignment() -> None:
    target, i = buffer("y", 64), variable("i")
    body = [loop(LoopKind.SERIAL, i, 40, [loops.Store(target, i, loops.Literal(1.0, FLOATS), streaming=True)], start=3,
                 step=16)]
    native, y = Native(function(body, target)), aligned(64, np.dtype(np.float32))
    native(y)
    assert "!nontemporal" not in native.text.replace("!0 =", "") and y.sum() == 48


@pytest.mark.parametrize("size", [16, STACK_BYTES])  # float32: the second is four times what the stack may hold
def test_scratch_on_the_stack_and_in_the_workspace(size: int, rng: np.random.Generator) -> None:
    """Two rows at a time are reversed through scratch; sibling bodies share their memory."""
    source, target, i = buffer("x", size), buffer("y", size), variable("i")
    body: list[loops.LoopStatement] = []
    for part in range(2):
        room, j, k = buffer(f"room{part}", size, space=Space.SCRATCH), variable("j"), variable("k")
        write: list[loops.LoopStatement] = []
        write.append(loops.Store(room, j, let(write, loops.Load(target if part else source, j, FLOAT))))
        read: list[loops.LoopStatement] = []
        mirrored = index_op(read, "sub", integer(size - 1), k)
        read.append(loops.Store(target, k, let(read, loops.Load(room, mirrored, FLOAT))))
        inner = [loops.Allocate(room), loop(LoopKind.SERIAL, j, size, write), loop(LoopKind.SERIAL, k, size, read)]
        body.append(loops.If(loops.Literal(True, ValueType(dtypes.bool)), inner, []))
    work = function([loop(LoopKind.PARALLEL, i, 1, body)], source, target)
    assert scratch_bytes(work) == (0 if size == 16 else 4 * size)
    x, y = rng.standard_normal(size).astype(np.float32), np.zeros(size, np.float32)
    Native(work)(x, y, scratch_bytes=max(64, scratch_bytes(work)))
    np.testing.assert_array_equal(y, x)


# ------------------------------------------------------------------------------------------------------ vectors


def tree(values: np.ndarray, combine: np.ufunc) -> np.ndarray:
    """Halves against halves, as the emitter promises."""
    while values.size > 1:
        values = combine(values[: values.size // 2], values[values.size // 2 :])
    return values[0]


@pytest.mark.parametrize("lanes", [1, 2, 8, 16, 64])
@pytest.mark.parametrize(("monoid", "combine"), [
    ("sum", np.add), ("prod", np.multiply), ("max", np.maximum), ("min", np.minimum)])
@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64, dtypes.int32, dtypes.uint8], ids=lambda d: d.name)
def test_vector_reduce_has_a_fixed_order(dtype: DType, monoid: str, combine: np.ufunc, lanes: int,
                                         rng: np.random.Generator) -> None:
    source, target, body = buffer("x", lanes, dtype), buffer("y", 1, dtype), []
    loaded = let(body, loops.Load(source, integer(0), ValueType(dtype, lanes)))
    reduced = let(body, loops.VectorReduce(monoid, loaded, ValueType(dtype)))
    body.append(loops.Store(target, integer(0), reduced))
    x = rng.standard_normal(lanes).astype(dtype.numpy) if dtype.is_float else rng.integers(0, 250, lanes).astype(
        dtype.numpy)
    y, native = np.zeros(1, dtype.numpy), Native(function(body, source, target))
    native(x, y)
    assert y[0] == tree(x, combine)
    if dtype.is_float and monoid in ("max", "min"):
        x[lanes // 2] = np.nan
        native(x, y)
        assert np.isnan(y[0])


def test_splat_extract_and_lane_index() -> None:
    source, target, body = buffer("x", 16), buffer("y", 16), []
    loaded = let(body, loops.Load(source, integer(0), FLOATS))
    third = let(body, loops.Extract(loaded, 3, FLOAT))
    lanes = let(body, loops.Convert(let(body, loops.LaneIndex(INDICES)), FLOATS))
    body.append(loops.Store(target, integer(0), add(body, let(body, loops.Splat(third, FLOATS)), lanes)))
    y = np.zeros(16, np.float32)
    Native(function(body, source, target))(np.arange(16, dtype=np.float32) * 100, y)
    np.testing.assert_array_equal(y, 300 + np.arange(16))


@pytest.mark.parametrize("dtype", [dtypes.float16, dtypes.bfloat16], ids=lambda dtype: dtype.name)
def test_narrow_floats_round_after_every_operation(dtype: DType) -> None:
    """1 + e - 1 with e below half a unit in the last place is 0, although float32 would keep it."""
    e = float(dtype.rounded(2.0**-13))
    x = np.full(16, e, np.float32)
    stored = float32_to_bfloat16(x) if dtype is dtypes.bfloat16 else x.astype(np.float16)
    one = loops.Literal(1.0, ValueType(dtype, 16))
    actual = run_elementwise(lambda v, type: loops.Operation("add", (v, one), type), [stored], [dtype], dtype, 16)
    values = bfloat16_to_float32(actual) if dtype is dtypes.bfloat16 else actual
    np.testing.assert_array_equal(values, np.ones(16))


# ------------------------------------------------------------------------------------------------- code quality


def matmul_tiles(m: int, n: int, k: int, rows: int = 8, columns: int = 3) -> loops.Function:
    """C = A B by register tiles of ``rows`` x (16 * ``columns``) accumulators that the loop over k carries."""
    a, b, c = buffer("a", m * k), buffer("b", k * n), buffer("c", m * n)
    width = 16 * columns
    task, index, body, inner = variable("task"), variable("k"), [], []
    row = index_op(body, "mul", index_op(body, "floordiv", task, integer(n // width)), integer(rows))
    column = index_op(body, "mul", index_op(body, "mod", task, integer(n // width)), integer(width))
    starts = [index_op(body, "mul", index_op(body, "add", row, integer(r)), integer(k)) for r in range(rows)]
    tile = [[loops.Carried(variable("acc", FLOATS), loops.Literal(0.0, FLOATS), integer(0), variable("sum", FLOATS))
             for _ in range(columns)] for _ in range(rows)]
    line = index_op(inner, "add", index_op(inner, "mul", index, integer(n)), column)
    right = [let(inner, loops.Load(b, index_op(inner, "add", line, integer(16 * v)), FLOATS)) for v in range(columns)]
    for r in range(rows):
        left = let(inner, loops.Load(a, index_op(inner, "add", starts[r], index), FLOAT))
        spread = let(inner, loops.Splat(left, FLOATS))
        for v in range(columns):
            tile[r][v].next = let(inner, loops.Fma(spread, right[v], tile[r][v].inside, FLOATS))
    body.append(loop(LoopKind.SERIAL, index, k, inner, [carried for line_ in tile for carried in line_]))
    for r in range(rows):
        start = index_op(body, "add", index_op(body, "mul", index_op(body, "add", row, integer(r)), integer(n)), column)
        for v in range(columns):
            body.append(loops.Store(c, index_op(body, "add", start, integer(16 * v)), tile[r][v].result))
    return function([loop(LoopKind.PARALLEL, task, (m // rows) * (n // width), body)], a, b, c)


def test_register_tiles_compute_a_matmul(rng: np.random.Generator) -> None:
    m, n, k = 32, 96, 40
    work = matmul_tiles(m, n, k)
    a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
    c = aligned(m * n, np.dtype(np.float32))
    Native(work)(aligned_copy(a), aligned_copy(b), c, end=task_count(work) or 0)
    np.testing.assert_allclose(c.reshape(m, n), a.astype(np.float64) @ b, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(HOST.vector_bytes < 64 or "+avx512f" not in HOST.features, reason="the machine has no AVX-512")
def test_register_tile_stays_in_registers() -> None:
    """24 accumulators, 3 rows of B and the splat of A fill the 32 registers: no vector is spilled in the loop."""
    lines = assembly([matmul_tiles(64, 96, 128)], HOST).splitlines()
    assert sum("vfmadd" in line for line in lines) == 24
    assert not [line for line in lines if "%zmm" in line and "%rsp" in line]
    assert not any("call" in line for line in lines)


def test_vectors_are_not_split_on_the_host() -> None:
    lanes = HOST.lanes(4)
    text = assembly([elementwise(operation("add"), [dtypes.float32] * 2, dtypes.float32, lanes, 256)], HOST)
    register = {64: "%zmm", 32: "%ymm"}.get(HOST.vector_bytes)
    if register is None:
        pytest.skip("the machine has neither AVX2 nor AVX-512")
    assert any("vaddps" in line and register in line for line in text.splitlines())


def test_emission_is_linear_and_iterative() -> None:
    """As much work for each statement of a long body as of a short one; 100,000 statements need no recursion."""
    def chain(length: int) -> loops.Function:
        target, body = buffer("y", 16), []
        value: loops.Atom = let(body, loops.Load(target, integer(0), FLOATS))
        for _ in range(length):
            value = add(body, value, value)
        body.append(loops.Store(target, integer(0), value))
        return function(body, target)

    short, long = [lines_executed(partial(emit_module, [chain(length)], HOST, {})) for length in (1_000, 10_000)]
    assert long < 10.1 * short
    assert emit_module([chain(100_000)], HOST, {}).count("fadd") == 100_000


# ------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(("statement", "message"), [
    (loops.Barrier(), "a CPU has no Barrier"),
    (loops.AtomicAdd(buffer("y", 1), integer(0), loops.Literal(1.0, FLOAT)), "a CPU has no AtomicAdd"),
    (loops.Allocate(buffer("tile", 4, space=Space.SHARED)), "a CPU has no shared memory"),
    (loop(LoopKind.BLOCK, variable("b"), 4, []), "a CPU has no block loop"),
    (loop(LoopKind.UNROLL, variable("u"), variable("n"), []), "needs constant bounds"),
    (loops.Let(variable("s", FLOAT), loops.WarpShuffle(loops.Literal(1.0, FLOAT), 1, FLOAT)), "no WarpShuffle"),
    (loops.Let(variable("s"), loops.SymbolValue("m", INDEX)), "symbol 'm' is not declared"),
    (loops.Store(buffer("z", 1), integer(0), loops.Literal(1.0, FLOAT)), "buffer 'z' is neither a parameter"),
    (loops.Store(buffer("y", 1), variable("lost"), loops.Literal(1.0, FLOAT)), "is used before it is bound"),
    (loops.Let(variable("r", FLOAT), loops.VectorReduce(
        "sum", loops.Literal(1.0, ValueType(dtypes.float32, 6)), FLOAT)), "power of two of lanes, not 6"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_a_cpu_does_not_have_is_refused(statement: loops.LoopStatement, message: str) -> None:
    with pytest.raises(UnsupportedOperation, match=message) as raised:
        emit_module([function([statement], buffer("y", 1))], HOST, {})
    assert "function 'kernel'" in str(raised.value)


def test_second_parallel_loop_is_refused() -> None:
    inner = loop(LoopKind.PARALLEL, variable("j"), 2, [])
    with pytest.raises(UnsupportedOperation, match="is not the only one, or not outermost"):
        emit_module([function([loop(LoopKind.PARALLEL, variable("i"), 2, [inner])])], HOST, {})


def test_missing_symbol_slot_is_refused() -> None:
    with pytest.raises(UnsupportedOperation, match=r"symbol 'n' has no slot; there are \['m'\]"):
        emit_module([function([], symbols=("n",))], HOST, {"m": 0})


def test_strange_names_are_quoted() -> None:
    target = buffer('out "put" ü', 1)
    work = function([loops.Store(target, integer(0), loops.Literal(2.0, FLOAT))], target, name="3 kernels: a+b")
    y = np.zeros(1, np.float32)
    Native(work)(y)
    assert y[0] == 2
