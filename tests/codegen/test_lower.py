"""Lowering as a whole: sharing of functions, arguments, run-time lengths, launches of chunked reductions."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lowering_cases import layernorm, matmul, softmax, total, transposed
from lowering_harness import TARGETS, buffer, run_kernel

import ir
from codegen.kernel import Kernel, KernelBatch
from codegen.loops import For, LoopKind
from codegen.lower import Lowered, Temporary, explain_schedule, lower
from codegen.schedule import schedule
from codegen.step_text import parse_steps
from codegen.target import Target
from ir import Node

AVX512 = TARGETS["avx512"]


def kernels_of(outputs: list[Node], target: Target = AVX512) -> list[Kernel]:
    steps = schedule(outputs, target).steps
    return [kernel for step in steps if isinstance(step, KernelBatch) for kernel in step.kernels]


def lowered(output: Node, target: Target = AVX512) -> Lowered:
    (kernel,) = kernels_of([output], target)
    return lower(kernel, target)


def test_equal_kernels_share_one_function() -> None:
    first, second = (lowered(softmax(buffer((30, 50)))) for _ in range(2))
    assert first.launches[0].function is second.launches[0].function
    assert first.launches[0].arguments != second.launches[0].arguments


def test_extents_dtypes_and_targets_make_functions_different() -> None:
    single, double = ir.dtypes.float32, ir.dtypes.float64
    variants = [((30, 50), single, AVX512), ((30, 51), single, AVX512), ((30, 50), double, AVX512),
                ((30, 50), single, TARGETS["sse"])]
    functions = [lowered(softmax(buffer(shape, dtype)), target).launches[0].function
                 for shape, dtype, target in variants]
    assert len({id(function) for function in functions}) == len({f.name for f in functions}) == 4


def test_arguments_line_up_with_parameters() -> None:
    a, b = buffer((19, 37)), buffer((37, 53))
    output = matmul(a, b)
    (launch,) = lowered(output).launches
    assert launch.arguments == (a, b, output)
    assert [p.size for p in launch.function.parameters] == [19 * 37, 37 * 53, 19 * 53]
    assert [p.readonly for p in launch.function.parameters] == [True, True, False]


def test_assigned_buffers_are_one_parameter() -> None:
    parameter, gradient = buffer((100,)), buffer((100,))
    (launch,) = lowered(ir.assign(parameter, ir.sub(parameter, gradient))).launches
    assert set(launch.arguments) == {parameter, gradient}
    assert [p.readonly for p in launch.function.parameters] == [a is gradient for a in launch.arguments]


def test_large_totals_are_combined_in_a_second_launch() -> None:
    launches = lowered(total("sum", buffer((1000, 1000)), 0, 1)).launches
    assert len(launches) == 2
    partials = [argument for argument in launches[0].arguments if isinstance(argument, Temporary)]
    assert partials and partials == [a for a in launches[1].arguments if isinstance(a, Temporary)]
    assert partials[0].nbytes == partials[0].shape[0] * 4


def test_sums_over_parallel_rows_are_chunked() -> None:
    x, scale, shift = buffer((4096, 64)), buffer((64,)), buffer((64,))
    cotangent = buffer((4096, 64))
    gradients = ir.gradient([layernorm(x, scale, shift)], [cotangent], [x, scale, shift])
    for kernel in kernels_of([node for node in gradients if node is not None]):
        for launch in lower(kernel, AVX512).launches:
            outermost = [s for s in launch.function.body if isinstance(s, For)]
            assert all(loop.kind in (LoopKind.PARALLEL, LoopKind.SERIAL) for loop in outermost)


def test_small_kernels_are_one_task() -> None:
    body = lowered(ir.exp(buffer((20, 20)))).launches[0].function.body
    assert not any(isinstance(s, For) and s.kind is LoopKind.PARALLEL for s in body)


def test_number_of_tasks_depends_on_the_shape_alone() -> None:
    body = lowered(ir.exp(buffer((1000, 1000)))).launches[0].function.body
    (loop,) = [s for s in body if isinstance(s, For)]
    assert loop.kind is LoopKind.PARALLEL


def test_schedules_are_kept_and_can_be_read() -> None:
    (kernel,) = kernels_of([matmul(buffer((64, 64)), buffer((64, 64)))])
    text = explain_schedule(kernel, AVX512)
    assert tuple(parse_steps(text)) == lower(kernel, AVX512).schedules[0]
    assert "Vectorize" in text and text.startswith("# contraction_64x64x64_")


@pytest.mark.parametrize("target", ["avx512", "sse"])
@pytest.mark.parametrize("first", [True, False], ids=["first dimension", "last dimension"])
@pytest.mark.parametrize("name", ["add", "row sum", "column sum", "softmax", "argmax", "a b'", "a' b"])
def test_lengths_known_only_at_run_time(name: str, first: bool, target: str) -> None:
    graphs = {
        "add": lambda x, y: ir.add(x, y), "row sum": lambda x, y: total("sum", x, 1),
        "column sum": lambda x, y: total("sum", x, 0), "softmax": lambda x, y: softmax(x),
        "argmax": lambda x, y: total("argmax", x, 0), "a b'": lambda x, y: matmul(x, transposed(y)),
        "a' b": lambda x, y: matmul(transposed(x), y),
    }
    length = ir.Variable("n", 1, 50)
    largest, actual = ((50, 20), (23, 20)) if first else ((20, 50), (20, 23))
    part = tuple(slice(0, size) for size in actual)
    x, y = (buffer((length, 20) if first else (20, length)) for _ in range(2))
    arrays = [np.random.default_rng(seed).standard_normal(largest).astype(np.float32) for seed in range(2)]
    memory = {x: arrays[0].reshape(-1), y: arrays[1].reshape(-1)}
    output = graphs[name](x, y)
    for kernel in kernels_of([output], TARGETS[target]):
        run_kernel(kernel, memory, TARGETS[target], {"n": 23})
    plain = [buffer(actual) for _ in range(2)]
    (expected,) = ir.evaluate([graphs[name](*plain)], {b: a[part].copy() for b, a in zip(plain, arrays, strict=True)})
    got = memory[output].reshape([ir.upper_bound(dimension) for dimension in output.shape])
    np.testing.assert_allclose(got[tuple(slice(0, size) for size in expected.shape)], expected, rtol=1e-4, atol=1e-4)
