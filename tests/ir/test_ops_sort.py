"""argsort: order, ties, NaN and zeros, first places; errors; sorting by it has the gradient of a gather."""

from __future__ import annotations

import numpy as np
import pytest

import ir
from ir import dtypes

FLOAT = dtypes.float64


def positions(values: np.ndarray, axis: int = 0, descending: bool = False, places: int | None = None) -> np.ndarray:
    x = ir.parameter(0, FLOAT if values.dtype.kind == "f" else dtypes.int8, values.shape)
    node = ir.argsort(x, axis, descending, places)
    (result,) = ir.evaluate([node], {x: values})
    assert result.dtype == np.int32 and result.shape == node.shape
    return result


def test_order_is_stable_and_nan_is_the_largest() -> None:
    values = np.array([2.0, np.nan, -0.0, np.inf, 0.0, -np.inf, np.nan, 2.0])
    np.testing.assert_array_equal(positions(values), [5, 2, 4, 0, 7, 3, 1, 6])
    np.testing.assert_array_equal(positions(values, descending=True), [1, 6, 3, 0, 7, 2, 4, 5])
    np.testing.assert_array_equal(positions(values, descending=True, places=3), [1, 6, 3])
    lowest = np.array([[3, -128], [-128, 127], [3, -128]], np.int8)
    np.testing.assert_array_equal(positions(lowest, descending=True), [[0, 1], [2, 0], [1, 2]])
    np.testing.assert_array_equal(positions(lowest, 1, places=0), np.zeros((3, 0)))


def test_sorting_by_it_has_the_gradient_of_a_gather(rng: np.random.Generator) -> None:
    x, weights = ir.parameter(0, FLOAT, (3, 5)), ir.parameter(1, FLOAT, (3, 4))
    ordered = ir.gather(x, ir.argsort(x, 1, True, 4), 1)
    (slope,) = ir.gradient([ordered], [weights], [x])
    values, weight = rng.standard_normal((3, 5)), rng.standard_normal((3, 4))
    ours, gradient = ir.evaluate([ordered, slope], {x: values, weights: weight})
    order = np.argsort(-values, 1)[:, :4]
    expected = np.zeros((3, 5))
    np.put_along_axis(expected, order, weight, 1)
    np.testing.assert_array_equal(ours, np.take_along_axis(values, order, 1))
    np.testing.assert_array_equal(gradient, expected)


def test_text_and_errors() -> None:
    x = ir.parameter(0, FLOAT, (3, 5))
    text = ir.format_graph([ir.argsort(x, 1, True, 2)])
    assert "argsort %0 axis=1 descending=True places=2 : int32[3, 2]" in text
    assert ir.format_graph(ir.parse_graph(text).outputs) == text
    with pytest.raises(ir.GraphError, match="an axis of fixed length; given axis 2"):
        ir.argsort(x, 2)
    with pytest.raises(ir.GraphError, match="from 0 to 5 places.*given 6"):
        ir.argsort(x, 1, places=6)
