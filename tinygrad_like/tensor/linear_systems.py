"""Systems of linear equations, inverses, determinants and Cholesky's factor: each one scan whatever the size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ir
from tinygrad_like.tensor.base import TensorBase, broadcast_shape

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class LinearSystemsMixin(TensorBase):
    """The last two dimensions are those of a square matrix, the others a batch. Singular matrices give NaN or inf."""

    __slots__ = ()

    def solve(self, B: Tensor) -> Tensor:  # noqa: N803  # PyTorch's name
        """X with ``self @ X == B``: [.., n, n] and [.., n, k] -> [.., n, k], or [n] -> [n].

        By Gauss and Jordan's elimination with the largest pivot of each column.

            >>> Tensor([[2.0, 0.0], [0.0, 4.0]]).solve(Tensor([2.0, 2.0])).tolist()
            [1.0, 0.5]
        """
        x, vector = self._square("solve"), B.ndim == 1
        right = B.unsqueeze(-1) if vector else B
        if right.shape[-2] != x.shape[-1]:
            raise ValueError(f"solve with a matrix of shape {self.shape} needs {x.shape[-1]} rows, got shape {B.shape}")
        batch = broadcast_shape(x.shape[:-2], right.shape[:-2])
        x, right = x._broadcast_to((*batch, *x.shape[-2:])), right._broadcast_to((*batch, *right.shape[-2:]))
        solution = _eliminated(x, right.cast(x.dtype))[0]
        return solution.squeeze(-1) if vector else solution

    def inverse(self) -> Tensor:
        """The inverse matrix."""
        x = self._square("inverse")
        return x.solve(type(x).eye(x.shape[-1], dtype=x.dtype)._broadcast_to(x.shape))

    def slogdet(self) -> tuple[Tensor, Tensor]:
        """The sign of the determinant and the logarithm of its size (-inf where it is 0)."""
        x = self._square("slogdet")
        _, sign, log = _eliminated(x, x._cut(x.ndim - 1, 0, 0))
        return sign, log

    def det(self) -> Tensor:
        """The determinant."""
        sign, log = self.slogdet()
        return sign * log.exp()

    def logdet(self) -> Tensor:
        """The logarithm of the determinant; NaN where that is negative."""
        sign, log = self.slogdet()
        return (sign < 0).where(float("nan"), log)

    def cholesky(self, upper: bool = False) -> Tensor:
        """The lower triangular L with L Lᵀ this symmetric positive definite matrix (upper: Lᵀ); NaN where it is not.

        Only the lower triangle is read. Column by column (Golub and Van Loan, "Matrix Computations", 4.2).
        """
        x = self._square("cholesky")
        rows = self.from_node(ir.iota(x.shape[-1]))

        def column(rest: Tensor, factor: Tensor, step: Tensor) -> tuple[Tensor, ...]:
            here = rows == step
            line = here.where(rest, 0.0).sum(-1)
            pivot = here.where(line, 0.0).sum(-1, keepdim=True)
            found = (rows >= step).where(line, 0.0) * pivot.rsqrt()
            outer = found.unsqueeze(-1) * found.unsqueeze(-2)
            return rest - outer, factor + here.where(found.unsqueeze(-1), 0.0)

        lower = x.tril()
        zeros = self.from_node(ir.constant(0, x.dtype, x.shape))
        _, factor = x._repeated(column, (lower, zeros), rows)
        return factor.transpose(-2, -1) if upper else factor

    def solve_triangular(self, B: Tensor, *, upper: bool, unitriangular: bool = False) -> Tensor:  # noqa: N803
        """X with ``self @ X == B`` for a triangular matrix, of which only the triangle is read."""
        x = self._square("solve_triangular")
        x = x.triu() if upper else x.tril()
        if unitriangular:
            identity = type(x).eye(x.shape[-1], dtype=x.dtype)
            x = identity.cast(ir.dtypes.bool).where(1.0, x)
        return x.solve(B)

    def _square(self, operation: str) -> Tensor:
        x = self._matrices(operation)
        if x.shape[-1] != x.shape[-2]:
            raise ValueError(f"{operation} needs square matrices, got shape {self.shape}")
        return x


def _eliminated(x: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The solution of ``x @ solution == right``, the sign of the determinant of x, and the logarithm of its size."""
    batch, size = x.shape[:-2], int(x.shape[-1])
    numbers = x.from_node(ir.iota(size))
    columns = x.from_node(ir.iota(size + int(right.shape[-1])))

    def eliminate(rows: Tensor, sign: Tensor, log: Tensor, step: Tensor) -> tuple[Tensor, ...]:
        column = (columns == step).where(rows, 0.0).sum(-1)
        chosen = (numbers >= step).where(column.abs(), -1.0).argmax(-1, keepdim=True)
        here, pivot_row = (numbers == step).unsqueeze(-1), (numbers == chosen).unsqueeze(-1)
        first, second = (mask.where(rows, 0.0).sum(-2, keepdim=True) for mask in (here, pivot_row))
        swapped = here.where(second, pivot_row.where(first, rows))
        pivot = (columns == step).where(second, 0.0).sum(-1, keepdim=True)
        scaled = second / pivot
        factor = (columns == step).where(swapped, 0.0).sum(-1, keepdim=True)
        size_of_pivot = pivot.reshape(sign.shape)
        turned = (chosen.reshape(sign.shape) != step).where(-sign, sign)
        return (here.where(scaled, swapped - factor * scaled), turned * size_of_pivot.sign(),
                log + size_of_pivot.abs().log())

    start = x.cat(right, dim=-1)
    one, zero = (x.from_node(ir.constant(value, x.dtype, batch)) for value in (1, 0))
    rows, sign, log = start._repeated(eliminate, (start, one, zero), numbers)
    return rows[..., size:], sign, log
