"""Edges: NaN in order and extremes, integer widths of indices, negative steps, denormal and huge numbers, overflow,
zero-size batches through every kind of layer. Results are PyTorch's (or NumPy's bits) unless the test says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_like import Tensor, nn

torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
NAN, INF = float("nan"), float("inf")
TINY, HUGE = np.float32(1e-42), np.float32(3e38)  # a denormal number; nearly the largest
ROWS = np.array([[2.0, NAN, 1.0, INF, -INF, 2.0], [0.0, -0.0, 5.0, 5.0, NAN, NAN], [3.0, 1.0, 2.0, 9.0, 7.0, 8.0]],
                np.float32)


def same(found: Any, expected: Any) -> None:
    """Equal to the last bit (but for NaN's own bits)."""
    expected = expected.numpy() if hasattr(expected, "numpy") else np.asarray(expected)
    found = found.numpy() if hasattr(found, "numpy") else np.asarray(found)
    assert found.shape == expected.shape and found.dtype.kind == expected.dtype.kind
    np.testing.assert_array_equal(found, expected)


# ------------------------------------------------------------------------------------------- NaN

NAN_CASES: dict[str, Callable[[Any], Any]] = {
    "max": lambda x: x.amax(1), "min": lambda x: x.amin(1), "argmax": lambda x: x.argmax(1),
    "argmin": lambda x: x.argmin(1), "sorted": lambda x: x.sort(1)[0],
    "sorted down": lambda x: x.sort(1, True)[0], "median": lambda x: x.median(1)[0],
    "smallest three": lambda x: x.topk(3, 1, False)[0], "largest three": lambda x: x.topk(3, 1)[0],
    "running maximum": lambda x: x.cummax(1)[0], "running minimum": lambda x: x.cummin(1)[0],
    "kth": lambda x: x.kthvalue(5, 1)[0], "sum": lambda x: x.sum(1), "product": lambda x: x.prod(1),
    "clamped": lambda x: x.clamp(0, 2), "relu": lambda x: x.relu(), "sign of finite": lambda x: x.nan_to_num(0).sign(),
    "any": lambda x: (x > 4).any(1), "comparison": lambda x: x >= 2, "equality": lambda x: x == x,
    "maximum": lambda x: x.maximum(x.flip((1,))), "minimum": lambda x: x.minimum(x.flip((1,))),
}


@pytest.mark.parametrize("name", NAN_CASES)
def test_nan_and_infinity_as_in_torch(name):
    same(NAN_CASES[name](Tensor(ROWS)), NAN_CASES[name](torch.tensor(ROWS)))


def test_positions_in_stable_order():
    """Equal elements keep their order, 0 and -0 are equal, NaN comes last (first where it falls)."""
    for descending in (False, True):
        for axis in (0, 1):
            values, places = torch.sort(torch.tensor(ROWS), dim=axis, descending=descending, stable=True)
            found, at = Tensor(ROWS).sort(axis, descending)
            same(found, values)
            same(at, places)
    ties = np.array([3, 1, 3, 1, 2, 3], np.int64)
    same(Tensor(ties).argsort(), torch.argsort(torch.tensor(ties), stable=True))
    same(Tensor(ties).argsort(descending=True), torch.argsort(torch.tensor(ties), stable=True, descending=True))


# ------------------------------------------------------------------------------------------- indices

@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8"])
def test_indices_of_any_integer_dtype(dtype):
    x, index = np.arange(12.0, dtype=np.float32).reshape(3, 4), np.array([[0, 2, 1], [2, 2, 0]]).astype(dtype)
    tx, ti = torch.tensor(x), torch.tensor(index.astype(np.int64))
    ours, mine = Tensor(x), Tensor(index)
    same(ours[mine], tx[ti])
    same(ours[mine[0], mine[1]], tx[ti[0], ti[1]])
    same(ours.gather(0, mine), tx.gather(0, ti))
    same(ours.scatter(0, mine, Tensor(x)), tx.scatter(0, ti, tx))
    same(ours.index_select(1, mine[0]), tx.index_select(1, ti[0]))
    same(ours.index_add(0, mine[0], Tensor(x)), tx.index_add(0, ti[0], tx))
    same(mine.one_hot(3), torch.nn.functional.one_hot(ti, 3))
    np.testing.assert_allclose(ours.sparse_categorical_crossentropy(mine[0]).item(),
                               torch.nn.functional.cross_entropy(tx, ti[0]).item(), rtol=1e-6)
    layer = nn.Embedding(3, 2)
    same(layer(mine), torch.nn.functional.embedding(ti, torch.tensor(layer.weight.numpy())))


def test_negative_indices_and_steps():
    x = np.arange(24).reshape(4, 6)
    for index in ((-1,), (slice(None, None, -1),), (slice(3, 0, -2), slice(None, None, -5)), (slice(-3, -1), -2),
                  (slice(10, None, -1),), (slice(None), slice(-1, -7, -1)), (slice(2, 2, -1),),
                  (Ellipsis, slice(-2, None)), ([-1, 0, -4],), (slice(None), [-1, -6]), ([-1, 1], [-2, 0])):
        same(Tensor(x)[index], x[index])
        changed, written = x.copy(), Tensor(x)
        written[index] = -7
        changed[index] = -7
        same(written, changed)
    same(Tensor(x)[Tensor([-1, 2])], x[[-1, 2]])
    with pytest.raises(IndexError, match="index -5 is out of range"):
        Tensor(x)[-5]


# ------------------------------------------------------------------------------------------- sizes of numbers

def test_denormal_numbers_are_kept():
    x = np.array([TINY, -TINY, 2 * TINY, 1.1754944e-38, 0.0], np.float32)
    t = Tensor(x)
    same(t + t, x + x)
    same(t * np.float32(0.5), x * np.float32(0.5))
    same(t.sum(), x.sum(dtype=np.float32))
    same(t.max(), x.max())
    same(t > 0, x > 0)
    same(t.abs().sqrt(), np.sqrt(np.abs(x)))
    same(t.sort()[0], np.sort(x))
    same((t * 1.0).double(), x.astype(np.float64))
    same(t.softmax(), np.full(5, 0.2, np.float32))
    assert 3.7e-44 < Tensor([-100.0]).exp().item() < 3.9e-44
    product = (Tensor([[1e-30, 0.0]]) @ Tensor([[1e-10], [0.0]])).item()
    assert product == pytest.approx(1e-40, rel=1e-4)


def test_what_overflows_is_infinite():
    x = Tensor([HUGE, -HUGE, 1e30])
    same(x * 10, [INF, -INF, np.float32(1e30) * np.float32(10)])
    same(x + x, [INF, -INF, 2 * np.float32(1e30)])
    same(x.square(), [INF, INF, INF])
    same(Tensor([89.0, -89.0, 88.0]).exp().isinf(), [True, False, False])
    same(Tensor([HUGE, HUGE]).sum(), np.float32(INF))
    same(Tensor([70000.0, -70000.0, 65504.0]).half(), np.array([INF, -INF, 65504.0], np.float16))
    same(Tensor([HUGE]).half().float(), np.array([INF], np.float32))
    same(Tensor([1e39], dtype="float64").float(), np.array([INF], np.float32))
    same(x.var(), np.float32(INF))
    same(Tensor([[HUGE, HUGE]]).softmax(), np.array([[0.5, 0.5]], np.float32))
    same(Tensor([HUGE, HUGE]).logsumexp(), HUGE)
    assert Tensor([HUGE, -HUGE]).cross_entropy(Tensor(0)).item() == 0
    assert Tensor([3e19, 4e19]).hypot(Tensor([4e38, 0.0])).tolist()[1] == pytest.approx(4e19, rel=1e-6)


def test_casts_to_integers_saturate_and_nan_is_zero():
    """Unlike PyTorch's, whose results depend on the processor: see ``ir.ops.cast``."""
    x = Tensor([NAN, INF, -INF, 300.0, -300.0, 1.9, -1.9, 3e9])
    assert x.cast("int8").tolist() == [0, 127, -128, 127, -128, 1, -1, 127]
    assert x.cast("uint8").tolist() == [0, 255, 0, 255, 0, 1, 0, 255]
    assert x.int().tolist() == [0, 2**31 - 1, -2**31, 300, -300, 1, -1, 2**31 - 1]
    assert x.cast("int64").tolist() == [0, 2**63 - 1, -2**63, 300, -300, 1, -1, 3_000_000_000]
    assert x.bool().tolist() == [True] * 8


def test_integers_wrap_around():
    for name, high in (("int8", 127), ("int16", 32767), ("int32", 2**31 - 1), ("int64", 2**63 - 1), ("uint8", 255),
                       ("uint32", 2**32 - 1)):
        x = np.array([high, 1], name)
        with np.errstate(over="ignore"):
            same(Tensor(x) + Tensor(x), x + x)
            same(Tensor(x) * Tensor(x), x * x)
            same(-Tensor(x), -x)
    same(Tensor(np.array([2**31 - 1, 1], np.int32)).sum(), np.int32(-2**31))
    same(Tensor(np.array([-2**31], np.int32)).abs(), np.array([-2**31], np.int32))
    same(Tensor([300, -1, 256]).cast("uint8"), np.array([44, 255, 0], np.uint8))
    same(Tensor([200]).cast("int8"), np.array([-56], np.int8))


# ------------------------------------------------------------------------------------------- nothing at all

LAYERS: dict[str, tuple[Callable[[], Any], tuple[int, ...], tuple[int, ...]]] = {
    "Linear": (lambda: nn.Linear(4, 3), (0, 4), (0, 3)),
    "Conv1d": (lambda: nn.Conv1d(4, 3, 3, padding=1), (0, 4, 8), (0, 3, 8)),
    "Conv2d": (lambda: nn.Conv2d(4, 3, 3), (0, 4, 8, 8), (0, 3, 6, 6)),
    "Conv3d": (lambda: nn.Conv3d(4, 3, 2), (0, 4, 4, 4, 4), (0, 3, 3, 3, 3)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 3, 2, 2), (0, 4, 4, 4), (0, 3, 8, 8)),
    "BatchNorm": (lambda: nn.BatchNorm2d(4).eval(), (0, 4, 3, 3), (0, 4, 3, 3)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (0, 4, 3, 3), (0, 4, 3, 3)),
    "InstanceNorm": (lambda: nn.InstanceNorm2d(4, affine=True), (0, 4, 3, 3), (0, 4, 3, 3)),
    "LayerNorm": (lambda: nn.LayerNorm(4), (0, 4), (0, 4)), "RMSNorm": (lambda: nn.RMSNorm(4), (0, 4), (0, 4)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), (0, 4, 4, 4), (0, 4, 2, 2)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(1), (0, 4, 4, 4), (0, 4, 1, 1)),
    "Dropout": (lambda: nn.Dropout(0.5).train(), (0, 4), (0, 4)), "GELU": (nn.GELU, (0, 4), (0, 4)),
    "Softmax": (nn.Softmax, (0, 4), (0, 4)), "PReLU": (lambda: nn.PReLU(4), (0, 4), (0, 4)),
    "MultiHeadAttention": (lambda: nn.MultiHeadAttention(4, 2), (0, 5, 4), (0, 5, 4)),
    "TransformerBlock": (lambda: nn.TransformerBlock(4, 2), (0, 5, 4), (0, 5, 4)),
    "LSTM": (lambda: FirstOf(nn.LSTM(4, 3)), (5, 0, 4), (5, 0, 3)),
    "GRU of both directions": (lambda: FirstOf(nn.GRU(4, 3, bidirectional=True)), (5, 0, 4), (5, 0, 6)),
}


