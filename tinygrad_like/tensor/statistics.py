"""Order statistics, norms, distances and correlations under PyTorch's names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ir
from tinygrad_like.tensor.base import TensorBase
from tinygrad_like.tensor.reduction import Axis

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


class StatisticsMixin(TensorBase):
    """Positions are int32. NaN is larger than everything; where a method ignores it, its name says so."""

    __slots__ = ()

    # ------------------------------------------------------------------------------------------- extremes

    def amax(self, axis: Axis = None, keepdim: bool = False) -> Tensor:
        """``max`` under the name that it has in PyTorch for one or several dimensions."""
        return self.max(axis, keepdim)

    def amin(self, axis: Axis = None, keepdim: bool = False) -> Tensor:
        """``min`` under the name that it has in PyTorch for one or several dimensions."""
        return self.min(axis, keepdim)

    def aminmax(self, *, dim: int | None = None, keepdim: bool = False) -> tuple[Tensor, Tensor]:
        """The smallest and the largest element."""
        return self.min(dim, keepdim), self.max(dim, keepdim)

    def nansum(self, axis: Axis = None, keepdim: bool = False) -> Tensor:
        """The sum without NaN."""
        return self.isnan().where(0, self).sum(axis, keepdim)

    def nanmean(self, axis: Axis = None, keepdim: bool = False) -> Tensor:
        """The mean without NaN; NaN of nothing."""
        count = self.isnan().logical_not().sum(axis, keepdim)
        return self._as_float().nansum(axis, keepdim) / count

    # ------------------------------------------------------------------------------------------- order

    def kthvalue(self, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
        """The ``k``-th smallest element along ``dim`` (counted from 1), and its position."""
        axis, length = self._axis(dim), self.shape[self._axis(dim)] if self.ndim else 1
        if not 1 <= k <= length:
            raise ValueError(f"kthvalue needs k between 1 and {length}, the size of dimension {dim}; got {k}")
        if not self.ndim:
            return self, self.argsort()
        values, places = self.sort(axis)
        return tuple(_one(x, axis, k - 1, keepdim) for x in (values, places))

    def msort(self) -> Tensor:
        """In order along the first dimension."""
        return self.sort(0)[0]

    def median(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The lower median of all elements; with ``dim`` a pair, medians along it and their positions; NaN wins."""
        if dim is None:
            return self.flatten().median(0)[0]
        return self._median(dim, keepdim, ignoring=False)

    def nanmedian(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """``median`` without NaN."""
        if dim is None:
            return self.flatten().nanmedian(0)[0]
        return self._median(dim, keepdim, ignoring=True)

    def _median(self, dim: int, keepdim: bool, ignoring: bool) -> tuple[Tensor, Tensor]:
        axis = self._axis(dim)
        if not self.ndim:
            return self, self.argsort()
        if self.shape[axis] == 0:
            raise ValueError(f"the median along dimension {dim} of shape {self.shape} needs at least one element")
        values, places = self.sort(axis)
        missing = values.isnan().sum(axis, keepdim=True)
        length = int(self.shape[axis])
        here = (length - missing - 1).maximum(0) // 2
        here = here if ignoring else (missing > 0).where(length - missing, here)  # the first NaN
        found = tuple(x.gather(axis, here) for x in (values, places))
        return found if keepdim else tuple(x.squeeze(axis) for x in found)

    def mode(self, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
        """The commonest element along ``dim``, the smallest of several, and its last position."""
        axis = self._axis(dim)
        if not self.ndim:
            return self, self.argsort()
        if self.shape[axis] == 0:
            raise ValueError(f"the mode along dimension {dim} of shape {self.shape} needs at least one element")
        values, places = self.movedim(axis, -1).sort(-1)
        number = self.from_node(ir.iota(values.shape[-1]))._broadcast_to(values.shape)
        begins = (number == 0) | (values != values.roll(1, -1))
        length = number - begins.where(number, 0).cummax(-1)[0]  # of the run of equal elements so far, less 1
        last = length.argmax(-1, keepdim=True)
        found = (values.gather(-1, last).movedim(-1, axis), places.gather(-1, last).movedim(-1, axis))
        return found if keepdim else (found[0].squeeze(axis), found[1].squeeze(axis))

    def quantile(self, q: Any, dim: int | None = None, keepdim: bool = False, interpolation: str = "linear") -> Tensor:
        """The element at the part ``q`` of the order along ``dim`` (of all elements), between two if need be.

        q: a number in [0, 1], or several: the results are a new first dimension. NaN where there is a NaN.
        interpolation: "linear", "lower", "higher", "midpoint" or "nearest".
        """
        if interpolation not in _INTERPOLATIONS:
            raise ValueError(f"interpolation is one of {', '.join(_INTERPOLATIONS)}, got {interpolation!r}")
        x: Any = self._as_float()
        if dim is None:
            result = x.flatten().quantile(q, 0, False, interpolation)
            one = (1,) * self.ndim
            return result.reshape(*result.shape, *one) if keepdim else result
        axis = x._axis(dim)
        part = self._lift(q, x.dtype) if isinstance(q, TensorBase) else type(x)(q, dtype=x.dtype, device=x._device)
        if part.ndim > 1:
            raise ValueError(f"q is a number or a vector of them, got shape {part.shape}")
        if not isinstance(q, TensorBase) and not all(0 <= number <= 1 for number in (
                q if isinstance(q, Sequence) else [q])):
            raise ValueError(f"q lies between 0 and 1, got {q}")
        rows = x.unsqueeze(0) if not x.ndim else x.movedim(axis, -1)
        ranked, place = rows.sort(-1)[0], part.flatten() * (int(rows.shape[-1]) - 1)
        found = _between(ranked, place, interpolation).movedim(-1, 0)
        found = rows.isnan().any(-1).where(math.nan, found)
        found = found.unsqueeze(axis + 1) if keepdim and x.ndim else found
        return found if part.ndim else found.squeeze(0)

    # ------------------------------------------------------------------------------------------- differences

    def diff(self, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
        """Differences of neighbours along ``dim``, ``n`` times (of bools: whether they differ)."""
        if not self.ndim or n < 0:
            raise ValueError(f"diff needs one or more dimensions and n >= 0, got shape {self.shape} and n={n}")
        axis = self._axis(dim)
        parts = [part for part in (prepend, self, append) if part is not None]
        x: Any = parts[0].cat(*parts[1:], dim=axis)
        for _ in range(n):
            size = x.shape[axis]
            late, early = x._cut(axis, min(1, size), size), x._cut(axis, 0, max(size - 1, 0))
            x = late ^ early if x.dtype.is_bool else late - early
        return x

    # ------------------------------------------------------------------------------------------- norms and distances

    def norm(self, p: float | str = "fro", dim: Axis = None, keepdim: bool = False) -> Tensor:
        """The p-norm of all elements, or along ``dim``: (sum |x|^p)^(1/p); "fro" is 2, infinite: the extreme of |x|."""
        x = self._as_float()
        if p in ("fro", 2):
            return x.square().sum(dim, keepdim).sqrt()
        if p == 0:
            return x.ne(0).cast(x.dtype).sum(dim, keepdim)
        if p in (math.inf, -math.inf):
            return x.abs().max(dim, keepdim) if p > 0 else x.abs().min(dim, keepdim)
        if not isinstance(p, (int, float)):
            raise ValueError(f"norm needs a number or 'fro', got {p!r}")
        if p == 1:
            return x.abs().sum(dim, keepdim)
        return x.abs().pow(p).sum(dim, keepdim).pow(1 / p)

    def dist(self, other: Tensor, p: float = 2) -> Tensor:
        """The p-norm of the difference."""
        return (self - other).norm(p)

    def cdist(self, x2: Tensor, p: float = 2.0) -> Tensor:
        """The p-norm distances of all pairs of rows: [.., m, d] and [.., n, d] -> [.., m, n].

        The gradient at distance 0 is 0.
        """
        if self.ndim < 2 or x2.ndim < 2 or self.shape[-1] != x2.shape[-1]:
            raise ValueError(f"cdist needs rows of one length, got shapes {self.shape} and {x2.shape}")
        difference = self.unsqueeze(-2) - x2.unsqueeze(-3)
        if p == 0 or math.isinf(p) or p == 1:
            return difference.norm(p, -1)
        total = difference.square().sum(-1) if p == 2 else difference.abs().pow(p).sum(-1)
        apart = total > 0
        return apart.where(apart.where(total, 1.0).pow(1 / p), 0.0)

    def renorm(self, p: float, dim: int, maxnorm: float) -> Tensor:
        """The slices along ``dim`` whose p-norm exceeds ``maxnorm`` scaled down to it."""
        axis = self._axis(dim)
        others = [i for i in range(self.ndim) if i != axis]
        norm = self.norm(p, others, keepdim=True)
        return self * (norm > maxnorm).where(maxnorm / (norm + 1e-7), 1.0)

    # ------------------------------------------------------------------------------------------- correlation

    def cov(self, correction: int = 1) -> Tensor:
        """The covariances of variables (rows) over observations (columns): [v, n] -> [v, v]; of a vector its variance.
        """
        if self.ndim > 2:
            raise ValueError(f"cov needs at most two dimensions, got shape {self.shape}")
        rows = self._as_float().reshape(1, -1) if self.ndim < 2 else self._as_float()
        centred = rows - rows.mean(1, keepdim=True)
        result = centred @ centred.transpose(0, 1) / max(int(rows.shape[1]) - correction, 0)
        return result.reshape(()) if self.ndim < 2 else result

    def corrcoef(self) -> Tensor:
        """Pearson's correlations of variables (rows): [v, n] -> [v, v], between -1 and 1."""
        covariance = self.cov()
        if not covariance.ndim:
            return covariance / covariance
        deviation = covariance.diagonal().sqrt()
        return (covariance / deviation.unsqueeze(1) / deviation.unsqueeze(0)).clamp(-1, 1)

    def equal(self, other: Tensor) -> bool:
        """Whether shape and all elements are the same, as a Python bool (so not inside ``jit``); NaN differs."""
        return self.shape == other.shape and bool((self == other).all().item())


def _one(x: Tensor, axis: int, place: int, keepdim: bool) -> Tensor:
    found = x._cut(axis, place, place + 1)
    return found if keepdim else found.squeeze(axis)


def _between(ranked: Tensor, place: Tensor, interpolation: str) -> Tensor:
    """Elements of the last dimension at places [k] that need not be whole: [.., n] -> [.., k]."""
    low = place.floor()
    part = place - low
    if interpolation in ("lower", "higher", "nearest"):
        chosen = {"lower": low, "higher": place.ceil(), "nearest": place.round()}[interpolation]
        return ranked[..., chosen.int()]
    below, above = ranked[..., low.int()], ranked[..., place.ceil().int()]
    return below.lerp(above, 0.5 * (part > 0) if interpolation == "midpoint" else part)
