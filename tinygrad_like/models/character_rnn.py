"""A recurrent network that reads a text character by character and says what comes next."""

from __future__ import annotations

from typing import Any

from tinygrad_like import nn
from tinygrad_like.nn import init
from tinygrad_like.tensor import Tensor

_KINDS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}


class CharacterRNN(nn.Module):
    """Token ids [batch, time] to logits [batch, time, vocabulary]: an embedding, recurrent layers, a linear head.

    Source: Graves, "Generating Sequences With Recurrent Neural Networks", 2013. ``kind`` is "LSTM", "GRU" or "RNN";
    ``dropout`` acts between the layers and before the head. An LSTM's forget gates begin open (their bias is 1), so
    that gradients reach far back from the first step (Jozefowicz et al., "An Empirical Exploration of Recurrent
    Network Architectures", 2015).

    >>> model = CharacterRNN(vocabulary=65, hidden=128)
    >>> logits, states = model(Tensor([[1, 2, 3]]))
    >>> model(Tensor([[4]]), states)[0].shape  # goes on where the first three characters ended
    (1, 1, 65)
    """

    def __init__(
        self, vocabulary: int, width: int = 64, hidden: int = 256, layers: int = 1, kind: str = "LSTM",
        dropout: float = 0.0,
    ) -> None:
        if kind not in _KINDS:
            raise ValueError(f"kind={kind!r} is unknown; expected one of {', '.join(_KINDS)}")
        self.embedding = nn.Embedding(vocabulary, width)
        self.recurrent = _KINDS[kind](width, hidden, num_layers=layers, batch_first=True, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, vocabulary)
        if kind == "LSTM":
            self._open_forget_gates(hidden, layers)

    def forward(self, tokens: Tensor, states: Any = None) -> tuple[Tensor, Any]:
        """Logits, and the recurrent states after the last token: hand them to the next call to go on from there."""
        output, states = self.recurrent(self.embedding(tokens), states)
        return self.head(self.dropout(output)), states

    def loss(self, tokens: Tensor, targets: Tensor, states: Any = None) -> tuple[Tensor, Any]:
        """The mean cross-entropy in nats of ``targets`` [batch, time], and the states after the last token."""
        logits, states = self(tokens, states)
        return logits.flatten(0, 1).sparse_categorical_crossentropy(targets.flatten()), states

    def initial_states(self, batch: int) -> Any:
        """The states before a text begins, zeros: what ``states=None`` stands for."""
        layer = self.recurrent
        zeros = [Tensor.zeros(layer.num_layers, batch, layer.hidden_size).contiguous().realize()
                 for _ in range(layer.state_count)]
        return zeros[0] if len(zeros) == 1 else tuple(zeros)

    def _open_forget_gates(self, hidden: int, layers: int) -> None:
        for number in range(layers):
            bias = getattr(self.recurrent, f"bias_ih_l{number}")
            forget = Tensor.arange(4 * hidden) // hidden == 1
            bias.assign(forget.where(init.ones(4 * hidden), bias)).realize()
