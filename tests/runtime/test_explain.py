"""Explanations: a row for every kernel, with reasons, costs and the user's lines."""

from __future__ import annotations

import ir
from ir import Node, dtypes
from runtime.explain import explain


def leaf(*shape: int) -> Node:
    return ir.buffer(None, dtypes.float32, shape)


def softmax(x: Node) -> Node:
    rows, columns = x.shape
    peak = ir.expand(ir.reshape(ir.reduce("max", x, (1,)), (rows, 1)), (rows, columns))
    weights = ir.exp(ir.sub(x, peak))
    total = ir.expand(ir.reshape(ir.reduce("sum", weights, (1,)), (rows, 1)), (rows, columns))
    return ir.div(weights, total)


def test_nothing_to_compute_is_no_kernel() -> None:
    explanation = explain([leaf(3)])
    assert explanation.kernel_count == 0 and explanation.bytes_moved == 0
    assert "0 kernels" in str(explanation)


def test_a_kernel_says_where_it_comes_from_and_what_it_costs() -> None:
    x = leaf(1024)
    explanation = explain([ir.add(ir.exp(x), x)])
    [kernel] = explanation.kernels
    assert kernel.strategy and kernel.name and kernel.reasons
    assert kernel.bytes_moved == 2 * 4096
    assert any(location.file.endswith("test_explain.py") for location in kernel.locations)
    text = str(explanation)
    assert "8.19 kB" in text and "test_explain.py" in text and text.splitlines()[-1].startswith("1 kernels")


def test_every_boundary_has_a_reason() -> None:
    x, w = leaf(256, 512), leaf(512, 256)
    product = ir.reduce("sum", ir.mul(
        ir.expand(ir.reshape(softmax(x), (256, 512, 1)), (256, 512, 256)),
        ir.expand(ir.reshape(w, (1, 512, 256)), (256, 512, 256))), (1,))
    explanation = explain([softmax(product)])
    assert explanation.kernel_count >= 1
    assert all(reason for kernel in explanation.kernels for reason in kernel.reasons)
    assert explanation.flops >= 2 * 256 * 512 * 256


def test_kernels_of_a_scan_count_as_often_as_they_run() -> None:
    state, x = ir.parameter(0, dtypes.float32, (8, 8)), ir.parameter(1, dtypes.float32, (8, 8))
    product = ir.reduce("sum", ir.mul(ir.expand(ir.reshape(state, (8, 8, 1)), (8, 8, 8)),
                                      ir.expand(ir.reshape(x, (1, 8, 8)), (8, 8, 8))), (1,))
    node = ir.scan(ir.Body((state, x), (product,)), [leaf(8, 8)], [leaf(5, 8, 8)])
    explanation = explain([ir.project(node, 0)])
    assert max(kernel.runs for kernel in explanation.kernels) == 5
    assert "x5" in str(explanation)
