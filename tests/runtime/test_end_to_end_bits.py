"""Bits that must not depend on chance: threads, runs, caches, what memory held before, and the way a program is run."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

import ir
from ir import Node, dtypes
from runtime import CpuDevice, buffer_node, buffer_of, compile_graph, program_cache
from runtime.device import CompilingDevice, Executable
from runtime.prepare import PreparedGraph
from runtime.stepwise import Poison, StepwiseExecutable
from runtime.verify import verify_program

Build = Callable[..., "list[Node]"]


def rows(x: Node, shape: Sequence[int], axes: Sequence[int]) -> Node:
    sizes = [1] * len(shape)
    for size, axis in zip(x.shape, axes, strict=True):
        sizes[axis] = size
    return ir.expand(ir.reshape(x, sizes), shape)


def matmul(a: Node, b: Node) -> Node:
    shape = (a.shape[0], a.shape[1], b.shape[1])
    return ir.reduce("sum", ir.mul(rows(a, shape, (0, 1)), rows(b, shape, (1, 2))), (1,))


def training_step(x: Node, w: Node, v: Node, labels: Node) -> list[Node]:
    """Two layers, softmax and cross-entropy, and one step of gradient descent."""
    hidden = matmul(x, w)
    logits = matmul(ir.tanh(hidden), v)
    peak = rows(ir.reduce("max", logits, (1,)), logits.shape, (0,))
    weights = ir.exp(ir.sub(logits, peak))
    total = ir.reduce("sum", weights, (1,))
    chosen = ir.gather(ir.sub(logits, peak), labels, batch=1)
    loss = ir.reduce("sum", ir.sub(ir.log(total), chosen), (0,))
    gradients = ir.gradient([loss], [ir.constant(1.0, dtypes.float32)], [w, v])
    updates = [ir.assign(p, ir.sub(p, ir.mul(g, ir.constant_like(g, 1e-2))))
               for p, g in zip((w, v), gradients, strict=True)]
    return [loss, ir.reduce("sum", weights, (0, 1)), ir.reduce("sum", x, (0,)), *updates]


def embedding_gradient(x: Node, index: Node) -> list[Node]:
    table = ir.constant(0.0, dtypes.float32, (50, x.shape[1]))
    return [ir.scatter(table, index, x), ir.scatter(ir.slice(table, ((0, 50, 1), (0, 1, 1))), index,
                                                    ir.slice(x, ((0, x.shape[0], 1), (0, 1, 1))))]


def recurrence(state: Node, inputs: Node, w: Node) -> list[Node]:
    shapes = (state.shape, inputs.shape[1:], w.shape)
    s, m, x = (ir.parameter(i, dtypes.float32, shapes[k]) for i, k in enumerate((0, 2, 1)))
    new = ir.tanh(ir.add(matmul(s, m), x))
    final, _, outputs, *_ = ir.results_of(ir.scan(ir.Body((s, m, x), (new, m, new)), [state, w], [inputs]))
    seed = ir.constant(1.0, dtypes.float32, outputs.shape)
    return [final, *(g for g in ir.gradient([outputs], [seed], [state, inputs, w]) if g is not None)]


def long_sums(x: Node, y: Node) -> list[Node]:
    return [ir.reduce("sum", x, (0, 1)), ir.reduce("sum", x, (0,)), ir.reduce("max", x, (0, 1)), matmul(x, y)]


GRAPHS: dict[str, tuple[Build, list[tuple[int, ...]]]] = {
    "training step": (training_step, [(64, 96), (96, 130), (130, 50), (-64,)]),
    "embedding gradient": (embedding_gradient, [(700, 24), (-700,)]),
    "recurrence": (recurrence, [(16, 32), (9, 16, 32), (32, 32)]),
    "long sums": (long_sums, [(300, 1000), (1000, 70)]),
}


def arrays_for(shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Normal numbers; a negative size stands for a vector of indices below 50."""
    numbers = np.random.default_rng(7)
    return [numbers.integers(0, 50, -shape[0]).astype(np.int32) if shape[0] < 0
            else numbers.standard_normal(shape).astype(np.float32) for shape in shapes]


def bits_on(device: CpuDevice, name: str,
            changed: Callable[[CompilingDevice, PreparedGraph], Executable] | None = None) -> list[bytes]:
    """The bits of every output on ``device``; ``changed`` gives another way to run the program."""
    build, shapes = GRAPHS[name]
    buffers = [buffer_of(array, device) for array in arrays_for(shapes)]
    compiled = compile_graph(build(*map(buffer_node, buffers)), device=device)
    prepared = compiled.prepared
    assert prepared.program is not None
    verify_program(prepared.program)
    if changed is not None:
        compiled.prepared = replace(prepared, executable=changed(device, prepared))
    return [result.bits().tobytes() for result in compiled.run()]


@pytest.mark.parametrize("name", GRAPHS)
def test_threads_do_not_change_bits(name: str) -> None:
    expected = bits_on(CpuDevice(threads=1), name)
    for threads in (2, 3):
        assert bits_on(CpuDevice(threads=threads), name) == expected


@pytest.mark.parametrize("name", GRAPHS)
def test_runs_and_compilations_do_not_change_bits(name: str) -> None:
    device = CpuDevice()
    expected = bits_on(device, name)
    assert bits_on(device, name) == expected
    program_cache.clear()
    assert bits_on(device, name) == expected


@pytest.mark.parametrize("name", GRAPHS)
def test_poisoned_memory_does_not_change_bits(name: str) -> None:
    device = CpuDevice(threads=2)

    def poisoned(device: CompilingDevice, prepared: PreparedGraph) -> Executable:
        assert prepared.program is not None
        return StepwiseExecutable(device, prepared.program, Poison(prepared.program))

    assert bits_on(device, name, poisoned) == bits_on(device, name)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads through Linux's /proc")
def test_the_workers_of_a_device_end_with_it() -> None:
    def threads() -> int:
        program_cache.clear()
        gc.collect()
        return len(os.listdir("/proc/self/task"))

    before = threads()
    for _ in range(5):
        bits_on(CpuDevice(threads=3), "long sums")
    assert threads() <= before  # otherwise they run code that is no longer there
