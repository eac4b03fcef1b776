"""Large programs and many steps: long chains never recurse, and training leaves nothing behind."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import ir
from runtime import counters, program_cache
from tinygrad_like import Tensor, jit, nn
from tinygrad_like.models import MLP
from tinygrad_like.tensor import live
from tinygrad_like.train import training_step

# ------------------------------------------------------------------------------------------- chains


def chain(length: int, x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """``length`` ops, each applied to the one before: x, x w + b, (x w + b) w + b, ..."""
    y = x
    for _ in range(length // 2):
        y = y * w + b
    return y


def check_chain(length: int) -> None:
    """A chain is built, printed, read back, verified, differentiated and run, forward and backward."""
    x = Tensor(np.linspace(-1, 1, 16).astype(np.float32))
    w, b = Tensor(np.full(16, 1 - 1 / length, np.float32)), Tensor(np.linspace(0, 1, 16).astype(np.float32))
    y = chain(length, x, w, b)
    text = ir.format_graph([y.node])
    assert text.count("\n") > length
    assert ir.format_graph(ir.parse_graph(text).outputs) == text
    ir.verify([y.node])
    [gradient] = y.sum().gradient(x)
    assert len(ir.topological_order([gradient.node])) >= length // 2
    factor = w.numpy().astype(np.float64)
    power = factor ** (length // 2)
    np.testing.assert_allclose(gradient.numpy(), power, rtol=1e-3)
    expected = power * x.numpy() + b.numpy() * (1 - power) / (1 - factor)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-3, atol=1e-3)


def test_a_chain_of_20_000_ops() -> None:
    check_chain(20_000)


@pytest.mark.slow
def test_a_chain_of_100_000_ops() -> None:
    check_chain(100_000)


def test_a_chain_of_100_000_ops_is_built_and_printed() -> None:
    x = Tensor([0.5, 0.25])
    y = x
    for _ in range(100_000):
        y = y.sin()
    assert ir.format_graph([y.node]).count(" sin ") == 100_000
    assert len(ir.topological_order([y.node])) == 100_001


def test_a_chain_of_sines_and_its_gradient() -> None:
    x = Tensor(np.linspace(0.1, 1, 8), dtype="float64")
    y, expected, slope = x, x.numpy(), np.ones(8)
    for _ in range(200):
        y = y.sin()
        slope *= np.cos(expected)
        expected = np.sin(expected)
    [gradient] = y.sum().gradient(x)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(gradient.numpy(), slope, rtol=1e-10)


def test_a_long_chain_is_freed_without_recursion() -> None:
    gc.collect()  # what other tests left in cycles
    before = ir.live_node_count()
    y = chain(50_000, Tensor([1.0]), Tensor([0.5]), Tensor([2.0]))
    assert ir.live_node_count() == before + 50_000  # buffers, which are never interned, do not count
    del y
    gc.collect()
    assert ir.live_node_count() == before


def test_a_wide_sum() -> None:
    """Five hundred operands in memory meet in one value."""
    tensors = [Tensor([float(number)]) for number in range(500)]
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    assert total.item() == sum(range(500))


def test_doubling_a_hundred_times_is_a_hundred_nodes() -> None:
    """y + y, of y + y, ...: 2^100 paths and 100 nodes."""
    x = Tensor([1.0])
    y = x
    for _ in range(100):
        y = y + y
    [gradient] = y.sum().gradient(x)
    assert y.item() == 2.0**100 == gradient.item()


# ------------------------------------------------------------------------------------------- growth


class Level(NamedTuple):
    """What is alive."""

    nodes: int
    tensors: int
    bytes: int
    programs: int


def level() -> Level:
    gc.collect()
    return Level(ir.live_node_count(), len(live.tensors()), counters.alive_bytes, len(program_cache))


def resident_bytes() -> int:
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * 4096 if pages.exists() else 0


def batches(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((8, 12)).astype(np.float32), rng.integers(0, 4, 8).astype(np.int32))
            for _ in range(count)]


def check_growth(step: Callable[[np.ndarray, np.ndarray], float], steps: int, megabytes: float) -> None:
    """``steps`` steps leave as many nodes, tensors, bytes and programs as there were before them."""
    data = batches(10)
    for number in range(10):
        step(*data[number])
    before, resident = level(), resident_bytes()
    first = last = 0.0
    for number in range(steps):
        last = step(*data[number % 10])
        first = first or last
    assert level() == before
    assert last < first, "the steps do not learn"
    assert resident_bytes() - resident < megabytes * 1e6


def test_a_thousand_compiled_steps_do_not_grow() -> None:
    Tensor.manual_seed(0)
    model = MLP((12, 16, 4))
    optimizer = nn.optim.Adam(list(model.parameters()))
    step = training_step(lambda x, y: model(x).sparse_categorical_crossentropy(y), optimizer, clip=1.0)
    with Tensor.train():
        check_growth(lambda x, y: step(1e-3, x, y).item(), 1000, megabytes=4)


def test_a_thousand_compiled_steps_that_keep_their_gradients_do_not_grow() -> None:
    Tensor.manual_seed(0)
    model = MLP((12, 16, 4))
    optimizer = nn.optim.SGD(list(model.parameters()), 0.01)

    @jit
    def compiled(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model(x).sparse_categorical_crossentropy(y).backward()
        optimizer.step()
        return loss

    with Tensor.train():
        check_growth(lambda x, y: compiled(Tensor(x), Tensor(y)).item(), 1000, megabytes=4)
        assert len(compiled.programs) <= 2  # without gradients from the step before, and with them


def test_eager_steps_do_not_grow() -> None:
    Tensor.manual_seed(0)
    model = MLP((12, 16, 4))
    optimizer = nn.optim.Adam(list(model.parameters()), 1e-3)

    def step(x: np.ndarray, y: np.ndarray) -> float:
        optimizer.zero_grad()
        loss = model(Tensor(x)).sparse_categorical_crossentropy(Tensor(y)).backward()
        optimizer.step()
        return loss.item()

    with Tensor.train():
        check_growth(step, 60, megabytes=8)


def test_evaluation_does_not_grow() -> None:
    model = MLP((12, 16, 4))
    loss = [1.0]

    def step(x: np.ndarray, y: np.ndarray) -> float:
        model(Tensor(x)).argmax(-1).numpy()
        loss[0] *= 0.99
        return loss[0]

    check_growth(step, 100, megabytes=8)


def test_random_numbers_and_dropout_do_not_grow() -> None:
    loss = [1.0]

    def step(x: np.ndarray, y: np.ndarray) -> float:
        Tensor(x).dropout(0.5).numpy()
        Tensor.randn(3, 4).numpy()
        loss[0] *= 0.99
        return loss[0]

    with Tensor.train():
        check_growth(step, 100, megabytes=8)


def test_assignments_that_wait_are_not_kept_for_ever() -> None:
    """A counter that is added to many times and then read is one program, and then a buffer again."""
    total = Tensor([0.0]).realize()
    before = level()
    for _ in range(200):
        total += 1
    assert total.item() == 200
    after = level()
    assert after.nodes <= before.nodes + 2 and after.bytes <= before.bytes + 64
