"""Averages of weights over training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tinygrad_like.nn import state
from tinygrad_like.tensor import Tensor


class ExponentialMovingAverage:
    """average = decay average + (1 - decay) parameter after each step; running statistics are copied.

    The averages of a model's parameters often generalise better than the parameters themselves (Polyak and Juditsky,
    "Acceleration of Stochastic Approximation by Averaging", 1992). ``update`` may be called inside ``jit``.

    >>> average = ExponentialMovingAverage(model, decay=0.999)
    >>> for batch in batches:
    ...     train(batch)
    ...     average.update()
    >>> with average.applied():
    ...     evaluate(model)
    """

    def __init__(self, model: Any, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay lies in [0, 1), got {decay}")
        self._model, self.decay = model, decay
        self.averages = {name: tensor.detach().clone().is_param_(False).requires_grad_(False)
                         for name, tensor in state.get_state_dict(model).items()}
        Tensor.realize(*self.averages.values())

    def update(self) -> None:
        """Moves the averages towards the model's present values."""
        Tensor.realize(*self.schedule_update())

    def schedule_update(self) -> list[Tensor]:
        """Moves the averages lazily and returns the tensors that must be computed for that to happen."""
        for name, tensor in state.get_state_dict(self._model).items():
            average, value = self.averages[name], tensor.detach()
            moving = tensor.is_param and tensor.dtype.is_float
            average.assign(average * self.decay + value * (1 - self.decay) if moving else value)
        return list(self.averages.values())

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averages inside the block and its own values after it."""
        own = {name: tensor.detach().clone() for name, tensor in state.get_state_dict(self._model).items()}
        Tensor.realize(*own.values())
        state.load_state_dict(self._model, dict(self.averages))
        try:
            yield
        finally:
            state.load_state_dict(self._model, own)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by the names of the model's tensors."""
        return dict(self.averages)

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Takes over averages."""
        state.load_state_dict(self.averages, dict(state_dict))
