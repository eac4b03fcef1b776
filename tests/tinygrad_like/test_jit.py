"""jit: what compiled functions read, write, draw and return, and when they are traced anew."""

from __future__ import annotations

import gc
import time
from typing import Any

import numpy as np
import pytest
from tensor_oracle import close

import ir
from runtime.counters import counters
from tinygrad_like import Context, Tensor, TinyJit, Variable, jit, profile
from tinygrad_like.trace import JitError


def test_traces_once() -> None:
    calls = []

    @jit
    def f(x: Tensor, y: Tensor) -> Tensor:
        calls.append(1)
        return x * 2 + y

    for i in range(4):
        x = np.arange(3, dtype=np.float32) + i
        close(f(Tensor(x), Tensor(x * 10)), x * 12)
    assert len(calls) == 1 and f.retraces == [] and len(f.programs) == 1 and TinyJit is jit


def test_results_are_separate_tensors() -> None:
    f = jit(lambda x: (x + 1, x, x + 1))
    x = Tensor([1.0]).realize()
    first = f(x)
    second = f(Tensor([5.0]))
    assert [t.item() for t in first] == [2, 1, 2] and [t.item() for t in second] == [6, 5, 6]
    first[1].assign(Tensor([9.0])).realize()
    first[0].assign(Tensor([7.0])).realize()
    assert x.item() == 1 and first[2].item() == 2


def test_nested_arguments_and_results() -> None:
    @jit
    def f(batch: dict[str, Any], *, scale: float) -> dict[str, Any]:
        return {"sum": batch["x"] + batch["rest"][0], "pair": (batch["rest"][1] * scale, None), "list": [batch["x"]]}

    for i in range(3):
        out = f({"x": Tensor([1.0 + i]), "rest": (np.array([2.0], np.float32), Tensor([3.0]))}, scale=2.0)
        assert out["sum"].item() == 3 + i and out["pair"][0].item() == 6 and out["pair"][1] is None
        assert out["list"][0].item() == 1 + i
    assert f.retraces == []


def test_retraces_say_why() -> None:
    f = jit(lambda x, k=1: x * k)
    f(Tensor([1.0, 2.0]))
    f(Tensor([1.0]))
    f(Tensor([1]))
    f(Tensor([1]), 2)
    f(Tensor([1]), 3)
    f(Tensor([1]), 3.0)
    with Context(TRAINING=1):
        f(Tensor([1]), 3.0)
    assert (
        f(Tensor([1]), 3.0).item() == 3 and f(Tensor([2]), 2).item() == 4 and f(Tensor([1.0, 2.0])).tolist() == [1, 2]
    )
    assert len(f.retraces) == 6
    for reason, expected in zip(
        f.retraces, ["float32[1]", "int32[1]", "nested", "3 now; it was 2", "3.0 now", "TRAINING is 1"], strict=True
    ):
        assert expected in reason
    f.reset()
    assert f.programs == [] and f.retraces == []


def test_reading_while_tracing_is_an_error_with_the_line() -> None:
    x = Tensor([1.0])
    for read in (lambda t: t.item(), lambda t: t.numpy(), lambda t: t.tolist(), lambda t: float(t), lambda t: x.item()):
        with pytest.raises(JitError, match=r"test_jit\.py:\d+: a value is read while jit traces"):
            jit(lambda t, read=read: read(t * 2))(Tensor([1.0]))
    with pytest.raises(JitError, match="return tensors"):
        jit(lambda t: 3)(x)
    assert jit(lambda t: (t * 3).realize())(x).item() == 3 and x.item() == 1


def test_captured_tensors_are_inputs() -> None:
    w = Tensor([2.0]).realize()
    f = jit(lambda x: x * w)
    assert f(Tensor([3.0])).item() == 6
    w.assign(Tensor([10.0]))  # pending
    assert f(Tensor([3.0])).item() == 30
    w.assign(Tensor([20.0])).realize()
    assert f(Tensor([3.0])).item() == 60
    w.replace(Tensor([30.0]))  # another buffer
    assert f(Tensor([3.0])).item() == 90
    assert f.retraces == []
    lazy = Tensor([1.0]) + 1
    g = jit(lambda x: x + lazy)
    assert g(Tensor([1.0])).item() == 3 and g(Tensor([2.0])).item() == 4


