"""Text to train on: a file of the user's, or the text that every Python installation carries."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from tinygrad_like.io.errors import InputError
from tinygrad_like.io.files import read_bytes
from tinygrad_like.text.tokenizer import Tokenizer

Tokens = np.ndarray[tuple[int], np.dtype[np.int32]]


class Corpus(NamedTuple):
    """A text and where it came from, for messages."""

    text: str
    source: str


def python_reference() -> Corpus:
    """Python's language reference, which lies beside the interpreter for ``help()``: half a megabyte of English."""
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise InputError("this Python carries no pydoc_data.topics; give a text with --data FILE") from error
    text = "\n\n".join(topics[name] for name in sorted(topics))
    return Corpus(text, "Python's language reference (pydoc_data.topics)")


def read_corpus(path: str | os.PathLike[str] | None = None) -> Corpus:
    """The UTF-8 text of the file ``path``, or Python's language reference where no path is given."""
    if path is None:
        return python_reference()
    data = read_bytes(path, "text file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text (byte {data[error.start]:#04x} at offset {error.start}); convert it first"
        ) from error
    if not text.strip():
        raise InputError(f"{path} is empty; training needs text")
    return Corpus(text, os.fspath(path))


def split_tokens(corpus: Corpus, tokenizer: Tokenizer, context: int, fraction: float = 0.9) -> tuple[Tokens, Tokens]:
    """The ids of the text's first ``fraction`` and of the rest: what to train on and what to validate on.

    Each part must hold more than ``context`` tokens, so that at least one window and its targets fit.
    """
    cut = int(len(corpus.text) * fraction)
    parts = [np.asarray(tokenizer.encode(part), np.int32) for part in (corpus.text[:cut], corpus.text[cut:])]
    for name, part in zip(("training", "validation"), parts, strict=True):
        if len(part) <= context:
            raise InputError(
                f"{corpus.source} is too short: its {name} part has {len(part)} tokens, and a context of {context} "
                f"needs at least {context + 1}; give a longer text or a smaller --context"
            )
    return parts[0], parts[1]
