"""Continuing a text with a language model."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import numpy as np

from tinygrad_like.context import Context
from tinygrad_like.generate.sampling import check_sampling, sample_token
from tinygrad_like.io import InputError
from tinygrad_like.jit import jit
from tinygrad_like.models import GPT
from tinygrad_like.tensor import Tensor
from tinygrad_like.text import BytePairTokenizer, Tokenizer


class Generator:
    """A model and its tokenizer, compiled for generation: one program, whatever the length of the text.

    The model always sees a window of its whole context. What stands behind the last token does not matter, because
    attention is causal; once the text is longer than the context, the window moves along.

    >>> Generator(model, tokenizer).text("To be", 100, temperature=0.8)
    """

    def __init__(self, model: GPT, tokenizer: Tokenizer) -> None:
        self.model, self.tokenizer = model, tokenizer
        self._logits = jit(lambda window, last: model.next_token_logits(window, last).realize())

    def text(
        self, prompt: str, count: int, temperature: float = 1.0, top_k: int | None = None, seed: int = 0
    ) -> str:
        """The continuation of ``prompt`` by ``count`` tokens, without the prompt."""
        return "".join(self.stream(prompt, count, temperature, top_k, seed))

    def stream(
        self, prompt: str, count: int, temperature: float = 1.0, top_k: int | None = None, seed: int = 0
    ) -> Iterator[str]:
        """The continuation piece by piece, as soon as whole characters are there."""
        check_sampling(temperature, top_k)
        if count < 0:
            raise InputError(f"the number of tokens is not negative, got {count}")
        ids = self.tokenizer.encode(prompt)
        if not ids:
            raise InputError("the prompt is empty; give at least one character")
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for token in self.tokens(ids, count, temperature, top_k, seed):
            if isinstance(self.tokenizer, BytePairTokenizer):
                yield decoder.decode(self.tokenizer.decode_bytes([token]))
            else:
                yield self.tokenizer.decode([token])
        yield decoder.decode(b"", final=True)

    def tokens(
        self, ids: list[int], count: int, temperature: float = 1.0, top_k: int | None = None, seed: int = 0
    ) -> Iterator[int]:
        """``count`` token ids that continue ``ids``."""
        random = np.random.Generator(np.random.Philox(seed))
        context = self.model.config.context
        ids = list(ids)
        self.model.eval()
        for _ in range(count):
            recent = ids[-context:]
            window = np.zeros((1, context), np.int32)
            window[0, : len(recent)] = recent
            with Context(TRAINING=0):
                logits = self._logits(Tensor(window), Tensor(np.array([len(recent) - 1], np.int32))).numpy()
            ids.append(sample_token(logits.reshape(-1), random, temperature, top_k))
            yield ids[-1]
