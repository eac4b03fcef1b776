"""sort, argsort, topk and what draws without replacement, against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_oracle import arrays, check, close, torch

from tinygrad_like import Tensor


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("descending", [False, True])
def test_sort(dim: int, descending: bool, rng: np.random.Generator) -> None:
    x = rng.integers(-3, 3, (3, 5, 4)).astype(np.float32)
    values, positions = Tensor(x).sort(dim, descending)
    expected, places = torch.sort(torch.tensor(x), dim=dim, descending=descending, stable=True)
    close(values, expected)
    close(positions, places.numpy().astype(np.int32))
    check(lambda x: x.sort(dim, descending)[0], lambda x: x.sort(dim, descending)[0], arrays(rng, (3, 5, 4)))


def test_special_values_and_sizes() -> None:
    x = np.array([np.nan, 1.0, -np.inf, np.nan, np.inf, -0.0, 0.0], np.float32)
    for descending in (False, True):
        close(
            Tensor(x).argsort(descending=descending),
            torch.argsort(torch.tensor(x), descending=descending, stable=True).numpy().astype(np.int32),
        )
    assert (
        Tensor([5]).sort()[0].tolist() == [5]
        and Tensor(3.0).sort()[0].item() == 3
        and Tensor(3.0).argsort().item() == 0
    )
    assert Tensor([True, False]).sort()[0].tolist() == [False, True]


def test_topk(rng: np.random.Generator) -> None:
    [x] = arrays(rng, (4, 30))
    for largest in (True, False):
        expected = torch.tensor(x).topk(5, 1, largest)
        values, positions = Tensor(x).topk(5, 1, largest)
        close(values, expected.values)
        close(positions, expected.indices.numpy().astype(np.int32))
    with pytest.raises(ValueError, match="k between 0 and 30"):
        Tensor(x).topk(31)


@pytest.mark.parametrize("shape", [(3, 20), (2, 70), (1, 40_000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32, np.int8, np.int64])
def test_rows_of_every_length_and_type(shape: tuple[int, int], dtype: type, rng: np.random.Generator) -> None:
    """Short rows are sorted by counting, longer ones by their digits; the first places are those of the whole order."""
    x = (rng.standard_normal(shape) * 50).astype(dtype)
    if np.issubdtype(dtype, np.floating):
        x[:, ::7], x[:, 1::11], x[:, 2::13], x[0, 3], x[0, 4] = np.nan, -0.0, 0.0, -np.inf, np.inf
    for descending in (False, True):
        expected = torch.sort(torch.tensor(x), dim=1, descending=descending, stable=True)[1].numpy().astype(np.int32)
        close(Tensor(x).argsort(1, descending), expected)
        close(Tensor(x).topk(9, 1, largest=descending)[1], expected[:, :9])


def test_drawing_without_replacement() -> None:
    Tensor.manual_seed(0)
    assert sorted(Tensor.randperm(50).tolist()) == list(range(50)) and Tensor.randperm(50).tolist() != list(range(50))
    drawn = Tensor([[1.0, 0.0, 2.0, 3.0]] * 200).multinomial(3).numpy()
    assert all(sorted(row) == [0, 2, 3] for row in drawn) and (drawn[:, 0] == 3).mean() > 0.3
