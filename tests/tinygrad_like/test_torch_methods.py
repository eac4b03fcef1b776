"""Methods under PyTorch's names and with its semantics: each expression is computed by both, in float64.

Where the result can be differentiated, gradients equal PyTorch's and slopes along a random direction are difference
quotients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from tensor_oracle import check, close, torch

from tinygrad_like import Tensor

Case = tuple[Callable[..., Any], Sequence[np.ndarray]]
NAN, INF = float("nan"), float("inf")


def evenly(*shape: int, low: float = -1.5, high: float = 1.5) -> np.ndarray:
    """Distinct numbers at equal distances in random order, none of them 0."""
    count = int(np.prod(shape))
    values = np.linspace(low, high, count + (low < 0 < high and count % 2))[:count]
    return np.random.default_rng([*shape]).permutation(values).reshape(shape)


X, POSITIVE, UNIT = evenly(3, 4), evenly(3, 4, low=0.3, high=2.0), evenly(3, 4, low=0.1, high=0.9)
CUBE, SQUARE = evenly(2, 3, 4), evenly(4, 4)
WHOLE = np.array([[3, 1, 2, 3], [0, 3, 3, 1], [2, 2, 0, 0]])
ROWS, TWICE = np.array([2, 0]), np.array([1, 1, 0])
BITS = X > 0
# Well conditioned, and symmetric positive definite.
MATRIX = SQUARE + 3 * np.eye(4)
DEFINITE = SQUARE @ SQUARE.T + np.eye(4)


def stacked(parts: Sequence[Any]) -> Any:
    """Pieces of different sizes as one result: their sizes count, too."""
    result = parts[0].flatten()
    for number, part in enumerate(parts[1:], 2):
        result = result.reshape(-1, 1) * 1.0 if result.ndim == 0 else result
        ours = isinstance(result, Tensor)
        result = result.cat(part.flatten() * number, dim=0) if ours else torch.cat([result, part.flatten() * number])
    return result


DIFFERENTIABLE: dict[str, Case] = {
    # special functions
    "erfc": (lambda x: x.erfc(), [evenly(12, low=-4, high=9)]),
    "lgamma": (lambda x: x.lgamma(), [evenly(15, low=-4.3, high=30)]),
    "digamma": (lambda x: x.digamma(), [evenly(15, low=-4.3, high=30)]),
    "logit": (lambda x: x.logit(), [UNIT]), "logit clamped": (lambda x: x.logit(0.25), [UNIT]),
    "xlogy": (lambda x, y: x.xlogy(y), [X, POSITIVE]), "logaddexp": (lambda x, y: x.logaddexp(y), [X, POSITIVE]),
    "logaddexp2": (lambda x, y: x.logaddexp2(y), [X, POSITIVE]),
    "atan2": (lambda x, y: x.atan2(y), [X, X[::-1].copy()]), "hypot": (lambda x, y: x.hypot(y), [X, POSITIVE]),
    "deg2rad": (lambda x: x.deg2rad(), [X]), "rad2deg": (lambda x: x.rad2deg(), [X]),
    "sinc": (lambda x: x.sinc(), [X]), "frac": (lambda x: x.frac(), [X]),
    "nan_to_num": (lambda x: x.nan_to_num(), [X]),
    "fmax": (lambda x, y: x.fmax(y), [X, POSITIVE]), "fmin": (lambda x, y: x.fmin(y), [X, POSITIVE]),
    "copysign": (lambda x, y: x.copysign(y), [POSITIVE, X]),
    "ldexp": (lambda x: x.ldexp(x.detach() * 0 + 3), [X]),
    "addcmul": (lambda x, y, z: x.addcmul(y, z, value=0.5), [X, POSITIVE, UNIT]),
    "addcdiv": (lambda x, y, z: x.addcdiv(y, z, value=2), [X, POSITIVE, UNIT]),
    "remainder": (lambda x: x.remainder(0.7), [X]), "fmod": (lambda x: x.fmod(0.7), [X]),
    "clamp_min": (lambda x: x.clamp_min(0.1), [X]), "clamp_max": (lambda x: x.clamp_max(0.1), [X]),
    "lerp": (lambda x, y, w: x.lerp(y, w), [X, POSITIVE, UNIT]),
    # products
    "mm": (lambda x, y: x.mm(y), [X, SQUARE]), "mv": (lambda x, y: x.mv(y), [X, evenly(4)]),
    "bmm": (lambda x, y: x.bmm(y), [CUBE, evenly(2, 4, 3)]), "outer": (lambda x, y: x.outer(y), [evenly(3), evenly(4)]),
    "inner": (lambda x, y: x.inner(y), [CUBE, SQUARE]), "vdot": (lambda x, y: x.vdot(y), [evenly(4), evenly(4) + 1]),
    "addmm": (lambda s, x, y: s.addmm(x, y, beta=0.5, alpha=2), [evenly(4), X, SQUARE]),
    "addmv": (lambda s, x, y: s.addmv(x, y, beta=2), [evenly(3), X, evenly(4)]),
    "addr": (lambda s, x, y: s.addr(x, y, alpha=3), [X, evenly(3), evenly(4)]),
    "baddbmm": (lambda s, x, y: s.baddbmm(x, y, alpha=2), [evenly(2, 3, 3), CUBE, evenly(2, 4, 3)]),
    "addbmm": (lambda s, x, y: s.addbmm(x, y, beta=0.5), [evenly(3, 3), CUBE, evenly(2, 4, 3)]),
    "cross": (lambda x, y: x.cross(y, dim=1), [CUBE, CUBE[::-1].copy() + 1]),
    "kron": (lambda x, y: x.kron(y), [evenly(2, 3), evenly(4, 1)]),
    "kron of other ranks": (lambda x, y: x.kron(y), [CUBE, evenly(2)]),
    "trace": (lambda x: x.trace(), [X]), "matrix_power": (lambda x: x.matrix_power(5), [SQUARE]),
    "matrix_power 0": (lambda x: x.matrix_power(0) * x, [SQUARE]),
    "negative matrix_power": (lambda x: x.matrix_power(-2), [MATRIX]),
    # moves
    **{f"rot90 {k}": (partial(lambda k, x: x.rot90(k, (0, 2)), k), [CUBE]) for k in (-1, 0, 1, 2, 3)},
    "fliplr": (lambda x: x.fliplr(), [CUBE]), "flipud": (lambda x: x.flipud(), [CUBE]),
    "movedim": (lambda x: x.movedim(0, -1), [CUBE]), "movedim of two": (lambda x: x.movedim((0, 1), (2, 0)), [CUBE]),
    "moveaxis": (lambda x: x.moveaxis(-1, 0), [CUBE]), "swapaxes": (lambda x: x.swapaxes(0, 2), [CUBE]),
    "swapdims": (lambda x: x.swapdims(0, 1), [CUBE]), "t": (lambda x: x.t(), [X]), "mT": (lambda x: x.mT, [CUBE]),
    "ravel": (lambda x: x.ravel(), [CUBE]), "tile": (lambda x: x.tile((2, 1, 1, 2)), [CUBE]),
    "tile fewer": (lambda x: x.tile((2,)), [CUBE]), "broadcast_to": (lambda x: x.broadcast_to((2, 3, 4)), [X]),
    "narrow": (lambda x: x.narrow(2, 1, 2), [CUBE]), "narrow from the end": (lambda x: x.narrow(2, -2, 1), [CUBE]),
    "select": (lambda x: x.select(1, -1), [CUBE]), "unbind": (lambda x: stacked(x.unbind(1)), [CUBE]),
    "tensor_split": (lambda x: stacked(x.tensor_split(3, 2)), [CUBE]),
    "tensor_split at": (lambda x: stacked(x.tensor_split((1, 3), 2)), [CUBE]),
    "chunk": (lambda x: stacked(x.chunk(3, 2)), [CUBE]),
    "hsplit": (lambda x: stacked(x.hsplit(3)), [CUBE]), "vsplit": (lambda x: stacked(x.vsplit(2)), [CUBE]),
    "dsplit": (lambda x: stacked(x.dsplit((1,))), [CUBE]),
    **{f"diag_embed {o}": (partial(lambda o, x: x.diag_embed(o, 0, 2), o), [X]) for o in (-2, 0, 1)},
    "diagflat": (lambda x: x.diagflat(1), [X]),
    **{f"diagonal {o}": (partial(lambda o, x: x.diagonal(o, 1, 2), o), [CUBE]) for o in (-3, -1, 0, 2)},
    **{f"diag {o}": (partial(lambda o, x: x.diag(o), o), [evenly(4)]) for o in (-1, 0, 2)},
    "diag of a matrix": (lambda x: x.diag(1), [X]), "roll": (lambda x: x.roll((1, -3), (0, 2)), [CUBE]),
    # parts replaced
    "diagonal_scatter": (lambda x, s: x.diagonal_scatter(s, 1), [X, evenly(3)]),
    "diagonal_scatter below": (lambda x, s: x.diagonal_scatter(s, -1, 2, 1), [CUBE, evenly(2, 3)]),
    "select_scatter": (lambda x, s: x.select_scatter(s, 1, -2), [X, evenly(3)]),
    "slice_scatter": (lambda x, s: x.slice_scatter(s, 1, 0, 4, 2), [X, evenly(3, 2)]),
    # statistics
    "amax": (lambda x: x.amax((0, 2)), [CUBE]), "amin": (lambda x: x.amin(1, keepdim=True), [CUBE]),
    "aminmax": (lambda x: stacked(x.aminmax(dim=1)), [CUBE]),
    "nansum": (lambda x: x.nansum(1), [X]), "nanmean": (lambda x: x.nanmean(1), [X]),
    "kthvalue": (lambda x: x.kthvalue(2, 1)[0], [CUBE]),
    "kthvalue kept": (lambda x: x.kthvalue(2, 1, True)[0], [CUBE]), "msort": (lambda x: x.msort(), [X]),
    "median": (lambda x: x.median(), [X]), "median of rows": (lambda x: x.median(1)[0], [CUBE]),
    "nanmedian": (lambda x: x.nanmedian(-1, True)[0], [X]), "quantile": (lambda x: x.quantile(0.3), [X]),
    **{f"quantile {i}": (partial(lambda i, x: x.quantile(0.45, 1, interpolation=i), i), [CUBE])
       for i in ("linear", "lower", "higher", "midpoint", "nearest")},
    "quantile kept": (lambda x: x.quantile(0.5, 0, True), [CUBE]),
    "diff": (lambda x: x.diff(), [X]), "diff twice": (lambda x: x.diff(2, 0), [X]),
    "diff extended": (lambda x, y: x.diff(1, 1, y, x), [X, evenly(3, 2)]),
    **{f"norm {p}": (partial(lambda p, x: x.norm(p, 1), p), [CUBE + 0.01]) for p in (1, 2, 3, 0.5, INF, -INF)},
    "norm of all": (lambda x: x.norm(), [X]), "dist": (lambda x, y: x.dist(y, 3), [X, POSITIVE]),
    "renorm": (lambda x: x.renorm(2, 1, 1.5), [CUBE]), "cov": (lambda x: x.cov(), [X]),
    "cov of a vector": (lambda x: x.cov(), [evenly(5)]), "cov biased": (lambda x: x.cov(correction=0), [X]),
    "corrcoef": (lambda x: x.corrcoef(), [X]),
    # systems
    "det": (lambda x: x.det(), [evenly(2, 3, 3)]), "logdet": (lambda x: x.logdet(), [DEFINITE]),
    "slogdet": (lambda x: x.slogdet()[1], [SQUARE]), "inverse": (lambda x: x.inverse(), [MATRIX]),
}


def slope_is_a_difference_quotient(function: Callable[..., Any], inputs: Sequence[np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    directions = [rng.standard_normal(x.shape) for x in inputs]

    def value(step: float) -> float:
        result = function(*(Tensor(x + step * d) for x, d in zip(inputs, directions, strict=True)))
        return float((result.numpy() * weights).sum())

    tensors = [Tensor(x) for x in inputs]
    result = function(*tensors)
    weights = np.cos(np.arange(int(np.prod(result.shape)))).reshape(result.shape) + 0.1
    found = (result * Tensor(weights)).sum().gradient(*tensors)
    slope = sum(float((g.numpy() * d).sum()) for g, d in zip(found, directions, strict=True))
    quotient = (value(1e-6) - value(-1e-6)) / 2e-6
    assert slope == pytest.approx(quotient, rel=2e-6, abs=2e-6)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_values_gradients_and_slopes(name: str) -> None:
    function, inputs = DIFFERENTIABLE[name]
    check(function, function, inputs, rtol=1e-9, atol=1e-11)
    slope_is_a_difference_quotient(function, inputs)


def indexed(function: Callable[..., Any], index: np.ndarray) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The function with the index as the last argument, for ours and for PyTorch."""
    return (lambda *xs: function(*xs, Tensor(index)), lambda *xs: function(*xs, torch.tensor(index)))


