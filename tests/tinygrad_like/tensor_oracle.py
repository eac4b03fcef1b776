"""Comparing tensors and their gradients with PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tinygrad_like import Tensor

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")


def arrays(
    rng: np.random.Generator, *shapes: Sequence[int], low: float = -2.0, high: float = 2.0, dtype: Any = np.float32
) -> list[np.ndarray]:
    """One array of evenly distributed numbers for each shape."""
    return [rng.uniform(low, high, shape).astype(dtype) for shape in shapes]


def close(ours: Any, theirs: Any, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Values, shapes and dtypes agree; ``theirs`` is a torch tensor or an array."""
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            close(one, other, rtol, atol)
        return
    expected = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    actual = ours.numpy() if isinstance(ours, Tensor) else np.asarray(ours)
    assert actual.shape == expected.shape
    assert actual.dtype.kind == expected.dtype.kind, f"{actual.dtype} is not {expected.dtype}"
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def check(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    inputs: Sequence[np.ndarray],
    rtol: float = 1e-4,
    atol: float = 1e-5,
    gradient: bool = True,
    tolerance_of_gradient: float | None = None,
) -> None:
    """``ours`` on tensors gives what ``theirs`` gives on torch tensors, and so do the gradients of a weighted sum."""
    mine = [Tensor(x) for x in inputs]
    yours = [torch.tensor(x, requires_grad=gradient and x.dtype.kind == "f") for x in inputs]
    result, expected = ours(*mine), theirs(*yours)
    close(result, expected, rtol, atol)
    differentiable = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]
    if not gradient or not differentiable or not expected.requires_grad:
        return
    weights = np.cos(np.arange(expected.numel(), dtype=inputs[differentiable[0]].dtype)).reshape(expected.shape)
    found = (result * Tensor(weights)).sum().gradient(*(mine[i] for i in differentiable))
    wanted = torch.autograd.grad(
        (expected * torch.tensor(weights)).sum(), [yours[i] for i in differentiable], allow_unused=True
    )
    tolerance = tolerance_of_gradient or rtol
    for one, other, i in zip(found, wanted, differentiable, strict=True):
        close(one, torch.zeros_like(yours[i]) if other is None else other, tolerance, max(atol, tolerance * 0.1))
