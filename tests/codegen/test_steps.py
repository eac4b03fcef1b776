"""Schedule steps: what each does to the loops, that meaning stays the same, and what is refused with which reason."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import loop_interpreter
from lowering_harness import buffer

from codegen.block_copies import CopySquares
from codegen.index import Axis, Index
from codegen.kernel import Apply, Constant, Contraction, Home, Kernel, Read, ScanStatement, Statement
from codegen.loops import Buffer
from codegen.lower import explain_schedule
from codegen.nest import Nest, build_nest, format_nest
from codegen.realize import realize_nest
from codegen.staging import Stage
from codegen.step_text import parse_steps
from codegen.steps import (
    Fuse,
    Parallel,
    Reorder,
    ScheduleError,
    Sink,
    Split,
    Step,
    Unroll,
    Vectorize,
    apply_steps,
)
from codegen.target import Target
from ir import dtypes

F32 = dtypes.float32


def matmul_kernel(m: int = 5, n: int = 21, k: int = 7, shifted: bool = False) -> Kernel:
    """out = a @ b, or tanh(a @ b) by a second statement."""
    a, b, product, out = buffer((m, k)), buffer((k, n)), buffer((m, n)), buffer((m, n))
    i, j, reduced = Axis(m), Axis(n), Axis(k)
    at_i, at_j, at_k = (Index.of(axis) for axis in (i, j, reduced))
    left, right = Read(a, (at_i, at_k)), Read(b, (at_k, at_j))
    contraction = Contraction(left, right, (), (i,), (j,), (reduced,))
    home = Home.REGISTER if shifted else Home.MEMORY
    statements: list[Statement | ScanStatement] = [
        Statement(product, (i, j, reduced), Apply("mul", (left, right), F32), (at_i, at_j), frozenset({reduced}), "sum",
                  contraction=contraction, home=home)]
    if shifted:
        tanh = Apply("tanh", (Read(product, (at_i, at_j)),), F32)
        statements.append(Statement(out, (i, j), tanh, (at_i, at_j)))
    return Kernel("matmul", "contraction", (i, j), statements, (a, b), (out if shifted else product,))


def row_kernel(rows: int = 6, columns: int = 40) -> Kernel:
    """Each row divided by its sum."""
    x, total, out = buffer((rows, columns)), buffer((rows,)), buffer((rows, columns))
    i, k, j = Axis(rows), Axis(columns), Axis(columns)
    at_i, at_j = Index.of(i), Index.of(j)
    return Kernel("rows", "row reduction", (i,), [
        Statement(total, (i, k), Read(x, (at_i, Index.of(k))), (at_i,), frozenset({k}), "sum", home=Home.REGISTER),
        Statement(out, (i, j), Apply("div", (Read(x, (at_i, at_j)), Read(total, (at_i,))), F32), (at_i, at_j)),
    ], (x,), (out,))


def scan_kernel() -> Kernel:
    """Running sums along the rows."""
    x, name, out = buffer((4, 9)), buffer(()), buffer((4, 9))
    i, t = Axis(4), Axis(9)
    indices = Index.of(i), Index.of(t)
    step = Apply("add", (Read(name, ()), Read(x, indices)), F32)
    scan = ScanStatement((i,), t, ((name, Constant(0.0, F32), step),), ((out, step, indices),))
    return Kernel("scan", "scan", (), [scan], (x,), (out,))


def execute(nest: Nest, *inputs: np.ndarray) -> np.ndarray:
    """The output of a nest, computed by its realization."""
    kernel = nest.kernel
    sizes = {value: int(np.prod(value.shape)) for value in (*kernel.inputs, *kernel.outputs)}
    buffers = {value: Buffer(f"p{number}", F32, size, readonly=value in kernel.inputs)
               for number, (value, size) in enumerate(sizes.items())}
    function = realize_nest(nest, "f", list(buffers.values()), buffers)
    out = np.full(sizes[kernel.outputs[0]], np.nan, np.float32)
    loop_interpreter.run(function, [*[np.ascontiguousarray(x).reshape(-1) for x in inputs], out])
    return out.reshape(kernel.outputs[0].shape)


def check_matmul(steps: list[Step], shifted: bool = False, **sizes: int) -> Nest:
    kernel = matmul_kernel(shifted=shifted, **sizes)
    nest = apply_steps(build_nest(kernel), steps)
    generator = np.random.default_rng(0)
    a, b = (generator.standard_normal(value.shape).astype(np.float32) for value in kernel.inputs)
    expected = np.tanh(a @ b) if shifted else a @ b
    np.testing.assert_allclose(execute(nest, a, b), expected, rtol=1e-5, atol=1e-5)
    return nest


def refused(kernel: Kernel, *steps: Step) -> str:
    """Why the last step is illegal."""
    nest = apply_steps(build_nest(kernel), steps[:-1])
    with pytest.raises(ScheduleError) as error:
        steps[-1].apply(nest)
    return str(error.value)


TILE = [Split("i0", 4), Split("i1", 16), Split("i1.i", 8), Reorder(("i0.o", "i1.o", "i0.i", "i1.i.o", "i1.i.i")),
        Sink("i0.i"), Sink("i1.i.o"), Sink("i1.i.i")]
WRITTEN_OUT = [Unroll("i0.i"), Unroll("i1.i.o"), Vectorize("i1.i.i")]


@pytest.mark.parametrize("steps", [
    [], [Split("i0", 2)], [Split("i0", 2, peel=False)], [Split("k0", 3)],
    [Reorder(("i1", "i0"))], [Reorder(("i1", "i0", "k0"))], [Reorder(("k0", "i0", "i1"))], [Fuse("i0", "i1")],
    [Split("k0", 4), Vectorize("k0.i")], [Split("k0", 2), Unroll("k0.i")],
    [Split("k0", 2), Unroll("k0.i", separate=True)], [Parallel("i0")], [Split("i0", 2, peel=False), Parallel("i0.o")],
    [Split("i0", 2), Parallel("i0.o")], TILE, [*TILE, *WRITTEN_OUT],
    [*TILE, *WRITTEN_OUT, Stage("right", 0, "k0", ("k0", "i1.i.o", "i1.i.i"), "i1.i.i")],
    [*TILE, *WRITTEN_OUT, Stage("left", 0, "k0", ("k0", "i0.i"), "i0.i")],
    [Split("i0", 2), Split("i0.o", 2, peel=False), Parallel("i0.o.o"), Sink("i0.i"), Unroll("i0.i")],
], ids=str)
def test_steps_keep_the_meaning(steps: list[Step]) -> None:
    check_matmul(steps)


@pytest.mark.parametrize("sizes", [{"m": 1, "n": 2, "k": 1}, {"m": 4, "n": 16}, {"m": 3, "n": 5}, {"m": 9, "n": 40}])
@pytest.mark.parametrize("shifted", [False, True])
def test_tiles_of_every_size(sizes: dict[str, int], shifted: bool) -> None:
    check_matmul([*TILE, *WRITTEN_OUT], shifted, **sizes)


def test_epilogue_that_is_not_written_out_reads_the_tile_from_scratch() -> None:
    nest = check_matmul([*TILE, Unroll("i0.i", 0), Unroll("i1.i.o"), Vectorize("i1.i.i")], shifted=True)
    text = format_nest(nest)
    assert "serial i0.i < 4" in text and "unroll i0.i < 4" in text


def test_nest_as_text() -> None:
    nest = apply_steps(build_nest(row_kernel()), [Split("k0", 16), Vectorize("k0.i"), Parallel("i0")])
    assert format_nest(nest) == "\n".join([
        "parallel i0 < 6",
        "  serial k0.o < 3",
        "    vector k0.i < 16",
        "      [0] sum -> register",
        "  serial j0 < 40",
        "    [1] point -> memory",
    ])


def test_steps_print_as_what_makes_them() -> None:
    steps = [*TILE, *WRITTEN_OUT, Unroll("k0", 0, True), Stage("right", 0, "k0", ("k0",), "k0")]
    text = "\n".join(map(repr, steps))
    assert parse_steps(text) == steps
    with pytest.raises(ScheduleError, match="no schedule step reads .Explode"):
        parse_steps("Explode('i0')")


def test_schedule_of_a_kernel_can_be_replayed() -> None:
    kernel = matmul_kernel(40, 50, 30, shifted=True)
    text = explain_schedule(kernel, Target.cpu("haswell", "+avx2,+fma"))
    nest = apply_steps(build_nest(kernel), parse_steps(text))
    generator = np.random.default_rng(0)
    a, b = (generator.standard_normal(value.shape).astype(np.float32) for value in kernel.inputs)
    np.testing.assert_allclose(execute(nest, a, b), np.tanh(a @ b), rtol=1e-5, atol=1e-5)


def test_what_is_refused_and_why() -> None:
    assert "statement 0 reduces over k0" in refused(matmul_kernel(), Reorder(("k0", "i0", "i1")), Parallel("k0"))
    assert "not the only outermost loop" in refused(matmul_kernel(), Parallel("i1"))
    assert "i0 is not innermost" in refused(matmul_kernel(), Vectorize("i0"))
    assert "100 lanes are too many" in refused(matmul_kernel(k=100), Vectorize("k0"))
    assert "100 copies are too many" in refused(matmul_kernel(k=100), Unroll("k0"))
    assert "there is no axis z; there are i0, i1, k0" in refused(matmul_kernel(), Split("z", 2))
    assert "the factor must be at least 1" in refused(matmul_kernel(), Split("i0", 0))
    assert "already unroll" in refused(matmul_kernel(), Unroll("i0"), Split("i0", 2))
    assert "not perfectly nested" in refused(row_kernel(), Reorder(("i0", "k0")))
    assert "not the only content" in refused(row_kernel(), Fuse("i0", "k0"))
    assert "reduces over only one of the two" in refused(matmul_kernel(), Fuse("i1", "k0"))
    assert "shorter" in refused(matmul_kernel(), Split("i0", 2), Fuse("i0.o", "i0.i"))
    assert "known only at run time" in refused(matmul_kernel(), Split("i0", 2, peel=False), Unroll("i0.i"))
    assert "also depends on i1" in refused(matmul_kernel(), Stage("right", 0, "i1", ("k0",)))
    assert "no copy whose innermost loop is i1" in refused(matmul_kernel(), CopySquares(0, "k0", "i1"))
    assert "each step needs the one before" in refused(scan_kernel(), Vectorize("k0"))


def test_sinking_an_axis_that_is_read_elsewhere_is_refused() -> None:
    x, reversed_rows, out = buffer((4, 8)), buffer((4, 8)), buffer((4, 8))
    i, j, k = Axis(4), Axis(8), Axis(8)
    at_i, at_j, at_k = Index.of(i), Index.of(j), Index.of(k)
    kernel = Kernel("k", "elementwise", (i,), [
        Statement(reversed_rows, (i, j), Read(x, (at_i, at_j)), (at_i, at_j), home=Home.SCRATCH),
        Statement(out, (i, k), Read(reversed_rows, (Index((), 3) - at_i, at_k)), (at_i, at_k)),
    ], (x,), (out,))
    assert "at another i0" in refused(kernel, Sink("i0"))