INDEXED: dict[str, tuple[Callable[..., Any], Sequence[np.ndarray], np.ndarray]] = {
    "index_add": (lambda x, s, i: x.index_add(0, i, s, alpha=2), [X, X], TWICE),
    "index_add of columns": (lambda x, s, i: x.index_add(1, i, s), [X, evenly(3, 2)], ROWS),
    "index_copy": (lambda x, s, i: x.index_copy(0, i, s), [X, evenly(2, 4)], ROWS),
    "index_fill": (lambda x, i: x.index_fill(1, i, 7.0), [CUBE], ROWS),
    "index_select": (lambda x, i: x.index_select(2, i), [CUBE], TWICE),
    "index_reduce": (lambda x, s, i: x.index_reduce(0, i, s, "amax"), [X, evenly(3, 4, low=-1.4, high=1.45)], TWICE),
    "index_reduce mean": (lambda x, s, i: x.index_reduce(0, i, s, "mean", include_self=False), [X, X], TWICE),
    "scatter_add": (lambda x, s, i: x.scatter_add(1, i, s), [X, X], WHOLE),
    **{f"scatter_reduce {how}": (partial(lambda how, x, s, i: x.scatter_reduce(1, i, s, how), how),
                                 [X, evenly(3, 4, low=-1.4, high=1.45)], WHOLE)
       for how in ("sum", "prod", "mean", "amax", "amin")},
    "take_along_dim": (lambda x, i: x.take_along_dim(i, 1), [X], WHOLE),
    "take_along_dim broadcast": (lambda x, i: x.take_along_dim(i, 1), [X], WHOLE[:1]),
    "take_along_dim flat": (lambda x, i: x.take_along_dim(i), [X], WHOLE),
    "put": (lambda x, s, i: x.put(i, s), [X, evenly(2)], ROWS),
    "put accumulated": (lambda x, s, i: x.put(i, s, accumulate=True), [X, evenly(3)], TWICE),
    "index_put": (lambda x, s, i: x.index_put((i, i), s), [X, evenly(2)], ROWS),
    "index_put accumulated": (lambda x, s, i: x.index_put((i,), s, accumulate=True), [X, evenly(4)], TWICE),
    "masked_scatter": (lambda x, s, i: x.masked_scatter(i, s), [X, evenly(12)], BITS),
}


