"""window, skew and fold in many strides, dilations and paddings, against NumPy and torch's unfold and convolutions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ir
from ir import dtypes


def windows_of(array: np.ndarray, axis: int, size: int, stride: int, dilation: int, before: int, after: int,
               fill: float) -> np.ndarray:
    """The definition, element by element."""
    moved = np.moveaxis(array, axis, 0)
    count = (before + len(moved) + after - dilation * (size - 1) - 1) // stride + 1
    result = np.full((count, size, *moved.shape[1:]), fill)
    for o, k in itertools.product(range(count), range(size)):
        i = stride * o + dilation * k - before
        if 0 <= i < len(moved):
            result[o, k] = moved[i]
    return np.moveaxis(result, (0, 1), (axis, axis + 1))


@st.composite
def window_cases(draw) -> tuple:
    size, stride, dilation = (draw(st.integers(1, 4)) for _ in range(3))
    before, after = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    shortest = max(1, dilation * (size - 1) + 1 - before - after)
    length = draw(st.integers(shortest, shortest + 8))
    axis = draw(st.integers(0, 1))
    shape = (length, 2) if axis == 0 else (2, length)
    return shape, (axis, size, stride, dilation, before, after)


@given(window_cases(), st.sampled_from([0.0, -np.inf, 2.0]))
def test_values(case, fill: float) -> None:
    shape, settings = case
    array = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    x = ir.parameter(0, dtypes.float64, shape)
    node = ir.window(x, *settings, fill)
    ir.verify([node])
    np.testing.assert_array_equal(ir.evaluate([node], {x: array})[0], windows_of(array, *settings, fill))


@given(window_cases())
def test_fold_is_the_transpose(case) -> None:
    """<window(x), g> == <x, fold(g)> exactly for whole numbers, also where the stride does not divide the length."""
    shape, settings = case
    rng = np.random.default_rng(0)
    array = rng.integers(-9, 9, shape).astype(np.float64)
    x = ir.parameter(0, dtypes.float64, shape)
    node = ir.window(x, *settings)
    g = ir.parameter(1, dtypes.float64, node.shape)
    (back,) = ir.gradient([node], [g], [x])
    ir.verify([back])
    (again,) = ir.gradient([back], [x], [g])
    cotangent = rng.integers(-9, 9, node.shape).astype(np.float64)
    forward, backward, twice = ir.evaluate([node, back, again], {x: array, g: cotangent})
    assert (forward * cotangent).sum() == (array * backward).sum()
    np.testing.assert_array_equal(twice, forward, err_msg="the transpose of the transpose is the window")


@given(st.integers(0, 6), st.integers(1, 4), st.integers(0, 8), st.integers(-3, 3), st.integers(-4, 4), st.booleans())
def test_skew(extent: int, taps: int, length: int, dilation: int, offset: int, swapped: bool) -> None:
    array = np.arange(1.0, 1 + extent * taps * 2).reshape(extent, 2, taps)
    expected = np.zeros((length, 2, taps))
    for i, k in itertools.product(range(length), range(taps)):
        if 0 <= i + offset - dilation * k < extent:
            expected[i, :, k] = array[i + offset - dilation * k, :, k]
    if swapped:
        array, expected = array.T, expected.T
    axes = (2, 0) if swapped else (0, 2)
    x = ir.parameter(0, dtypes.float64, array.shape)
    node = ir.skew(x, *axes, length, dilation, offset)
    g = ir.parameter(1, dtypes.float64, node.shape)
    (back,) = ir.gradient([node], [g], [x])
    ir.verify([back])
    cotangent = np.random.default_rng(0).integers(-9, 9, node.shape).astype(np.float64)
    forward, backward = ir.evaluate([node, back], {x: array, g: cotangent})
    np.testing.assert_array_equal(forward, expected)
    assert (forward * cotangent).sum() == (array * backward).sum()


@pytest.mark.parametrize(("stride", "dilation", "padding"), [*itertools.product((1, 2, 3), (1, 2), (0, 2))])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution_and_its_gradients_equal_torch(stride: int, dilation: int, padding: int, groups: int, rng) -> None:
    torch = pytest.importorskip("torch", reason="compares with torch's convolution")
    image, kernel = rng.normal(size=(2, 4, 9, 8)), rng.normal(size=(6, 4 // groups, 3, 2))
    theirs_x, theirs_w = (torch.tensor(a, requires_grad=True) for a in (image, kernel))
    theirs = torch.nn.functional.conv2d(theirs_x, theirs_w, None, stride, padding, dilation, groups)
    cotangent = rng.normal(size=tuple(theirs.shape))
    theirs.backward(torch.tensor(cotangent))

    x, w = (ir.parameter(number, dtypes.float64, a.shape) for number, a in enumerate((image, kernel)))
    y = convolution(x, w, stride, padding, dilation, groups)
    g = ir.parameter(2, dtypes.float64, y.shape)
    gradients = ir.gradient([y], [g], [x, w])
    ir.verify(gradients)
    ours = ir.evaluate([y, *gradients], {x: image, w: kernel, g: cotangent})
    for mine, other in zip(ours, (theirs.detach(), theirs_x.grad, theirs_w.grad), strict=True):
        np.testing.assert_allclose(mine, other.numpy(), atol=1e-12)


def convolution(x: ir.Node, w: ir.Node, stride: int, padding: int, dilation: int, groups: int) -> ir.Node:
    """NCHW convolution as a sum of products over windows."""
    n, c, _, _ = x.shape
    o, _, kh, kw = w.shape
    rows = ir.window(x, 2, kh, stride, dilation, padding, padding)
    taps = ir.window(rows, 4, kw, stride, dilation, padding, padding)  # n c oh kh ow kw
    oh, ow = taps.shape[2], taps.shape[4]
    loops = (n, groups, o // groups, oh, ow, c // groups, kh, kw)
    image = ir.permute(ir.reshape(taps, (n, groups, c // groups, 1, oh, kh, ow, kw)), (0, 1, 3, 4, 6, 2, 5, 7))
    kernel = ir.reshape(w, (1, groups, o // groups, 1, 1, c // groups, kh, kw))
    products = ir.mul(ir.expand(image, loops), ir.expand(kernel, loops))
    return ir.reshape(ir.reduce("sum", products, (5, 6, 7)), (n, o, oh, ow))


@pytest.mark.parametrize(("size", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 3, 0)])
def test_max_pooling_and_its_gradient_equal_torch(size: int, stride: int, padding: int, rng) -> None:
    torch = pytest.importorskip("torch", reason="compares with torch's pooling")
    signal = rng.permutation(22).reshape(2, 11).astype(np.float64)
    theirs_x = torch.tensor(signal, requires_grad=True)
    theirs = torch.nn.functional.max_pool1d(theirs_x, size, stride, padding)
    theirs.backward(torch.ones_like(theirs))
    x = ir.parameter(0, dtypes.float64, signal.shape)
    y = ir.reduce("max", ir.window(x, 1, size, stride, 1, padding, padding, -np.inf), (2,))
    (g,) = ir.gradient([y], [ir.constant_like(y, 1)], [x])
    ours = ir.evaluate([y, g], {x: signal})
    np.testing.assert_array_equal(ours[0], theirs.detach().numpy())
    np.testing.assert_array_equal(ours[1], theirs_x.grad.numpy())


@pytest.mark.parametrize(("stride", "dilation", "before"), [*itertools.product((1, 2, 3), (1, 2), (0, 1))])
def test_fold_equals_torch(stride: int, dilation: int, before: int, rng) -> None:
    torch = pytest.importorskip("torch", reason="compares with torch's fold")
    length, size = 10, 3
    count = (length + 2 * before - dilation * (size - 1) - 1) // stride + 1
    windows = rng.normal(size=(2, count, size))
    theirs = torch.nn.functional.fold(torch.tensor(windows.transpose(0, 2, 1)), (length, 1), (size, 1),
                                      (dilation, 1), (before, 0), (stride, 1))
    g = ir.parameter(0, dtypes.float64, windows.shape)
    ours = ir.evaluate([ir.fold(g, 1, length, stride, dilation, before)], {g: windows})[0]
    np.testing.assert_allclose(ours, theirs.numpy().reshape(2, length), atol=1e-12)


def test_second_order_through_windows(check_gradient, rng: np.random.Generator) -> None:
    for settings in [(0, 3, 2, 1, 1, 0), (0, 2, 1, 2, 0, 1), (0, 2, 2, 3, 1, 1)]:
        check_gradient(lambda x, s=settings: ir.sin(ir.window(ir.mul(x, x), *s)), rng.normal(size=6), order=2)


def test_no_index_of_a_gradient_needs_a_division() -> None:
    """A strided fold is made of reshapes that split and merge by the stride alone."""
    x = ir.parameter(0, dtypes.float32, (2, 11))
    (g,) = ir.gradient([ir.window(x, 1, 3, 2)], [ir.parameter(1, dtypes.float32, (2, 5, 3))], [x])
    names = {node.op.name for node in ir.topological_order([g])}
    assert names <= {"parameter", "pad", "reshape", "skew", "reduce", "slice"}


def test_construction() -> None:
    x, c = ir.parameter(0, dtypes.float32, (8,)), ir.constant(3, dtypes.float32, (8,))
    assert ir.window(c, 0, 3) is ir.constant(3, dtypes.float32, (6, 3))
    assert ir.window(c, 0, 3, before=1).op.name == "window"
    assert ir.window(x, 0, 1) is ir.reshape(x, (8, 1))
    assert ir.window(x, 0, 1, 2) is ir.reshape(ir.slice(x, ((0, 8, 2),)), (4, 1))
    zeros = ir.constant(0, dtypes.float32, (3, 2))
    assert ir.skew(zeros, 0, 1, 5, 1, 0) is ir.constant(0, dtypes.float32, (5, 2))


@pytest.mark.parametrize(("build", "message"), [
    (lambda x: ir.window(x, 1, 2), r"an axis in \[0, 1\)"),
    (lambda x: ir.window(x, 0, 9), "at least 9 elements along axis 0"),
    (lambda x: ir.window(x, 0, 2, stride=0), "at least 1, padding of at least 0"),
    (lambda x: ir.skew(x, 0, 0, 4, 1, 0), "two distinct axes"),
])
def test_errors(build, message: str) -> None:
    with pytest.raises(ir.GraphError, match=message):
        build(ir.parameter(0, dtypes.float32, (8,)))


def test_symbolic_length() -> None:
    n = ir.Variable("n", 3, 12)
    x = ir.parameter(0, dtypes.float32, (n,))
    node = ir.window(x, 0, 3)
    assert node.shape == (n - 2, 3)
    (g,) = ir.gradient([node], [ir.constant_like(node, 1)], [x])
    assert ir.evaluate([g], {x: np.zeros(5)}, {"n": 5})[0].tolist() == [1, 2, 3, 2, 1]
