"""Reductions: sums, extremes, moments and what is built of them. The reduced dimensions disappear or become 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Union

import ir
from ir import Node, dtypes
from ir.dtype import DType, DTypeLike, promote, to_dtype
from tinygrad_like.tensor.base import TensorBase, cast_node, keep_axes

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor

Axis = Union[int, Sequence[int], None]


def accumulation_dtype(dtype: DType) -> DType:
    """The dtype in which ``sum`` counts: at least 32 bits wide for integers and bool."""
    if dtype.kind == "uint":
        return promote(dtype, dtypes.uint32)
    return dtype if dtype.is_float else promote(dtype, dtypes.int32)


class ReductionMixin(TensorBase):
    """``axis``: one dimension, several, or None for all. ``keepdim`` leaves them with size 1."""

    __slots__ = ()

    def _reduce(self, monoid: str, node: Node, axis: Axis, keepdim: bool) -> Tensor:
        axes = self._axes(axis)
        reduced = ir.reduce(monoid, node, axes)
        return self._make(keep_axes(reduced, self.shape, axes) if keepdim else reduced)

    def sum(self, axis: Axis = None, keepdim: bool = False, dtype: DTypeLike | None = None) -> Tensor:
        """The sum. Integers and bool are counted in 32 bits or more; 16-bit floats accumulate in float32.

            >>> Tensor([[1, 2], [3, 4]]).sum(axis=0).tolist()
            [4, 6]
        """
        wanted = accumulation_dtype(self.dtype) if dtype is None else to_dtype(dtype)
        return self._reduce("sum", cast_node(self.node, wanted), axis, keepdim)

    def prod(self, axis: Axis = None, keepdim: bool = False, dtype: DTypeLike | None = None) -> Tensor:
        """The product (of bool: whether all hold)."""
        wanted = self.dtype if dtype is None else to_dtype(dtype)
        return self._reduce("min" if wanted.is_bool else "prod", cast_node(self.node, wanted), axis, keepdim)

    def max(self, axis: Axis = None, keepdim: bool = False) -> Tensor:
        """The largest element; NaN wins. Ties share the gradient."""
        return self._reduce("max", self.node, axis, keepdim)

    def min(self, axis: Axis = None, keepdim: bool = False) -> Tensor:
        """The smallest element; NaN wins. Ties share the gradient."""
        return self._reduce("min", self.node, axis, keepdim)

    def any(self, axis: Axis = None, keepdim: bool = False) -> Tensor:
        """Whether any element is not zero."""
        return self._reduce("max", cast_node(self.node, dtypes.bool), axis, keepdim)

    def all(self, axis: Axis = None, keepdim: bool = False) -> Tensor:
        """Whether no element is zero."""
        return self._reduce("min", cast_node(self.node, dtypes.bool), axis, keepdim)

    def argmax(self, axis: Axis = None, keepdim: bool = False) -> Tensor:
        """The position (int32) of the first largest element, of the first NaN where there is one.

        Without an axis the position in the flattened tensor. ValueError where a reduced dimension is empty.
        """
        return self._reduce("argmax", self.node, axis, keepdim)

    def argmin(self, axis: Axis = None, keepdim: bool = False) -> Tensor:
        """The position (int32) of the first smallest element."""
        return self._reduce("argmin", self.node, axis, keepdim)

    # ------------------------------------------------------------------------------------------- moments

    def _count(self, axes: tuple[int, ...]) -> float:
        return int(ir.product(self.shape[axis] for axis in axes))

    def _wide(self) -> Tensor:
        """This tensor in the dtype in which moments are computed: float32 at least."""
        return self.cast(self.dtype if self.dtype.is_float and self.dtype.itemsize >= 4 else dtypes.float32)

    def _moment_dtype(self) -> DType:
        return self.dtype if self.dtype.is_float else dtypes.default_float

    def mean(self, axis: Axis = None, keepdim: bool = False) -> Tensor:
        """The mean (float32 of integers); NaN of no elements."""
        total = self._wide().sum(axis, keepdim)
        return (total / self._count(self._axes(axis))).cast(self._moment_dtype())

    def var(self, axis: Axis = None, keepdim: bool = False, correction: int = 1) -> Tensor:
        """The mean squared distance from the mean, with ``n - correction`` in place of n."""
        wide = self._wide()
        centred = wide - wide.mean(axis, keepdim=True)
        freedom = max(self._count(self._axes(axis)) - correction, 0)
        return ((centred * centred).sum(axis, keepdim) / freedom).cast(self._moment_dtype())

    def std(self, axis: Axis = None, keepdim: bool = False, correction: int = 1) -> Tensor:
        """The square root of ``var``."""
        return self.var(axis, keepdim, correction).sqrt()

    def var_mean(self, axis: Axis = None, keepdim: bool = False, correction: int = 1) -> tuple[Tensor, Tensor]:
        """``var`` and ``mean``."""
        return self.var(axis, keepdim, correction), self.mean(axis, keepdim)

    def std_mean(self, axis: Axis = None, keepdim: bool = False, correction: int = 1) -> tuple[Tensor, Tensor]:
        """``std`` and ``mean``."""
        return self.std(axis, keepdim, correction), self.mean(axis, keepdim)

    def normalize(self, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
        """Divided by the p-norm along ``dim``, or by ``eps`` where that is larger."""
        if p == 0:
            norm = self.ne(0).sum(dim, keepdim=True).cast(self._moment_dtype())
        elif p == 2:
            norm = self.square().sum(dim, keepdim=True).sqrt()
        else:
            norm = self.abs().pow(p).sum(dim, keepdim=True).pow(1 / p)
        return self / norm.maximum(eps)

    # ------------------------------------------------------------------------------------------- exponentials

    def logsumexp(self, axis: Axis = None, keepdim: bool = False) -> Tensor:
        """log(sum(exp(x))) without overflow."""
        x = self._as_float()
        largest = x.max(axis, keepdim=True).detach()
        shift = (largest.abs() == math.inf).where(0, largest)
        result = (x - shift).exp().sum(axis, keepdim=True).log() + shift
        return result if keepdim else result._without(self._axes(axis))

    def _without(self, axes: tuple[int, ...]) -> Tensor:
        """Without the given dimensions, all of size 1."""
        return self.reshape(tuple(size for i, size in enumerate(self.shape) if i not in axes))

    def _shifted_exponentials(self, axis: Axis, dtype: DTypeLike | None) -> tuple[Tensor, Tensor, Tensor]:
        """x - max, its exponential, and the sum of that."""
        x = self._as_float()
        shifted = x - x.max(axis, keepdim=True).detach()
        if dtype is not None:
            shifted = shifted.cast(dtype)
        exponentials = shifted.exp()
        return shifted, exponentials, exponentials.sum(axis, keepdim=True)

    def softmax(self, axis: int = -1, dtype: DTypeLike | None = None) -> Tensor:
        """exp(x) / sum(exp(x)) along ``axis``, without overflow."""
        _, exponentials, total = self._shifted_exponentials(axis, dtype)
        return exponentials * total.reciprocal()

    def log_softmax(self, axis: int = -1, dtype: DTypeLike | None = None) -> Tensor:
        """The logarithm of ``softmax``, precise where that is tiny."""
        shifted, _, total = self._shifted_exponentials(axis, dtype)
        return shifted - total.log()

    def softmin(self, axis: int = -1, dtype: DTypeLike | None = None) -> Tensor:
        """``softmax`` of the negated tensor."""
        return (-self._as_float()).softmax(axis, dtype)

    def allclose(self, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
        """Whether all elements are close (see ``isclose``), as a bool tensor without dimensions."""
        return self.isclose(other, rtol=rtol, atol=atol, equal_nan=equal_nan).all()


