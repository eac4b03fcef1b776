"""Losses: values and gradients against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_oracle import arrays, check, torch

from tinygrad_like import Tensor

F = torch.nn.functional


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(reduction: str, smoothing: float, rng: np.random.Generator) -> None:
    classes = np.array([3, 0, -100, 4], np.int64)
    check(
        lambda x: x.cross_entropy(Tensor(classes), reduction, smoothing),
        lambda x: F.cross_entropy(x, torch.tensor(classes), reduction=reduction, label_smoothing=smoothing),
        arrays(rng, (4, 5), low=-20, high=20),
    )


def test_cross_entropy_of_other_shapes(rng: np.random.Generator) -> None:
    planes = rng.integers(0, 3, (2, 4, 5))
    check(
        lambda x: x.cross_entropy(Tensor(planes)),
        lambda x: F.cross_entropy(x, torch.tensor(planes)),
        arrays(rng, (2, 3, 4, 5)),
    )
    [probabilities] = arrays(rng, (2, 3, 4), low=0, high=1)
    check(
        lambda x: x.cross_entropy(Tensor(probabilities), label_smoothing=0.2),
        lambda x: F.cross_entropy(x, torch.tensor(probabilities), label_smoothing=0.2),
        arrays(rng, (2, 3, 4)),
    )
    check(lambda x: x.cross_entropy(Tensor(2)), lambda x: F.cross_entropy(x, torch.tensor(2)), arrays(rng, (3,)))


def test_sparse_categorical_crossentropy(rng: np.random.Generator) -> None:
    classes = rng.integers(0, 7, (2, 3))
    classes[0, 1] = -1
    check(
        lambda x: x.sparse_categorical_crossentropy(Tensor(classes)),
        lambda x: F.cross_entropy(x.reshape(6, 7), torch.tensor(classes.reshape(6)), ignore_index=-1),
        arrays(rng, (2, 3, 7)),
    )


def test_huge_logits_and_missing_classes() -> None:
    x = Tensor([[1e4, -1e4, 0.0]])
    assert x.cross_entropy(Tensor([0])).item() == 0 and x.cross_entropy(Tensor([1])).item() == 2e4
    assert np.isnan(x.cross_entropy(Tensor([3])).item()) and np.isnan(x.cross_entropy(Tensor([-1])).item())
    with pytest.raises(ValueError, match="must be integers of that shape"):
        x.cross_entropy(Tensor([0, 1]))
    with pytest.raises(ValueError, match="reduction must be"):
        x.cross_entropy(Tensor([0]), reduction="max")
    with pytest.raises(ValueError, match="label_smoothing"):
        x.cross_entropy(Tensor([0]), label_smoothing=2.0)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_loss(reduction: str, rng: np.random.Generator) -> None:
    classes, (weight,) = rng.integers(0, 5, (4,)), arrays(rng, (5,), low=0.1)
    check(
        lambda x: x.log_softmax().nll_loss(Tensor(classes), Tensor(weight), 2, reduction),
        lambda x: F.nll_loss(
            F.log_softmax(x, -1), torch.tensor(classes), torch.tensor(weight), ignore_index=2, reduction=reduction
        ),
        arrays(rng, (4, 5)),
    )


def test_two_classes(rng: np.random.Generator) -> None:
    target, (weight,) = rng.integers(0, 2, (3, 4)).astype(np.float32), arrays(rng, (4,), low=0.1)
    y = torch.tensor(target)
    check(
        lambda x: x.sigmoid().binary_crossentropy(Tensor(target)),
        lambda x: F.binary_cross_entropy(x.sigmoid(), y),
        arrays(rng, (3, 4)),
    )
    for weights in (None, weight):
        ours = None if weights is None else Tensor(weights)
        theirs = None if weights is None else torch.tensor(weights)
        check(
            lambda x, w=ours: x.binary_crossentropy_logits(Tensor(target), pos_weight=w),
            lambda x, w=theirs: F.binary_cross_entropy_with_logits(x, y, pos_weight=w),
            arrays(rng, (3, 4), low=-90, high=90),
        )
    assert Tensor([1.0, 0.0]).binary_crossentropy(Tensor([1.0, 0.0])).item() == 0
    assert Tensor([1.0]).binary_crossentropy(Tensor([0.0])).item() == 100


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_distances(reduction: str, rng: np.random.Generator) -> None:
    inputs = arrays(rng, (3, 4), (3, 4))
    check(lambda x, y: x.mse_loss(y, reduction), lambda x, y: F.mse_loss(x, y, reduction=reduction), inputs)
    check(lambda x, y: x.l1_loss(y, reduction), lambda x, y: F.l1_loss(x, y, reduction=reduction), inputs)
    check(
        lambda x, y: x.huber_loss(y, reduction, 0.7),
        lambda x, y: F.huber_loss(x, y, reduction=reduction, delta=0.7),
        inputs,
    )
