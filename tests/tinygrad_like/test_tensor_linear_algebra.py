"""Decompositions of matrices: what they multiply to, orthogonality, NumPy's values."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor

SHAPES = [(1, 1), (4, 4), (6, 3), (3, 6), (2, 5, 4), (5, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_qr_equals_numpy(shape, rng):
    x = rng.standard_normal(shape)
    q, r = (part.numpy() for part in Tensor(x).qr())
    expected_q, expected_r = np.linalg.qr(x, mode="complete")
    np.testing.assert_allclose(q @ r, x, atol=1e-12)
    np.testing.assert_allclose(q @ np.swapaxes(q, -1, -2), np.broadcast_to(np.eye(shape[-2]), q.shape), atol=1e-12)
    np.testing.assert_allclose(np.abs(r), np.abs(expected_r), atol=1e-11)
    assert q.shape == expected_q.shape


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_svd_equals_numpy(shape, full, rng):
    x = rng.standard_normal(shape)
    u, s, v = (part.numpy() for part in Tensor(x).svd(full))
    expected = np.linalg.svd(x, full_matrices=full)
    assert (u.shape, s.shape, v.shape) == tuple(part.shape for part in expected)
    np.testing.assert_allclose(s, expected[1], rtol=1e-10)
    k = s.shape[-1]
    np.testing.assert_allclose(u[..., :k] * s[..., None, :] @ v[..., :k, :], x, atol=1e-11)
    for basis in (np.swapaxes(u, -1, -2) @ u, v @ np.swapaxes(v, -1, -2)):
        np.testing.assert_allclose(basis, np.broadcast_to(np.eye(basis.shape[-1]), basis.shape), atol=1e-11)


def test_svd_of_equal_columns_and_of_zeros():
    for x in (np.ones((4, 3)), np.zeros((3, 3)), np.diag([2.0, 2.0, 0.0])):
        u, s, v = (part.numpy() for part in Tensor(x).svd())
        np.testing.assert_allclose(s, np.linalg.svd(x)[1], atol=1e-7)
        np.testing.assert_allclose(u.T @ u, np.eye(len(u)), atol=1e-11)
        np.testing.assert_allclose(u[:, :3] * s @ v, x, atol=1e-11)


def test_gradient_through_qr(rng):
    torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
    data = rng.standard_normal((4, 3))
    x, tx = Tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    x.qr()[1].square().sin().sum().backward()
    torch.linalg.qr(tx)[1].square().sin().sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), tx.grad.numpy(), rtol=1e-8, atol=1e-9)


def test_errors():
    with pytest.raises(ValueError, match="qr needs a matrix"):
        Tensor([1.0]).qr()
    with pytest.raises(ValueError, match="svd needs a matrix"):
        Tensor.zeros(0, 3).svd()
