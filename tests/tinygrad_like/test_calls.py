"""checkpoint and custom_vjp."""

from __future__ import annotations

import numpy as np
import pytest

import ir
from tinygrad_like import Tensor, checkpoint, custom_vjp, grad, jit, nn


def count(outputs, name):
    return sum(node.op.name == name for node in ir.topological_order(ir.inline_calls([x.node for x in outputs])))


def test_checkpoint_gives_the_same_and_computes_it_twice(rng):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x = Tensor(rng.standard_normal((5, 3)).astype(np.float32))
    plain, saved = model(x).square().sum(), checkpoint(model)(x).square().sum()
    wanted, found = plain.gradient(*model.parameters(), x), saved.gradient(*model.parameters(), x)
    assert count([saved, *found], "tanh") == 2 * count([plain, *wanted], "tanh") > 0
    np.testing.assert_array_equal(saved.numpy(), plain.numpy())
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


def test_checkpoint_of_nests_keywords_and_random_numbers():
    x = Tensor.ones(100, requires_grad=True).contiguous().realize()

    @checkpoint
    def block(values, factor=1.0):
        with Tensor.train():
            return {"y": values["x"].dropout(0.5) * factor, "n": 3}

    found = block({"x": x}, factor=2.0)
    slope = found["y"].sum().gradient(x)[0]
    assert found["n"] == 3
    np.testing.assert_array_equal(slope.numpy(), found["y"].numpy())  # the same elements were dropped


def test_checkpoints_within_a_compiled_step_and_backward():
    model = nn.Linear(3, 3)

    @jit
    def step(x):
        model.zero_grad()
        loss = checkpoint(lambda x: checkpoint(lambda y: model(y).tanh())(model(x)))(x).sum()
        loss.backward()
        return loss, model.weight.grad

    x = Tensor([[1.0, 2.0, 3.0]])
    results = [step(x)[1].numpy() for _ in range(3)]
    expected = model(model(x)).tanh().sum().gradient(model.weight)[0].numpy()
    for found in results:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_checkpoint_refuses_assignments():
    counter = Tensor([0.0]).contiguous().realize()
    with pytest.raises(RuntimeError, match="given to checkpoint assigns"):
        checkpoint(lambda x: x + counter.assign(counter + 1))(Tensor([1.0]))
    assert counter.tolist() == [0]


@pytest.fixture
def log1pexp():
    @custom_vjp
    def function(x):
        return (1 + x.exp()).log()

    function.defvjp(lambda x: ((1 + x.exp()).log(), x), lambda x, g: g * (1 - 1 / (1 + x.exp())))
    return function


def test_a_derivative_of_its_own(log1pexp):
    assert grad(log1pexp)(Tensor(100.0)).item() == 1  # the derived one is nan
    assert log1pexp(Tensor(0.0)).item() == pytest.approx(np.log(2))
    assert grad(grad(log1pexp))(Tensor(0.0)).item() == pytest.approx(0.25)


def test_nests_integers_and_values_from_outside():
    factor = Tensor([2.0], requires_grad=True)
    limit = Tensor([3.0])

    @custom_vjp
    def function(p, n, name):
        return p["a"] * n

    function.defvjp(lambda p, n, name: ({"y": p["a"] * n * factor, "n": n}, (p["a"], n)),
                    lambda saved, g: ({"a": g["y"] * limit, "b": None}, None, None))
    a, b = Tensor([1.0], requires_grad=True), Tensor([5.0], requires_grad=True)
    result = function({"a": a, "b": b}, Tensor([4]), "text")
    assert result["y"].tolist() == [8] and result["n"].tolist() == [4]
    found = result["y"].sum().gradient(a, b, factor)
    assert [g.tolist() for g in found] == [[3], [0], [0]]


def test_errors(log1pexp):
    with pytest.raises(TypeError, match="has no derivative yet"):
        custom_vjp(lambda x: x)(Tensor(1.0))
    wrong = custom_vjp(lambda x: x)
    wrong.defvjp(lambda x: x, lambda x, g: g)
    with pytest.raises(TypeError, match="returns a pair"):
        wrong(Tensor(1.0))
    wrong.defvjp(lambda x: (x, None), lambda _, g: (g, g))
    with pytest.raises(ValueError, match="one cotangent for each"):
        wrong(Tensor(1.0))
    wrong.defvjp(lambda x: (x, None), lambda _, g: g.sum())
    with pytest.raises(ValueError, match="for an argument of shape"):
        wrong(Tensor([1.0, 2.0]))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_checkpoint_of_a_recurrence(kind, rng):
    layer, x = getattr(nn, kind)(3, 4), Tensor(rng.standard_normal((5, 2, 3)).astype(np.float32))

    def loss(x):
        return layer(x)[0].square().sum()

    found = checkpoint(loss)(x).gradient(x, *layer.parameters())
    wanted = loss(x).gradient(x, *layer.parameters())
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)
