"""Optimizers: each step equals PyTorch's in float64; groups, state, clipping, schedules."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, jit, nn
from tinygrad_like.nn import optim

torch = pytest.importorskip("torch", reason="the oracle torch is not installed")

RULES = {
    "sgd": (lambda p: optim.SGD(p, 0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "sgd with momentum": (lambda p: optim.SGD(p, 0.1, 0.9), lambda p: torch.optim.SGD(p, 0.1, 0.9)),
    "sgd with decay": (
        lambda p: optim.SGD(p, 0.1, 0.9, weight_decay=0.1), lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.1)),
    "nesterov": (
        lambda p: optim.SGD(p, 0.1, 0.9, nesterov=True), lambda p: torch.optim.SGD(p, 0.1, 0.9, nesterov=True)),
    "adam": (lambda p: optim.Adam(p, 0.01), lambda p: torch.optim.Adam(p, 0.01)),
    "adam with decay": (
        lambda p: optim.Adam(p, 0.01, 0.8, 0.95, 1e-6, 0.1),
        lambda p: torch.optim.Adam(p, 0.01, (0.8, 0.95), 1e-6, 0.1)),
    "adamw": (lambda p: optim.AdamW(p, 0.01), lambda p: torch.optim.AdamW(p, 0.01)),
    "adamw with decay": (
        lambda p: optim.AdamW(p, 0.01, weight_decay=0.3), lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.3)),
}


def pairs(rng, dtype, shapes=((3, 4), (4,), ())):
    arrays = [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]
    return [Tensor(a.copy()) for a in arrays], [torch.tensor(a).requires_grad_() for a in arrays]


def set_gradients(rng, ours, theirs):
    for p, tp in zip(ours, theirs, strict=True):
        gradient = np.asarray(rng.standard_normal(p.shape), p.numpy().dtype)
        p.grad, tp.grad = Tensor(gradient), torch.tensor(gradient)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 2e-6)])
def test_steps_equal_torch(name, dtype, tolerance, rng):
    ours, theirs = pairs(rng, dtype)
    make, make_torch = RULES[name]
    optimizer, oracle = make(ours), make_torch(theirs)
    for _ in range(10):
        set_gradients(rng, ours, theirs)
        optimizer.step()
        oracle.step()
        for p, tp in zip(ours, theirs, strict=True):
            assert p.numpy().dtype == dtype
            np.testing.assert_allclose(p.numpy(), tp.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", RULES)
def test_100_steps_equal_torch_to_12_digits(name, rng):
    ours, theirs = pairs(rng, "float64")
    make, make_torch = RULES[name]
    optimizer, oracle = make(ours), make_torch(theirs)
    for _ in range(100):
        set_gradients(rng, ours, theirs)
        optimizer.step()
        oracle.step()
    for p, tp in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), tp.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_groups_have_their_own_settings(rng):
    ours, theirs = pairs(rng, "float64")
    optimizer = optim.AdamW([{"params": ours[:1], "lr": 0.05, "weight_decay": 0.2}, {"params": ours[1:]}], lr=0.01)
    oracle = torch.optim.AdamW([{"params": theirs[:1], "lr": 0.05, "weight_decay": 0.2}, {"params": theirs[1:]}], 0.01)
    for step in range(5):
        if step == 3:
            optimizer.param_groups[1]["lr"] = oracle.param_groups[1]["lr"] = 0.002
            optimizer.param_groups[0]["weight_decay"] = oracle.param_groups[0]["weight_decay"] = 0.0
        set_gradients(rng, ours, theirs)
        optimizer.step()
        oracle.step()
    for p, tp in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), tp.detach().numpy(), rtol=1e-12)


def test_a_parameter_without_gradient_stays(rng):
    ours, theirs = pairs(rng, "float64")
    optimizer, oracle = optim.AdamW(ours, 0.01), torch.optim.AdamW(theirs, 0.01)
    before = ours[1].numpy()
    for _ in range(4):
        set_gradients(rng, ours, theirs)
        ours[1].grad = theirs[1].grad = None
        optimizer.step()
        oracle.step()
    np.testing.assert_allclose(ours[0].numpy(), theirs[0].detach().numpy(), rtol=1e-12)
    np.testing.assert_array_equal(ours[1].numpy(), before)


def test_running_statistics_are_computed_and_not_optimized():
    model = nn.BatchNorm(3).train()
    optimizer = optim.SGD(nn.state.get_parameters(model), lr=0.1)
    assert len(optimizer.params) == 2 and len(optimizer.buffers) == 3
    model(Tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])).square().sum().backward()
    optimizer.step()
    np.testing.assert_allclose(model.running_mean.numpy(), [0.2, 0.2, 0.2], rtol=1e-6)


def test_a_step_under_jit_is_the_step_without(rng):
    def train(compiled):
        Tensor.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = optim.AdamW(model.parameters(), lr=0.05)

        def step(x, y):
            optimizer.zero_grad()
            loss = (model(x) - y).square().mean()
            loss.backward()
            optim.clip_grad_norm_(optimizer.params, 1.0)
            optimizer.step()
            return loss.realize()

        step = jit(step) if compiled else step
        return [step(Tensor(x), Tensor(x[:, :1])).item() for x in batches], [p.numpy() for p in optimizer.params]

    batches = rng.standard_normal((8, 16, 4)).astype(np.float32)
    (losses, parameters), (jit_losses, jit_parameters) = train(False), train(True)
    np.testing.assert_allclose(losses, jit_losses, rtol=1e-5)
    for a, b in zip(parameters, jit_parameters, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_learning_rate_changes_no_program():
    p = Tensor([1.0])
    optimizer = optim.SGD([p], lr=1.0)

    @jit
    def step(rate):
        optimizer.set_lr(rate)
        p.grad = Tensor.ones(1)
        optimizer.step()
        return p.realize()

    for rate in (0.5, 0.25, 0.125, 0.0625):
        step(Tensor([rate]))
    assert p.item() == 1 - 0.9375


@pytest.mark.parametrize("name", ["sgd with momentum", "adam", "adamw"])
def test_state_moves_to_another_optimizer(name, rng, tmp_path):
    ours, theirs = pairs(rng, "float32")
    optimizer = RULES[name][0](ours)
    for _ in range(3):
        set_gradients(rng, ours, theirs)
        optimizer.step()
    nn.state.safe_save(optimizer.state_dict(), tmp_path / "state")
    copies = [Tensor(p.numpy()) for p in ours]
    other = RULES[name][0](copies)
    other.load_state_dict(nn.state.safe_load(tmp_path / "state"))
    for _ in range(3):
        set_gradients(rng, ours, theirs)
        for p, copy in zip(ours, copies, strict=True):
            copy.grad = Tensor(p.grad.numpy())
        optimizer.step()
        other.step()
        for p, copy in zip(ours, copies, strict=True):
            np.testing.assert_array_equal(p.numpy(), copy.numpy())


def test_optimizers_step_together(rng):
    ours, theirs = pairs(rng, "float64")
    group = optim.OptimizerGroup(optim.SGD(ours[:1], 0.1), optim.Adam(ours[1:], 0.1))
    oracles = torch.optim.SGD(theirs[:1], 0.1), torch.optim.Adam(theirs[1:], 0.1)
    set_gradients(rng, ours, theirs)
    group.step()
    for oracle in oracles:
        oracle.step()
    for p, tp in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), tp.detach().numpy(), rtol=1e-12)
    group.zero_grad()
    assert all(p.grad is None for p in group.params)


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping_equals_torch(limit, rng):
    ours, theirs = pairs(rng, "float64")
    set_gradients(rng, ours, theirs)
    norm, expected = optim.clip_grad_norm_(ours, limit), torch.nn.utils.clip_grad_norm_(theirs, limit)
    np.testing.assert_allclose(norm.item(), expected.item(), rtol=1e-12)
    for p, tp in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), tp.grad.numpy(), rtol=1e-12)


def test_half_precision_parameters_have_wide_state():
    from ir import dtypes

    p = Tensor([1.0, 2.0]).cast(dtypes.bfloat16).realize()
    optimizer = optim.Adam([p], lr=0.1)
    p.grad = Tensor([1.0, -1.0]).cast(dtypes.bfloat16)
    optimizer.step()
    assert p.dtype == dtypes.bfloat16 and optimizer.m[0].dtype == dtypes.float32
    np.testing.assert_allclose(p.float().numpy(), [0.9, 2.1], rtol=1e-2)


def test_the_cosine_schedule():
    rates = [optim.warmup_cosine(step, 100, peak=1.0, final=0.1, warmup=10) for step in range(120)]
    assert rates[0] == 0.1 and rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.55) and rates[100] == rates[119] == 0.1
    assert sorted(rates[10:], reverse=True) == rates[10:]


MISTAKES = {
    "given no parameters": lambda p: optim.SGD([]),
    "not negative, got -1": lambda p: optim.Adam([p], lr=-1),
    "b1 lies in [0, 1), got 1.0": lambda p: optim.Adam([p], b1=1.0),
    "a parameter is in two groups": lambda p: optim.SGD([{"params": [p]}, {"params": [p]}]),
    "has no setting 'momentun'": lambda p: optim.SGD([{"params": [p], "momentun": 1}]),
    "needs a momentum": lambda p: optim.SGD([p], nesterov=True),
    "only floating-point": lambda p: optim.SGD([Tensor([1, 2])]),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_named(message):
    with pytest.raises(ValueError) as caught:
        MISTAKES[message](Tensor([1.0]))
    assert message in str(caught.value)


def test_a_step_before_backward_says_so():
    with pytest.raises(RuntimeError, match="call backward"):
        optim.SGD([Tensor([1.0])]).step()
    with pytest.raises(RuntimeError, match="call backward"):
        optim.clip_grad_norm_([Tensor([1.0])], 1.0)
    with pytest.raises(TypeError, match="must be a Tensor, got int"):
        optim.SGD([1])
    with pytest.raises(KeyError, match="no setting"):
        optim.SGD([Tensor([1.0])]).param_groups[0]["speed"] = 1
