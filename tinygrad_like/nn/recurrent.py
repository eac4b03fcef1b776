"""Recurrent layers: RNN, LSTM and GRU with PyTorch's parameters, as one scan a layer and direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

import ir
from ir import dtypes
from tinygrad_like.context import Context
from tinygrad_like.nn.module import Module
from tinygrad_like.nn.recurrent_cells import Cell, GRUCell, LSTMCell, RNNCell, States, gru, lstm, new_weights, simple
from tinygrad_like.tensor import Tensor
from tinygrad_like.tensor.scan import scan

__all__ = ["GRU", "LSTM", "RNN", "Cell", "GRUCell", "LSTMCell", "RNNCell"]
Hidden = Union[Tensor, tuple[Tensor, Tensor]]


class Recurrent(Module):
    """What RNN, LSTM and GRU share.

    input: [steps, batch, input_size], with ``batch_first`` [batch, steps, input_size], or [steps, input_size] alone.
    Returns (output, final states): output [steps, batch, directions * hidden_size] of the last layer, each final state
    [layers * directions, batch, hidden_size], ordered layer by layer, in each forward before backward. ``hx``: initial
    states of that shape, zeros by default. ``lengths`` [batch], integers: the states of a sequence stand still past
    its end, where outputs are zero, and the backward direction starts at its end (as PyTorch's packed sequences do).
    ``dropout``: in training, on the outputs of each layer but the last.

    Parameters of layer k: weight_ih_l{k} [gates * hidden_size, input], weight_hh_l{k} [gates * hidden_size,
    hidden_size], bias_ih_l{k}, bias_hh_l{k} [gates * hidden_size], for the backward direction with ``_reverse`` at the
    end; all uniform in +-1/sqrt(hidden_size). Projections of the input are one product over all steps; a scan computes
    the rest, so that the program has the same size for any number of steps, forward and backward.
    """

    gates: int
    state_count: int

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False) -> None:
        if min(input_size, hidden_size, num_layers) < 1:
            raise ValueError(f"sizes and layers are positive, got input_size={input_size}, hidden_size={hidden_size}, "
                             f"num_layers={num_layers}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"a probability lies between 0 and 1, got dropout={dropout}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * self._directions
            for direction in range(self._directions):
                made = new_weights(width, hidden_size, self.gates, bias)
                for name, tensor in zip(_names(layer, direction), made, strict=True):
                    setattr(self, name, tensor)

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def forward(self, x: Tensor, hx: Any = None, lengths: Tensor | Sequence[int] | None = None) -> tuple[Tensor, Any]:
        alone = x.ndim == 2
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise ValueError(f"{type(self).__name__} expects [steps, batch, {self.input_size}] (batch_first: [batch, "
                             f"steps, {self.input_size}]) or [steps, {self.input_size}], got {list(x.shape)}")
        rows = x.unsqueeze(1) if alone else x.transpose(0, 1) if self.batch_first else x
        initial = self._initial(rows, hx, alone)
        keep = None if lengths is None else _kept(rows, lengths)
        finals: list[States] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                with Context(TRAINING=1):
                    rows = rows.dropout(self.dropout)
            outputs = []
            for direction in range(self._directions):
                slot = layer * self._directions + direction
                states = tuple(state[slot] for state in initial)
                final, output = self._run(rows, states, keep, layer, direction)
                finals.append(final)
                outputs.append(output)
            rows = outputs[0] if len(outputs) == 1 else outputs[0].cat(outputs[1], dim=-1)
        last = [finals[0][number].stack(*(final[number] for final in finals[1:])) for number in range(self.state_count)]
        if alone:
            return rows.squeeze(1), self._outer([state.squeeze(1) for state in last])
        return rows.transpose(0, 1) if self.batch_first else rows, self._outer(last)

    def _run(self, rows: Tensor, states: States, keep: Tensor | None, layer: int,
             direction: int) -> tuple[States, Tensor]:
        """One layer in one direction: its final states and its outputs [steps, batch, hidden_size]."""
        weight_ih, weight_hh, bias_ih, bias_hh = (getattr(self, name) for name in _names(layer, direction))
        projected = rows.linear(weight_ih.transpose(0, 1), bias_ih)

        def step(carry: States, given: tuple[Tensor, ...]) -> tuple[States, Tensor]:
            new = self._step(given[0], carry[0].linear(weight_hh.transpose(0, 1), bias_hh), carry)
            if keep is None:
                return new, new[0]
            kept = given[1]
            frozen = tuple(kept.where(after, before) for after, before in zip(new, carry, strict=True))
            return frozen, kept.where(new[0], 0.0)

        inputs = (projected,) if keep is None else (projected, keep)
        return scan(step, states, inputs, reverse=direction == 1)

    def _step(self, projected: Tensor, hidden: Tensor, states: States) -> States:
        """New states from the projections of the input and of the hidden state."""
        raise NotImplementedError(f"{type(self).__name__} defines no step")

    def _initial(self, rows: Tensor, hx: Any, alone: bool) -> list[Tensor]:
        """The initial states, each [layers * directions, batch, hidden_size]."""
        shape = (self.num_layers * self._directions, rows.shape[1], self.hidden_size)
        if hx is None:
            dtype = getattr(self, _names(0, 0)[1]).dtype
            return [Tensor.zeros(*shape, dtype=dtype, device=rows.device) for _ in range(self.state_count)]
        given = list(hx) if isinstance(hx, (tuple, list)) else [hx]
        given = [state.unsqueeze(1) for state in given] if alone else given
        if len(given) != self.state_count or any(state.shape != shape for state in given):
            raise ValueError(f"{type(self).__name__} expects {self.state_count} initial state(s) of shape "
                             f"{list(shape)}, got {[list(state.shape) for state in given]}")
        return given

    def _outer(self, states: list[Tensor]) -> Hidden:
        return states[0] if len(states) == 1 else (states[0], states[1])


class RNN(Recurrent):
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu (Elman, "Finding Structure in Time", 1990).

    >>> output, final = RNN(3, 5)(Tensor.rand(7, 2, 3))
    >>> output.shape, final.shape
    ((7, 2, 5), (1, 2, 5))
    """

    gates, state_count = 1, 1

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
                 bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
                 bidirectional: bool = False) -> None:
        self.nonlinearity = nonlinearity
        self._activated = simple(nonlinearity)
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)

    def _step(self, projected: Tensor, hidden: Tensor, states: States) -> States:
        return self._activated(projected, hidden, states)


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997; with forget gates, Gers et al., 2000).

    Gates in the order input, forget, cell, output: c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c).
    States: (h, c).

    >>> output, (hidden, cell) = LSTM(3, 5, num_layers=2)(Tensor.rand(7, 2, 3))
    >>> output.shape, cell.shape
    ((7, 2, 5), (2, 2, 5))
    """

    gates, state_count = 4, 2

    def _step(self, projected: Tensor, hidden: Tensor, states: States) -> States:
        return lstm(projected, hidden, states)


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al., 2014), in the form of cuDNN and PyTorch.

    Gates in the order reset, update, new: n = tanh(x_n + sigmoid(r) h_n), h = (1 - sigmoid(z)) n + sigmoid(z) h.
    """

    gates, state_count = 3, 1

    def _step(self, projected: Tensor, hidden: Tensor, states: States) -> States:
        return gru(projected, hidden, states)


def _names(layer: int, direction: int) -> list[str]:
    end = f"_l{layer}{'_reverse' if direction else ''}"
    return [f"{name}{end}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def _kept(rows: Tensor, lengths: Tensor | Sequence[int]) -> Tensor:
    """[steps, batch, 1]: whether a step lies within its sequence."""
    given = lengths if isinstance(lengths, Tensor) else Tensor(list(lengths), device=rows.device)
    steps, batch = rows.shape[:2]
    if given.shape != (batch,) or given.dtype.is_float:
        raise ValueError(f"lengths are integers of shape [{batch}], got {given.dtype}{list(given.shape)}")
    numbers = Tensor.from_node(ir.iota(steps)).reshape(steps, 1)
    return (numbers < given.cast(dtypes.int32).reshape(1, batch)).unsqueeze(2)