def test_assigned_tensors_are_written_in_place() -> None:
    state = Tensor([0.0, 0.0]).realize()
    buffer = state.node.attributes.handle

    @jit
    def f(x: Tensor) -> Tensor:
        before = state * 1
        state.assign(state + x)
        return before + state

    for i in range(1, 5):
        assert f(Tensor([1.0, 2.0])).tolist() == [2 * i - 1, 4 * i - 2]
        assert state.tolist() == [i, 2 * i] and state.node.attributes.handle is buffer
    assert f.retraces == []


def test_versions_hold_across_calls() -> None:
    state = Tensor([1.0]).realize()

    @jit
    def f(x: Tensor) -> Tensor:
        state.assign(state + x)
        return state

    one = Tensor([1.0])
    assert f(one).item() == 2
    before = state * 10  # not computed yet
    copy = state.detach()
    assert f(one).item() == 3
    assert before.item() == 20 and copy.item() == 2 and (state * 10).item() == 30


def test_tensors_that_are_not_in_memory_get_some() -> None:
    runs = []
    constant, lazy = Tensor.zeros(2, buffer=False), Tensor([1.0, 1.0]) * 2

    @jit
    def f(x: Tensor) -> Tensor:
        runs.append(1)
        constant.assign(constant + x)
        lazy.assign(lazy * x)
        return constant + lazy

    for i in range(1, 4):
        assert f(Tensor([1.0, 2.0])).tolist() == [i + 2, 2 * i + 2 * 2**i]
    assert len(runs) <= 2


def test_arguments_can_be_assigned() -> None:
    @jit
    def f(x: Tensor) -> Tensor:
        x += 1
        return x * 10

    for _ in range(3):
        x = Tensor([1.0]).realize()
        assert f(x).item() == 20 and x.item() == 2
    w = Tensor([1.0]).realize()
    g = jit(lambda x: w.assign(w + x))
    g(Tensor([1.0]))
    with pytest.raises(JitError, match="also used from outside"):
        g(w)


def test_the_same_tensor_twice() -> None:
    f = jit(lambda x, y: x * y)
    x = Tensor([3.0])
    assert f(x, x).item() == 9 and f(x, Tensor([2.0])).item() == 6 and f(Tensor([5.0]), Tensor([2.0])).item() == 10
    y = Tensor([7.0])
    assert f(y, y).item() == 49


def test_random_numbers_are_new_at_each_call() -> None:
    f = jit(lambda x: x + Tensor.rand(3))
    Tensor.manual_seed(5)
    expected = [Tensor.rand(3).numpy() for _ in range(5)]
    Tensor.manual_seed(5)
    zero = Tensor([0.0])
    np.testing.assert_array_equal(f(zero).numpy(), expected[0])
    np.testing.assert_array_equal(f(zero).numpy(), expected[1])
    np.testing.assert_array_equal(Tensor.rand(3).numpy(), expected[2])  # outside, in between
    np.testing.assert_array_equal(f(zero).numpy(), expected[3])
    Tensor.manual_seed(5)
    np.testing.assert_array_equal(f(zero).numpy(), expected[0])
    assert f.retraces == []