@pytest.mark.parametrize("name", INDEXED)
def test_by_index(name: str) -> None:
    function, inputs, index = INDEXED[name]
    ours, theirs = indexed(function, index)
    check(ours, theirs, inputs, rtol=1e-12)
    slope_is_a_difference_quotient(ours, inputs)


def test_linear_systems() -> None:
    solve = (lambda a, b: a.solve(b), torch.linalg.solve)
    for b in (evenly(4), evenly(4, 2)):
        check(*solve, [MATRIX, b], rtol=1e-9, atol=1e-11)
        slope_is_a_difference_quotient(solve[0], [MATRIX, b])
    check(*solve, [np.stack([MATRIX, DEFINITE]), evenly(2, 4, 3)], rtol=1e-9, atol=1e-11)
    check(*solve, [np.array([[0.0, 2.0], [1.0, 0.0]]), evenly(2)], rtol=1e-12)  # the first pivot is 0
    check(lambda x: (x + x.mT).cholesky(), lambda x: torch.linalg.cholesky(x + x.mT), [DEFINITE], rtol=1e-9, atol=1e-11)
    for upper in (True, False):
        check(lambda a, b, upper=upper: a.solve_triangular(b, upper=upper),
              lambda a, b, upper=upper: torch.linalg.solve_triangular(a, b, upper=upper), [MATRIX, evenly(4, 2)],
              rtol=1e-9, atol=1e-11)
    singular = Tensor([[1.0, 2.0], [2.0, 4.0]])
    assert singular.det().item() == 0 and singular.slogdet()[1].item() == -INF
    assert np.isnan(Tensor([[1.0, 2.0], [2.0, 1.0]]).cholesky().numpy()).any()


