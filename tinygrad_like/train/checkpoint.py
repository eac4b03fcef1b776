"""Everything a run needs to go on, in one file: parameters, optimizer state, random state and step.

A resumed run computes the bits that it would have computed without the stop.
"""

from __future__ import annotations

import os
from typing import Any

from tinygrad_like.io import InputError
from tinygrad_like.nn import state
from tinygrad_like.nn.optim import Optimizer

_FORMAT = "tinygrad_like checkpoint"


def save_checkpoint(path: str | os.PathLike[str], model: Any, optimizer: Optimizer, step: int) -> None:
    """Write the state after ``step`` steps, whole or not at all."""
    tensors = {f"model.{name}": tensor for name, tensor in state.get_state_dict(model).items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer.state_dict().items()}
    state.safe_save(tensors, path, {"format": _FORMAT, "step": str(step)})


def load_checkpoint(path: str | os.PathLike[str], model: Any, optimizer: Optimizer) -> int:
    """Put the state in ``path`` into ``model`` and ``optimizer`` and return how many steps had been done.

    Errors: InputError where the file is no checkpoint, is damaged, or belongs to another model or optimizer.
    """
    tensors, metadata = state.safe_load_with_metadata(path)
    if metadata.get("format") != _FORMAT or not metadata.get("step", "").isdecimal():
        raise InputError(f"{path} is no checkpoint of a training run; to use a model's weights, load them as a model")
    parts = {
        part: {name[len(part) :]: tensor for name, tensor in tensors.items() if name.startswith(part)}
        for part in ("model.", "optimizer.")
    }
    try:
        state.check_fits(model, parts["model."])
        state.check_fits(optimizer.state_dict(), parts["optimizer."])
    except ValueError as error:
        raise InputError(f"{path} belongs to another model or optimizer: {error}") from error
    state.load_state_dict(model, parts["model."])
    optimizer.load_state_dict(parts["optimizer."])
    return int(metadata["step"])
