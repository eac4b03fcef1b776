"""Views: reshape permute expand pad slice flip concat. Values against NumPy, gradients, compositions, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ir
from ir import dtypes

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def filled(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(1, math.prod(shape) + 1, dtype=np.float32).reshape(shape)


def argument(shape: tuple[int, ...]) -> ir.Node:
    return ir.parameter(0, dtypes.float32, shape)


def value_of(node: ir.Node, x: ir.Node) -> np.ndarray:
    ir.verify([node])
    return ir.evaluate([node], {x: filled(x.shape)})[0]


def assert_transposed(view: ir.Node, x: ir.Node) -> None:
    """The gradient is the transpose of the view: <view(x), g> == <x, gradient(g)> for whole numbers, exactly."""
    g = np.random.default_rng(0).integers(-9, 9, view.shape).astype(np.float32)
    cotangent = ir.parameter(1, view.dtype, view.shape)
    (back,) = ir.gradient([view], [cotangent], [x])
    ir.verify([back])
    forward, backward = ir.evaluate([view, back], {x: filled(x.shape), cotangent: g})
    assert (forward * g).sum() == (filled(x.shape) * backward).sum()


@st.composite
def reshapings(draw) -> tuple[tuple[int, ...], tuple[int, ...]]:
    factors = draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    cuts = [draw(st.lists(st.integers(0, len(factors)), max_size=3).map(sorted)) for _ in range(2)]
    return tuple(tuple(math.prod(factors[a:b]) for a, b in zip([0, *cut], [*cut, len(factors)], strict=True))
                 for cut in cuts)


@given(reshapings())
def test_reshape(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    x = argument(shapes[0])
    y = ir.reshape(x, shapes[1])
    np.testing.assert_array_equal(value_of(y, x), filled(shapes[0]).reshape(shapes[1]))
    assert ir.reshape(y, shapes[0]) is x
    assert_transposed(y, x)


@given(SHAPES, st.randoms())
def test_permute(shape: tuple[int, ...], random) -> None:
    x, order, second = argument(shape), list(range(len(shape))), list(range(len(shape)))
    random.shuffle(order)
    random.shuffle(second)
    y = ir.permute(ir.permute(x, order), second)
    np.testing.assert_array_equal(value_of(y, x), filled(shape).transpose(order).transpose(second))
    assert y is x or y.operands == (x,)
    assert_transposed(y, x)


@given(SHAPES, st.data())
def test_expand(shape: tuple[int, ...], data) -> None:
    x = argument(shape)
    wide = tuple(data.draw(st.integers(0, 3)) if n == 1 else n for n in shape)
    y = ir.expand(x, wide)
    np.testing.assert_array_equal(value_of(y, x), np.broadcast_to(filled(shape), wide))
    assert_transposed(y, x)


@given(SHAPES, st.data(), st.sampled_from([0.0, -math.inf, 7.0]))
def test_pad(shape: tuple[int, ...], data, fill: float) -> None:
    x = argument(shape)
    twice = [tuple(data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in shape) for _ in range(2)]
    y = ir.pad(ir.pad(x, twice[0], fill), twice[1], fill)
    expected = np.pad(np.pad(filled(shape), twice[0], constant_values=fill), twice[1], constant_values=fill)
    np.testing.assert_array_equal(value_of(y, x), expected)
    assert y is x or y.operands == (x,)
    if fill == 0:
        assert_transposed(y, x)


@st.composite
def ranges_in(draw, shape: tuple[int, ...]) -> tuple[tuple[int, int, int], ...]:
    starts = [draw(st.integers(0, n)) for n in shape]
    return tuple((start, draw(st.integers(start, n)), draw(st.integers(1, 3)))
                 for start, n in zip(starts, shape, strict=True))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple), st.data())
def test_slice(shape: tuple[int, ...], data) -> None:
    x = argument(shape)
    first = data.draw(ranges_in(shape))
    y = ir.slice(x, first)
    second = data.draw(ranges_in(y.shape))
    z = ir.slice(y, second)
    expected = filled(shape)[tuple(slice(*r) for r in first)][tuple(slice(*r) for r in second)]
    np.testing.assert_array_equal(value_of(z, x), expected)
    assert z is x or z.operands == (x,)
    assert_transposed(z, x)


@given(SHAPES, st.data())
def test_flip(shape: tuple[int, ...], data) -> None:
    x = argument(shape)
    axes = [data.draw(st.sets(st.integers(0, len(shape) - 1))) for _ in range(2)]
    y = ir.flip(ir.flip(x, axes[0]), axes[1])
    np.testing.assert_array_equal(value_of(y, x), np.flip(np.flip(filled(shape), tuple(axes[0])), tuple(axes[1])))
    assert_transposed(y, x)


@given(SHAPES, st.data())
def test_concat(shape: tuple[int, ...], data) -> None:
    x = argument(shape)
    axis = data.draw(st.integers(0, len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(0, shape[axis]), min_size=1, max_size=4))
    whole = [(0, n, 1) for n in shape]
    parts = [ir.slice(x, [*whole[:axis], (0, length, 1), *whole[axis + 1:]]) for length in lengths]
    expected = np.concatenate([np.take(filled(shape), range(length), axis) for length in lengths], axis)
    y = ir.concat(parts, axis)
    np.testing.assert_array_equal(value_of(y, x), expected)
    assert_transposed(y, x)


def test_gradients_of_views_of_products(check_gradient, rng: np.random.Generator) -> None:
    """Second order through every view: the gradient of a square reads the view twice."""
    views = {
        "reshape": lambda x: ir.reshape(x, (3, 2)), "permute": lambda x: ir.permute(x, (1, 0)),
        "pad": lambda x: ir.pad(x, ((1, 0), (0, 2)), 3.0), "slice": lambda x: ir.slice(x, ((0, 2, 1), (0, 3, 2))),
        "flip": lambda x: ir.flip(x, (1,)), "concat": lambda x: ir.concat([x, ir.mul(x, x), x], 1),
        "expand": lambda x: ir.expand(ir.reshape(x, (2, 1, 3)), (2, 4, 3)),
    }
    for view in views.values():
        check_gradient(lambda x, view=view: ir.mul(ir.sin(view(x)), view(x)), rng.normal(size=(2, 3)), order=2)


# --------------------------------------------------------------------------------------------------- construction


def test_views_of_constants_are_constants() -> None:
    c = ir.constant(3, dtypes.float32, (2, 3))
    for view in (ir.reshape(c, (6,)), ir.permute(c, (1, 0)), ir.slice(c, ((0, 1, 1), (0, 3, 2))), ir.flip(c, (0,)),
                 ir.pad(c, ((0, 1), (0, 0)), 3), ir.expand(ir.constant(3, dtypes.float32, (2, 1)), (2, 3))):
        assert view is ir.constant(3, dtypes.float32, view.shape)
    assert ir.pad(c, ((0, 1), (0, 0)), 0).op.name == "pad"


def test_views_that_change_nothing_vanish() -> None:
    x = argument((2, 3))
    for view in (ir.reshape(x, (2, 3)), ir.permute(x, (0, 1)), ir.expand(x, (2, 3)), ir.pad(x, ((0, 0), (0, 0))),
                 ir.slice(x, ((0, 2, 1), (0, 3, 1))), ir.flip(x, ()), ir.concat([x], 0),
                 ir.concat([x, ir.slice(x, ((0, 2, 1), (1, 1, 1)))], 1)):
        assert view is x


@pytest.mark.parametrize(("build", "message"), [
    (lambda x: ir.reshape(x, (4, 2)), r"as many elements as \[4, 2\]"),
    (lambda x: ir.reshape(x, (-2, -3)), r"at least 0, got \(-2, -3\)"),
    (lambda x: ir.reshape(x, (1.5, 4)), r"integers and Dimensions, got \(1.5, 4\)"),
    (lambda x: ir.permute(x, (0, 0)), r"each axis in \[0, 2\) once"),
    (lambda x: ir.expand(x, (2, 4)), "repeating axes of length 1"),
    (lambda x: ir.expand(x, (5, 2, 3)), "insert axes of length 1 with reshape"),
    (lambda x: ir.pad(x, ((0, -1), (0, 0))), "at least 0"),
    (lambda x: ir.slice(x, ((0, 3, 1), (0, 3, 1))), r"stop <= 2 and step >= 1; given \(0, 3, 1\)"),
    (lambda x: ir.slice(x, ((0, 2, 1), (2, 0, -1))), "flip reverses"),
    (lambda x: ir.slice(x, ((0, 2, 1),)), "one for each axis"),
    (lambda x: ir.flip(x, (2,)), r"distinct axes in \[0, 2\)"),
    (lambda x: ir.concat([x, ir.reshape(x, (3, 2))], 0), "equal but for axis 0"),
    (lambda x: ir.concat([x, ir.cast(x, dtypes.int32)], 0), "equal dtypes"),
    (lambda x: ir.concat([], 0), "at least one operand"),
    (lambda x: ir.concat([x], 2), r"an axis in \[0, 2\)"),
])
def test_errors(build, message: str) -> None:
    with pytest.raises(ir.GraphError, match=message):
        build(argument((2, 3)))


def test_symbolic_views() -> None:
    n = ir.Variable("n", 1, 16)
    x = ir.parameter(0, dtypes.float32, (16, 4))
    part = ir.slice(x, ((0, n, 1), (0, 4, 1)))
    flat = ir.reshape(part, (n * 4,))
    joined = ir.concat([part, part], 0)
    wide = ir.expand(ir.reshape(part, (n, 1, 4)), (n, n, 4))
    assert part.shape == (n, 4) and joined.shape == (n * 2, 4) and flat.shape == (n * 4,)
    (back,) = ir.gradient([joined], [ir.constant_like(joined, 1)], [x])
    values = ir.evaluate([part, flat, joined, wide, back], {x: filled((16, 4))}, {"n": 3})
    np.testing.assert_array_equal(values[0], filled((16, 4))[:3])
    assert [v.shape for v in values[1:]] == [(12,), (6, 4), (3, 3, 4), (16, 4)]
    np.testing.assert_array_equal(values[4], [[2] * 4] * 3 + [[0] * 4] * 13)
