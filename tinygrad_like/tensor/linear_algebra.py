"""Matrix functions beside products: orthogonalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

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
