"""Losses. ``reduction``: "mean" or "sum" of all losses, or "none" for one each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import ir
from tinygrad_like.tensor.base import TensorBase

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class LossMixin(TensorBase):
    """Methods of the prediction; the target is the argument."""

    __slots__ = ()

    def _reduced(self, reduction: str, count: Tensor | None = None) -> Tensor:
        """The losses as ``reduction`` wants them; the mean is over ``count`` losses where not all count."""
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
        if reduction == "none":
            return self
        if reduction == "sum" or count is not None:
            total = self.sum()
            return total if reduction == "sum" else total / count
        return self.mean()

    def pick(self, index: Tensor) -> Tensor:
        """One element of each row of the last dimension: out[..] = self[.., index[..]], 0 for an index out of range."""
        if index.shape != self.shape[:-1] or not index.dtype.is_integer:
            raise ValueError(f"pick from shape {self.shape} needs integers of shape {self.shape[:-1]}, "
                             f"got {index.dtype} of shape {index.shape}")
        return self._make(ir.gather(self.node, index.node, self.ndim - 1), index)

    # ------------------------------------------------------------------------------------------- classes

    def cross_entropy(self, Y: Tensor, reduction: str = "mean", label_smoothing: float = 0.0,  # noqa: N803
                      ignore_index: int = -100) -> Tensor:
        """-log softmax(self)[class] for logits [batch, classes, ..] (or [classes]).

        Y: classes, of the shape without the class dimension, or probabilities of the same shape.
        label_smoothing: the part of the probability that is spread evenly over all classes
        (https://arxiv.org/abs/1512.00567). Rows of class ``ignore_index`` do not count; any other class that does not
        exist gives NaN.
        """
        axis = 0 if self.ndim == 1 else 1
        rows = self._classes_last(axis)
        if Y.shape == self.shape and Y.dtype.is_float:
            target = Y._classes_last(axis)
            even = label_smoothing / int(rows.shape[-1])
            losses = -(rows.log_softmax() * (target * (1 - label_smoothing) + even)).sum(-1)
            return losses._reduced(reduction)
        return rows._class_losses(Y, label_smoothing, ignore_index, reduction)

    def sparse_categorical_crossentropy(self, Y: Tensor, ignore_index: int = -1,  # noqa: N803
                                        label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
        """``cross_entropy`` for classes in the last dimension: logits [.., classes], Y [..]."""
        return self._class_losses(Y, label_smoothing, ignore_index, reduction)

    def nll_loss(self, Y: Tensor, weight: Tensor | None = None, ignore_index: int | None = None,  # noqa: N803
                 reduction: str = "mean") -> Tensor:
        """-self[class] for log-probabilities [batch, classes, ..], each times the weight of its class.

        The mean is weighted. Rows of class ``ignore_index`` do not count; any other that does not exist gives NaN.
        """
        rows = self._classes_last(0 if self.ndim == 1 else 1)
        losses = -_strict_pick(rows, Y)
        factor = Y.const_like(1, self.dtype) if weight is None else weight[Y]
        if ignore_index is not None:
            counts = Y.ne(ignore_index)
            losses, factor = counts.where(losses, 0), counts.where(factor, 0)
        return (losses * factor)._reduced(reduction, factor.sum())

    def _classes_last(self, axis: int) -> Tensor:
        order = [*(i for i in range(self.ndim) if i != axis), axis]
        return self.permute(order)

    def _class_losses(self, target: Tensor, label_smoothing: float, ignore_index: int, reduction: str) -> Tensor:
        """log(sum(exp(x))) - x[class] of each row, with x - max in place of x.

        Written so that its gradient is softmax - where(number == class, 1, 0) and nothing of the size of the logits
        has to be kept.
        """
        if not 0.0 <= label_smoothing <= 1.0:
            raise ValueError(f"label_smoothing must be between 0 and 1, got {label_smoothing}")
        if target.shape != self.shape[:-1] or not target.dtype.is_integer:
            raise ValueError(f"classes for logits with {self.shape[-1]} classes in rows {self.shape[:-1]} must be "
                             f"integers of that shape, got {target.dtype} of shape {target.shape}")
        x = self._as_float()
        largest = x.max(-1, keepdim=True).detach()
        log_total = (x - largest).exp().sum(-1).log()
        peak = largest.squeeze(-1)
        losses = log_total - (_strict_pick(x, target) - peak)
        if label_smoothing:
            even = log_total - (x.mean(-1) - peak)
            losses = losses * (1 - label_smoothing) + even * label_smoothing
        counts = target.ne(ignore_index)
        return counts.where(losses, 0)._reduced(reduction, counts.sum())

    # ------------------------------------------------------------------------------------------- two classes

    def binary_crossentropy(self, Y: Tensor, reduction: str = "mean") -> Tensor:  # noqa: N803
        """-Y log(p) - (1 - Y) log(1 - p) for probabilities; each logarithm is at least -100, as in PyTorch."""
        p = self._as_float()
        yes, no = p.log().clamp(-100), (1 - p).log().clamp(-100)
        return (-(Y * yes) - (1 - Y) * no)._reduced(reduction)

    def binary_crossentropy_logits(self, Y: Tensor, reduction: str = "mean",  # noqa: N803
                                   pos_weight: Tensor | None = None) -> Tensor:
        """``binary_crossentropy`` of sigmoid(self), without overflow; ``pos_weight`` multiplies the first term."""
        yes, no = (-self).softplus(), self.softplus()
        first = Y * yes if pos_weight is None else pos_weight * Y * yes
        return (first + (1 - Y) * no)._reduced(reduction)

    # ------------------------------------------------------------------------------------------- distances

    def mse_loss(self, target: Tensor, reduction: str = "mean") -> Tensor:
        """The squared difference."""
        return (self - target).square()._reduced(reduction)

    def l1_loss(self, target: Tensor, reduction: str = "mean") -> Tensor:
        """The absolute difference."""
        return (self - target).abs()._reduced(reduction)

    def huber_loss(self, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
        """Half the squared difference up to ``delta``, from there on linear."""
        distance = (self - target).abs()
        losses = (distance < delta).where(distance * distance * 0.5, (distance - 0.5 * delta) * delta)
        return losses._reduced(reduction)

    def smooth_l1_loss(self, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
        """``huber_loss`` divided by its width ``beta``; the absolute difference where that is 0."""
        if beta == 0:
            return self.l1_loss(target, reduction)
        return self.huber_loss(target, reduction, beta) / beta

    def kl_div(self, target: Tensor, reduction: str = "mean", log_target: bool = False) -> Tensor:
        """target (log(target) - self) for log-probabilities ``self``, 0 where the target is 0.

        reduction: also "batchmean", the sum divided by the first size. log_target: the target is a logarithm, too.
        """
        losses = target.exp() * (target - self) if log_target else target.xlogy(target) - target * self
        return losses.sum() / self.shape[0] if reduction == "batchmean" else losses._reduced(reduction)

    def poisson_nll_loss(self, target: Tensor, log_input: bool = True, full: bool = False, eps: float = 1e-8,
                         reduction: str = "mean") -> Tensor:
        """The negative log-likelihood of counts of rate exp(self) (or self), without terms of the target alone.

        full: with Stirling's approximation of those, for targets above 1.
        """
        losses = self.exp() - target * self if log_input else self - target * (self + eps).log()
        if full:
            large = target > 1
            safe = large.where(target, 2.0)
            losses = losses + large.where(safe * safe.log() - safe + 0.5 * (2 * math.pi * safe).log(), 0)
        return losses._reduced(reduction)

    def gaussian_nll_loss(self, target: Tensor, var: Tensor, full: bool = False, eps: float = 1e-6,
                          reduction: str = "mean") -> Tensor:
        """The negative log-likelihood under a normal distribution of mean ``self`` and variance ``var`` (>= eps)."""
        variance = var + (var.maximum(eps) - var).detach()
        losses = (variance.log() + (self - target).square() / variance) * 0.5
        return (losses + 0.5 * math.log(2 * math.pi) if full else losses)._reduced(reduction)

    def cosine_similarity(self, other: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
        """The cosine of the angle between vectors along ``dim``; lengths are at least ``eps``."""
        lengths = [(x.square().sum(dim).sqrt()).maximum(eps) for x in (self, other)]
        return (self * other).sum(dim) / (lengths[0] * lengths[1])


def _strict_pick(rows: Tensor, classes: Tensor) -> Tensor:
    """``rows.pick(classes)``, NaN where the class does not exist: a loss that looks right would hide the mistake."""
    known = (classes >= 0) & (classes < rows.shape[-1])
    return known.where(rows.pick(classes), math.nan)
