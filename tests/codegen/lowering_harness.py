"""Graphs through scheduling and lowering, executed by the loop interpreter, beside the graph interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import loop_interpreter
import numpy as np

import ir
from codegen.kernel import Kernel, KernelBatch, Schedule
from codegen.lower import Temporary, lower
from codegen.schedule import schedule
from codegen.target import Target
from ir import Node

Array = Any
TARGETS = {
    "sse": Target.cpu("x86-64"),
    "avx2": Target.cpu("haswell", "+avx2,+fma"),
    "avx512": Target.cpu("skylake-avx512", "+avx2,+fma,+avx512f"),
}


class Handle:
    """Stands for a runtime buffer: an identity."""


def buffer(shape: Sequence[int], dtype: ir.DType = ir.dtypes.float32) -> Node:
    return ir.buffer(Handle(), dtype, tuple(shape))


def flat(value: Node) -> Array:
    size = int(np.prod([ir.upper_bound(d) for d in value.shape], dtype=np.int64))
    return np.zeros(size, value.dtype.numpy)


def run_kernel(kernel: Kernel, memory: dict[Node, Array], target: Target,
               symbols: Mapping[str, int] | None = None) -> None:
    """Executes one kernel on flat arrays, by value; outputs that are not there yet are made (full of rubbish)."""
    temporaries: dict[Temporary, Array] = {}
    for value in (*kernel.in_place.values(), *kernel.outputs):
        if value not in memory and value not in kernel.in_place:
            memory[value] = flat(value)
            memory[value].view(np.uint8)[:] = 0xA5 if value.dtype is not ir.dtypes.bool else 1
    for version, place in kernel.in_place.items():
        memory[version] = memory[place]
    for launch in lower(kernel, target).launches:
        arguments = []
        for argument in launch.arguments:
            if isinstance(argument, Temporary):
                size = int(np.prod(argument.shape))
                arguments.append(temporaries.setdefault(argument, np.full(size, 77, argument.dtype.numpy)))
            else:
                arguments.append(memory[argument])
        loop_interpreter.run(launch.function, arguments, symbols)


def run_graph(outputs: Sequence[Node], inputs: Mapping[Node, Array], target: Target) -> list[Array]:
    """The outputs' values, computed by the kernels of the graph."""
    scheduled: Schedule = schedule(outputs, target)
    memory = {node: np.array(array).reshape(-1) for node, array in inputs.items()}
    for step in scheduled.steps:
        assert isinstance(step, KernelBatch)
        for kernel in step.kernels:
            run_kernel(kernel, memory, target)
    return [memory.get(node, flat(node)).reshape(node.shape) for node in scheduled.outputs]


def check_graph(outputs: Sequence[Node], inputs: Mapping[Node, Array], target: Target, rtol: float = 1e-5,
                atol: float = 1e-5) -> None:
    """Asserts that the kernels compute what the graph interpreter computes."""
    expected = ir.evaluate(list(outputs), dict(inputs))
    for node, got, want in zip(outputs, run_graph(outputs, inputs, target), expected, strict=True):
        if node.dtype is ir.dtypes.bfloat16:
            got = ir.bfloat16_to_float32(got)
        np.testing.assert_allclose(got.astype(np.float64), np.asarray(want, np.float64), rtol=rtol, atol=atol)


def random_array(node: Node, seed: int = 0) -> Array:
    """Values for a buffer: small numbers, also negative ones."""
    generator = np.random.default_rng(seed)
    if node.dtype.is_float:
        values = generator.standard_normal(node.shape)
        return ir.float32_to_bfloat16(values) if node.dtype is ir.dtypes.bfloat16 else values.astype(node.dtype.numpy)
    if node.dtype.is_bool:
        return generator.random(node.shape) < 0.5
    return generator.integers(0 if node.dtype.kind == "uint" else -9, 10, node.shape).astype(node.dtype.numpy)