class FirstOf(nn.Module):
    """A layer whose first result counts."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


@pytest.mark.parametrize("name", LAYERS)
def test_a_batch_of_nothing_has_results_and_gradients_of_zero(name):
    make, shape, expected = LAYERS[name]
    layer = make()
    x = Tensor(np.zeros(shape, np.float32), requires_grad=True)
    y = layer(x)
    assert y.shape == expected and y.numpy().shape == expected
    y.square().sum().backward()
    assert x.grad.numpy().shape == shape
    for path, parameter in layer.named_parameters():
        assert parameter.grad is None or not parameter.grad.numpy().any(), path


def test_methods_of_empty_and_zero_dimensional_tensors():
    nothing, number = Tensor(np.zeros((0, 3), np.float32)), Tensor(np.float32(2.0))
    tn, t2 = torch.zeros(0, 3), torch.tensor(2.0)
    for method in (lambda x: x.cumsum(0), lambda x: x.sort(0)[0], lambda x: x.flip((0,)), lambda x: x.norm(),
                   lambda x: x.diff(dim=1), lambda x: x.count_nonzero(), lambda x: x.rot90(),
                   lambda x: x.index_select(1, x.argmax(1)), lambda x: x.t() @ x,
                   lambda x: x.topk(2, 1)[0], lambda x: x.median(1)[0], lambda x: x.kron(x), lambda x: x.nansum(0)):
        same(method(nothing), method(tn))
    for method in (lambda x: x.cumsum(0), lambda x: x.sort(0)[0], lambda x: x.norm(), lambda x: x.median(),
                   lambda x: x.erfc() * 0, lambda x: x.count_nonzero(), lambda x: x.nan_to_num(), lambda x: x.t(),
                   lambda x: x.tile((2,)), lambda x: x.diagflat(), lambda x: x.kthvalue(1)[0], lambda x: x.topk(1)[0],
                   lambda x: x.logcumsumexp(0), lambda x: x.ravel(), lambda x: x.atan2(x * 0)):
        same(method(number), method(t2))
    assert Tensor([1.0]).searchsorted(Tensor(3.0)).item() == 1
    same(Tensor(np.zeros(0, np.int32)).bincount(minlength=2), [0, 0])
    same(Tensor(np.zeros((0, 2, 2), np.float32)).inverse(), np.zeros((0, 2, 2), np.float32))


def test_an_optimizer_step_of_a_batch_of_nothing_changes_nothing():
    layer = nn.Linear(3, 2)
    before = layer.weight.numpy()
    optimizer = nn.optim.SGD(layer.parameters(), lr=1.0)
    layer(Tensor(np.zeros((0, 3), np.float32))).sum().backward()
    optimizer.step()
    np.testing.assert_array_equal(layer.weight.numpy(), before)
