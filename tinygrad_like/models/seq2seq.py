"""A Transformer from one sequence of tokens to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_like import nn
from tinygrad_like.jit import jit
from tinygrad_like.tensor import Tensor

PADDING, START, END = 0, 1, 2


class Seq2SeqTransformer(nn.Module):
    """Token ids [batch, source] and [batch, target] to the logits of each next target token, [batch, target, tokens].

    The model of Vaswani et al., "Attention Is All You Need", 2017, with its norms first: the encoder reads the whole
    source, the decoder looks at it and at the target so far. One table embeds both sides and, transposed, is the head.
    Ids: 0 is padding, which nobody looks at and no loss counts, 1 starts a target, 2 ends it.

    >>> model = Seq2SeqTransformer(vocabulary=29)
    >>> model(Tensor([[3, 4, 5]]), Tensor([[1, 5]])).shape
    (1, 2, 29)
    """

    def __init__(
        self, vocabulary: int, width: int = 64, heads: int = 4, layers: int = 2, dropout: float = 0.0
    ) -> None:
        self.embedding, self.positions = nn.Embedding(vocabulary, width), nn.SinusoidalPositions(width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5).realize()
        self.dropout = nn.Dropout(dropout)
        self.transformer = nn.Transformer(
            width, heads, layers, layers, 4 * width, dropout, batch_first=True, norm_first=True
        )
        self.scale = width**0.5

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.decode(target, self.encode(source), source)

    def encode(self, source: Tensor) -> Tensor:
        """What the decoder looks at: [batch, source, width]."""
        return self.transformer.encoder(self._embed(source), src_key_padding_mask=source == PADDING)

    def decode(self, target: Tensor, memory: Tensor, source: Tensor) -> Tensor:
        """The logits after each token of ``target``, given what ``encode`` made of ``source``."""
        hidden = self.transformer.decoder(
            self._embed(target), memory, tgt_is_causal=True, memory_key_padding_mask=source == PADDING
        )
        return hidden.linear(self.embedding.weight.transpose(0, 1))

    def loss(self, source: Tensor, target: Tensor) -> Tensor:
        """The mean cross-entropy in nats of ``target`` [batch, time + 1], from ``START`` to ``END`` and padding."""
        inputs, outputs = target[:, :-1], target[:, 1:]
        logits = self(source, inputs)
        return logits.flatten(0, 1).sparse_categorical_crossentropy(outputs.flatten(), ignore_index=PADDING)

    def translator(self, length: int) -> Callable[[Any], np.ndarray[Any, Any]]:
        """A compiled function from sources [batch, source] to targets [batch, length]: always the likeliest token.

        Targets have no ``START``; they end with ``END`` and padding, where there is room.
        """
        encode = jit(lambda source: self.encode(source).realize())
        decode = jit(lambda target, memory, source, last: self.decode(target, memory, source)[:, last].argmax(-1))

        def translate(sources: Any) -> np.ndarray[Any, Any]:
            source = Tensor(np.asarray(sources, np.int32))
            memory = encode(source)
            target = np.full((source.shape[0], length + 1), PADDING, np.int32)
            target[:, 0] = START
            for i in range(length):
                likeliest = decode(Tensor(target[:, :-1].copy()), memory, source, Tensor(np.int32(i))).numpy()
                ended = (target[:, i] == END) | (target[:, i] == PADDING)
                target[:, i + 1] = np.where(ended, PADDING, likeliest)
            return target[:, 1:]

        return translate

    def _embed(self, tokens: Tensor) -> Tensor:
        return self.dropout(self.positions(self.embedding(tokens) * self.scale))
