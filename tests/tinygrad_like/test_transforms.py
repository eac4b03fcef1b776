"""grad and value_and_grad over tensors, nests and objects."""

from __future__ import annotations

import pytest
from tensor_oracle import close

from tinygrad_like import Tensor, grad, jit, value_and_grad


def cubes(x: Tensor) -> Tensor:
    return (x * x * x).sum()


def test_grad_and_its_grad() -> None:
    x = Tensor([1.0, 2.0])
    assert grad(cubes)(x).tolist() == [3, 12]
    second = grad(lambda x: grad(cubes)(x).sum())
    assert second(x).tolist() == [6, 12] and grad(lambda x: second(x).sum())(x).tolist() == [6, 6]
    assert jit(second)(x).tolist() == [6, 12] and x.grad is None


def test_value_and_grad() -> None:
    value, gradient = value_and_grad(cubes)(Tensor([1.0, 2.0]))
    assert value.item() == 9 and gradient.tolist() == [3, 12]
    (value, extra), gradient = value_and_grad(lambda x: (cubes(x), x * 2), has_aux=True)(Tensor([1.0]))
    assert value.item() == 1 and extra.item() == 2 and gradient.item() == 3


def test_arguments_by_number() -> None:
    def f(x: Tensor, y: Tensor, k: float) -> Tensor:
        return (x * y * k).sum()

    x, y = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    assert grad(f, 1)(x, y, 2.0).tolist() == [2, 4]
    gx, gy = grad(f, (0, 1))(x, y, 2.0)
    assert gx.tolist() == [6, 8] and gy.tolist() == [2, 4]
    both = grad(lambda a, b: (a * 2 + b * 3).sum(), (0, 1))(x, x)  # one tensor as two arguments
    assert [g.tolist() for g in both] == [[2, 2], [3, 3]]


def test_nests_and_objects() -> None:
    parameters = {"w": Tensor([1.0, 2.0]), "layers": [Tensor([3.0]), (Tensor([4.0]), Tensor([1, 2]), "name")]}

    def f(p: dict, x: Tensor) -> Tensor:
        return (p["w"] * x + p["layers"][0] * p["layers"][1][0]).sum()

    gradient = grad(f)(parameters, Tensor([5.0, 6.0]))
    close(gradient["w"], [5.0, 6.0])
    assert gradient["layers"][0].item() == 8 and gradient["layers"][1][0].item() == 6
    assert gradient["layers"][1][1] is None and gradient["layers"][1][2] is None

    class Model:
        def __init__(self) -> None:
            self.w, self.parts, self.steps = Tensor([2.0]), [{"b": Tensor([1.0])}], Tensor(0)

        def loss(self, x: Tensor) -> Tensor:
            return (self.w * x + self.parts[0]["b"]).square().sum()

    gradients = grad(lambda model, x: model.loss(x))(Model(), Tensor([3.0]))
    assert gradients["w"].item() == 42 and gradients["parts.0.b"].item() == 14 and gradients["steps"] is None


def test_state_may_be_assigned_inside() -> None:
    mean = Tensor([0.0]).realize()

    def f(x: Tensor) -> Tensor:
        mean.assign(mean * 0.5 + x.mean().detach().reshape(1) * 0.5)
        return (x * x).sum()

    assert grad(f)(Tensor([2.0, 4.0])).tolist() == [4, 8] and mean.realize().item() == 1.5
    x = Tensor([2.0, 4.0])
    assert x.node is x.node and grad(f)(x).tolist() == [4, 8] and x.tolist() == [2, 4]


def test_no_gradient_is_zero() -> None:
    assert grad(lambda x, y: (y * 2).sum())(Tensor([1.0]), Tensor([2.0])).tolist() == [0]


def test_rejected() -> None:
    with pytest.raises(TypeError, match="returns a floating-point scalar"):
        grad(lambda x: x * 2)(Tensor([1.0, 2.0]))
    with pytest.raises(TypeError, match="needs an argument with floating-point tensors"):
        grad(lambda x: x)(Tensor([1]))
    with pytest.raises(ValueError, match="grad by argument 1 of a call with 1"):
        grad(cubes, 1)(Tensor([1.0]))
