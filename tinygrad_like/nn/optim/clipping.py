"""Gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable

from tinygrad_like.nn.optim.optimizer import state_dtype
from tinygrad_like.tensor import Tensor


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale all gradients so that their common Euclidean norm is at most ``max_norm``; returns the norm before.

    Source: Pascanu et al., "On the difficulty of training recurrent neural networks", 2013.

    >>> loss.backward()
    >>> norm = clip_grad_norm_(model.parameters(), 1.0)
    """
    owned = [(p, p.grad) for p in parameters if p.grad is not None]
    if not owned:
        raise RuntimeError("no parameter has a gradient; call backward() on the loss first")
    squares = [gradient.cast(state_dtype(p)).square().sum() for p, gradient in owned]
    norm = squares[0].stack(*squares[1:]).sum().sqrt()
    scale = (max_norm / (norm + 1e-6)).minimum(1.0)
    for p, gradient in owned:
        p.grad = gradient * scale.cast(gradient.dtype)
    return norm
