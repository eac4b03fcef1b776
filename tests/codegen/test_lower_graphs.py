"""Kernels of whole graphs, lowered for three widths of vectors and executed by the loop interpreter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lowering_cases import CASES
from lowering_harness import TARGETS, check_graph, random_array

import ir

NARROW = ("float16", "bfloat16")


@pytest.mark.parametrize(("name", "target"), [
    (name, target) for name in CASES for target in ("avx512", "sse") if target == "avx512" or "large" not in name])
def test_kernels_compute_what_the_graph_says(name: str, target: str) -> None:
    outputs = CASES[name]
    buffers = [node for node in ir.topological_order(outputs) if node.op.name == "buffer"]
    inputs = {node: random_array(node, seed) for seed, node in enumerate(buffers)}
    narrow = any(node.dtype.name in NARROW for node in ir.topological_order(outputs))
    tolerance = 2e-2 if narrow else 1e-4
    check_graph(outputs, inputs, TARGETS[target], tolerance, tolerance)
