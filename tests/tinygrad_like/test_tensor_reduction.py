"""Reductions and running reductions: values, gradients and dtypes, against PyTorch and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_oracle import arrays, check, close, torch

from tinygrad_like import Tensor, dtypes

CASES = {
    "sum": (lambda x: x.sum(), lambda x: x.sum()),
    "sum of axis": (lambda x: x.sum(1), lambda x: x.sum(1)),
    "sum of axes": (lambda x: x.sum((0, 2), keepdim=True), lambda x: x.sum((0, 2), keepdim=True)),
    "prod": (lambda x: x.prod(1), lambda x: x.prod(1)),
    "max": (lambda x: x.max(), lambda x: x.max()),
    "max of axis": (lambda x: x.max(1), lambda x: x.amax(1)),
    "min": (lambda x: x.min((0, 1)), lambda x: x.amin((0, 1))),
    "mean": (lambda x: x.mean(-1), lambda x: x.mean(-1)),
    "mean of all": (lambda x: x.mean(), lambda x: x.mean()),
    "var": (lambda x: x.var(1), lambda x: x.var(1)),
    "var of axes": (lambda x: x.var((0, 2), correction=0), lambda x: x.var((0, 2), correction=0)),
    "std": (lambda x: x.std(), lambda x: x.std()),
    "logsumexp": (lambda x: x.logsumexp(1), lambda x: x.logsumexp(1)),
    "logsumexp of all": (lambda x: x.logsumexp(), lambda x: x.logsumexp((0, 1, 2))),
    "softmax": (lambda x: x.softmax(), lambda x: x.softmax(-1)),
    "softmax 0": (lambda x: x.softmax(0), lambda x: x.softmax(0)),
    "log_softmax": (lambda x: x.log_softmax(1), lambda x: x.log_softmax(1)),
    "softmin": (lambda x: x.softmin(-1), lambda x: torch.nn.functional.softmin(x, -1)),
    "normalize": (lambda x: x.normalize(), torch.nn.functional.normalize),
    "normalize 1": (lambda x: x.normalize(1, 2), lambda x: torch.nn.functional.normalize(x, 1, 2)),
    "cumsum": (lambda x: x.cumsum(1), lambda x: x.cumsum(1)),
    "cumsum 0": (lambda x: x.cumsum(), lambda x: x.cumsum(0)),
    "cumprod": (lambda x: x.cumprod(2), lambda x: x.cumprod(2)),
    "cummax": (lambda x: x.cummax(1)[0], lambda x: x.cummax(1)[0]),
    "cummin": (lambda x: x.cummin(-1)[0], lambda x: x.cummin(-1)[0]),
    "logcumsumexp": (lambda x: x.logcumsumexp(1), lambda x: x.logcumsumexp(1)),
    "layernorm": (lambda x: x.layernorm(), lambda x: torch.nn.functional.layer_norm(x, (4,))),
    "layernorm of axes": (lambda x: x.layernorm((1, 2)), lambda x: torch.nn.functional.layer_norm(x, (3, 4))),
    "rmsnorm": (lambda x: x.rmsnorm(), lambda x: torch.nn.functional.rms_norm(x, (4,), eps=1e-5)),
}


@pytest.mark.parametrize("name", CASES)
def test_reduction(name: str, rng: np.random.Generator) -> None:
    check(*CASES[name], arrays(rng, (2, 3, 4)))


@pytest.mark.parametrize("name", ["sum", "max", "mean of all", "softmax", "logsumexp of all", "layernorm"])
def test_long_rows_with_large_numbers(name: str, rng: np.random.Generator) -> None:
    theirs = {"layernorm": lambda x: torch.nn.functional.layer_norm(x, (1000,))}.get(name, CASES[name][1])
    check(CASES[name][0], theirs, arrays(rng, (2, 2, 1000), low=-80, high=80), rtol=1e-3)


def test_positions(rng: np.random.Generator) -> None:
    x = rng.integers(-3, 3, (4, 5)).astype(np.float32)
    t = Tensor(x)
    for axis in (None, 0, 1, -1):
        close(t.argmax(axis), np.argmax(x, axis).astype(np.int32))
        close(t.argmin(axis), np.argmin(x, axis).astype(np.int32))
    close(t.argmax(1, keepdim=True), np.argmax(x, 1, keepdims=True).astype(np.int32))
    values, places = Tensor([1.0, 3.0, 2.0, 3.0]).cummax()
    assert values.tolist() == [1.0, 3.0, 3.0, 3.0] and places.tolist() == [0, 1, 1, 1]


def test_any_and_all() -> None:
    x = Tensor([[0, 1], [0, 0], [2, 3]])
    assert x.any(1).tolist() == [True, False, True] and x.all(1).tolist() == [False, False, True]
    assert x.any().item() is True and x.all(0, keepdim=True).tolist() == [[False, False]]


def test_nan_wins() -> None:
    x = Tensor([1.0, float("nan"), 3.0])
    assert np.isnan(x.max().item()) and np.isnan(x.min().item()) and np.isnan(x.sum().item())
    assert x.argmax().item() == 1 and x.argmin().item() == 1
    assert np.isnan(x.cummax()[0].tolist()[2]) and x.cummax()[1].tolist() == [0, 1, 1]


def test_dtypes_of_results() -> None:
    for given, summed in (
        ("bool", "int32"),
        ("int8", "int32"),
        ("int64", "int64"),
        ("uint8", "uint32"),
        ("half", "float16"),
    ):
        x = Tensor([1, 0, 1], dtype=given)
        assert x.sum().dtype is getattr(dtypes, summed) and x.cumsum().dtype is x.sum().dtype
    assert Tensor([1, 2]).mean().dtype is dtypes.float32 and Tensor([1.0], dtype="half").mean().dtype is dtypes.float16
    assert Tensor([True]).max().dtype is dtypes.bool and Tensor([1], dtype="int8").prod().dtype is dtypes.int8
    assert Tensor([1.0], dtype="half").sum(dtype="float32").dtype is dtypes.float32
    assert Tensor([100] * 10, dtype="int8").sum().item() == 1000 and Tensor([True, True]).sum().item() == 2


def test_half_precision_sums_in_single(rng: np.random.Generator) -> None:
    x = np.full(4000, 0.1, np.float16)
    close(Tensor(x).sum(), x.astype(np.float32).sum().astype(np.float16), rtol=1e-3)
    close(Tensor(x).mean(), x.astype(np.float32).mean().astype(np.float16), rtol=1e-3)
    assert Tensor(np.full(70000, 1.0, np.float16)).mean().item() == 1.0  # the sum alone would overflow


def test_infinite_rows() -> None:
    x = Tensor([[-np.inf, -np.inf], [0.0, -np.inf], [np.inf, 1.0]])
    assert x.logsumexp(1).tolist() == [-np.inf, 0.0, np.inf]
    assert x.softmax(1).tolist()[1] == [1.0, 0.0]


def test_gradient_of_product_with_zeros() -> None:
    for values in ([0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [1.0, 2.0, 3.0]):
        check(lambda x: x.prod(), lambda x: x.prod(), [np.array(values, np.float32)])


def test_scalars_and_empty() -> None:
    assert Tensor(3.0).sum().item() == 3 and Tensor(3.0).max(axis=None).item() == 3 and Tensor(2.0).cumsum().item() == 2
    assert Tensor(3.0).mean(0).item() == 3
    empty = Tensor.zeros(0)
    assert empty.prod().item() == 1 and empty.max().item() == -np.inf and np.isnan(empty.mean().item())
    assert Tensor.zeros(2, 0).sum(1).tolist() == [0.0, 0.0] and Tensor.zeros(0).cumsum().shape == (0,)
    with pytest.raises(ValueError, match="at least one element to choose from"):
        empty.argmax()


def test_rejected_axes() -> None:
    x = Tensor.zeros(2, 3)
    with pytest.raises(IndexError, match="dimension 2 is out of range"):
        x.sum(2)
    with pytest.raises(ValueError, match="given twice"):
        x.sum((0, -2))
    with pytest.raises(TypeError, match="a dimension must be an int"):
        x.sum("a")


@pytest.mark.parametrize("shape", [(7, 100), (70, 5), (3, 1000)])
@pytest.mark.parametrize("kind", ["ties", "infinite", "nan", "lowest"])
def test_argmax_takes_the_first_extreme(shape: tuple[int, int], kind: str) -> None:
    """Also where all values equal what a reduction starts from; a NaN is beyond every number."""
    rng = np.random.default_rng(0)
    values = rng.integers(-2, 3, shape).astype(np.float32)
    if kind == "infinite":
        values[:] = -np.inf
    elif kind == "nan":
        values[rng.random(shape) < 0.1] = np.nan
    elif kind == "lowest":
        values = np.full(shape, -128, np.int8)
    for axis in (0, 1, None):
        np.testing.assert_array_equal(Tensor(values).argmax(axis).numpy(), np.argmax(values, axis))
        if kind != "lowest":
            np.testing.assert_array_equal(Tensor(-values).argmin(axis).numpy(), np.argmin(-values, axis))
