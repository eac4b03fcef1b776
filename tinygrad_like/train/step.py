"""One training step as one compiled program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_like.jit import jit
from tinygrad_like.nn.optim import Optimizer, clip_grad_norm_
from tinygrad_like.tensor import Tensor


def training_step(
    loss_of: Callable[..., Tensor], optimizer: Optimizer, clip: float | None = None
) -> Callable[..., Tensor]:
    """A function of a learning rate and a batch (NumPy arrays or tensors) that does one step and returns its loss.

    ``loss_of(*batch)`` gives the loss; its gradients are clipped to the global norm ``clip`` before the update. Forward
    and backward pass, clipping and the update of every parameter are one program, compiled at the first call.

    >>> step = training_step(model.loss, AdamW(model.parameters()), clip=1.0)
    >>> step(3e-4, tokens, targets).item()
    """

    @jit
    def compiled(rate: Tensor, *batch: Tensor) -> Tensor:
        optimizer.set_lr(rate)
        loss = loss_of(*batch)
        loss.backward()
        if clip is not None:
            clip_grad_norm_(optimizer.params, clip)
        optimizer.step()
        optimizer.zero_grad()  # here and not first: gradients that outlive the step would need memory of their own
        return loss.realize()

    def step(rate: float, *batch: Any) -> Tensor:
        return compiled(Tensor([rate]), *(_tensor(array) for array in batch))

    return step


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(np.ascontiguousarray(value))
