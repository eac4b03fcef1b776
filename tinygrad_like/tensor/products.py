"""Products of vectors and matrices under PyTorch's names; ``contraction`` has the one they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ir
from tinygrad_like.tensor.base import TensorBase, broadcast_shape

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class ProductsMixin(TensorBase):
    """Each checks the number of dimensions that its name promises."""

    __slots__ = ()

    def mm(self, mat2: Tensor) -> Tensor:
        """[m, k] x [k, n] -> [m, n]."""
        _check_ranks("mm", (self, 2), (mat2, 2))
        return self.dot(mat2)

    def mv(self, vec: Tensor) -> Tensor:
        """[m, k] x [k] -> [m]."""
        _check_ranks("mv", (self, 2), (vec, 1))
        return self.dot(vec)

    def bmm(self, mat2: Tensor) -> Tensor:
        """[b, m, k] x [b, k, n] -> [b, m, n]."""
        _check_ranks("bmm", (self, 3), (mat2, 3))
        if self.shape[0] != mat2.shape[0]:
            raise ValueError(f"bmm needs batches of one size, got shapes {self.shape} and {mat2.shape}")
        return self.dot(mat2)

    def outer(self, vec2: Tensor) -> Tensor:
        """[m] x [n] -> [m, n]: all products."""
        _check_ranks("outer", (self, 1), (vec2, 1))
        return self.unsqueeze(1) * vec2

    def inner(self, other: Tensor) -> Tensor:
        """The sum of products over the last dimensions of both: [.., k] x [.., k] -> [.., ..]."""
        if not self.ndim or not other.ndim:
            return self * other
        return self.tensordot(other, ([-1], [-1]))

    def vdot(self, other: Tensor) -> Tensor:
        """[k] x [k] -> []."""
        _check_ranks("vdot", (self, 1), (other, 1))
        return self.dot(other)

    def tensordot(self, other: Tensor, dims: int | tuple[Sequence[int], Sequence[int]] = 2) -> Tensor:
        """Sums of products over dimensions of both: ``dims`` of the last and first, or two lists that correspond.

            >>> Tensor.ones(2, 3, 4).tensordot(Tensor.ones(3, 4, 5)).shape
            (2, 5)
        """
        if isinstance(dims, int):
            if not 0 <= dims <= min(self.ndim, other.ndim):
                raise ValueError(f"tensordot over {dims} dimensions of shapes {self.shape} and {other.shape}")
            dims = (range(self.ndim - dims, self.ndim), range(dims))
        left, right = [self._axis(d) for d in dims[0]], [other._axis(d) for d in dims[1]]
        if [self.shape[d] for d in left] != [other.shape[d] for d in right]:
            raise ValueError(f"tensordot of shapes {self.shape} and {other.shape}: dimensions {left} and {right} "
                             "must have equal sizes")
        free_left = [i for i in range(self.ndim) if i not in left]
        free_right = [i for i in range(other.ndim) if i not in right]
        inner = ir.product(self.shape[i] for i in left)
        rows, columns = [self.shape[i] for i in free_left], [other.shape[i] for i in free_right]
        a = _ordered(self, free_left + left).reshape(ir.product(rows), inner)
        b = _ordered(other, right + free_right).reshape(inner, ir.product(columns))
        return a.dot(b).reshape(*rows, *columns)

    # ------------------------------------------------------------------------------------------- sums with products

    def addmm(self, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta self + alpha (mat1 @ mat2); with beta 0 self is not looked at (it may hold NaN)."""
        return _added(self, mat1.mm(mat2), beta, alpha)

    def addmv(self, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta self + alpha (mat @ vec)."""
        return _added(self, mat.mv(vec), beta, alpha)

    def addr(self, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta self + alpha (vec1 outer vec2)."""
        return _added(self, vec1.outer(vec2), beta, alpha)

    def baddbmm(self, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta self + alpha (batch1 @ batch2), matrix by matrix."""
        return _added(self, batch1.bmm(batch2), beta, alpha)

    def addbmm(self, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta self + alpha times the sum of all products of the batch."""
        return _added(self, batch1.bmm(batch2).sum(0), beta, alpha)

    # ------------------------------------------------------------------------------------------- others

    def cross(self, other: Tensor, dim: int = -1) -> Tensor:
        """The vector product along ``dim``, whose size is 3."""
        shape = broadcast_shape(self.shape, other.shape)
        a, b = self._broadcast_to(shape), other._broadcast_to(shape)
        axis = a._axis(dim)
        if not shape or shape[axis] != 3:
            raise ValueError(f"cross needs size 3 in dimension {dim}, got shapes {self.shape} and {other.shape}")
        return (a.roll(-1, axis) * b.roll(-2, axis)) - (a.roll(-2, axis) * b.roll(-1, axis))

    def kron(self, other: Tensor) -> Tensor:
        """Kronecker's product: each element of this tensor times the whole of ``other``."""
        rank = max(self.ndim, other.ndim)
        a, b = (x.reshape((1,) * (rank - x.ndim) + x.shape) for x in (self, other))
        wide_a = a.reshape(tuple(n for size in a.shape for n in (size, 1)))
        wide_b = b.reshape(tuple(n for size in b.shape for n in (1, size)))
        return (wide_a * wide_b).reshape(tuple(m * n for m, n in zip(a.shape, b.shape, strict=True)))

    def trace(self) -> Tensor:
        """The sum of the diagonal of a matrix."""
        _check_ranks("trace", (self, 2))
        return self.diagonal().sum()

    def matrix_power(self, n: int) -> Tensor:
        """A square matrix (or a batch) multiplied with itself ``n`` times; its inverse for negative ``n``."""
        if self.ndim < 2 or self.shape[-1] != self.shape[-2]:
            raise ValueError(f"matrix_power needs square matrices, got shape {self.shape}")
        base: Any = self if n >= 0 else self.inverse()
        result: Any = None
        exponent = abs(n)
        while exponent:
            if exponent & 1:
                result = base if result is None else result @ base
            exponent >>= 1
            base = base @ base if exponent else base
        if result is None:
            return type(self).eye(self.shape[-1], dtype=self.dtype)._broadcast_to(self.shape)
        return result


def _check_ranks(operation: str, *expected: tuple[TensorBase, int]) -> None:
    if any(x.ndim != rank for x, rank in expected):
        shapes = " and ".join(str(x.shape) for x, _ in expected)
        ranks = " and ".join(str(rank) for _, rank in expected)
        raise ValueError(f"{operation} needs {ranks} dimensions, got shape {shapes}")


def _ordered(x: TensorBase, order: list[int]) -> Tensor:
    return x.permute(order) if order else x


def _added(start: TensorBase, product: Tensor, beta: float, alpha: float) -> Tensor:
    scaled = product if alpha == 1 else product * alpha
    if beta == 0:
        return scaled._broadcast_to(broadcast_shape(start.shape, scaled.shape))
    return (start if beta == 1 else start * beta) + scaled