# ------------------------------------------------------------------------------------------- without gradients

PLAIN: dict[str, Case] = {
    "bincount": (lambda x: x.bincount(), [WHOLE.ravel()]),
    "bincount with minlength": (lambda x: x.bincount(minlength=9), [WHOLE.ravel()]),
    "bincount with weights": (lambda x, w: x.bincount(w), [WHOLE.ravel(), X.ravel()]),
    "histc": (lambda x: x.histc(5), [X]), "histc within": (lambda x: x.histc(4, -1, 0.5), [X]),
    "histc of equals": (lambda x: x.histc(3), [np.ones(4)]),
    "count_nonzero": (lambda x: x.count_nonzero(), [WHOLE]), "count_nonzero 1": (lambda x: x.count_nonzero(1), [WHOLE]),
    "signbit": (lambda x: x.signbit(), [np.array([-0.0, 0.0, -2.0, 3.0, -INF])]),
    "isclose": (lambda x, y: x.isclose(y, rtol=0.1), [X, X * 1.05]),
    "mode": (lambda x: x.mode(1)[0], [WHOLE]), "mode position": (lambda x: x.mode(1)[1], [WHOLE]),
    "mode kept": (lambda x: x.mode(0, True)[0], [WHOLE]),
    "median position": (lambda x: x.median(1)[1], [CUBE]), "kthvalue position": (lambda x: x.kthvalue(3)[1], [CUBE]),
    "median with NaN": (lambda x: x.median(1)[0], [np.array([[1, NAN, 3, 2], [4, 3, 2, 1]])]),
    "nanmedian with NaN": (lambda x: x.nanmedian(1)[0], [np.array([[1, NAN, 3, 2], [NAN] * 4])]),
    "nansum with NaN": (lambda x: x.nansum(1), [np.array([[1, NAN, 3, 2], [NAN] * 4])]),
    "nanmean with NaN": (lambda x: x.nanmean(1), [np.array([[1, NAN, 3, 2], [NAN] * 4])]),
    "quantile with NaN": (lambda x: x.quantile(0.5, 1), [np.array([[1, NAN, 3, 2], [4, 3, 2, 1]])]),
    "fmax with NaN": (lambda x, y: x.fmax(y), [np.array([NAN, 1.0, NAN]), np.array([2.0, NAN, NAN])]),
    "fmin with NaN": (lambda x, y: x.fmin(y), [np.array([NAN, 1.0, NAN]), np.array([2.0, NAN, NAN])]),
    "nan_to_num": (lambda x: x.nan_to_num(), [np.array([NAN, INF, -INF, 2.0])]),
    "nan_to_num in float32": (lambda x: x.nan_to_num(), [np.array([NAN, INF, -INF, 2.0], np.float32)]),
    "nan_to_num chosen": (lambda x: x.nan_to_num(1.0, 2.0, 3.0), [np.array([NAN, INF, -INF, 2.0])]),
    "heaviside with NaN": (lambda x: x.heaviside(x * 0 + 0.5), [np.array([NAN, INF, -0.0, -2.0])]),
    "xlogy special": (lambda x, y: x.xlogy(y), [np.array([0.0, 0, 0, 1, 2]), np.array([0.0, INF, NAN, 0, -1])]),
    "atan2 special": (lambda y, x: y.atan2(x), [
        np.array([0.0, -0.0, 0.0, -0.0, INF, -INF, INF, -INF, 1, -1, NAN, 2, -2, 0]),
        np.array([1.0, -1.0, -0.0, 0.0, INF, INF, -INF, -INF, -INF, INF, 1, 0, 0, -3])]),
    "hypot special": (lambda x, y: x.hypot(y), [
        np.array([INF, NAN, 0.0, 1e200, 3.0]), np.array([NAN, 1.0, 0.0, 1e200, -4])]),
    "lgamma special": (lambda x: x.lgamma(), [np.array([0.0, 1, 2, -1, -2.5, INF, 1e10, 0.5, -INF, NAN])]),
    "digamma special": (lambda x: x.digamma(), [np.array([0.0, -0.0, -1, -2, INF, 1e10, NAN])]),
    "erfc special": (lambda x: x.erfc(), [np.array([INF, -INF, NAN, 0.0, 26.0, -26.0, 40.0])]),
    "sinc special": (lambda x: x.sinc(), [np.array([0.0, -0.0, 1.0, 0.5, NAN])]),
    "logical_and": (lambda x, y: x.logical_and(y), [WHOLE, WHOLE[::-1].copy()]),
    "logical_or": (lambda x, y: x.logical_or(y), [WHOLE, WHOLE[::-1].copy()]),
    "logical_xor": (lambda x, y: x.logical_xor(y), [WHOLE, WHOLE[::-1].copy()]),
    "floor_divide": (lambda x: x.floor_divide(0.4), [X]),
    "floor_divide of integers": (lambda x: (-x).floor_divide(2), [WHOLE]),
    "diff of bools": (lambda x: x.diff(dim=1), [BITS]), "rot90 of integers": (lambda x: x.rot90(), [WHOLE]),
    "index_fill of integers": (lambda x: x.index_fill(0, x[0] - x[0], 7), [WHOLE]),
}


