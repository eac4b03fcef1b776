"""Matrix functions beside products: orthogonalisation and decompositions, each one scan whatever the size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

import ir
from tinygrad_like.tensor.base import TensorBase

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class LinearAlgebraMixin(TensorBase):
    """The last two dimensions are those of a matrix, the others a batch."""

    __slots__ = ()

    def newton_schulz(self, steps: int, params: Sequence[float], eps: float = 1e-7) -> Tensor:
        """``steps`` times X <- (p0 + p1 A + p2 A² + ...) X with A = X Xᵀ, from X / (|X| + eps), |X| Frobenius's norm.

        With (2, -1.5, 0.5) it converges to the nearest semi-orthogonal matrix; with Muon's (3.4445, -4.775, 2.0315)
        five steps bring all singular values near 1. Works on the side with fewer rows. ValueError for less than two
        dimensions. Source: Bernstein and Newhouse, "Old Optimizer, New Norm: An Anthology", 2024, appendix A.
        """
        if self.ndim < 2:
            raise ValueError(f"newton_schulz needs a matrix or a batch of them, got shape {self.shape}")
        if not params:
            raise ValueError("newton_schulz needs at least one coefficient in params")
        tall = self.shape[-2] > self.shape[-1]
        whole = cast("Tensor", self)
        x = whole.transpose(-2, -1) if tall else whole
        x = x / (x.square().sum((-2, -1), keepdim=True).sqrt() + eps)
        for _ in range(steps):
            gram = x @ x.transpose(-2, -1)
            term = x
            total = term * params[0]
            for coefficient in params[1:]:
                term = gram @ term
                total = total + term * coefficient
            x = total
        return x.transpose(-2, -1) if tall else x

    def qr(self) -> tuple[Tensor, Tensor]:
        """Q of [..., m, m], orthogonal, and R of [..., m, n], upper triangular, with Q R the matrix of [..., m, n].

        By Householder's reflections (Golub and Van Loan, "Matrix Computations", 5.2), as LAPACK signs them.

            >>> q, r = Tensor([[3.0, 1.0], [4.0, 2.0]]).qr()
            >>> r.tolist()[0][0]
            -5.0
        """
        x = self._matrices("qr")
        batch, (rows, columns) = x.shape[:-2], x.max_shape[-2:]
        count = min(rows, columns)
        identity = type(x).eye(rows, dtype=x.dtype).expand(*batch, rows, rows)
        numbers, places = self.from_node(ir.iota(rows)), self.from_node(ir.iota(columns))

        def reflect(q: Tensor, r: Tensor, step: Tensor) -> tuple[Tensor, ...]:
            here, column = numbers == step, (places == step).where(r, 0.0).sum(-1)
            column = (numbers >= step).where(column, 0.0)
            square = column.square().sum(-1, keepdim=True)
            length = (square > 0).where((square > 0).where(square, 1.0).sqrt(), 0.0)
            first = here.where(column, 0.0).sum(-1, keepdim=True)
            v = column + here.where((first < 0).where(-length, length), 0.0)
            norm = v.square().sum(-1, keepdim=True)
            w = v * (norm > 0).where(2 / (norm > 0).where(norm, 1.0), 0.0)
            v, w = v.unsqueeze(-1), w.unsqueeze(-1)
            return q - (q @ v) @ w.transpose(-2, -1), r - w @ (v.transpose(-2, -1) @ r)

        q, r = x._repeated(reflect, (identity, x), self.from_node(ir.iota(count)))
        return q, r.triu()

    def svd(self, full_matrices: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """U, the singular values in falling order, and Vᵀ, with U diag(S) Vᵀ the matrix of [..., m, n].

        U is [..., m, m] and Vᵀ [..., n, n]; without ``full_matrices`` [..., m, k] and [..., k, n], k = min(m, n). By
        Jacobi's one-sided rotations, all disjoint pairs of columns at once (Demmel and Veselić, "Jacobi's Method is
        More Accurate than QR", 1992).
        """
        x = self._matrices("svd")
        batch, (rows, columns) = x.shape[:-2], x.max_shape[-2:]
        if rows < columns:
            u, s, v = x.transpose(-2, -1).svd(full_matrices)
            return v.transpose(-2, -1), s, u.transpose(-2, -1)
        identity = type(x).eye(columns, dtype=x.dtype).expand(*batch, columns, columns)
        numbers = self.from_node(ir.iota(columns))

        def rotate(u: Tensor, v: Tensor, partner: Tensor) -> tuple[Tensor, ...]:
            chosen = (numbers.unsqueeze(1) == partner).cast(u.dtype)  # a permutation of the columns
            other = u @ chosen
            square = u.square().sum(-2, keepdim=True)
            product = (u * other).sum(-2, keepdim=True)
            turning = (product != 0) & (partner != numbers)
            tangent2 = (other.square().sum(-2, keepdim=True) - square) / (2 * turning.where(product, 1.0))
            ahead = (tangent2 > 0) | ((tangent2 == 0) & (numbers < partner))
            size = 1 / (tangent2.abs() + (1 + tangent2.square()).sqrt())
            tangent = turning.where(ahead.where(size, -size), 0.0)
            cosine = (1 + tangent.square()).rsqrt()
            sine = cosine * tangent
            return u * cosine - other * sine, v * cosine - (v @ chosen) * sine

        rounds = type(x)(np.tile(_pairings(columns), (_SWEEPS, 1)), device=self._device)
        scaled, v = x._repeated(rotate, (x, identity), rounds)
        s, order = scaled.square().sum(-2).sqrt().sort(-1, descending=True)
        order = order.unsqueeze(-2)
        scaled = scaled.gather(-1, order.expand(*batch, rows, columns))
        v = v.gather(-1, order.expand(*batch, columns, columns))
        # The columns are orthogonal: R is diagonal up to rounding, and Q completes them to a basis.
        u, r = scaled.qr()
        diagonal = (r[..., :columns, :] * type(x).eye(columns, dtype=x.dtype)).sum(-1).unsqueeze(-2)
        first = u[..., :columns] * (diagonal < 0).where(-1.0, type(x).ones(1, dtype=x.dtype))
        u = first.cat(u[..., columns:], dim=-1) if full_matrices and rows > columns else first
        return u, s, v.transpose(-2, -1)

    def _matrices(self, operation: str) -> Tensor:
        """This tensor, floating-point and with two dimensions or more, the last two of fixed sizes."""
        if self.ndim < 2 or self.shape[-2:] != self.max_shape[-2:] or 0 in self.shape[-2:]:
            raise ValueError(f"{operation} needs a matrix of fixed sizes above 0, or a batch, got shape {self.shape}")
        return self._as_float()

    def _repeated(self, step: Callable[..., tuple[Tensor, ...]], carries: Sequence[Tensor],
                  given: Tensor) -> list[Tensor]:
        """The carries after ``step(*carries, row)`` for each row of ``given``; a step reads nothing from outside."""
        before = [ir.fresh_parameter(*x.node.type) for x in carries]
        row = ir.fresh_parameter(given.dtype, given.shape[1:])
        after = step(*(self.from_node(node) for node in (*before, row)))
        body = ir.Body((*before, row), tuple(x.node for x in after))
        node = ir.scan(body, [x.node for x in carries], [given.node])
        return [self._make(ir.project(node, number)) for number in range(len(carries))]


_SWEEPS = 10  # convergence is quadratic: six suffice for well separated values, ten leave room


def _pairings(count: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """[rounds, count] (int32): the partner of each column in each round of a tournament; in a bye the column itself."""
    even = count + count % 2
    seats = list(range(even))
    rounds = []
    for _ in range(max(even - 1, 1)):
        partner = list(range(count))
        for a, b in zip(seats[:even // 2], reversed(seats[even // 2:]), strict=True):
            if a < count and b < count:
                partner[a], partner[b] = b, a
        rounds.append(partner)
        seats = [seats[0], seats[-1], *seats[1:-1]]
    return np.array(rounds, np.int32)
