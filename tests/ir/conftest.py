"""Checks of gradients, shared by the tests of ops: against central finite differences in float64, at any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

import ir

FINITE_STEP = 1e-5
Function = Callable[..., ir.Node]


Values = dict[ir.Node, np.ndarray]


def weighted_total(nodes: Sequence[ir.Node | None], values: Values, rng: np.random.Generator) -> ir.Node:
    """A scalar: the nodes' elements, each with a random weight (bound in ``values``), added up."""
    total = ir.constant(0, ir.dtypes.float64)
    for node in nodes:
        if node is None:
            continue
        weight = ir.fresh_parameter(node.dtype, node.shape)
        values[weight] = rng.uniform(0.5, 1.5, node.shape)
        total = ir.add(total, ir.reduce("sum", ir.mul(node, weight), range(len(node.shape))))
    return total


def finite_difference(plan: ir.Plan, values: Values, node: ir.Node) -> np.ndarray:
    """The derivative of the plan's only output by each element of ``node``."""
    result = np.zeros(values[node].shape)
    for position in np.ndindex(result.shape):
        ends = []
        for sign in (1, -1):
            moved = values[node].copy()
            moved[position] += sign * FINITE_STEP
            ends.append(float(plan.run({**values, node: moved})[0]))
        result[position] = (ends[0] - ends[1]) / (2 * FINITE_STEP)
    return result


@pytest.fixture
def check_gradient(rng: np.random.Generator) -> Callable[..., None]:
    """``check_gradient(function, *arrays, order=1)``: the gradients of ``function`` (of nodes) at the arrays."""

    def check(function: Function, *arrays: np.ndarray, order: int = 1, tolerance: float = 1e-5) -> None:
        arguments = [ir.fresh_parameter(ir.dtypes.float64, np.shape(array)) for array in arrays]
        values = dict(zip(arguments, (np.asarray(array, np.float64) for array in arrays), strict=True))
        scalar = weighted_total([function(*arguments)], values, rng)
        for _ in range(order):
            gradients = ir.gradient([scalar], [ir.constant(1, ir.dtypes.float64)], arguments)
            plan = ir.Plan([scalar])
            for argument, gradient in zip(arguments, gradients, strict=True):
                expected = finite_difference(plan, values, argument)
                actual = np.zeros_like(expected) if gradient is None else ir.evaluate([gradient], values)[0]
                np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
            scalar = weighted_total(gradients, values, rng)

    return check
