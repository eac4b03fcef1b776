"""LAMB, LARS, Muon and RMSprop: equal to their formulas in float64, to PyTorch and tinygrad."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor
from tinygrad_like.nn import optim

SHAPES = ((3, 4), (4,), (2, 3, 2))


def orthogonal(x, steps=5, coefficients=(3.4445, -4.775, 2.0315)):
    if x.shape[0] > x.shape[1]:
        return orthogonal(x.T, steps, coefficients).T
    x = x / (np.sqrt((x * x).sum()) + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = coefficients[0] * x + coefficients[1] * gram @ x + coefficients[2] * gram @ gram @ x
    return x


def ratio(p, direction, scale=1.0, decay=0.0):
    size, length = np.sqrt((p * p).sum()), np.sqrt((direction * direction).sum())
    return scale * size / (length + decay * size) if size > 0 and length > 0 else 1.0


def muon(p, g, state, t):
    state["b"] = 0.95 * state.get("b", 0) + g
    step = (g + 0.95 * state["b"]).reshape(g.shape[0], -1)
    return p - 0.02 * (orthogonal(step).reshape(g.shape) + 0.1 * p)


def lamb(p, g, state, t):
    state["m"] = 0.9 * state.get("m", 0) + (1 - 0.9) * g
    state["v"] = 0.999 * state.get("v", 0) + (1 - 0.999) * g * g
    up = state["m"] / (1 - 0.9 ** t) / (np.sqrt(state["v"] / (1 - 0.999 ** t)) + 1e-6) + 0.1 * p
    return p - 0.01 * ratio(p, up) * up


def lars(p, g, state, t):
    step = (g + 0.1 * p) * ratio(p, g, 0.001, 0.1) * 0.1
    state["b"] = 0.9 * state.get("b", 0) + step
    return p - state["b"]


RULES = {
    "muon": (lambda p: optim.Muon(p, 0.02), muon),
    "lamb": (lambda p: optim.LAMB(p, 0.01, weight_decay=0.1), lamb),
    "lars": (lambda p: optim.LARS(p, 0.1, weight_decay=0.1), lars),
}


@pytest.mark.parametrize("name", RULES)
def test_100_steps_equal_the_formula_in_float64(name, rng):
    make, rule = RULES[name]
    values = [rng.standard_normal(shape) for shape in SHAPES]
    ours, states = [Tensor(value.copy()) for value in values], [{} for _ in values]
    optimizer = make(ours)
    for t in range(1, 101):
        gradients = [rng.standard_normal(shape) for shape in SHAPES]
        for p, g in zip(ours, gradients, strict=True):
            p.grad = Tensor(g)
        optimizer.step()
        values = [rule(p, g, s, t) for p, g, s in zip(values, gradients, states, strict=True)]
    for p, value in zip(ours, values, strict=True):
        np.testing.assert_allclose(p.numpy(), value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"centered": True}, {
    "momentum": 0.9, "centered": True, "weight_decay": 0.1, "alpha": 0.9}])
def test_rmsprop_equals_torch(options, rng):
    torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
    values = [rng.standard_normal(shape) for shape in SHAPES]
    ours, theirs = [Tensor(v.copy()) for v in values], [torch.tensor(v, requires_grad=True) for v in values]
    optimizer, oracle = optim.RMSprop(ours, 0.01, **options), torch.optim.RMSprop(theirs, 0.01, **options)
    for _ in range(20):
        for p, q in zip(ours, theirs, strict=True):
            g = rng.standard_normal(q.shape)
            p.grad, q.grad = Tensor(g), torch.tensor(g)
        optimizer.step()
        oracle.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["Muon", "LAMB", "LARS"])
def test_defaults_equal_tinygrad(name, rng):
    tinygrad = pytest.importorskip("tinygrad", reason="the oracle tinygrad is not installed")
    their_optim = pytest.importorskip("tinygrad.nn.optim")
    value = rng.standard_normal((3, 4)).astype(np.float32)
    with tinygrad.Context(TRAINING=1, DEV="PYTHON"):  # its interpreter: no compiler is needed
        p, q = Tensor(value.copy()), tinygrad.Tensor(value.copy())
        optimizer, oracle = getattr(optim, name)([p]), getattr(their_optim, name)([q])
        for _ in range(3):
            g = rng.standard_normal((3, 4)).astype(np.float32)
            p.grad, q.grad = Tensor(g), tinygrad.Tensor(g)
            optimizer.step()
            oracle.step()
        expected = q.numpy()
    np.testing.assert_allclose(p.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_newton_schulz_converges_to_the_nearest_semi_orthogonal_matrix(rng):
    x = rng.standard_normal((2, 5, 3))
    found = Tensor(x).newton_schulz(40, (2, -1.5, 0.5)).numpy()
    for matrix, near in zip(x, found, strict=True):
        left, _, right = np.linalg.svd(matrix, full_matrices=False)
        np.testing.assert_allclose(near, left @ right, atol=1e-6)
    with pytest.raises(ValueError, match="needs a matrix"):
        Tensor([1.0]).newton_schulz(1, (1.0,))


def test_muon_refuses_a_scalar():
    with pytest.raises(ValueError, match="one parameter is a scalar"):
        optim.Muon([Tensor(1.0, requires_grad=True)])


@pytest.mark.parametrize("options", [{}, {"nesterov": False, "adjust_lr_fn": "original"}, {
    "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.3}], ids=str)
def test_100_steps_of_muon_equal_torch_in_float64(options, rng, monkeypatch):
    """PyTorch rounds to bfloat16 while it makes a step orthogonal; here its rule is run in the parameter's dtype."""
    torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda x: x.clone())
    values = [rng.standard_normal(shape) for shape in ((5, 3), (3, 5), (4, 4))]
    ours, theirs = [Tensor(v.copy()) for v in values], [torch.tensor(v, requires_grad=True) for v in values]
    optimizer = optim.Muon(ours, 0.02, eps=0.0, **{"adjust_lr_fn": "original", **options})
    oracle = torch.optim.Muon(theirs, 0.02, **options)
    for _ in range(100):
        for p, tp in zip(ours, theirs, strict=True):
            gradient = rng.standard_normal(p.shape)
            p.grad, tp.grad = Tensor(gradient), torch.tensor(gradient)
        optimizer.step()
        oracle.step()
    for p, tp in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), tp.detach().numpy(), rtol=1e-12, atol=1e-12)
