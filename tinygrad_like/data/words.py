"""Lists of words, such as names, as arrays: what models that spell new ones are trained on."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_like.io.errors import InputError
from tinygrad_like.text import CharacterTokenizer, read_corpus

Array = np.ndarray[Any, np.dtype[Any]]

END = "\n"  # stands behind every word; its token id is 0, because it is the first of the tokenizer's characters


def load_words(path: str | os.PathLike[str] | None = None) -> tuple[list[str], str]:
    """The words of a file with one a line, and where they come from; without a path, the words of Python's reference.

    Errors: InputError for a file that is missing, no text, or has fewer than ten words.
    """
    corpus = read_corpus(path)
    words = corpus.text.split() if path is not None else sorted(set(re.findall(r"\b[a-z]{3,15}\b", corpus.text)))
    if len(words) < 10:
        raise InputError(f"{corpus.source} has {len(words)} words; expected ten or more, one a line")
    return words, corpus.source


def split_words(words: Sequence[str], seed: int = 42) -> tuple[list[str], list[str], list[str]]:
    """The words in random order, cut: 80 % to train on, 10 % to validate on, 10 % to test on."""
    shuffled = list(words)
    random.Random(seed).shuffle(shuffled)
    first, second = int(0.8 * len(shuffled)), int(0.9 * len(shuffled))
    return shuffled[:first], shuffled[first:second], shuffled[second:]


def word_tokenizer(words: Iterable[str]) -> CharacterTokenizer:
    """The characters of ``words``, and ``END`` as token 0."""
    return CharacterTokenizer(END + "".join(sorted(set("".join(words)))))


def word_windows(words: Iterable[str], tokenizer: CharacterTokenizer, context: int) -> tuple[Array, Array]:
    """Every character with what stands before it: token ids [n, context], filled up with 0, and the next ids [n].

    >>> inputs, targets = word_windows(["ab"], CharacterTokenizer("\\nab"), context=2)
    >>> inputs.tolist(), targets.tolist()
    ([[0, 0], [0, 1], [1, 2]], [1, 2, 0])
    """
    windows: list[list[int]] = []
    for word in words:
        ids = [0] * context + tokenizer.encode(word + END)
        windows += [ids[i : i + context + 1] for i in range(len(ids) - context)]
    table = np.array(windows, np.int32)
    return table[:, :-1], table[:, -1].copy()


def word_rows(words: Sequence[str], tokenizer: CharacterTokenizer, context: int) -> tuple[Array, Array]:
    """One row a word: token ids [n, context] that begin with ``END``, and what follows each, -1 behind the end.

    Losses pass over the target -1 (their ``ignore_index``). Errors: InputError for a word that does not fit.

    >>> inputs, targets = word_rows(["ab"], CharacterTokenizer("\\nab"), context=4)
    >>> inputs.tolist(), targets.tolist()
    ([[0, 1, 2, 0]], [[1, 2, 0, -1]])
    """
    inputs = np.zeros((len(words), context), np.int32)
    targets = np.full((len(words), context), -1, np.int32)
    for row, word in enumerate(words):
        ids = tokenizer.encode(word)
        if len(ids) >= context:
            raise InputError(f"{word!r} has {len(ids)} characters; a context of {context} takes {context - 1}")
        inputs[row, 1 : len(ids) + 1] = targets[row, : len(ids)] = ids
        targets[row, len(ids)] = 0
    return inputs, targets
