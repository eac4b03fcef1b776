"""Attention kernels, executed by the loop interpreter with rubbish in every scratch, beside the graph interpreter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from attention_graphs import MASKS, attention, inputs, slopes
from lowering_harness import TARGETS, check_graph, random_array

from codegen.kernel import KernelBatch
from codegen.schedule import schedule
from ir import DType, Node, dtypes

SIZES = {  # batch, heads, rows, keys, depth, width
    "even": (1, 2, 32, 64, 4, 16),
    "odd": (1, 2, 37, 45, 5, 7),
    "more rows than keys": (2, 1, 45, 19, 3, 4),
    "wide values": (1, 2, 17, 33, 2, 40),
}


def check(outputs: list[Node], given: tuple[Node, ...], target: str, tolerance: float) -> None:
    scheduled = schedule(outputs, TARGETS[target])
    assert any(kernel.strategy == "attention" for step in scheduled.steps if isinstance(step, KernelBatch)
               for kernel in step.kernels)
    check_graph(outputs, {node: random_array(node, seed) for seed, node in enumerate(given)}, TARGETS[target],
                tolerance, tolerance)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("target", ["avx512", "sse"])
def test_forward(sizes: str, mask: str, target: str) -> None:
    given = inputs(*SIZES[sizes])
    check([attention(*given, MASKS[mask])], given, target, 1e-4)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("sizes", ["odd", "more rows than keys"])
def test_gradients(sizes: str, mask: str) -> None:
    given = inputs(*SIZES[sizes])
    check(slopes(attention(*given, MASKS[mask]), given), given, "avx512", 1e-4)


@pytest.mark.parametrize("dtype", [dtypes.float16, dtypes.bfloat16, dtypes.float64], ids=str)
def test_other_floats(dtype: DType) -> None:
    given = inputs(*SIZES["odd"], dtype=dtype)
    check([attention(*given, MASKS["causal"])], given, "avx512", 1e-4 if dtype is dtypes.float64 else 5e-2)
