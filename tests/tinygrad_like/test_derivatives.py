"""jvp, vjp, jacobian, hessian, stop_gradient: over nests and models, composed with each other and with jit."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, grad, hessian, jacobian, jit, jvp, nn, scan, stop_gradient, vjp, vmap


def f(p, x):
    return ((x @ p["w"] + p["b"]).tanh() * p["scale"][0]).sum(-1)


@pytest.fixture
def problem(rng):
    p = {"w": Tensor(rng.standard_normal((3, 4))), "b": Tensor(rng.standard_normal(4)),
         "scale": [Tensor(1.5, dtype="float64"), "text"]}
    return p, Tensor(rng.standard_normal((2, 3)))


def moved(p, t, step):
    return {"w": p["w"] + t["w"] * step, "b": p["b"], "scale": [p["scale"][0] + t["scale"][0] * step, "text"]}


def test_jvp_is_a_difference_quotient(problem, rng):
    p, x = problem
    t = {"w": Tensor(rng.standard_normal((3, 4))), "b": None, "scale": [Tensor(0.5, dtype="float64"), None]}
    value, slope = jvp(lambda p: f(p, x), [p], [t])
    step = 1e-6
    near = (f(moved(p, t, step), x) - f(moved(p, t, -step), x)) / (2 * step)
    np.testing.assert_allclose(value.numpy(), f(p, x).numpy())
    np.testing.assert_allclose(slope.numpy(), near.numpy(), rtol=1e-4)


def test_vjp_is_the_transpose_of_jvp(problem, rng):
    p, x = problem
    t, g = Tensor(rng.standard_normal((2, 3))), Tensor(rng.standard_normal(2))
    _, slope = jvp(lambda x: f(p, x), [x], [t])
    value, pullback = vjp(f, p, x)
    for_p, for_x = pullback(g)
    assert for_p["w"].shape == (3, 4) and for_p["scale"][1] is None
    np.testing.assert_allclose((slope * g).sum().item(), (for_x * t).sum().item(), rtol=1e-9)
    np.testing.assert_allclose(value.numpy(), f(p, x).numpy())
    wanted = grad(lambda p: (f(p, x) * g).sum())(p)
    np.testing.assert_allclose(for_p["w"].numpy(), wanted["w"].numpy(), rtol=1e-12)


def test_nested_results_and_integers():
    def both(x):
        return {"y": x * x, "n": Tensor([1, 2]), "s": "text"}

    value, slope = jvp(both, [Tensor([1.0, 2.0])], [Tensor([1.0, 1.0])])
    assert value["n"].tolist() == [1, 2] and slope["y"].tolist() == [2, 4] and slope["n"] is None
    _, pullback = vjp(both, Tensor([1.0, 2.0]))
    assert pullback({"y": Tensor([1.0, 1.0]), "n": None, "s": None})[0].tolist() == [2, 4]


def test_jacobian_and_hessian_equal_torch(rng):
    torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
    data, matrix = rng.standard_normal((2, 3)), rng.standard_normal((3, 4))
    m, tm = Tensor(matrix), torch.tensor(matrix)
    found = jacobian(lambda x: (x @ m).sin())(Tensor(data)).numpy()
    expected = torch.autograd.functional.jacobian(lambda x: (x @ tm).sin(), torch.tensor(data)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    found = hessian(lambda x: ((x @ m).tanh().square()).sum())(Tensor(data)).numpy()
    expected = torch.autograd.functional.hessian(lambda x: ((x @ tm).tanh().square()).sum(), torch.tensor(data)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_hessian_of_nests_has_blocks():
    blocks = hessian(lambda p: (p["a"] * p["b"]).sum() + (p["b"] ** 3).sum())({
        "a": Tensor([1.0, 2.0]), "b": Tensor([3.0, 4.0])})
    assert blocks["a"]["b"].tolist() == [[1, 0], [0, 1]] and blocks["b"]["b"].tolist() == [[18, 0], [0, 24]]
    assert blocks["a"]["a"].tolist() == [[0, 0], [0, 0]]
    first = hessian(lambda x, y: (x * x * y).sum(), argnums=(0, 1))(Tensor([2.0]), Tensor([3.0]))
    assert first[0][0].tolist() == [[6]] and first[0][1].tolist() == [[4]] and first[1][1].tolist() == [[0]]


def test_forward_over_reverse_equals_the_hessian(rng):
    x, t = Tensor(rng.standard_normal(4)), Tensor(rng.standard_normal(4))

    def loss(x):
        return (x.sin() * x.exp()).sum()

    _, product = jvp(grad(loss), [x], [t])
    np.testing.assert_allclose(product.numpy(), hessian(loss)(x).numpy() @ t.numpy(), rtol=1e-10)


def test_a_model_is_an_argument():
    model = nn.Linear(3, 2)
    before = model.weight.node
    _, pullback = vjp(lambda model, x: model(x), model, Tensor.ones(2, 3))
    for_model, for_x = pullback(Tensor.ones(2, 2))
    assert model.weight.node is before and set(for_model) == {"weight", "bias"} and for_x.shape == (2, 3)
    np.testing.assert_allclose(for_model["weight"].numpy(), np.full((2, 3), 2.0))


def test_inside_jit_and_vmap():
    compiled = jit(lambda x, t: jvp(lambda x: x * x, [x], [t])[1])
    for _ in range(3):
        assert compiled(Tensor([1.0, 2.0]), Tensor([1.0, 10.0])).tolist() == [2, 40]
    rows = Tensor([[1.0, 2.0], [3.0, 4.0]])
    assert vmap(hessian(lambda x: (x ** 3).sum()))(rows).tolist() == [[[6, 0], [0, 12]], [[18, 0], [0, 24]]]


def test_stop_gradient_over_a_nest():
    x = Tensor([2.0], requires_grad=True)
    stopped = stop_gradient({"x": x, "n": 3})
    assert stopped["n"] == 3 and (x * stopped["x"]).sum().gradient(x)[0].tolist() == [2]


def test_errors():
    x = Tensor([1.0, 2.0])
    with pytest.raises(ValueError, match="a tangent for each primal"):
        jvp(lambda x: x, [x], [])
    with pytest.raises(ValueError, match="shape and dtype of its primal"):
        jvp(lambda x: x, [x], [Tensor([1.0])])
    with pytest.raises(ValueError, match="nested like the result"):
        vjp(lambda x: (x, x), x)[1](x)
    with pytest.raises(ValueError, match="the shape of its result"):
        vjp(lambda x: x, x)[1](Tensor([1.0]))


def test_second_order_through_a_scan():
    w = Tensor([[0.5, 0.1], [0.2, 0.3]], dtype="float64")
    xs = Tensor.ones(4, 1, 2, dtype="float64")

    def loss(w):
        return scan(lambda c, x: ((c @ w + x).tanh(), None), Tensor.zeros(1, 2, dtype="float64"), xs)[0].sum()

    found, step = hessian(loss)(w).numpy(), Tensor([[1e-5, 0.0], [0.0, 0.0]], dtype="float64")
    near = (grad(loss)(w + step) - grad(loss)(w - step)).numpy() / 2e-5
    np.testing.assert_allclose(found[:, :, 0, 0], near, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found, found.transpose(2, 3, 0, 1), atol=1e-12)


def test_gradients_of_a_recurrent_model_for_each_example(rng):
    layer = nn.LSTM(3, 4)
    xs = Tensor(rng.standard_normal((3, 5, 2, 3)).astype(np.float32))

    def loss(layer, x):
        return layer(x)[0].square().sum()

    each, one = vmap(lambda x: grad(loss)(layer, x))(xs), grad(loss)(layer, xs[1])
    for name, value in one.items():
        np.testing.assert_allclose(each[name].numpy()[1], value.numpy(), rtol=1e-4, atol=1e-5)
