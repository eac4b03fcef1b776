"""One step of recurrent networks: the equations, and the cells that apply them to parameters of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinygrad_like.nn import init
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor

States = tuple[Tensor, ...]
Step = Callable[[Tensor, Tensor, States], States]


def simple(nonlinearity: str) -> Step:
    """The step of an RNN with "tanh" or "relu"."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"nonlinearity is 'tanh' or 'relu', got {nonlinearity!r}")

    def step(projected: Tensor, hidden: Tensor, states: States) -> States:
        total = projected + hidden
        return (total.tanh() if nonlinearity == "tanh" else total.relu(),)

    return step


def lstm(projected: Tensor, hidden: Tensor, states: States) -> States:
    """New (h, c) of an LSTM: see ``LSTM``."""
    enter, forget, candidate, leave = (projected + hidden).chunk(4, dim=-1)
    cell = forget.sigmoid() * states[1] + enter.sigmoid() * candidate.tanh()
    return leave.sigmoid() * cell.tanh(), cell


def gru(projected: Tensor, hidden: Tensor, states: States) -> States:
    """New (h,) of a GRU: see ``GRU``."""
    reset_x, update_x, new_x = projected.chunk(3, dim=-1)
    reset_h, update_h, new_h = hidden.chunk(3, dim=-1)
    update = (update_x + update_h).sigmoid()
    new = (new_x + (reset_x + reset_h).sigmoid() * new_h).tanh()
    return (new + update * (states[0] - new),)


def new_weights(input_size: int, hidden_size: int, gates: int, bias: bool) -> list[Tensor | None]:
    """weight_ih, weight_hh, bias_ih, bias_hh, uniform in +-1/sqrt(hidden_size); no biases without ``bias``."""
    rows, bound = gates * hidden_size, 1 / math.sqrt(hidden_size)
    weights: list[Tensor | None] = [init.uniform(rows, width, bound=bound) for width in (input_size, hidden_size)]
    return weights + [init.uniform(rows, bound=bound) if bias else None for _ in range(2)]


class Cell(Module):
    """One step: [batch, input_size] or [input_size], with states [batch, hidden_size], zeros by default."""

    gates: int

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        self.input_size, self.hidden_size = input_size, hidden_size
        made = new_weights(input_size, hidden_size, self.gates, bias)
        self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh = made

    def _advance(self, step: Step, x: Tensor, states: Any, count: int) -> States:
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ValueError(f"{type(self).__name__} expects [batch, {self.input_size}], got {list(x.shape)}")
        shape = (*x.shape[:-1], self.hidden_size)
        given = states or tuple(Tensor.zeros(*shape, dtype=x.dtype, device=x.device) for _ in range(count))
        if any(state.shape != shape for state in given):
            raise ValueError(f"{type(self).__name__} expects states of shape {list(shape)}, got "
                             f"{[list(state.shape) for state in given]}")
        assert self.weight_ih is not None and self.weight_hh is not None
        projected = x.linear(self.weight_ih.transpose(0, 1), self.bias_ih)
        return step(projected, given[0].linear(self.weight_hh.transpose(0, 1), self.bias_hh), tuple(given))


class RNNCell(Cell):
    """One step of ``RNN``: h' = RNNCell(...)(x, h)."""

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh") -> None:
        super().__init__(input_size, hidden_size, bias)
        self.nonlinearity = nonlinearity
        self._activated = simple(nonlinearity)

    def forward(self, x: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._advance(self._activated, x, None if hx is None else (hx,), 1)[0]


class LSTMCell(Cell):
    """One step of ``LSTM``: (h', c') = LSTMCell(...)(x, (h, c)).

    >>> hidden, cell = LSTMCell(3, 5)(Tensor.rand(2, 3))
    >>> hidden.shape
    (2, 5)
    """

    gates = 4

    def forward(self, x: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        hidden, cell = self._advance(lstm, x, hx, 2)
        return hidden, cell


class GRUCell(Cell):
    """One step of ``GRU``: h' = GRUCell(...)(x, h)."""

    gates = 3

    def forward(self, x: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._advance(gru, x, None if hx is None else (hx,), 1)[0]
