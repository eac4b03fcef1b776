"""Which steps kernels get: lanes along contiguous axes, tiles that fit the registers, packing where it pays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lowering_cases import convolution, matmul, softmax, total, transposed
from lowering_harness import TARGETS, buffer

import ir
from codegen.kernel import KernelBatch
from codegen.loops import Fma, For, GatherLoad, Let, LoopStatement, ScatterStore
from codegen.lower import explain_schedule, lower
from codegen.schedule import schedule
from codegen.strategies.register_tile import register_tile
from ir import Node

AVX512 = TARGETS["avx512"]


def explained(output: Node) -> str:
    """The steps of the one kernel that computes ``output``."""
    (step,) = schedule([output], AVX512).steps
    assert isinstance(step, KernelBatch)
    (kernel,) = step.kernels
    return explain_schedule(kernel, AVX512)


def statements_of(output: Node) -> list[LoopStatement]:
    """Every statement of the loop IR of the kernels of ``output``."""
    pending: list[LoopStatement] = []
    for step in schedule([output], AVX512).steps:
        assert isinstance(step, KernelBatch)
        for kernel in step.kernels:
            for launch in lower(kernel, AVX512).launches:
                pending.extend(launch.function.body)
    found = []
    while pending:
        statement = pending.pop()
        found.append(statement)
        for name in ("body", "then", "otherwise"):
            pending.extend(getattr(statement, name, ()))
    return found


def gathers(output: Node) -> int:
    """How many memory accesses are not contiguous along the lanes."""
    return sum(isinstance(s, ScatterStore) or (isinstance(s, Let) and isinstance(s.value, GatherLoad))
               for s in statements_of(output))


@pytest.mark.parametrize("registers", [16, 32])
@pytest.mark.parametrize("rows", [1, 2, 5, 8, 12, 64, 1000])
@pytest.mark.parametrize("vectors", [1, 2, 3, 4, 5, 48])
def test_register_tiles_fit_the_registers(registers: int, rows: int, vectors: int) -> None:
    for nested in (False, True):
        height, width = register_tile(registers, rows, vectors, nested)
        assert 1 <= height <= rows and 1 <= width <= vectors
        assert height * width + width + 1 <= registers
        assert not nested or height * width <= 20


@pytest.mark.parametrize("make", [
    lambda x: ir.exp(x), lambda x: softmax(x), lambda x: total("sum", x, 0), lambda x: total("sum", x, 1),
    lambda x: matmul(x, buffer((80, 96))), lambda x: matmul(transposed(x), buffer((64, 96))),
    lambda x: total("max", x, 0, 1),
], ids=["elementwise", "softmax", "columns", "rows", "matmul", "a' b", "total"])
def test_lanes_run_along_contiguous_axes(make) -> None:
    assert gathers(make(buffer((64, 80)))) == 0


def test_accumulators_are_carried_through_the_reduction() -> None:
    loops = [s for s in statements_of(matmul(buffer((64, 64)), buffer((64, 64)))) if isinstance(s, For) and s.carried]
    assert [len(loop.carried) for loop in loops] == [16]
    assert sum(isinstance(s, Let) and isinstance(s.value, Fma) for s in loops[0].body) == 16


def test_operands_read_with_long_strides_are_packed() -> None:
    assert "Stage('right'" in explained(matmul(buffer((256, 256)), transposed(buffer((256, 256)))))
    assert "Stage('left'" in explained(matmul(transposed(buffer((512, 256))), buffer((512, 256))))
    assert "Stage" not in explained(matmul(buffer((64, 64)), buffer((64, 64))))


def test_two_summed_axes_that_do_not_lie_together_are_packed_like_one() -> None:
    """The gradient of a recurrent layer's weight: over batch and steps, of which one operand has the other order."""
    def product(cotangents: Node, inputs: Node) -> Node:
        shape = (16, 32, 256, 128)
        left, right = ir.reshape(cotangents, (16, 32, 256, 1)), ir.reshape(inputs, (16, 32, 1, 128))
        return total("sum", ir.mul(ir.expand(left, shape), ir.expand(right, shape)), 0, 1)

    steps = explained(product(buffer((16, 32, 256)), ir.permute(buffer((32, 16, 128)), (1, 0, 2))))
    assert "Stage('left'" in steps and "Stage('right'" in steps


def test_few_rows_times_a_transposed_matrix_is_a_dot_product() -> None:
    steps = explained(matmul(buffer((4, 256)), transposed(buffer((64, 256)))))
    assert "Vectorize('k0.i', within=0)" in steps


def test_long_epilogues_loop_over_the_rows_of_the_tile() -> None:
    def gelu(x: Node) -> Node:
        half = ir.constant(0.5, x.dtype, x.shape)
        return ir.mul(ir.mul(x, half), ir.add(ir.erf(ir.mul(x, half)), ir.exp(ir.mul(ir.sin(x), half))))
    product = matmul(buffer((96, 64)), buffer((64, 96)))
    assert "Unroll('i0.i', within=1)" in explained(ir.tanh(product))
    assert "Unroll('i0.i', within=1)" not in explained(gelu(product))


def test_taps_of_a_convolution_are_written_out() -> None:
    steps = explained(convolution(buffer((2, 16, 32, 32)), buffer((32, 16, 3, 3))))
    assert "Unroll('k2', within=0)" in steps
