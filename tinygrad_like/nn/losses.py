"""Losses as modules with PyTorch's names; each is the mean over all elements unless ``reduction`` says otherwise."""

from __future__ import annotations

from typing import Literal

from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor

Reduction = Literal["mean", "sum", "none"]


class Loss(Module):
    """What losses share: how the losses of single elements become one number."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction={reduction!r} is unknown; expected 'mean', 'sum' or 'none'")
        self.reduction = reduction

    def _reduce(self, x: Tensor) -> Tensor:
        return x if self.reduction == "none" else getattr(x, self.reduction)()


class CrossEntropyLoss(Loss):
    """-log softmax(logits)[target]: logits [n, classes], integers [n]; the target ``ignore_index`` does not count."""

    def __init__(
        self, reduction: Reduction = "mean", label_smoothing: float = 0.0, ignore_index: int = -100
    ) -> None:
        super().__init__(reduction)
        self.label_smoothing, self.ignore_index = label_smoothing, ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return logits.sparse_categorical_crossentropy(
            target, self.ignore_index, self.label_smoothing, reduction=self.reduction
        )


class MSELoss(Loss):
    """(x - y)²."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self._reduce((x - y).square())


class L1Loss(Loss):
    """|x - y|."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self._reduce((x - y).abs())


class BCEWithLogitsLoss(Loss):
    """-y log sigmoid(x) - (1 - y) log(1 - sigmoid(x)), without overflow."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return logits.binary_crossentropy_logits(target, reduction=self.reduction)
