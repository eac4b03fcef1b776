"""Continuing a text with a language model."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import numpy as np

from tinygrad_like.generate.decoder import Decoder
from tinygrad_like.generate.sampling import check_sampling, sample_token
from tinygrad_like.io import InputError
from tinygrad_like.models import GPT
from tinygrad_like.text import BytePairTokenizer, Tokenizer


class Generator:
    """A model and its tokenizer, compiled for generation: each token is read once (see ``Decoder``).

    Once the text is longer than the model's context, the window that the model sees moves along.

    >>> Generator(model, tokenizer).text("To be", 100, temperature=0.8)
    """

    def __init__(self, model: GPT, tokenizer: Tokenizer) -> None:
        self.model, self.tokenizer = model, tokenizer
        self._idle: list[Decoder] = []

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
        self.model.eval()
        decoder = self._idle.pop() if self._idle else Decoder(self.model)  # another stream may be unfinished
        try:
            token = -1
            for number in range(count):
                prediction = decoder.step([token]) if number else decoder.read([ids])
                if temperature == 0:
                    token = int(prediction.likeliest.item())
                else:
                    token = sample_token(prediction.logits.numpy().reshape(-1), random, temperature, top_k)
                yield token
        finally:
            self._idle.append(decoder)
