"""Transforms over nests against JAX's: the same function written with both, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_like as ours
from tinygrad_like import Tensor

jax = pytest.importorskip("jax", reason="the oracle jax is not installed")
jnp = jax.numpy


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """A nest with the function applied to its arrays."""
    if isinstance(value, dict):
        return {key: mapped(function, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(function, item) for item in value)
    return value if value is None or isinstance(value, (int, float, str)) else function(value)


def same(found: Any, expected: Any) -> None:
    """Equal nests of equal numbers."""
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        for key, value in expected.items():
            same(found[key], value)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif expected is None or isinstance(expected, str):
        assert found == expected
    else:
        actual = found.numpy() if isinstance(found, Tensor) else np.asarray(found)
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, np.asarray(expected), rtol=1e-9, atol=1e-11)


def both(make: Callable[[Any, Any], Any], *arguments: Any) -> None:
    """``make(transforms, numpy-like)`` gives a function of nests of arrays, for either side."""
    found = make(ours, _Ours)(*mapped(Tensor, arguments))
    same(found, make(jax, _Theirs)(*mapped(jnp.asarray, arguments)))


class _Ours:
    """The few functions whose spelling differs."""

    tanh, sin, exp, sort = Tensor.tanh, Tensor.sin, Tensor.exp, lambda x: x.sort()[0]
    sum, cumsum, softmax = Tensor.sum, Tensor.cumsum, Tensor.softmax
    jacobian, scan = staticmethod(ours.jacobian), staticmethod(ours.scan)

    @staticmethod
    def take(x: Any, index: Any) -> Any:
        return x[index]

    @staticmethod
    def add_at(x: Any, index: Any, value: Any) -> Any:
        return x.index_add(0, index, value)

    @staticmethod
    def convolved(x: Any, w: Any) -> Any:
        return x.conv2d(w, padding=1)


class _Theirs:
    tanh, sin, exp, sort, sum, cumsum = jnp.tanh, jnp.sin, jnp.exp, jnp.sort, jnp.sum, jnp.cumsum
    softmax = jax.nn.softmax
    jacobian, scan = staticmethod(jax.jacobian if hasattr(jax, "jacobian") else jax.jacrev), staticmethod(jax.lax.scan)

    @staticmethod
    def take(x: Any, index: Any) -> Any:
        return x[index]

    @staticmethod
    def add_at(x: Any, index: Any, value: Any) -> Any:
        return x.at[index].add(value)

    @staticmethod
    def convolved(x: Any, w: Any) -> Any:
        return jax.lax.conv(x, w, (1, 1), "SAME")


@pytest.fixture
def parameters(rng):
    return {"w": rng.standard_normal((3, 4)), "layers": [rng.standard_normal(4), (rng.standard_normal((4, 2)),)]}


@pytest.fixture
def rows(rng):
    return rng.standard_normal((5, 3))


def model(n: Any) -> Callable[[Any, Any], Any]:
    return lambda p, x: n.tanh(n.tanh(x @ p["w"] + p["layers"][0]) @ p["layers"][1][0])


def loss(n: Any) -> Callable[[Any, Any], Any]:
    return lambda p, x: n.sum(model(n)(p, x) ** 2)


def test_grad_and_value_and_grad_over_nests(parameters, rows):
    both(lambda t, n: t.grad(loss(n)), parameters, rows)
    both(lambda t, n: t.grad(loss(n), (0, 1)), parameters, rows)
    both(lambda t, n: t.value_and_grad(loss(n), 1), parameters, rows)
    both(lambda t, n: t.value_and_grad(lambda p, x: (loss(n)(p, x), {"out": model(n)(p, x)}), has_aux=True),
         parameters, rows)
    both(lambda t, n: t.grad(lambda x: n.sum(t.grad(lambda x: n.sum(n.sin(x) * x))(x) ** 2)), rows)


def test_jvp_and_vjp_over_nests(parameters, rows, rng):
    tangents = (mapped(np.cos, parameters), rng.standard_normal((5, 3)))
    cotangent = rng.standard_normal((5, 2))
    both(lambda t, n: lambda p, x, dp, dx: t.jvp(model(n), (p, x), (dp, dx)), parameters, rows, *tangents)
    both(lambda t, n: lambda p, x, g: t.vjp(model(n), p, x)[1](g), parameters, rows, cotangent)
    both(lambda t, n: lambda p, x, dp: t.jvp(t.grad(lambda p: loss(n)(p, x)), (p,), (dp,)), parameters, rows,
         tangents[0])


def test_jacobian_and_hessian_over_nests(parameters, rows):
    both(lambda t, n: n.jacobian(lambda p: {"y": model(n)(p, 0.5 + 0 * p["w"][:, 0]), "z": n.sin(p["w"])}), parameters)
    both(lambda t, n: n.jacobian(lambda p, x: model(n)(p, x), (0, 1)), parameters, rows[0])
    both(lambda t, n: t.hessian(lambda p: n.sum(n.sin(p["a"]) * p["b"][0]) + n.sum(n.exp(p["b"][0]))),
         {"a": rows[0], "b": [rows[1]]})


def test_vmap_axes(parameters, rows, rng):
    cube = rng.standard_normal((3, 5, 4))
    both(lambda t, n: t.vmap(model(n), (None, 0)), parameters, rows)
    both(lambda t, n: t.vmap(lambda x: (n.sum(x, 0), x * 2), 1, (0, -1)), cube)
    both(lambda t, n: t.vmap(lambda d: {"s": n.sum(d["x"]) * d["k"], "x": d["x"]}, ({"x": -1, "k": None},),
                             {"s": 0, "x": 1}), {"x": cube, "k": np.array(rows[0, 0])})
    both(lambda t, n: t.vmap(t.vmap(t.vmap(lambda a, b: a * b, (0, None)), (None, 0)), (0, None)), cube[:, :, 0],
         rows[0])
    both(lambda t, n: t.vmap(lambda x, y: (x + 1, y * 2), (0, None), (0, None)), rows, rows[0])
    both(lambda t, n: t.vmap(t.grad(loss(n)), (None, 0)), parameters, rows)
    both(lambda t, n: t.grad(lambda p, x: n.sum(t.vmap(model(n), (None, 0))(p, x) ** 2)), parameters, rows)
    both(lambda t, n: t.vmap(t.hessian(lambda x: n.sum(n.sin(x) * x[0]))), rows)


def test_vmap_over_indexed_access_windows_and_scans(rows, rng):
    index = rng.integers(0, 3, (5, 2))
    values = rng.standard_normal((5, 2))
    both(lambda t, n: t.vmap(n.take), rows, index)
    both(lambda t, n: t.vmap(n.take, (None, 0)), rows[0], index)
    both(lambda t, n: t.vmap(n.take, (0, None)), rows, index[0])
    both(lambda t, n: t.vmap(n.add_at), rows, index, values)
    both(lambda t, n: t.vmap(n.add_at, (None, 0, 0)), rows[0], index, values)
    both(lambda t, n: t.vmap(t.grad(lambda x, i, v: n.sum(n.add_at(n.sin(x), i, v) ** 2), (0, 2)), (0, 0, 0)), rows,
         index, values)
    images, weights = rng.standard_normal((4, 2, 3, 6, 5)), rng.standard_normal((4, 2, 3, 3, 3))
    both(lambda t, n: t.vmap(n.convolved), images, weights)
    both(lambda t, n: t.vmap(n.convolved, (None, 0)), images[0], weights)
    both(lambda t, n: t.vmap(t.grad(lambda x, w: n.sum(n.convolved(x, w) ** 2), 1), (0, None)), images, weights[0])
    both(lambda t, n: t.vmap(n.sort), rows)
    both(lambda t, n: t.vmap(lambda x: n.softmax(n.cumsum(x))), rows)
    steps = rng.standard_normal((4, 6, 3))

    def recurrence(n: Any) -> Callable[[Any, Any], Any]:
        return lambda h, xs: n.scan(lambda h, x: (n.tanh(h + x), h * x), h, xs)

    both(lambda t, n: t.vmap(recurrence(n)), rows[:4], steps)
    both(lambda t, n: t.vmap(recurrence(n), (None, 0), (0, 1)), rows[0], steps)
    both(lambda t, n: t.grad(lambda h, xs: n.sum(t.vmap(recurrence(n))(h, xs)[1] ** 2), (0, 1)), rows[:4], steps)


def test_derivatives_of_ones_own_and_stopped_ones(rows):
    def clipped(t: Any, n: Any) -> Callable[[Any], Any]:
        @t.custom_vjp
        def f(x, s):
            return {"y": n.sin(x) * s}

        f.defvjp(lambda x, s: ({"y": n.sin(x) * s}, (x, s)), lambda saved, g: (
            g["y"] * saved[1] * 3, n.sum(g["y"] * saved[0])))
        return lambda x, s: n.sum(f(x, s)["y"] ** 2)

    both(lambda t, n: t.grad(clipped(t, n), (0, 1)), rows, np.array(rows[0, 0]))
    both(lambda t, n: t.grad(lambda x: n.sum(x * (t.lax if t is jax else t).stop_gradient(n.sin(x)))), rows)
    both(lambda t, n: t.grad(lambda x: n.sum(t.checkpoint(lambda x: n.sin(n.sin(x)))(x) * x)), rows)
    both(lambda t, n: t.vmap(t.grad(clipped(t, n)), (0, None)), rows, np.array(rows[0, 0]))


# ------------------------------------------------------------------------------------------- beyond JAX: modules, draws

def test_a_module_is_a_nest_of_its_parameters(rows):
    network = ours.nn.Sequential(ours.nn.Linear(3, 4), ours.nn.Tanh(), ours.nn.Linear(4, 2))
    for parameter in network.parameters():
        parameter.replace(parameter.cast("float64").realize())
    w0, b0, w1, b1 = (p.numpy() for p in network.parameters())

    def theirs(p, x):
        return jnp.sum((jnp.tanh(x @ p["0.weight"].T + p["0.bias"]) @ p["2.weight"].T + p["2.bias"]) ** 2)

    p = {"0.weight": w0, "0.bias": b0, "2.weight": w1, "2.bias": b1}
    x = Tensor(rows)
    same(ours.grad(lambda network, x: network(x).square().sum())(network, x), jax.grad(theirs)(p, rows))
    same(ours.vmap(lambda x: ours.grad(lambda network: network(x).square().sum())(network))(x),
         jax.vmap(jax.grad(theirs), (None, 0))(p, rows))
    second = ours.hessian(lambda network: network(x).square().sum())(network)
    same(second["0.bias"]["2.weight"], jax.hessian(theirs)(p, rows)["0.bias"]["2.weight"])


@pytest.mark.parametrize("compiled", [False, True])
def test_random_numbers_are_the_same_or_different_for_each_example(compiled):
    def noisy(x):
        return x + Tensor.rand(64)

    x = Tensor.zeros(3, 64)
    same_for_all, different = (ours.vmap(noisy, randomness=kind) for kind in ("same", "different"))
    if compiled:
        same_for_all, different = ours.jit(same_for_all), ours.jit(different)
    draws = []
    for _ in range(3):
        shared = same_for_all(x).numpy()
        assert (shared == shared[0]).all()
        own = different(x).numpy()
        assert all((own[i] != own[j]).mean() > 0.9 for i, j in ((0, 1), (0, 2), (1, 2)))
        assert 0.4 < own.mean() < 0.6 and own.min() >= 0 and own.max() < 1
        draws.append(own)
    assert not np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[1], draws[2])
    with ours.Context(TRAINING=1):
        kept = ours.vmap(lambda x: x.dropout(0.5), randomness="different")(Tensor.ones(4, 100)).numpy()
    assert len({tuple(row) for row in kept}) == 4
    with pytest.raises(ValueError, match="'same' or 'different', got 'error'"):
        ours.vmap(noisy, randomness="error")


def test_a_shared_result_has_no_batch():
    with pytest.raises(ValueError, match="None for a result that depends on the example"):
        ours.vmap(lambda x: x, out_axes=None)(Tensor([1.0, 2.0]))
