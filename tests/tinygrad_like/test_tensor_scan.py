"""scan: recurrences over Python functions of tensors."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor
from tinygrad_like.tensor.scan import scan


def test_running_sums():
    total, sums = scan(lambda carry, x: (carry + x, carry + x), Tensor(0.0), Tensor([1.0, 2.0, 3.0]))
    assert total.item() == 6 and sums.tolist() == [1, 3, 6]


def test_reversed_with_outputs_in_the_order_of_the_inputs():
    _, sums = scan(lambda carry, x: (carry + x, carry + x), Tensor(0.0), Tensor([1.0, 2.0, 3.0]), reverse=True)
    assert sums.tolist() == [6, 5, 3]


def test_without_inputs_and_without_outputs():
    final, nothing = scan(lambda carry, _: (carry * 2, None), Tensor([1.0, 3.0]), length=4)
    assert final.tolist() == [16, 48] and nothing is None


def test_nests_of_carries_and_inputs():
    def step(carry, row):
        new = {"a": carry["a"] + row[0], "b": carry["b"] * row[1]["w"]}
        return new, (new["a"], [new["b"]])

    xs = (Tensor([1.0, 2.0]), {"w": Tensor([3.0, 4.0])})
    final, (a, [b]) = scan(step, {"a": Tensor(0.0), "b": Tensor(1.0)}, xs)
    assert (final["a"].item(), final["b"].item(), a.tolist(), b.tolist()) == (3, 12, [1, 3], [3, 12])


def test_gradients_flow_to_tensors_from_outside():
    weight = Tensor([[0.5, -0.25], [0.1, 0.3]], requires_grad=True)
    scale = Tensor([2.0, 1.0], requires_grad=True)
    rows = Tensor(np.random.default_rng(0).standard_normal((4, 3, 2)).astype(np.float32))

    def step(h, x):
        new = (h @ weight.transpose() + x * (scale * 2)).tanh()
        return new, new

    state, outputs = scan(step, Tensor.zeros(3, 2), rows)
    expected, listed = Tensor.zeros(3, 2), []
    for t in range(4):
        expected, _ = step(expected, rows[t])
        listed.append(expected)
    unrolled = listed[0].stack(*listed[1:])
    np.testing.assert_allclose(outputs.numpy(), unrolled.numpy(), atol=1e-6)
    np.testing.assert_allclose(state.numpy(), expected.numpy(), atol=1e-6)
    found = outputs.square().sum().gradient(weight, scale)
    wanted = unrolled.square().sum().gradient(weight, scale)
    for mine, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)


def test_a_scan_within_a_scan():
    weight = Tensor([3.0], requires_grad=True)

    def outer(carry, row):
        inner, _ = scan(lambda c, x: (c + x * weight * carry, None), carry, row)
        return inner, inner

    rows = Tensor([[1.0, 2.0], [0.5, 1.0]])
    final, _ = scan(outer, Tensor([1.0]), rows)
    w, carry = 3.0, 1.0
    for row in ((1.0, 2.0), (0.5, 1.0)):
        carry = carry + sum(row) * w * carry
    assert final.item() == pytest.approx(carry)
    assert final.sum().gradient(weight)[0].item() == pytest.approx(3 * (1 + 1.5 * w) + 1.5 * (1 + 3 * w))


def test_no_steps_leave_the_carry():
    start = Tensor([3.0], requires_grad=True)
    final, rows = scan(lambda carry, x: (carry * x, carry), start, Tensor.zeros(0, 1))
    assert final.tolist() == [3] and rows.shape == (0, 1) and rows.numpy().size == 0
    assert final.sum().gradient(start)[0].tolist() == [1]


def test_errors():
    xs = Tensor([1.0, 2.0])
    with pytest.raises(ValueError, match="keeps its type"):
        scan(lambda c, x: (c.cast("float64"), None), Tensor(0.0), xs)
    with pytest.raises(ValueError, match="keeps its nesting"):
        scan(lambda c, x: ((c, c), None), Tensor(0.0), xs)
    with pytest.raises(TypeError, match="returns a pair"):
        scan(lambda c, x: c, Tensor(0.0), xs)
    with pytest.raises(ValueError, match="one common length"):
        scan(lambda c, x: (c, None), Tensor(0.0), (xs, Tensor([1.0, 2.0, 3.0])))
    with pytest.raises(TypeError, match="made of tensors"):
        scan(lambda c, x: (c, None), 0.0, xs)
    outside = Tensor([1.0, 2.0]).contiguous().realize()

    def assigning(carry, x):
        outside.assign(outside + x)
        return carry, None

    with pytest.raises(RuntimeError, match="assigns to a tensor"):
        scan(assigning, Tensor(0.0), xs)
    assert outside.tolist() == [1, 2]
