"""Decoding: what a model says comes next, with every token read once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ir import Variable
from tinygrad_like.context import Context
from tinygrad_like.jit import jit
from tinygrad_like.models import GPT
from tinygrad_like.tensor import Tensor

Tokens = np.ndarray[Any, np.dtype[np.int32]]

_SHORTEST = 16  # prompts are padded to a power of two from here on, so that few lengths are compiled


class Prediction(NamedTuple):
    """What follows each sequence: ``logits`` [batch, vocabulary]; ``likeliest`` [batch], the token of the largest."""

    logits: Tensor
    likeliest: Tensor


class Decoder:
    """A GPT and what it has read of ``batch`` sequences: the keys and values of every layer, and the tokens.

    ``read`` starts anew with a prompt, in one call; ``step`` adds one token to each sequence, by one compiled program
    for all positions. Once the context is full the window moves along, and is read again: with learned positions all
    keys and values change.

    >>> decoder = Decoder(model)
    >>> prediction = decoder.read([[5, 2, 7]])
    >>> prediction = decoder.step(prediction.likeliest.numpy())
    """

    def __init__(self, model: GPT, batch: int = 1) -> None:
        self.model = model
        self._caches = model.make_caches(batch)
        self._position = Variable("position", 0, model.config.context - 1)
        self._tokens = np.zeros((batch, model.config.context), np.int32)
        self._length = 0
        self._read, self._step = jit(self._prediction), jit(self._prediction)

    def read(self, tokens: Any) -> Prediction:
        """What follows ``tokens`` [batch, time], time at least 1; only the last ``context`` of them are looked at."""
        batch, context = self._tokens.shape
        window = np.asarray(tokens, np.int32)
        if window.ndim != 2 or len(window) != batch or not window.shape[1]:
            raise ValueError(f"expected tokens [batch={batch}, time], time at least 1, got shape {list(window.shape)}")
        window = window[:, -context:]
        self._length = window.shape[1]
        self._tokens[:, : self._length] = window
        # What stands behind the last token does not matter: attention is causal, and steps overwrite it.
        padded = self._tokens[:, : min(context, max(_SHORTEST, 1 << (self._length - 1).bit_length()))]
        with Context(TRAINING=0):
            return self._read(Tensor(padded), Tensor(np.int32(self._length - 1)))

    def step(self, tokens: Any) -> Prediction:
        """What follows when each sequence goes on with its element of ``tokens`` [batch]."""
        added = np.asarray(tokens, np.int32).reshape(len(self._tokens), 1)
        position, context = self._length, self._tokens.shape[1]
        if position == context:
            return self.read(np.concatenate([self._tokens[:, 1:], added], axis=1))
        self._tokens[:, position] = added[:, 0]
        self._length += 1
        with Context(TRAINING=0):
            return self._step(Tensor(added), 0, self._position.bind(position))

    def _prediction(self, tokens: Tensor, last: Tensor | int, position: Any = 0) -> Prediction:
        logits = self.model.next_token_logits(tokens, last, self._caches, position)
        return Prediction(logits, logits.argmax(-1))
