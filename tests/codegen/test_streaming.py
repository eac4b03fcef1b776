"""Attention is found by its axes: one kernel forward, one backward, no scores in memory, and reasons otherwise."""

from __future__ import annotations

import sys
from math import prod
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import schedule_models as models
from attention_graphs import MASKS, attention, causal, contracted, inputs, slopes

import ir
from codegen.bounds import Bound
from codegen.kernel import Home, Kernel, KernelBatch, Schedule, Statement
from codegen.lower import lower
from codegen.regions import needed_regions
from codegen.schedule import schedule
from codegen.target import Target
from ir import Node, dtypes

TARGET = Target.cpu("skylake-avx512", "+avx2,+fma,+avx512f")
SIZES = (2, 3, 48, 48, 16, 16)


def kernels(found: Schedule) -> list[Kernel]:
    return [kernel for step in found.steps if isinstance(step, KernelBatch) for kernel in step.kernels]


def largest_stored(found: Schedule) -> int:
    return max(prod(value.shape) for kernel in kernels(found) for value in kernel.outputs)


@pytest.mark.parametrize("mask", MASKS)
def test_attention_is_one_kernel(mask: str) -> None:
    (kernel,) = kernels(schedule([attention(*inputs(*SIZES), MASKS[mask])], TARGET))
    assert kernel.strategy == "attention" and [axis.extent for axis in kernel.axes] == [6, 48]
    wide = [s for s in kernel.statements if isinstance(s, Statement) and s.value.shape == (2, 3, 48, 48)]
    assert wide and all(s.home is Home.SCRATCH for s in wide)


@pytest.mark.parametrize("mask", MASKS)
def test_gradients_are_one_kernel_more(mask: str) -> None:
    given = inputs(*SIZES)
    found = schedule(slopes(attention(*given, MASKS[mask]), given), TARGET)
    assert [kernel.strategy for kernel in kernels(found)].count("attention") == 2
    assert not any(kernel.strategy == "contraction" for kernel in kernels(found))
    assert largest_stored(found) == 2 * 3 * 48 * 16
    backward = kernels(found)[1]
    assert sum(s.contraction is not None for s in backward.statements if isinstance(s, Statement)) == 5
    assert sum(s.home is Home.ACCUMULATOR for s in backward.statements if isinstance(s, Statement)) == 2


def test_a_training_step_stores_no_rows_of_scores() -> None:
    """tokens x tokens of every head would be the largest value of the step."""
    p = models.Parameters()
    tokens, labels = (models.buffer(2, 64, dtype=dtypes.int32) for _ in range(2))
    loss = models.gpt_loss(p, tokens, labels, width=16, heads=2, layers=2, vocabulary=32)
    found = schedule([loss, *models.gradients(loss, list(p.all.values()))], TARGET)
    assert all(value.shape != (2, 2, 64, 64) for kernel in kernels(found) for value in kernel.outputs)
    assert [kernel.strategy for kernel in kernels(found)].count("attention") == 4


def reasons(found: Schedule) -> set[str]:
    return {boundary.reason for kernel in kernels(found) for boundary in kernel.boundaries}


@pytest.mark.parametrize(("sizes", "why"), [
    ((2, 3, 8, 64, 16, 16), "fewer rows than are worth packing keys for"),
    ((2, 3, 32, 16, 16, 16), "rows that are no longer than what they are made of"),
    ((1, 1, 64, 64, 16, 16), "one head"),
    ((2, 3, 64, 40_000, 16, 16), "rows that do not fit scratch"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_other_attention_is_kernels_with_reasons(sizes: tuple[int, ...], why: str) -> None:
    found = schedule([attention(*inputs(*sizes), MASKS["full"])], TARGET)
    assert all(kernel.strategy != "attention" for kernel in kernels(found)), why
    assert "a row reduction needs whole rows of a tiled contraction" in reasons(found)


def test_a_gpu_keeps_its_tiles() -> None:
    found = schedule([attention(*inputs(*SIZES), causal)], Target.cuda("sm_80"))
    assert "a row reduction needs whole rows of a tiled contraction" in reasons(found)


def test_weights_that_are_asked_for_are_stored() -> None:
    q, k, v = inputs(*SIZES)
    weights = models.softmax(contracted(q, k, "last"))
    found = schedule([weights, contracted(weights, v, "keys")], TARGET)
    assert largest_stored(found) == 2 * 3 * 48 * 48
    scores = [value for kernel in kernels(found) for value in kernel.outputs if value.shape == (2, 3, 48, 48)]
    assert len(scores) == 1


def test_a_layer_that_widens_rows_is_no_attention() -> None:
    x = models.linear(models.buffer(64, 16), models.buffer(16, 32))
    assert [kernel.strategy for kernel in kernels(schedule([models.softmax(x)], TARGET))] == [
        "contraction", "row reduction"]


def forward_kernel(mask: str) -> Kernel:
    (kernel,) = kernels(schedule([attention(*inputs(*SIZES), MASKS[mask])], TARGET))
    return kernel


@pytest.mark.parametrize(("mask", "guards"), [("full", 0), ("causal", 1), ("window", 2)])
def test_masks_bound_every_statement_along_the_row(mask: str, guards: int) -> None:
    kernel = forward_kernel(mask)
    regions = needed_regions(kernel)
    along = [number for number, s in enumerate(kernel.statements)
             if isinstance(s, Statement) and len([axis for axis in s.axes if axis.extent == 48]) == 2]
    assert {number: len(regions.get(number, ())) for number in along} == dict.fromkeys(along, guards)


def test_loops_end_at_the_diagonal() -> None:
    (steps,) = lower(forward_kernel("causal"), TARGET).schedules
    assert sum(isinstance(step, Bound) for step in steps) >= 5


def test_a_row_without_anything_inside_is_computed_whole() -> None:
    """Row 0 attends to nothing: all of its weights are NaN, and no loop may leave them out."""
    def strictly_before(scores: Node) -> Node:
        rows, columns = scores.shape[2:]
        row, column = models.both(ir.reshape(ir.iota(rows), (rows, 1)), ir.iota(columns))
        return ir.where(models.broadcast(ir.less(column, row), scores.shape), scores,
                        ir.constant_like(scores, -float("inf")))

    (kernel,) = kernels(schedule([attention(*inputs(*SIZES), strictly_before)], TARGET))
    assert needed_regions(kernel) == {}
