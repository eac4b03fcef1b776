"""Places in sorted sequences, and counting by value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import ir
from ir import dtypes
from ir.dtype import promote
from tinygrad_like.tensor.base import TensorBase, plain_scalar

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class SearchingMixin(TensorBase):
    """Positions and counts are int32."""

    __slots__ = ()

    def searchsorted(self, values: Any, right: bool = False, side: str | None = None) -> Tensor:
        """For each of ``values`` the position in this sorted tensor before which it could be inserted.

        The last dimension is sorted; leading ones, if there are any, are those of ``values``. right (or
        side="right"): behind equal elements. NaN belongs at the end. A binary search: log2(n) reads a value.

            >>> Tensor([1, 3, 5]).searchsorted(Tensor([3, 6])).tolist()
            [1, 3]
        """
        if side not in (None, "left", "right") or (side == "left" and right):
            raise ValueError(f"side must be 'left' or 'right' and agree with right={right}, got {side!r}")
        wanted = self._lift(values)
        if not self.ndim or (self.ndim > 1 and wanted.shape[:-1] != self.shape[:-1]):
            raise ValueError(f"searchsorted in shape {self.shape} needs values of the same leading dimensions, got "
                             f"shape {wanted.shape}")
        behind = right or side == "right"
        dtype = promote(self.dtype, wanted.dtype)
        row, value = self.cast(dtype).detach(), wanted.cast(dtype).detach()
        length = int(self.shape[-1])
        place: Any = self.from_node(ir.constant(0, dtypes.int32, value.shape))
        for step in (1 << bit for bit in range(length.bit_length() - 1, -1, -1)):
            ahead = place + step
            seen = row.gather(-1, ahead - 1) if self.ndim > 1 else row[ahead - 1]
            before = (seen > value if behind else seen >= value).logical_not() & (value.isnan() | (seen == seen))
            place = ((ahead <= length) & before).where(ahead, place)
        return place

    def bucketize(self, boundaries: Tensor, right: bool = False) -> Tensor:
        """The number of the interval between sorted ``boundaries`` in which each element lies.

        boundaries[i - 1] < x <= boundaries[i]; with ``right`` boundaries[i - 1] <= x < boundaries[i].
        """
        if boundaries.ndim != 1:
            raise ValueError(f"bucketize needs boundaries of one dimension, got shape {boundaries.shape}")
        return boundaries.searchsorted(self, right)

    def bincount(self, weights: Tensor | None = None, minlength: int = 0, size: int | None = None) -> Tensor:
        """How often each number 0, 1, 2, ... occurs in a vector of integers; with ``weights`` their sum for each.

        Without ``size`` the largest number is read, for a tensor must know its shape: not inside ``jit``. With it the
        result has ``size`` elements, and larger numbers do not count.
        """
        if self.ndim != 1 or not self.dtype.is_integer or minlength < 0:
            raise ValueError(f"bincount needs a vector of integers and minlength >= 0, got {self.dtype} of shape "
                             f"{self.shape} and {minlength}")
        if weights is not None and weights.shape != self.shape:
            raise ValueError(f"bincount needs one weight an element of {self.shape}, got {weights.shape}")
        if size is None:
            if self.numel() and self.min().item() < 0:
                raise ValueError("bincount counts numbers of 0 or more, got a negative one")
            size = max(minlength, int(self.max().item()) + 1 if self.numel() else 0)
        dtype = dtypes.int32 if weights is None else weights._as_float().dtype
        ones = self.const_like(1, dtype) if weights is None else weights.cast(dtype)
        return type(self).zeros(size, dtype=dtype, buffer=False).index_add(0, self, ones)

    def histc(self, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
        """How many elements lie in each of ``bins`` equal intervals from ``min`` to ``max``; others do not count.

        Equal ``min`` and ``max`` stand for the smallest and the largest element. Counts have this tensor's dtype.
        """
        if bins < 1 or min > max:
            raise ValueError(f"histc needs 1 or more bins and min <= max, got {bins} bins from {min} to {max}")
        x = self._as_float().flatten().detach()
        low: Any = plain_scalar(min) if min < max else x.min()
        high: Any = plain_scalar(max) if min < max else x.max()
        if min == max:  # all elements equal: an interval of length 2 around them
            flat = high == low
            low, high = flat.where(low - 1, low), flat.where(high + 1, high)
        inside = (x >= low) & (x <= high)
        number = ((x - low) / (high - low) * bins).floor().clamp(0, bins - 1)
        place = inside.where(number, -1.0).cast(dtypes.int32)
        counts = type(self).zeros(bins, dtype=dtypes.int32, buffer=False)
        return counts.index_add(0, place, place.const_like(1)).cast(x.dtype)

    def count_nonzero(self, axis: Any = None) -> Tensor:
        """How many elements are not zero, along ``axis`` or in all."""
        return self.ne(0).sum(axis)

    def isin(self, test_elements: Any, invert: bool = False) -> Tensor:
        """Whether each element is among ``test_elements``."""
        wanted = self._lift(test_elements)
        found = self == wanted if not wanted.ndim else (self.unsqueeze(-1) == wanted.flatten()).any(-1)
        return found.logical_not() if invert else found

    def unique(self, *arguments: Any, **keywords: Any) -> NoReturn:
        """Not there: how many different elements there are depends on values, and a tensor must know its shape."""
        raise NotImplementedError("unique gives a number of elements that depends on values, but the shape of a tensor "
                                  "is known before values are; use np.unique(x.numpy()), or x.sort() and compare "
                                  "neighbours")
