"""Reading and writing by index, gather, scatter and masks, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_oracle import arrays, check, close, torch

from tinygrad_like import Tensor, Variable, dtypes

INDICES = [
    0,
    -1,
    slice(1, 3),
    slice(None, None, -1),
    slice(3, None, -2),
    slice(-3, -1),
    slice(5, 1),
    slice(0, 0),
    None,
    ...,
    (1, 2),
    (0, ..., -1),
    (..., 1),
    (None, 0, None),
    (slice(None), 1),
    (slice(None, None, 2), slice(1, None, 2)),
    (slice(None), slice(None), slice(None, None, -3)),
    (1, 1, 1),
    (slice(-100, 100), slice(2, 1)),
    (0, None, slice(1, 2), ...),
    [0, 2],
    [[0, 1], [2, 3]],
    ([0, 1], [1, 2]),
    (slice(None), [2, 0, 0]),
    ([3, -1], slice(None), [0, 1]),
    (0, [1, 2], slice(None)),
    (slice(None), [0], [[1], [2]]),
    (None, [1], ..., 0),
    np.array([1, 1, 3]),
    (slice(0, 1), ..., [0, 3]),
    [],
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_getitem(index: object, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 3, 5)).astype(np.float32)
    expected = (
        x[np.array([], np.int32)]
        if isinstance(index, list) and not index
        else x[np.array(index) if isinstance(index, list) else index]
    )
    close(Tensor(x)[index], expected)


@pytest.mark.parametrize("index", [i for i in INDICES if not (isinstance(i, list) and not i)], ids=str)
@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "lazy"])
def test_setitem(index: object, in_memory: bool, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 3, 5)).astype(np.float32)
    t = Tensor(x) if in_memory else Tensor(x) * 1
    expected = x.copy()
    place = np.array(index) if isinstance(index, list) else index
    shape = expected[place].shape
    value = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    expected[place] = value
    t[index] = Tensor(value)
    close(t, expected)


def test_an_int_is_no_index_tensor(rng: np.random.Generator) -> None:
    """As in PyTorch and tinygrad; NumPy would put the dimension of the list first."""
    x = rng.standard_normal((4, 3, 5)).astype(np.float32)
    close(Tensor(x)[0, ..., [0, 3]], torch.tensor(x)[0, ..., [0, 3]])


def test_setitem_broadcasts_and_accumulates() -> None:
    x = Tensor.zeros(3, 4).contiguous().realize()
    x[1] = 5
    x[:, 0] = Tensor([1.0, 2.0, 3.0])
    x[0, 1:] += 2
    x[..., -1] *= 10
    assert x.tolist() == [[1, 2, 2, 20], [2, 5, 5, 50], [3, 0, 0, 0]]
    x[Tensor([0, 0])] = Tensor([[1.0] * 4, [2.0] * 4])
    assert x[0].tolist() == [2.0] * 4
    x[[2, 7], [0, 0]] = 9  # the second place does not exist
    assert x[2].tolist() == [9, 0, 0, 0]


def test_setitem_by_mask() -> None:
    x = Tensor([[1.0, -2.0], [-3.0, 4.0]])
    x[x < 0] = 0
    assert x.tolist() == [[1, 0], [0, 4]]
    x[Tensor([True, False])] = 7
    assert x.tolist() == [[7, 7], [0, 4]]
    with pytest.raises(IndexError, match=r"a mask of shape \(3,\)"):
        x[Tensor([True, False, True])] = 1
    with pytest.raises(IndexError, match="use mask.where, masked_fill or masked_select"):
        x[x > 0]


def test_setitem_differentiates(rng: np.random.Generator) -> None:
    def ours(x: Tensor, v: Tensor) -> Tensor:
        y = x * 2
        y[1:, 0] = v
        y[0, 1] = 3
        return y * y

    def theirs(x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y[1:, 0] = v
        y[0, 1] = 3
        return y * y

    check(ours, theirs, arrays(rng, (3, 2), (2,)))


def test_parts_write_through() -> None:
    x = Tensor.zeros(2, 3).realize()
    x[1].assign(Tensor([1.0, 2.0, 3.0]))
    x[:, 2:3].assign(9)
    assert x.tolist() == [[0, 0, 9], [1, 2, 9]]


@pytest.mark.parametrize(
    "index",
    [
        (slice(1, 3),),
        ([0, 2, 2],),
        (slice(None), [1, 1, 0]),
        ([0, 1], [1, 2]),
        (slice(None, None, -2), 0),
        (0, ..., None),
    ],
    ids=str,
)
def test_gradient_of_getitem(index: tuple, rng: np.random.Generator) -> None:
    if any(isinstance(i, slice) and i.step == -2 for i in index):
        check(lambda x: x[index], lambda x: x.flip(0)[::2][:, 0], arrays(rng, (4, 3)))
    else:
        check(lambda x: x[index], lambda x: x[index], arrays(rng, (4, 3)))


def test_out_of_range() -> None:
    x = Tensor([10.0, 20.0, 30.0])
    assert x[Tensor([0, 5, -1, -4])].tolist() == [10, 0, 30, 0]
    for broken in (
        lambda: x[3],
        lambda: x[-4],
        lambda: x[0, 0],
        lambda: x[..., ...],
        lambda: x["a"],
        lambda: x[1.5],
        lambda: x[Tensor([1.0])],
    ):
        with pytest.raises(IndexError):
            broken()
    with pytest.raises(ValueError, match="step other than 0"):
        x[::0]
    with pytest.raises(ValueError, match=r"cannot write shape \(2,\) to the part of shape \(3,\)"):
        x[:] = Tensor([1.0, 2.0])


def test_large_integers_survive() -> None:
    x = Tensor([2**40, -(2**40)])
    assert x.dtype is dtypes.int64 and x[1].item() == -(2**40) and x[Tensor([1, 0])].tolist() == [-(2**40), 2**40]


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_gather(dim: int, rng: np.random.Generator) -> None:
    index = rng.integers(0, 3, (3, 2, 3)).astype(np.int64)
    [x] = arrays(rng, (4, 3, 3))
    check(lambda x: x.gather(dim, Tensor(index)), lambda x: x.gather(dim, torch.tensor(index)), [x])


@pytest.mark.parametrize("dim", [0, 1])
def test_scatter(dim: int, rng: np.random.Generator) -> None:
    index = np.array([[0, 1, 2], [2, 0, 1]], np.int64)
    x, src = arrays(rng, (3, 3), (2, 4))
    check(
        lambda x, s: x.scatter(dim, Tensor(index), s),
        lambda x, s: x.scatter(dim, torch.tensor(index), s[:, :3]),
        [x, src],
    )
    close(
        Tensor(x).scatter(dim, Tensor(index), 3, reduce="add"),
        torch.tensor(x).scatter(dim, torch.tensor(index), 3, reduce="add"),
    )
    close(
        Tensor(x).scatter(dim, Tensor(index), 3, reduce="multiply"),
        torch.tensor(x).scatter(dim, torch.tensor(index), 3, reduce="multiply"),
    )


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_scatter_reduce(reduce: str, include_self: bool, rng: np.random.Generator) -> None:
    index = np.array([[0, 0, 2], [2, 0, 2]], np.int64)
    x, src = arrays(rng, (3, 4), (2, 3))
    check(
        lambda x, s: x.scatter_reduce(0, Tensor(index), s, reduce, include_self),
        lambda x, s: x.scatter_reduce(0, torch.tensor(index), s, reduce, include_self=include_self),
        [x, src],
        gradient=include_self,
    )


def test_selection() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    t = Tensor(x)
    close(t.index_select(1, Tensor([3, 0])), x[:, [3, 0]])
    close(t.take(Tensor([[5, 0], [11, 1]])), x.ravel()[[[5, 0], [11, 1]]])
    close(t.masked_fill(t > 5, -1.0), np.where(x > 5, -1, x).astype(np.float32))
    close(t.masked_select(t > 5), x[x > 5])
    close(t.masked_select(t > 5, size=8, fill_value=-1), np.array([6, 7, 8, 9, 10, 11, -1, -1], np.float32))
    close(t.masked_select(t > 5, size=2), np.array([6, 7], np.float32))
    close((t % 5 == 0).nonzero(), np.argwhere(x % 5 == 0).astype(np.int32))
    close((t % 5 == 0).nonzero(size=4, fill_value=-1), np.array([[0, 0], [1, 1], [2, 2], [-1, -1]], np.int32))
    close(Tensor([1, 0, 4]).one_hot(3), np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], np.int32))


def test_rejected_indices() -> None:
    x = Tensor.zeros(3, 4)
    with pytest.raises(ValueError, match="does not fit shape"):
        x.gather(0, Tensor([1]))
    with pytest.raises(TypeError, match="must be of integers"):
        x.gather(0, Tensor([[1.0]]))
    with pytest.raises(TypeError, match="src of dtype"):
        x.scatter(0, Tensor([[1]]), Tensor([[1]]))
    with pytest.raises(ValueError, match="reduce must be"):
        x.scatter_reduce(0, Tensor([[1]]), Tensor([[1.0]]), "median")
    with pytest.raises(TypeError, match="one_hot needs integers"):
        x.one_hot(3)


def test_bounded_variables() -> None:
    n, i = Variable("n", 1, 8), Variable("i", 0, 7)
    x = Tensor(np.arange(16, dtype=np.float32).reshape(2, 8))
    part = x[:, : n.bind(3)]
    assert part.shape == (2, n) and part.sum().item() == 30
    close(part, x.numpy()[:, :3])
    two, three = x[:, : n.bind(2)].sum(), x[:, : n.bind(3)].sum()  # one graph, two values
    assert (two.item(), three.item(), two.item()) == (18, 30, 18)
    with pytest.raises(ValueError, match="'n' is bound to 2 and to 3"):
        two + three
    cache = Tensor.zeros(2, 8).realize()
    for k in (0, 3, 7):
        cache[:, i.bind(k)] = Tensor([1.0 + k, 2.0])
        cache.realize()
    assert cache.tolist() == [[1, 0, 0, 4, 0, 0, 0, 8], [2, 0, 0, 2, 0, 0, 0, 2]]
