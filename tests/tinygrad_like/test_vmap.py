"""vmap equals a loop over examples."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, custom_vjp, dtypes, grad, jit, nn, scan, vmap

KEY = np.array([[2, 0], [1, 1], [0, 2]])
FUNCTIONS = {
    "elementwise": lambda x: x.sin() * x + 2,
    "softmax": lambda x: x.softmax(0),
    "sum over one": lambda x: x.sum(0),
    "argmax": lambda x: x.argmax(1),
    "views": lambda x: x.transpose(0, 1)[::2, 1:].flip(0).pad(((1, 0), (0, 2))),
    "reshape": lambda x: x.reshape(2, 6).expand(2, 6),
    "concat": lambda x: x.cat(x * 2, Tensor.ones(3, 1), dim=1),
    "product with a shared matrix": lambda x: x @ Tensor(np.arange(8.0, dtype=np.float32).reshape(4, 2)),
    "product with itself": lambda x: x @ x.transpose(0, 1),
    "gather from the example": lambda x: x.gather(1, Tensor(KEY)),
    "indices in the example": lambda x: Tensor.arange(10)[x.abs().cast(dtypes.int32)],
    "scatter": lambda x: Tensor.zeros(3, 4).scatter(1, Tensor(KEY), x[:, :2]),
    "cumulative sum": lambda x: x.cumsum(1),
    "sort": lambda x: x.sort(1)[0],
    "convolution": lambda x: x.reshape(1, 1, 3, 4).conv2d(Tensor.ones(2, 1, 2, 2), padding=1),
    "pooling": lambda x: x.reshape(1, 1, 3, 4).max_pool2d(2),
    "constant": lambda x: Tensor([1.0, 2.0]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_equals_a_loop(name, rng):
    function = FUNCTIONS[name]
    data = (rng.standard_normal((5, 3, 4)) * 2).astype(np.float32)
    found = vmap(function)(Tensor(data)).numpy()
    expected = np.stack([function(Tensor(row)).numpy() for row in data])
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_axes_in_and_out(rng):
    a, b = rng.standard_normal((4, 3)), rng.standard_normal((3, 5))
    x, y = Tensor(a), Tensor(b)
    assert vmap(lambda r: r * 2, in_axes=1, out_axes=1)(x).shape == (4, 3)
    product = vmap(vmap(lambda r, c: (r * c).sum(), (None, 1)), (0, None))(x, y)
    np.testing.assert_allclose(product.numpy(), a @ b, rtol=1e-10)
    found = vmap(lambda p, n: {"s": p["w"].sum() * n, "v": p["w"]}, ({"w": -1}, None), {"s": 0, "v": -1})({"w": x}, 2)
    np.testing.assert_allclose(found["s"].numpy(), a.sum(0) * 2, rtol=1e-10)
    np.testing.assert_allclose(found["v"].numpy(), a)


def test_gradients_of_each_example(rng):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    data = rng.standard_normal((5, 3)).astype(np.float32)

    def loss(model, x):
        return model(x).square().sum()

    each = vmap(lambda x: grad(loss)(model, x))(Tensor(data))
    assert sorted(value.shape for value in each.values()) == [(5, 1), (5, 1, 4), (5, 4), (5, 4, 3)]
    total = grad(lambda model, xs: vmap(lambda x: loss(model, x))(xs).sum())(model, Tensor(data))
    for name, value in total.items():
        np.testing.assert_allclose(each[name].numpy().sum(0), value.numpy(), rtol=1e-4, atol=1e-5)


def test_scan_with_shared_and_batched_values(rng):
    data, start = rng.standard_normal((5, 6, 2)), rng.standard_normal((5, 2))
    weight = Tensor(rng.standard_normal((2, 2)))

    def run(xs, h):
        return scan(lambda h, x: ((h @ weight + x).tanh(),) * 2, h, xs)

    last, outputs = vmap(run)(Tensor(data), Tensor(start))
    shared_last, _ = vmap(run, (0, None))(Tensor(data), Tensor(start[0]))
    for i in range(5):
        one, rows = run(Tensor(data[i]), Tensor(start[i]))
        np.testing.assert_allclose(last.numpy()[i], one.numpy(), rtol=1e-10)
        np.testing.assert_allclose(outputs.numpy()[i], rows.numpy(), rtol=1e-10)
        np.testing.assert_allclose(shared_last.numpy()[i], run(Tensor(data[i]), Tensor(start[0]))[0].numpy(), rtol=1e-9)


def test_gradient_through_a_batched_custom_derivative():
    @custom_vjp
    def scaled(x, w):
        return x * w

    scaled.defvjp(lambda x, w: (x * w, (x, w)), lambda saved, g: (g * saved[1] * 10, g * saved[0] * 10))
    x, w = Tensor([1.0, 2.0, 3.0]), Tensor(4.0)
    for_x, for_w = grad(lambda x, w: vmap(scaled, (0, None))(x, w).sum(), (0, 1))(x, w)
    assert for_x.tolist() == [40, 40, 40] and for_w.item() == 60


def test_inside_jit():
    compiled = jit(vmap(lambda x, y: (x * y).sum()))
    for k in range(3):
        assert compiled(Tensor([[1.0, 2.0], [3.0, k]]), Tensor([[1.0, 1.0], [2.0, 1.0]])).tolist() == [3, 6 + k]


def test_errors():
    x = Tensor([[1.0, 2.0]])
    with pytest.raises(ValueError, match="batches of one size"):
        vmap(lambda a, b: a + b)(Tensor([1.0, 2.0]), Tensor([1.0]))
    with pytest.raises(ValueError, match="no batched tensor"):
        vmap(lambda a: a, None)(x)
    with pytest.raises(ValueError, match="scalar"):
        vmap(lambda a: a)(Tensor(1.0))
    with pytest.raises(ValueError, match="does not fit"):
        vmap(lambda a, b: a, (0,))(x, x)