def _train(compiled: bool, zero_grad: str) -> tuple[list[float], np.ndarray]:
    rng = np.random.default_rng(0)
    w = Tensor(rng.standard_normal((3, 2)).astype(np.float32), requires_grad=True)
    momentum = Tensor.zeros(3, 2).realize()

    def step(x: Tensor, y: Tensor) -> Tensor:
        if zero_grad == "before":
            w.grad = None
        loss = ((x @ w - y) ** 2).mean()
        loss.backward()
        momentum.assign(momentum * 0.9 + w.grad)
        w.assign(w - momentum * 0.05)
        Tensor.realize(w, momentum)
        if zero_grad == "after":
            w.grad = None
        return loss

    function = jit(step) if compiled else step
    losses = []
    for _ in range(6):
        x = rng.standard_normal((4, 3)).astype(np.float32)
        losses.append(function(Tensor(x), Tensor(x[:, :2] * 3)).item())
    if compiled and zero_grad == "after":
        assert function.retraces == []
    return losses, w.numpy()


@pytest.mark.parametrize("zero_grad", ["before", "after", "never"])
def test_training_is_the_same_with_and_without(zero_grad: str) -> None:
    """Also where gradients accumulate over calls, for nobody resets them."""
    (losses, w), (expected_losses, expected_w) = _train(True, zero_grad), _train(False, zero_grad)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    np.testing.assert_allclose(w, expected_w, rtol=1e-5)


def test_gradients_that_are_left_are_refreshed() -> None:
    w = Tensor([1.0], requires_grad=True)

    @jit
    def f(x: Tensor) -> Tensor:
        w.grad = None
        loss = (w * x).sum()
        loss.backward()
        return loss

    for i in range(1, 6):
        f(Tensor([float(i)]))
        assert w.grad.item() == i
    w.grad = None
    f(Tensor([9.0]))
    assert w.grad.item() == 9 and len(f.retraces) <= 2


def test_state_that_the_first_call_makes() -> None:
    class Counter:
        def __init__(self) -> None:
            self.total: Tensor | None = None

        @jit
        def __call__(self, x: Tensor) -> Tensor:
            if self.total is None:
                self.total = Tensor.zeros(1)
            self.total.assign(self.total + x)
            return self.total * 1

    first, second = Counter(), Counter()
    for i in range(1, 5):
        assert first(Tensor([1.0])).item() == i
    for i in range(1, 4):
        assert second(Tensor([2.0])).item() == 2 * i
    assert first.total.item() == 4


def test_values_left_behind_are_refreshed() -> None:
    class Model:
        last: Tensor | None = None

    model = Model()

    @jit
    def f(x: Tensor) -> Tensor:
        model.last = x * 3
        return x + 1

    for i in range(5):
        f(Tensor([float(i)]))
        assert model.last.item() == 3 * i


def test_a_failing_function_leaves_everything_as_it_was() -> None:
    w = Tensor([1.0], requires_grad=True)

    @jit
    def f(x: Tensor) -> Tensor:
        w.assign(w + x)
        (w * x).sum().backward()
        raise KeyError("on purpose")

    with pytest.raises(KeyError):
        f(Tensor([1.0]))
    assert w.item() == 1 and w.grad is None and (w * 2).item() == 2


def test_nesting_inlines() -> None:
    inner = jit(lambda x: x * 2)
    outer = jit(lambda x: inner(x) + 1)
    assert outer(Tensor([3.0])).item() == 7 and outer(Tensor([4.0])).item() == 9 and inner.programs == []


def test_methods_and_objects() -> None:
    class Model:
        def __init__(self) -> None:
            self.w = Tensor([2.0])

        @jit
        def __call__(self, x: Tensor) -> Tensor:
            return x * self.w

    a, b = Model(), Model()
    b.w = Tensor([5.0])
    assert a(Tensor([1.0])).item() == 2 and b(Tensor([1.0])).item() == 5 and a(Tensor([2.0])).item() == 4


def test_two_functions_share_state() -> None:
    w = Tensor([1.0]).realize()
    add, read = jit(lambda x: w.assign(w + x)), jit(lambda x: w * x)
    for i in range(1, 5):
        add(Tensor([1.0]))
        assert read(Tensor([10.0])).item() == 10 * (1 + i)
    assert add.retraces == read.retraces == []