@pytest.mark.parametrize("name", PLAIN)
def test_values(name: str) -> None:
    function, inputs = PLAIN[name]
    expected = function(*map(torch.tensor, inputs))
    found = function(*map(Tensor, inputs)).numpy()
    assert found.shape == tuple(expected.shape) and found.dtype.kind == expected.numpy().dtype.kind
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12, atol=1e-14, equal_nan=True)
    if found.dtype.kind == "f":
        zero = found == 0
        np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected.numpy()[zero]))


SORTED = [
    (np.sort(X, 1), evenly(3, 5)), (np.array([1, 3, 3, 5]), np.array([[3, 6, 0], [5, 1, 2]])),
    (np.array([-INF, 0.0, INF]), np.array([NAN, INF, -INF, 1.0])), (np.zeros(0), np.array([1.0])),
]


def test_functions_that_torch_has_outside_of_tensors() -> None:
    x = torch.tensor(X)
    for p in (0, 1, 2, 3, INF):
        check(lambda a, b, p=p: a.cdist(b, p), lambda a, b, p=p: torch.cdist(a, b, p), [X, POSITIVE[:2]], rtol=1e-9)
        slope_is_a_difference_quotient(lambda a, b, p=p: a.cdist(b, p), [X, POSITIVE[:2]])
    for options in ({}, {"right": True}, {"side": "left"}):
        for edges, values in SORTED:
            close(Tensor(edges).searchsorted(Tensor(values), **options),
                  torch.searchsorted(torch.tensor(edges), torch.tensor(values), **options))
    assert Tensor([0.0, INF, NAN]).searchsorted(Tensor([INF, NAN]), right=True).tolist() == [2, 3]
    check(lambda a, b: a.tensordot(b), torch.tensordot, [CUBE, evenly(3, 4, 2)], rtol=1e-12)
    check(lambda a, b: a.tensordot(b, ([2, 0], [0, 1])), lambda a, b: torch.tensordot(a, b, ([2, 0], [0, 1])),
          [CUBE, evenly(4, 2, 5)], rtol=1e-12)
    for right in (False, True):
        edges = np.array([-1.0, X[0, 0], 1.0])
        edges.sort()
        close(Tensor(X).bucketize(Tensor(edges), right), torch.bucketize(x, torch.tensor(edges), right=right).int())
        close(Tensor(WHOLE).isin(Tensor([1, 3]), invert=right),
              torch.isin(torch.tensor(WHOLE), torch.tensor([1, 3]), invert=right))
    close(Tensor(X).quantile([0.0, 0.25, 1.0], 1), torch.quantile(x, torch.tensor([0.0, 0.25, 1.0]).double(), 1))
    close(Tensor(X).quantile(Tensor([0.5, 0.1], dtype="float64"), 0, True),
          torch.quantile(x, torch.tensor([0.5, 0.1]).double(), 0, True))
    close(Tensor.vander(Tensor([1.0, 2.0, 3.0]), 4), torch.vander(torch.tensor([1.0, 2, 3]), 4))
    close(Tensor.vander(Tensor([1, 2, 3]), increasing=True), torch.vander(torch.tensor([1, 2, 3]), increasing=True))
    close(Tensor.logspace(0, 3, 4), torch.logspace(0, 3, 4))
    close(Tensor.tril_indices(3, 4, -1), torch.tril_indices(3, 4, -1))
    close(Tensor.triu_indices(4, 3, 1), torch.triu_indices(4, 3, 1))
    assert Tensor(X).equal(Tensor(X)) and not Tensor(X).equal(Tensor(X + 1)) and not Tensor(X).equal(Tensor(X[:2]))


