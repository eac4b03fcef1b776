"""What gradients may assume of signs."""

from __future__ import annotations

import pytest

import ir
from ir import dtypes
from ir.ops.sign import is_positive

X = ir.parameter(0, dtypes.float32, (2, 3))


def number(value: float) -> ir.Node:
    return ir.constant_like(X, value)


@pytest.mark.parametrize("positive", [
    ir.exp(X), ir.reduce("sum", ir.exp(X), (1,)), ir.expand(ir.reshape(ir.exp2(ir.parameter(1, dtypes.float32, (2,))),
                                                                       (2, 1)), (2, 3)),
    ir.add(ir.mul(X, X), number(1e-5)), ir.sqrt(ir.add(ir.abs(X), number(1))), ir.maximum(X, number(1e-8)),
    ir.div(ir.exp(X), ir.exp(ir.neg(X))), number(3), ir.reduce("max", ir.mul(ir.exp(X), number(2)), (0,)),
])
def test_positive(positive: ir.Node) -> None:
    assert is_positive(positive)


@pytest.mark.parametrize("unknown", [
    X, ir.neg(ir.exp(X)), ir.mul(X, X), ir.abs(X), number(0), number(-0.0), number(float("nan")), number(-2),
    ir.add(ir.exp(X), number(-1)), ir.sub(ir.exp(X), number(-1)), ir.maximum(X, number(0)), ir.mul(X, ir.exp(X)),
    ir.div(number(1), ir.mul(X, X)), ir.add(X, number(5)), ir.pad(ir.exp(X), ((0, 1), (0, 0))),
])
def test_unknown(unknown: ir.Node) -> None:
    assert not is_positive(unknown)


def test_the_look_is_short() -> None:
    deep = ir.exp(X)
    for _ in range(1000):
        deep = ir.flip(ir.permute(deep, (1, 0)), (0,))
    assert not is_positive(deep)
