"""What becomes one kernel, where values live, and the recorded reason of every boundary."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import pytest
import schedule_models as models
from schedule_models import buffer
from work import lines_executed

import ir
from codegen.expression import walk
from codegen.index import Quotient, Remainder
from codegen.kernel import Home, Kernel, KernelBatch, Read, Statement
from codegen.schedule import Limits, schedule
from codegen.schedule.coalesce import flat_address
from codegen.schedule.order import kernels_of
from codegen.target import Target
from ir.dtype import dtypes
from ir.node import Node

TARGET = Target.cpu("generic")
ROWS, COLUMNS = 8192, 768


def kernels(*outputs: Node, limits: Limits | None = None) -> list[Kernel]:
    return kernels_of(schedule(outputs, TARGET, limits).steps)


def reasons(found: Sequence[Kernel]) -> set[str]:
    """The reasons of all boundaries between kernels (not of outputs)."""
    return {boundary.reason for kernel in found for boundary in kernel.boundaries if boundary.reader is not None}


def homes(kernel: Kernel) -> list[Home]:
    return [statement.home for statement in kernel.statements if isinstance(statement, Statement)]


def total(x: Node) -> Node:
    return ir.reduce("sum", x, tuple(range(len(x.shape))))


def test_elementwise_chain_is_one_kernel_over_one_loop() -> None:
    value = buffer(768, 128)
    for _ in range(10):
        value = ir.sin(models.mul(value, value))
    (kernel,) = kernels(value)
    assert [axis.extent for axis in kernel.axes] == [98304]
    assert len(kernel.statements) == 1
    assert kernel.bytes_moved == 2 * 98304 * 4


def test_sum_of_a_sum_is_one_sum() -> None:
    (kernel,) = kernels(ir.reduce("sum", ir.reshape(ir.reduce("sum", buffer(8, 16, 32), (2,)), (128,)), (0,)))
    (statement,) = kernel.statements
    assert isinstance(statement, Statement) and len(statement.reduced) == 1


def test_softmax_over_rows_is_one_kernel() -> None:
    (kernel,) = kernels(models.softmax(buffer(ROWS, COLUMNS)))
    assert [axis.extent for axis in kernel.axes] == [ROWS]
    assert homes(kernel) == [Home.REGISTER, Home.SCRATCH, Home.REGISTER, Home.MEMORY]
    assert kernel.strategy == "row reduction"


def test_few_long_rows_stay_parallel() -> None:
    found = kernels(models.softmax(buffer(2, 1 << 20)))
    assert len(found) > 1
    assert "only 2 parallel iterations would remain" in reasons(found)


def test_layernorm_is_one_kernel_forward() -> None:
    (kernel,) = kernels(models.layernorm(buffer(ROWS, COLUMNS), buffer(COLUMNS), buffer(COLUMNS)))
    assert [axis.extent for axis in kernel.axes] == [ROWS]


def test_layernorm_backward_is_one_kernel_with_accumulators() -> None:
    x, weight, bias, seed = buffer(ROWS, COLUMNS), buffer(COLUMNS), buffer(COLUMNS), buffer(ROWS, COLUMNS)
    loss = total(models.mul(models.layernorm(x, weight, bias), seed))
    (kernel,) = kernels(*models.gradients(loss, [x, weight, bias]))
    assert homes(kernel).count(Home.ACCUMULATOR) == 2
    assert [axis.extent for axis in kernel.axes] == [ROWS]


def test_matmul_bias_gelu_is_one_contraction() -> None:
    (kernel,) = kernels(models.gelu(models.linear(buffer(ROWS, COLUMNS), buffer(COLUMNS, 3072), buffer(3072))))
    assert kernel.strategy == "contraction"
    product = kernel.statements[0]
    assert isinstance(product, Statement) and product.contraction is not None
    assert product.home is Home.REGISTER
    assert [[axis.extent for axis in axes] for axes in (product.contraction.m, product.contraction.n,
                                                        product.contraction.k)] == [[ROWS], [3072], [COLUMNS]]


def test_three_layers_are_three_kernels() -> None:
    value = buffer(ROWS, COLUMNS)
    for _ in range(3):
        value = models.relu(models.linear(value, buffer(COLUMNS, COLUMNS), buffer(COLUMNS)))
    found = kernels(value)
    assert len(found) == 3
    assert reasons(found) == {"two contractions share a nest only where long rows of one stay in scratch"}


def test_layernorm_before_a_matmul_is_materialised() -> None:
    x = models.layernorm(buffer(ROWS, COLUMNS), buffer(COLUMNS), buffer(COLUMNS))
    found = kernels(models.linear(x, buffer(COLUMNS, 3072)))
    assert [kernel.strategy for kernel in found] == ["row reduction", "contraction"]
    assert reasons(found) == {"a row reduction needs whole rows of a tiled contraction"}


def test_cross_entropy_is_one_row_kernel_and_a_scalar() -> None:
    logits, labels = buffer(1024, 50257), buffer(1024, dtype=dtypes.int32)
    loss = models.cross_entropy(logits, labels)
    row, scalar = kernels(loss)
    assert Home.ACCUMULATOR in homes(row) and scalar.bytes_moved == 8
    row, scalar = kernels(loss, *models.gradients(loss, [logits]))
    assert row.bytes_moved < 2.1 * 1024 * 50257 * 4  # the logits are read once, their gradient is written once
    assert {b.reason for b in row.boundaries if b.reader is not None} == {"complete only after the loop over [1024]"}


def test_batchnorm_is_one_kernel_per_channel() -> None:
    x, weight, bias = buffer(32, 64, 28, 28), buffer(64), buffer(64)
    (kernel,) = kernels(models.batchnorm(x, weight, bias))
    assert [axis.extent for axis in kernel.axes] == [64]


def test_gelu_backward_reads_its_input_again_instead_of_intermediates() -> None:
    x, w1, w2 = buffer(ROWS, COLUMNS), buffer(COLUMNS, 3072), buffer(3072, COLUMNS)
    hidden = models.linear(x, w1, buffer(3072))
    y = models.linear(models.gelu(hidden), w2)
    found = kernels(y, *models.gradients(total(models.mul(y, buffer(ROWS, COLUMNS))), [w1, w2]))
    wide = [value for kernel in found for value in kernel.outputs if value.shape == (ROWS, 3072)]
    assert len(wide) == 3  # the hidden layer, its activation, and its gradient


def test_outer_products_are_never_stored() -> None:
    q, k = buffer(64, 32), buffer(48, 32)
    product = models.mul(ir.reshape(q, (64, 1, 32)), ir.reshape(k, (1, 48, 32)))
    found = kernels(ir.reduce("sum", product, (2,)), ir.reduce("max", product, (2,)))
    assert all(value.shape == (64, 48) for kernel in found for value in kernel.outputs)


def test_adam_runs_in_the_epilogue_of_the_weight_gradient() -> None:
    x, weight = buffer(512, COLUMNS), buffer(COLUMNS, COLUMNS)
    loss = total(ir.sin(models.linear(x, weight)))
    found = kernels(*models.adam([weight], models.gradients(loss, [weight])))
    assert [kernel.strategy for kernel in found] == ["contraction", "contraction"]
    assert len(found[1].in_place) == 3


def test_weight_is_overwritten_after_the_input_gradient_has_read_it() -> None:
    x, weight = buffer(512, COLUMNS), buffer(COLUMNS, COLUMNS)
    slopes = models.gradients(total(ir.sin(models.linear(ir.sin(x), weight))), [weight, x])
    found = kernels(*models.adam([weight], slopes[:1]), slopes[1])
    writer = next(i for i, kernel in enumerate(found) if kernel.in_place)
    assert max(i for i, kernel in enumerate(found) if weight in kernel.inputs) == writer


def test_adam_of_small_parameters_is_one_batch() -> None:
    parameters = [buffer(*shape) for shape in [(768,), (50, 20), (30,), (7, 7, 7)]]
    steps = schedule(models.adam(parameters, [buffer(*p.shape) for p in parameters]), TARGET).steps
    assert len(steps) == 1 and isinstance(steps[0], KernelBatch)
    assert len(steps[0].kernels) == 4


def test_reductions_of_one_input_share_a_kernel() -> None:
    x = buffer(ROWS, COLUMNS)
    (kernel,) = kernels(ir.reduce("sum", x, (1,)), ir.reduce("max", x, (1,)))
    assert kernel.inputs == (x,)


def test_row_work_is_not_fused_into_column_sums() -> None:
    x = ir.sin(buffer(ROWS, COLUMNS))
    found = kernels(x, ir.reduce("sum", x, (0,)))
    assert all(kernel.strategy != "row reduction" for kernel in found)
    (kernel,) = found  # the column sum is an accumulator beside the rows
    assert homes(kernel) == [Home.MEMORY, Home.ACCUMULATOR]


def test_gradients_of_slices_are_written_into_their_parts() -> None:
    x, weight = buffer(64, 32), buffer(32, 96)
    qkv = models.linear(x, weight)
    q, k, v = (ir.slice(qkv, ((0, 64, 1), (32 * i, 32 * i + 32, 1))) for i in range(3))
    seeds = [buffer(32, 8) for _ in range(3)]
    mixed = [ir.sin(models.matmul(part, seed)) for part, seed in zip((q, k, v), seeds, strict=True)]
    loss = total(ir.add(ir.add(mixed[0], mixed[1]), mixed[2]))
    found = kernels(*models.gradients(loss, [weight]))
    assert all(kernel.strategy == "contraction" for kernel in found)


def test_contiguous_ends_a_kernel() -> None:
    found = kernels(ir.exp(ir.contiguous(ir.sin(buffer(64, 64)))))
    assert len(found) == 2
    assert reasons(found) == {"contiguous() asks for a value in memory"}


def test_too_many_operations_end_a_kernel() -> None:
    value = buffer(64)
    for _ in range(100):
        value = ir.sin(value)
    found = kernels(value, limits=Limits(inlined=10, kernel=30))
    assert 4 <= len(found) <= 10
    assert reasons(found) == {"more than 30 operations in one kernel"}


def test_models_need_no_division_in_their_accesses() -> None:
    p = models.Parameters()
    tokens, labels = buffer(4, 64, dtype=dtypes.int32), buffer(4, 64, dtype=dtypes.int32)
    loss = models.gpt_loss(p, tokens, labels, 64, 4, 2, 65)
    parameters = list(p.all.values())
    found = kernels(loss, *models.adam(parameters, models.gradients(loss, parameters)))
    roots = [s.expression for kernel in found for s in kernel.statements if isinstance(s, Statement)]
    addresses = [flat_address(part.value, part.indices) for part in walk(*roots) if isinstance(part, Read)]
    assert len(addresses) > 200
    assert not any(isinstance(atom, (Quotient, Remainder)) for address in addresses for atom in address.atoms())


def test_every_boundary_of_a_transformer_block_has_a_reason() -> None:
    p = models.Parameters()
    tokens, labels = buffer(4, 64, dtype=dtypes.int32), buffer(4, 64, dtype=dtypes.int32)
    found = kernels(models.gpt_loss(p, tokens, labels, 128, 4, 1, 65))
    assert len(found) <= 13
    assert all(kernel.boundaries and all(boundary.reason for boundary in kernel.boundaries) for kernel in found)


def test_scheduling_is_linear_and_fast() -> None:
    def seconds(layers: int) -> float:
        p = models.Parameters()
        tokens, labels = buffer(8, 1024, dtype=dtypes.int32), buffer(8, 1024, dtype=dtypes.int32)
        loss = models.gpt_loss(p, tokens, labels, 768, 12, layers, 50257)
        parameters = list(p.all.values())
        outputs = [loss, *models.adam(parameters, models.gradients(loss, parameters))]
        start = time.process_time()
        schedule(outputs, TARGET)
        return time.process_time() - start

    few, many = seconds(2), seconds(8)
    assert many < 4  # on a machine that does nothing else it is about 0.8
    assert many < 8 * few


@pytest.mark.parametrize("lengths", [(500, 1000), pytest.param((2000, 4000), marks=pytest.mark.slow)])
def test_a_gradient_that_reads_every_forward_value_takes_linear_work(lengths: tuple[int, int]) -> None:
    """A chain of nonlinear operations and its gradient: every forward value has a reader far away."""
    def graph(length: int) -> list[Node]:
        x = y = buffer(64)
        for number in range(length):
            y = ir.mul(y, y) if number % 4 == 3 else (ir.tanh, ir.exp, ir.sin)[number % 4](y)
        total = ir.reduce("sum", y, (0,))
        return ir.simplify([total, *ir.gradient([total], [ir.constant(1, dtypes.float32)], [x])])

    short, long = [lines_executed(partial(schedule, graph(length), TARGET)) for length in lengths]
    assert long < 2.3 * short