def test_beta_zero_does_not_look_at_the_start() -> None:
    start = Tensor([[NAN, NAN], [NAN, NAN]])
    assert start.addmm(Tensor.eye(2), Tensor.eye(2), beta=0).tolist() == [[1, 0], [0, 1]]


def test_precision_where_terms_cancel() -> None:
    from scipy import special

    x = np.linspace(-5, 10, 400, dtype=np.float32)
    np.testing.assert_allclose(Tensor(x).erfc().numpy(), special.erfc(x.astype(np.float64)), rtol=3e-7, atol=1e-38)
    np.testing.assert_allclose(Tensor(x).lgamma().numpy(), special.gammaln(x.astype(np.float64)), rtol=3e-7)


REFUSED: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "mm of a vector": (lambda: Tensor(X).mm(Tensor([1.0])), ValueError, r"mm needs 2 and 2 dimensions.*\(1,\)"),
    "bmm of other batches": (lambda: Tensor.ones(2, 3, 4).bmm(Tensor.ones(3, 4, 2)), ValueError, "batches of one size"),
    "cross of size 4": (lambda: Tensor(X).cross(Tensor(X)), ValueError, "needs size 3 in dimension -1"),
    "movedim without a place": (lambda: Tensor(X).movedim((0, 1), 0), ValueError, "one destination per source"),
    "rot90 in one dimension": (lambda: Tensor(X).rot90(1, (1, -1)), ValueError, "two different dimensions"),
    "narrow beyond the end": (lambda: Tensor(X).narrow(1, 3, 2), ValueError, r"size 4 to \(3, 5\)"),
    "hsplit unequal": (lambda: Tensor(X).hsplit(3), ValueError, "3 equal pieces of a dimension of size 4"),
    "index_add of another shape": (
        lambda: Tensor(X).index_add(0, Tensor([0]), Tensor(X)), ValueError, r"\[1, 4\], got"),
    "index_add of floats": (lambda: Tensor(X).index_add(0, Tensor([0.0]), Tensor(X)), ValueError, "must be integers"),
    "kthvalue beyond": (lambda: Tensor(X).kthvalue(5), ValueError, "between 1 and 4.*got 5"),
    "quantile of 2": (lambda: Tensor(X).quantile(2.0), ValueError, "between 0 and 1, got 2.0"),
    "an unknown interpolation": (lambda: Tensor(X).quantile(0.5, interpolation="cubic"), ValueError, "'cubic'"),
    "the median of none": (lambda: Tensor.zeros(0, 3).median(0), ValueError, "at least one element"),
    "bincount of floats": (lambda: Tensor(X).bincount(), ValueError, "needs a vector of integers"),
    "bincount of negatives": (lambda: Tensor([-1, 2]).bincount(), ValueError, "numbers of 0 or more"),
    "histc without bins": (lambda: Tensor(X).histc(0), ValueError, "1 or more bins"),
    "unique": (lambda: Tensor(X).unique(), NotImplementedError, "depends on values.*np.unique"),
    "inverse of a rectangle": (lambda: Tensor(X).inverse(), ValueError, r"square matrices, got shape \(3, 4\)"),
    "solve with other rows": (lambda: Tensor(MATRIX).solve(Tensor([1.0])), ValueError, "needs 4 rows"),
    "cdist of other lengths": (lambda: Tensor(X).cdist(Tensor(X.T)), ValueError, "rows of one length"),
    "searchsorted in a matrix": (lambda: Tensor(X).searchsorted(Tensor([1.0])), ValueError, "same leading dimensions"),
    "cov of a cube": (lambda: Tensor(CUBE).cov(), ValueError, "at most two dimensions"),
    "take_along_dim of another rank": (lambda: Tensor(X).take_along_dim(Tensor([0]), 1), ValueError, "as many dim"),
    "diagonal_scatter of another length": (
        lambda: Tensor(X).diagonal_scatter(Tensor([1.0])), ValueError, r"\(3,\), got"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_clear_line(name: str) -> None:
    broken, error, message = REFUSED[name]
    with pytest.raises(error, match=message) as caught:
        broken()
    assert "\n" not in str(caught.value)
