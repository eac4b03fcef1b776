"""Gradients against torch at random points and at the points where conventions differ: ties, zeros, infinities."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import ir
from ir import dtypes

torch = pytest.importorskip("torch", reason="compares with torch's gradients")

UNARY: dict[str, Callable] = {
    "neg": torch.neg, "reciprocal": torch.reciprocal, "abs": torch.abs, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt,
    "exp": torch.exp, "exp2": torch.exp2, "log": torch.log, "log2": torch.log2, "sin": torch.sin, "cos": torch.cos,
    "tan": torch.tan, "tanh": torch.tanh, "erf": torch.erf,
}
BINARY: dict[str, Callable] = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "pow": torch.pow,
    "maximum": torch.maximum, "minimum": torch.minimum,
}
FLAT: dict[str, Callable] = {"floor": torch.floor, "ceil": torch.ceil, "trunc": torch.trunc, "round": torch.round}


def compare(ours: Callable, theirs: Callable, *arrays: np.ndarray, order: int = 2) -> None:
    """Values and gradients of sum(sin(f)) up to ``order``, NaN and infinity included."""
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    nodes = [ir.parameter(number, dtypes.float64, array.shape) for number, array in enumerate(arrays)]
    values = dict(zip(nodes, arrays, strict=True))
    scalar, their_scalar = sum_of_sines(ours(*nodes)), torch.sin(theirs(*tensors)).sum()
    for _ in range(order):
        if not their_scalar.requires_grad:
            return
        gradients = ir.gradient([scalar], [ir.constant(1, dtypes.float64)], nodes)
        their_gradients = torch.autograd.grad(their_scalar, tensors, create_graph=True, allow_unused=True)
        for node, gradient, expected in zip(nodes, gradients, their_gradients, strict=True):
            actual = np.zeros(node.shape) if gradient is None else ir.evaluate([gradient], values)[0]
            wanted = np.zeros(node.shape) if expected is None else expected.detach().numpy()
            np.testing.assert_allclose(actual, wanted, rtol=1e-9, atol=1e-12)
        scalar, their_scalar = ir.constant(0, dtypes.float64), torch.zeros((), dtype=torch.float64)
        for gradient, expected in zip(gradients, their_gradients, strict=True):
            if gradient is not None and expected is not None:
                scalar, their_scalar = ir.add(scalar, sum_of_sines(gradient)), their_scalar + torch.sin(expected).sum()


def sum_of_sines(node: ir.Node) -> ir.Node:
    return ir.reduce("sum", ir.sin(node), range(len(node.shape)))


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str, rng: np.random.Generator) -> None:
    compare(ir.ELEMENTWISE[name], UNARY[name], rng.uniform(0.1, 2, (3, 4)))


@pytest.mark.parametrize("name", BINARY)
def test_binary(name: str, rng: np.random.Generator) -> None:
    compare(ir.ELEMENTWISE[name], BINARY[name], rng.uniform(0.1, 2, (3, 4)), rng.uniform(0.1, 2, (3, 4)))


@pytest.mark.parametrize("name", FLAT)
def test_flat(name: str, rng: np.random.Generator) -> None:
    x = ir.parameter(0, dtypes.float64, (3,))
    assert ir.gradient([ir.ELEMENTWISE[name](x)], [ir.constant_like(x, 1)], [x]) == [None]


def test_powers_at_zero_and_below() -> None:
    """x^y where the base is 0, 1 or negative and the exponent is whole, fractional or 0."""
    x = np.array([0.0, 0, 0, 0, 0, 1, -2, -2, 3])
    y = np.array([0.0, 1, 2, 3, 0.5, 0, 2, 3, -1])
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, y)]
    torch.pow(*tensors).sum().backward()
    nodes = [ir.parameter(number, dtypes.float64, x.shape) for number in range(2)]
    gradients = ir.gradient([ir.pow(*nodes)], [ir.constant_like(nodes[0], 1)], nodes)
    for ours, tensor in zip(ir.evaluate(gradients, dict(zip(nodes, (x, y), strict=True))), tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy())


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, 3.0, 0.5, -1.0, -0.5])
def test_constant_exponents(exponent: float) -> None:
    x = np.array([0.7, 1.0, 2.5, -1.5] if exponent % 1 == 0 else [0.7, 1.0, 2.5])
    compare(lambda v: ir.pow(v, ir.constant_like(v, exponent)), lambda v: v**exponent, x, order=3)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_ties_and_nan_of_two(name: str) -> None:
    x, y = np.array([1.0, 2, 3, math.inf]), np.array([1.0, 3, 2, math.inf])
    compare(ir.ELEMENTWISE[name], BINARY[name], x[:3], y[:3], order=1)


@pytest.mark.parametrize("name", ["sqrt", "log", "reciprocal", "rsqrt"])
def test_a_nonzero_cotangent_at_a_singularity_is_infinite_as_in_torch(name: str) -> None:
    tensor = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    UNARY[name](tensor).sum().backward()
    x = ir.parameter(0, dtypes.float64, (2,))
    (g,) = ir.gradient([ir.ELEMENTWISE[name](x)], [ir.constant_like(x, 1)], [x])
    np.testing.assert_array_equal(ir.evaluate([g], {x: np.array([0.0, 1.0])})[0], tensor.grad.numpy())


@pytest.mark.parametrize("name", ["sqrt", "log", "log2", "reciprocal", "rsqrt"])
def test_curvature_where_the_first_cotangent_is_zero(name: str) -> None:
    """At the minimum of (f(x) - f(2))^2 the gradient is 0 and its derivative is not."""
    theirs = UNARY[name]
    target = float(theirs(torch.tensor(2.0, dtype=torch.float64)))
    compare_plainly(lambda v: ir.sub(ir.ELEMENTWISE[name](v), ir.constant_like(v, target)),
                    lambda v: theirs(v) - target, np.array([2.0, 3.0]))


def test_curvature_of_ratios_and_powers_where_the_first_cotangent_is_zero() -> None:
    compare_plainly(lambda a, b: ir.sub(ir.div(a, b), ir.constant_like(a, 2)), lambda a, b: a / b - 2,
                    np.array([4.0, 5.0]), np.array([2.0, 3.0]))
    compare_plainly(lambda a, b: ir.sub(ir.pow(a, b), ir.constant_like(a, 8)), lambda a, b: a**b - 8,
                    np.array([2.0, 3.0]), np.array([3.0, 2.0]))


def compare_plainly(ours: Callable, theirs: Callable, *arrays: np.ndarray) -> None:
    """The gradient, and the gradient of its sum, of the sum of squares of f."""
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    nodes = [ir.parameter(number, dtypes.float64, array.shape) for number, array in enumerate(arrays)]
    residual = ours(*nodes)
    first = ir.gradient([ir.mul(residual, residual)], [ir.constant_like(residual, 1)], nodes)
    second = ir.gradient(first, [ir.constant_like(node, 1) for node in nodes], nodes)
    their_first = torch.autograd.grad((theirs(*tensors) ** 2).sum(), tensors, create_graph=True)
    their_second = torch.autograd.grad(sum(g.sum() for g in their_first), tensors)
    values = ir.evaluate([*first, *second], dict(zip(nodes, arrays, strict=True)))
    for mine, other in zip(values, [*their_first, *their_second], strict=True):
        np.testing.assert_allclose(mine, other.detach().numpy(), rtol=1e-9, atol=1e-12)


REDUCTIONS: dict[str, Callable] = {
    "sum": lambda x: x.sum((0, 2)), "max": lambda x: x.amax((0, 2)), "min": lambda x: x.amin((0, 2)),
    "prod": lambda x: x.prod(2).prod(0),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name: str, rng: np.random.Generator) -> None:
    array = rng.permutation(np.linspace(-1.05, 1.35, 24)).reshape(2, 3, 4)
    compare(lambda x: ir.reduce(name, x, (0, 2)), REDUCTIONS[name], array)


@pytest.mark.parametrize("name", ["max", "min", "prod"])
def test_reductions_with_ties_and_zeros(name: str) -> None:
    compare(lambda x: ir.reduce(name, x, (0, 2)), REDUCTIONS[name],
            np.array([[[0.0, 2, 2], [0, 0, 1]], [[2, 1, 0], [1, 3, 1]]]), order=1 if name != "prod" else 2)


def test_views(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 3, 4))
    compare(lambda v: ir.reshape(v, (6, 4)), lambda v: v.reshape(6, 4), x)
    compare(lambda v: ir.permute(v, (2, 0, 1)), lambda v: v.permute(2, 0, 1), x)
    compare(lambda v: ir.flip(v, (0, 2)), lambda v: v.flip(0, 2), x)
    compare(lambda v: ir.slice(v, ((0, 1, 1), (1, 3, 1), (0, 4, 3))), lambda v: v[0:1, 1:3, ::3], x)
    compare(lambda v: ir.pad(v, ((0, 0), (1, 2), (0, 3)), 1.5),
            lambda v: torch.nn.functional.pad(v, (0, 3, 1, 2), value=1.5), x)
    compare(lambda v: ir.expand(ir.reshape(v, (2, 1, 3, 4)), (2, 5, 3, 4)), lambda v: v[:, None].expand(2, 5, 3, 4), x)
    compare(lambda v: ir.concat([v, ir.exp(v)], 1), lambda v: torch.cat([v, v.exp()], 1), x)
    compare(lambda v: ir.window(v, 2, 2, 2), lambda v: v.unfold(2, 2, 2), x)


@pytest.mark.filterwarnings("ignore:index_reduce")
def test_indexing(rng: np.random.Generator) -> None:
    x, index = rng.normal(size=(5, 3)), np.array([[0, 4, 4], [1, 0, 4]])
    rows = ir.concat([ir.constant(int(i), dtypes.int64, (1,)) for i in index.flat], 0)
    rows = ir.reshape(rows, (2, 3))
    compare(lambda v: ir.gather(v, rows), lambda v: v[torch.tensor(index)], x)
    updates = rng.normal(size=(2, 3, 3))
    compare(lambda v, u: ir.scatter(v, rows, u),
            lambda v, u: v.index_add(0, torch.tensor(index.ravel()), u.reshape(6, 3)), x, updates)
    compare(lambda v, u: ir.scatter(v, rows, u, mode="max"),
            lambda v, u: v.index_reduce(0, torch.tensor(index.ravel()), u.reshape(6, 3), "amax"), x, updates, order=1)


def test_where(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    compare(lambda a, b: ir.where(ir.less(a, b), ir.mul(a, b), b), lambda a, b: torch.where(a < b, a * b, b), x, y)
