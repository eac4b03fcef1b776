"""Convolutions of generated shapes, and their gradients: as loops on every instruction set, and as machine code."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lowering_harness import TARGETS, buffer, check_graph, random_array

import ir
from codegen.kernel import KernelBatch
from codegen.loops import Load
from codegen.lower import explain_schedule, lower
from codegen.schedule import schedule
from codegen.target import Target
from ir import Node, dtypes

Array = Any
AVX512 = TARGETS["avx512"]


class Shape(NamedTuple):
    """A convolution [batch, groups * inputs, *space] * [groups * outputs, inputs, *taps]."""

    batch: int
    groups: int
    inputs: int
    outputs: int
    space: tuple[int, ...]
    taps: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    dtype: ir.DType = dtypes.float32


def convolution(shape: Shape) -> tuple[Node, Node, Node]:
    """(images, weights, result)."""
    batch, groups, inputs, outputs, space, taps, stride, padding, dilation, dtype = shape
    x, w = buffer((batch, groups * inputs, *space), dtype), buffer((groups * outputs, inputs, *taps), dtype)
    seen = x
    for i, size in enumerate(taps):
        seen = ir.window(seen, 2 + 2 * i, size, stride, dilation, padding, padding)
    pairs = seen.shape[2:]
    full = (batch, groups, outputs, inputs, *pairs)
    left = ir.expand(ir.reshape(seen, (batch, groups, 1, inputs, *pairs)), full)
    single = [n for size in taps for n in (1, size)]
    right = ir.expand(ir.reshape(w, (1, groups, outputs, inputs, *single)), full)
    summed = ir.reduce("sum", ir.mul(left, right), (3, *(5 + 2 * i for i in range(len(taps)))))
    return x, w, ir.reshape(summed, (batch, groups * outputs, *pairs[::2]))


def graph(shape: Shape) -> tuple[list[Node], list[Node]]:
    """The results (convolution and both gradients) and the buffers they are computed from."""
    x, w, y = convolution(shape)
    cotangent = buffer(y.shape, y.dtype)
    gradients = ir.gradient([y], [cotangent], [x, w])
    return [y, *(node for node in gradients if node is not None)], [x, w, cotangent]


def generated(seed: int, products: int = 60_000) -> Shape:
    """A small convolution: odd sizes, strides, dilation, padding, groups, one to three dimensions."""
    choose = random.Random(seed)
    while True:
        rank = choose.choice([1, 2, 2, 2, 3])
        taps = tuple(choose.choice([1, 2, 3, 5] if rank < 3 else [1, 2]) for _ in range(rank))
        dilation, groups = choose.choice([1, 1, 2]), choose.choice([1, 1, 1, 2])
        smallest = dilation * (max(taps) - 1) + 1
        space = tuple(smallest + choose.randrange(0, {1: 20, 2: 7, 3: 3}[rank]) for _ in range(rank))
        channels = [1, 3, 8, 16, 17] if groups == 1 else [1, 3, 8]
        shape = Shape(choose.choice([1, 2, 5]), groups, choose.choice(channels), choose.choice(channels), space, taps,
                      choose.choice([1, 1, 2, 3]), choose.choice([0, 1, 2]), dilation,
                      choose.choice([dtypes.float32, dtypes.float32, dtypes.float64]))
        if np.prod([shape.batch, groups, shape.inputs, shape.outputs, *space, *taps]) < products:
            return shape


CASES = [*((name, seed) for name in ("avx512", "avx2") for seed in range(14)), *(("sse", seed) for seed in range(6))]


@pytest.mark.parametrize(("target", "seed"), CASES)
def test_loops_of_generated_convolutions_compute_what_the_graph_does(target: str, seed: int) -> None:
    outputs, inputs = graph(generated(seed))
    check_graph(outputs, {node: random_array(node, i) for i, node in enumerate(inputs)}, TARGETS[target], 1e-4, 1e-4)


LONG_SUMS = {
    "taps": Shape(8, 1, 6, 16, (7, 6), (3, 3), padding=1),
    "strided": Shape(6, 1, 8, 17, (9, 9), (3, 3), stride=2, padding=1),
    "one image": Shape(1, 1, 16, 16, (20, 12), (2, 2)),
    "one channel": Shape(7, 1, 1, 16, (12, 9), (7, 7)),
    "dilated line": Shape(5, 1, 20, 16, (40,), (3,), padding=2, dilation=2),
}


@pytest.mark.parametrize("shape", LONG_SUMS.values(), ids=LONG_SUMS)
@pytest.mark.parametrize("target", [AVX512, TARGETS["avx2"]], ids=["avx512", "avx2"])
def test_weight_gradients_that_are_cut_into_chunks(shape: Shape, target: Target) -> None:
    outputs, inputs = graph(shape)
    (step,) = schedule([outputs[2]], target).steps
    assert isinstance(step, KernelBatch) and len(lower(step.kernels[0], AVX512).launches) == 2
    check_graph([outputs[2]], {node: random_array(node, i) for i, node in enumerate(inputs)}, target, 1e-4, 1e-4)


def test_padding_is_decided_by_loops() -> None:
    outputs, _ = graph(Shape(16, 1, 16, 32, (24, 24), (3, 3), padding=1))
    for step in schedule(outputs, AVX512).steps:
        assert isinstance(step, KernelBatch)
        for kernel in step.kernels:
            assert "BoundByGuards" in explain_schedule(kernel, AVX512)  # along the height; along the width, cuts
            for launch in lower(kernel, AVX512).launches:
                pending = list(launch.function.body)
                while pending:
                    statement = pending.pop()
                    value = getattr(statement, "value", None)
                    assert not (isinstance(value, Load) and value.type.lanes == 1 and value.mask is not None)
                    code = getattr(value, "code", None)
                    assert code != "where", f"{launch.function.name} tests its guards"
                    for name in ("body", "then", "otherwise"):
                        pending.extend(getattr(statement, name, ()))
