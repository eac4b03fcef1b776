"""Whatever a search chooses, a kernel computes the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lowering_cases import matmul, softmax, total, transposed
from lowering_harness import TARGETS, buffer, flat, random_array, run_kernel

import ir
from codegen.choices import RULES, Choices
from codegen.kernel import Kernel, KernelBatch
from codegen.lower import explain_schedule
from codegen.schedule import schedule
from ir import Node

TARGET = TARGETS["avx2"]


def kernel_of(output: Node) -> Kernel:
    """The one kernel that computes ``output``."""
    (step,) = schedule([output], TARGET).steps
    assert isinstance(step, KernelBatch)
    (kernel,) = step.kernels
    return kernel


def result(kernel: Kernel) -> np.ndarray:
    """What the kernel stores, given the same random inputs at every call."""
    memory = {value: random_array(value, seed).reshape(-1) for seed, value in enumerate(kernel.inputs)}
    run_kernel(kernel, memory, TARGET)
    (output,) = kernel.outputs
    return memory[output] if memory else flat(output)


CONTRACTION_CHOICES = [
    Choices(tile=(1, 1)), Choices(tile=(4, 1)), Choices(tile=(3, 2), pack_lanes=True), Choices(pack_lanes=False),
    Choices(pack_rows=True), Choices(tile=(99, 99)), Choices(task_work=1), Choices(task_work=1, most_tasks=3),
]


@pytest.mark.parametrize("choices", CONTRACTION_CHOICES, ids=repr)
@pytest.mark.parametrize("form", ["nn", "tn", "nt"])
def test_contractions(choices: Choices, form: str) -> None:
    """Bitwise: every element is summed in the same order."""
    a, b = buffer((19, 11)), buffer((11, 37))
    if form == "tn":
        a = transposed(buffer((11, 19)))
    if form == "nt":
        b = transposed(buffer((37, 11)))
    kernel = kernel_of(ir.exp(matmul(a, b)))
    np.testing.assert_array_equal(result(replace(kernel, choices=choices)), result(kernel))


@pytest.mark.parametrize("choices", [Choices(vectors=1), Choices(vectors=2), Choices(vectors=8),
                                     Choices(task_work=16)], ids=repr)
@pytest.mark.parametrize("axis", [0, 1])
def test_sweeps(choices: Choices, axis: int) -> None:
    """Close: accumulators side by side are added up in another order."""
    x = buffer((20, 40))
    for kernel in (kernel_of(total("sum", x, axis)), kernel_of(softmax(x))):
        np.testing.assert_allclose(result(replace(kernel, choices=choices)), result(kernel), rtol=1e-5)


def test_choices_shape_the_schedule_and_print_as_they_are_written() -> None:
    kernel = kernel_of(matmul(buffer((64, 64)), buffer((64, 64))))
    steps = explain_schedule(replace(kernel, choices=Choices(tile=(3, 2))), TARGET)
    assert "Split('i0', 3)" in steps and steps != explain_schedule(kernel, TARGET)
    assert repr(RULES) == "Choices()" and eval(repr(Choices(tile=(3, 2)))) == Choices(tile=(3, 2))
