"""Generated shapes, axes, slices and dtypes, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tensor_oracle import check, close, torch

from tinygrad_like import Tensor, dtypes

SIZES = st.integers(0, 5)
SHAPES = st.lists(SIZES, max_size=4).map(tuple)
SEEDS = st.integers(0, 2**32 - 1)


def numbers(seed: int, shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    values = np.random.default_rng(seed).integers(-9, 10, shape)
    return np.asarray(values / 4 if dtype.startswith("float") else values, dtype)


@st.composite
def broadcastable(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast: some sizes replaced by 1, some leading ones dropped."""
    shape = draw(st.lists(st.integers(1, 4), max_size=4))
    pair = []
    for _ in range(2):
        kept = [1 if draw(st.booleans()) and draw(st.booleans()) else size for size in shape]
        pair.append(tuple(kept[draw(st.integers(0, len(kept))) :]))
    return pair[0], pair[1]


@st.composite
def slices(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[object, ...]]:
    """A shape and a basic index of it."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    bound = st.one_of(st.none(), st.integers(-7, 7))
    index: list[object] = []
    for size in shape:
        kind = draw(st.integers(0, 3))
        if kind == 0:
            index.append(draw(st.integers(-size, size - 1)))
        elif kind == 1:
            index.append(None)
            index.append(slice(None))
        else:
            index.append(slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, 3, -1, -2]))))
    return shape, tuple(index)


@given(broadcastable(), SEEDS)
@settings(max_examples=25)
def test_broadcasting(shapes: tuple[tuple[int, ...], tuple[int, ...]], seed: int) -> None:
    x, y = (numbers(seed + i, shape) for i, shape in enumerate(shapes))
    check(lambda x, y: x * y + x - y * 2, lambda x, y: x * y + x - y * 2, [x, y])


@given(SHAPES, st.data(), SEEDS)
@settings(max_examples=25)
def test_sums_over_any_axes(shape: tuple[int, ...], data: st.DataObject, seed: int) -> None:
    x = numbers(seed, shape)
    axes = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1)))) if shape else ()
    keepdim = data.draw(st.booleans())
    close(Tensor(x).sum(axes, keepdim), x.sum(axes, keepdims=keepdim))
    if axes and x.size:
        close(Tensor(x).max(axes, keepdim), x.max(axes, keepdims=keepdim))


@given(slices(), SEEDS)
@settings(max_examples=40)
def test_slices(case: tuple[tuple[int, ...], tuple[object, ...]], seed: int) -> None:
    shape, index = case
    x = numbers(seed, shape)
    t = Tensor(x)
    close(t[index], x[index])
    [gradient] = (t[index] * 3).sum().gradient(t)
    expected = np.zeros_like(x)
    expected[index] = 3
    close(gradient, expected)
    t[index] = t[index] * 2 + 1
    x[index] = x[index] * 2 + 1
    close(t, x)


@given(st.sampled_from(dtypes.all), st.sampled_from(dtypes.all))
@settings(max_examples=40)
def test_promotion_is_symmetric_and_contains_both(first: dtypes.__class__, second: dtypes.__class__) -> None:
    x, y = Tensor([1, 0], dtype=first), Tensor([1, 1], dtype=second)
    assert (x + y).dtype is (y + x).dtype and (x.cat(y)).dtype is (x + y).dtype
    assert (x * y).tolist() == [1, 0] and (x == y).tolist() == [True, False]


@given(st.integers(1, 3), st.integers(0, 4), st.integers(1, 5), st.integers(1, 4), SEEDS)
@settings(max_examples=20)
def test_products_of_any_size(batch: int, rows: int, inner: int, columns: int, seed: int) -> None:
    x, y = numbers(seed, (batch, rows, inner)), numbers(seed + 1, (inner, columns))
    check(lambda x, y: x @ y, lambda x, y: x @ y, [x, y])


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3), SEEDS)
@settings(max_examples=25)
def test_convolutions_of_any_kind(size: int, tap: int, stride: int, dilation: int, padding: int, seed: int) -> None:
    if size + 2 * padding < dilation * (tap - 1) + 1:
        return
    x, w = numbers(seed, (2, 2, size)), numbers(seed + 1, (3, 2, tap))
    check(
        lambda x, w: x.conv2d(w, stride=stride, dilation=dilation, padding=padding),
        lambda x, w: torch.nn.functional.conv1d(x, w, stride=stride, dilation=dilation, padding=padding),
        [x, w],
        rtol=1e-3,
    )
