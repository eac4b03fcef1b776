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
    """-log softmax(logits)[target]: logits [n, classes, ...], integers [n, ...] or probabilities like the logits.

    The target ``ignore_index`` does not count. weight: one for each class, by which the mean is weighted, too.
    """

    def __init__(self, reduction: Reduction = "mean", label_smoothing: float = 0.0, ignore_index: int = -100,
                 weight: Tensor | None = None) -> None:
        super().__init__(reduction)
        if weight is not None and label_smoothing:
            raise ValueError("weights of classes and label_smoothing at once are not built; give one of both")
        self.label_smoothing, self.ignore_index, self.weight = label_smoothing, ignore_index, weight

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        if self.weight is not None:
            log_probabilities = logits.log_softmax(0 if logits.ndim == 1 else 1)
            return log_probabilities.nll_loss(target, self.weight, self.ignore_index, self.reduction)
        return logits.cross_entropy(target, self.reduction, self.label_smoothing, self.ignore_index)


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


class NLLLoss(Loss):
    """-x[target] for log-probabilities [n, classes, ...], each times the weight of its class."""

    def __init__(self, weight: Tensor | None = None, ignore_index: int = -100, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.weight, self.ignore_index = weight, ignore_index

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return x.nll_loss(target, self.weight, self.ignore_index, self.reduction)


class BCELoss(Loss):
    """-y log(x) - (1 - y) log(1 - x) for probabilities; each logarithm is at least -100."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return x.binary_crossentropy(target, self.reduction)


class HuberLoss(Loss):
    """Half the squared difference up to ``delta``, from there on linear."""

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return x.huber_loss(target, self.reduction, self.delta)


class SmoothL1Loss(Loss):
    """``HuberLoss`` divided by its width ``beta``."""

    def __init__(self, reduction: Reduction = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return x.smooth_l1_loss(target, self.reduction, self.beta)


class KLDivLoss(Module):
    """target (log(target) - x) for log-probabilities; reduction "batchmean" divides the sum by the batch."""

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        self.reduction, self.log_target = reduction, log_target

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return x.kl_div(target, self.reduction, self.log_target)


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along ``dim``."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        self.dim, self.eps = dim, eps

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x.cosine_similarity(y, self.dim, self.eps)
