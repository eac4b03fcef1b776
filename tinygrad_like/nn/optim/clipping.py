"""Gradient clipping."""

from __future__ import annotations

from collections.abc import Iterable

from tinygrad_like.tensor import Tensor


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale all gradients so that their common Euclidean norm is at most ``max_norm``; returns the norm before.

    Source: Pascanu et al., "On the difficulty of training recurrent neural networks", 2013.

    >>> loss.backward()
    >>> norm = clip_grad_norm_(model.parameters(), 1.0)
    """
    owners = [p for p in parameters if p.grad is not None]
    if not owners:
        raise RuntimeError("no parameter has a gradient; call backward() on the loss first")
    squares = [p.grad.float().square().sum() if p.grad.dtype.itemsize < 4 else p.grad.square().sum() for p in owners]
    norm = Tensor.stack(*squares).sum().sqrt() if len(squares) > 1 else squares[0].sqrt()
    scale = (max_norm / (norm + 1e-6)).minimum(1.0)
    for p in owners:
        p.grad = p.grad * scale.cast(p.grad.dtype)
    return norm