def test_bounded_variables_compile_once() -> None:
    n = Variable("n", 1, 8)
    x = Tensor(np.arange(8, dtype=np.float32)).realize()
    f = jit(lambda x, n: x[:n].sum())
    assert [f(x, n.bind(i)).item() for i in (1, 3, 8)] == [0, 3, 28] and len(f.programs) == 1


def test_calls_do_not_leak_and_are_quick() -> None:
    w = Tensor([1.0, 2.0]).realize()

    @jit
    def f(x: Tensor) -> Tensor:
        w.assign(w * 0.5 + x)
        return w.sum()

    x = Tensor([1.0, 1.0]).realize()
    for _ in range(10):
        f(x)
    gc.collect()
    nodes, memory, programs = ir.live_node_count(), counters.alive_bytes, counters.compiled
    start = time.perf_counter()
    for _ in range(1000):
        f(x)
    seconds = time.perf_counter() - start
    gc.collect()
    assert ir.live_node_count() <= nodes and counters.alive_bytes <= memory and counters.compiled == programs
    assert seconds < 1.0, f"{seconds * 1000:.0f} us a call"


def test_programs_know_how_long_each_phase_took() -> None:
    unseen = time.time() % 1000  # no program on disk has this constant (a float32, so not all of the time's digits)
    f = jit(lambda x: (x * unseen + 1).sum())
    with profile() as report:
        f(Tensor([1.0, 2.0]))
    phases = f.programs[0].phases
    assert next(iter(phases.seconds)) == "trace" and {"simplify", "schedule", "lower"} <= phases.seconds.keys()
    assert phases.seconds.keys() <= report.phases.seconds.keys() and "phase of compiling" in str(report)
    assert all(seconds >= 0 for seconds in phases.seconds.values())


def test_the_same_program_serves_other_tensors_of_the_same_types() -> None:
    """The glance at a call like the latest one sees every difference that the whole signature sees."""
    calls = []

    @jit
    def function(x: Tensor, y: Tensor) -> Tensor:
        calls.append(x.shape)
        return x * y + 1.0

    def value(shape: tuple[int, ...], number: float, **options: object) -> Tensor:
        return Tensor(np.full(shape, number, np.float32), **options).realize()

    for number in range(4):
        result = function(value((2, 3), number), value((2, 3), 2.0))
        np.testing.assert_array_equal(result.numpy(), np.full((2, 3), 2.0 * number + 1))
    assert len(calls) == 1
    same = value((2, 3), 3.0)
    np.testing.assert_array_equal(function(same, same).numpy(), np.full((2, 3), 10.0))
    np.testing.assert_array_equal(function(value((3,), 3.0), value((3,), 2.0)).numpy(), np.full(3, 7.0))
    np.testing.assert_array_equal(function(value((3,), 3.0), 4.0).numpy(), np.full(3, 13.0))
    np.testing.assert_array_equal(function(value((3,), 3.0), value((3,), 2.0).cast("int32")).numpy(), np.full(3, 7.0))
    np.testing.assert_array_equal(function(value((3,), 3.0), value((3,), 2.0, requires_grad=True)).numpy(),
                                  np.full(3, 7.0))
    lazy = value((3,), 1.0) + value((3,), 1.0)
    np.testing.assert_array_equal(function(lazy, value((3,), 2.0)).numpy(), np.full(3, 5.0))
    assert len(calls) == 6
    with Tensor.train():
        function(value((3,), 3.0), value((3,), 2.0))
    assert len(calls) == 7


def test_results_keep_their_values_when_others_are_dropped() -> None:
    """Memory of a result that is alive is not given to the next one."""
    @jit
    def double(x: Tensor) -> Tensor:
        return x * 2.0

    kept = []
    for number in range(20):
        result = double(Tensor(np.full(100, number, np.float32)).realize())
        if number % 3 == 0:
            kept.append((number, result))
    for number, result in kept:
        np.testing.assert_array_equal(result.numpy(), np.full(100, 2.0 * number))
