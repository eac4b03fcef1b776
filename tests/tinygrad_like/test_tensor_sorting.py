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


def test_drawing_without_replacement() -> None:
    Tensor.manual_seed(0)
    assert sorted(Tensor.randperm(50).tolist()) == list(range(50)) and Tensor.randperm(50).tolist() != list(range(50))
    drawn = Tensor([[1.0, 0.0, 2.0, 3.0]] * 200).multinomial(3).numpy()
    assert all(sorted(row) == [0, 2, 3] for row in drawn) and (drawn[:, 0] == 3).mean() > 0.3
