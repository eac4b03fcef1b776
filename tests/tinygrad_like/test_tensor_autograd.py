"""backward, gradient, detach: who gets gradients, and any order."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from tensor_oracle import close, torch

import ir
from tinygrad_like import Tensor


def test_leaves_get_gradients() -> None:
    x, y = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    h = x * y
    assert (h * 2).sum().backward().shape == ()
    assert x.grad.tolist() == [6, 8] and y.grad.tolist() == [2, 4] and h.grad is None


def test_marked_tensors_get_all_gradients() -> None:
    w, x = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0])
    (w * x).sum().backward()
    assert w.grad.tolist() == [3, 4] and x.grad is None
    frozen = Tensor([1.0], requires_grad=False)
    other = Tensor([2.0])
    (frozen * other).sum().backward()
    assert frozen.grad is None and other.grad.tolist() == [1]


def test_gradients_accumulate_until_reset() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    for _ in range(3):
        (x * x).sum().backward()
    assert x.grad.tolist() == [6, 12]
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_backward_touches_only_what_it_depends_on() -> None:
    x, bystander = Tensor([1.0]), Tensor([2.0])
    unrelated = bystander * 2
    (x * 3).sum().backward()
    assert bystander.grad is None and unrelated.grad is None and x.grad.item() == 3


def test_reading_keeps_the_history_and_realize_cuts_it() -> None:
    x = Tensor([1.0, 2.0])
    loss = (x * x).sum()
    assert loss.item() == 5 and loss.item() == 5
    loss.backward()
    assert x.grad.tolist() == [2, 4]
    with pytest.raises(RuntimeError, match="call it after backward"):
        (x * x).sum().realize().detach().backward()
    middle = (x * 2).realize()
    (middle * 3).sum().backward()
    assert middle.grad.tolist() == [3, 3] and x.grad.tolist() == [2, 4]


def test_realizing_a_parameter_after_use_keeps_it_a_leaf() -> None:
    w = Tensor.uniform(3, requires_grad=True)
    loss = (w * w).sum()
    w.realize()
    loss.backward()
    close(w.grad, 2 * w.numpy())


def test_equal_parameters_are_two() -> None:
    a, b = Tensor.zeros(3), Tensor.zeros(3)
    (a * 2 + b * 3).sum().backward()
    assert a.grad.tolist() == [2] * 3 and b.grad.tolist() == [3] * 3
    with pytest.raises(RuntimeError, match=r"make one with .clone\(\)"):
        c, d = Tensor.eye(2), Tensor.eye(2)
        c.requires_grad = d.requires_grad = True
        (c + d).sum().backward()
    c, d = Tensor.eye(2, requires_grad=True), Tensor.eye(2, requires_grad=True)
    (c + d * 2).sum().backward()
    assert d.grad.tolist() == [[2, 2], [2, 2]]
    scalar = Tensor(3.0, requires_grad=True)
    (scalar * 3.0).backward()
    assert scalar.grad.item() == 3


def test_detach_and_non_scalars() -> None:
    x = Tensor([1.0, 2.0])
    (x * x.detach()).sum().backward()
    assert x.grad.tolist() == [1, 2]
    y = Tensor([1.0, 2.0])
    with pytest.raises(ValueError, match="needs gradient="):
        (y * 2).backward()
    (y * 2).backward(Tensor([1.0, 10.0]))
    assert y.grad.tolist() == [2, 20]
    with pytest.raises(ValueError, match="must have this tensor's shape"):
        (y * 2).backward(Tensor([1.0]))
    with pytest.raises(TypeError, match="only a floating-point tensor"):
        Tensor([1]).sum().backward()


def test_gradient_of_targets() -> None:
    x, y, z = Tensor([1.0, 2.0]), Tensor([3.0, 4.0]), Tensor([5.0])
    gx, gy, gz = (x * y).sum().gradient(x, y, z)
    assert gx.tolist() == [3, 4] and gy.tolist() == [1, 2] and gz.tolist() == [0] and x.grad is None
    h = x * 2
    [gh] = (h * h).sum().gradient(h)
    assert gh.tolist() == [4, 8]
    with pytest.raises(TypeError, match="only a floating-point tensor has a gradient"):
        (x * 2).sum().gradient(Tensor([1]))


SECOND_ORDER = {
    "product": lambda x: x * x * x,
    "exp": lambda x: (x * x).exp(),
    "sin": lambda x: x.sin() * x,
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "log": lambda x: (x * x + 1).log(),
    "sqrt": lambda x: (x * x + 1).sqrt(),
    "division": lambda x: x / (x * x + 1),
    "softmax": lambda x: x.softmax(-1) * x,
    "matmul": lambda x: (x @ x.T).square() if isinstance(x, Tensor) else (x @ x.T) ** 2,
    "power": lambda x: (x * x + 1) ** 1.5,
    "erf": lambda x: x.erf(),
    "max": lambda x: x.max(-1)[0] * x.sum(-1) if isinstance(x, torch.Tensor) else x.max(-1) * x.sum(-1),
    "cumsum": lambda x: x.cumsum(1) * x,
    "gather": lambda x: x[[1, 0, 1]] * x,
    "gelu": lambda x: x.gelu() if isinstance(x, Tensor) else torch.nn.functional.gelu(x, approximate="tanh"),
}


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_second_order(name: str, rng: np.random.Generator) -> None:
    f, values = SECOND_ORDER[name], rng.uniform(-1, 1, (3, 3)).astype(np.float32)
    weights = np.cos(np.arange(9, dtype=np.float32)).reshape(3, 3)
    x = Tensor(values)
    [first] = f(x).sum().gradient(x)
    [second] = (first * Tensor(weights)).sum().gradient(x)
    y = torch.tensor(values, requires_grad=True)
    [expected] = torch.autograd.grad(f(y).sum(), y, create_graph=True)
    [expected_second] = torch.autograd.grad((expected * torch.tensor(weights)).sum(), y)
    close(first, expected, rtol=1e-4)
    close(second, expected_second, rtol=1e-3, atol=1e-4)


def test_third_order() -> None:
    x = Tensor(2.0, requires_grad=True)
    value = x**4
    for expected in (32, 48, 48):
        [value] = value.gradient(x)
        assert value.item() == expected


def test_a_chain_of_100_000_operations() -> None:
    x = Tensor([1.0])
    y = x
    for _ in range(50_000):
        y = (y + 1) * 0.5
    [gradient] = y.sum().gradient(x)
    assert len(ir.topological_order([y.node])) > 100_000 and gradient.shape == (1,)


def test_training_steps_do_not_leak() -> None:
    w = Tensor([1.0, 2.0], requires_grad=True)
    x = Tensor([0.5, -0.5])

    def step() -> None:
        w.grad = None
        ((w * x).sum() - 1).square().backward()
        w.assign(w - w.grad * 0.1).realize()

    for _ in range(5):
        step()
    gc.collect()
    before = ir.live_node_count()
    for _ in range(50):
        step()
    gc.collect()
    assert ir.live_node_count() <= before + 2
