"""One training step as one compiled program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_like.jit import jit
from tinygrad_like.nn.optim import Optimizer, clip_grad_norm_
from tinygrad_like.tensor import Tensor
from tinygrad_like.tree import flatten


def training_step(
    loss_of: Callable[..., Any], optimizer: Optimizer, clip: float | None = None
) -> Callable[..., Any]:
    """A function of a learning rate and a batch (nests of NumPy arrays or tensors) that does one step and returns its
    loss.

    ``loss_of(*batch)`` gives the loss; its gradients are clipped to the global norm ``clip`` before the update. Forward
    and backward pass, clipping and the update of every parameter are one program, compiled at the first call.
    ``loss_of`` may return a pair of the loss and a nest of more tensors, such as the recurrent states that the next
    step begins with; then so does the step. No gradient flows from one step into another.

    >>> step = training_step(model.loss, AdamW(model.parameters()), clip=1.0)
    >>> step(3e-4, tokens, targets).item()
    """

    @jit
    def compiled(rate: Tensor, *batch: Any) -> Any:
        optimizer.set_lr(rate)
        result = loss_of(*batch)
        loss = result[0] if isinstance(result, tuple) else result
        loss.backward()
        if clip is not None:
            clip_grad_norm_(optimizer.params, clip)
        optimizer.step()
        optimizer.zero_grad()  # here and not first: gradients that outlive the step would need memory of their own
        leaves, structure = flatten(result)
        return structure.rebuild([leaf.detach().realize() for leaf in leaves])

    def step(rate: float, *batch: Any) -> Any:
        leaves, structure = flatten(batch)
        return compiled(Tensor([rate]), *structure.rebuild([_tensor(leaf) for leaf in leaves]))

    return step


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(np.ascontiguousarray(value))
