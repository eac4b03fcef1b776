"""One token per character."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_like.io.errors import InputError
from tinygrad_like.text.tokenizer import Tokenizer


class CharacterTokenizer(Tokenizer):
    """Each distinct character is a token; its id is its place in ``characters``.

    >>> tokenizer = CharacterTokenizer.train("hello")
    >>> tokenizer.encode("hole")
    [1, 3, 2, 0]
    """

    kind = "characters"

    def __init__(self, characters: str) -> None:
        if len(set(characters)) != len(characters):
            raise ValueError("a character stands twice in the vocabulary")
        self.characters = characters
        self._ids = {character: i for i, character in enumerate(characters)}

    @classmethod
    def train(cls, text: str) -> CharacterTokenizer:
        """The tokenizer of the characters that occur in ``text``, in the order of their code points."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """The ids of ``text``; a character outside the vocabulary is an InputError that names it."""
        try:
            return [self._ids[character] for character in text]
        except KeyError:
            position, character = next((p, c) for p, c in enumerate(text) if c not in self._ids)
            raise InputError(
                f"character {character!r} (U+{ord(character):04X}) at position {position} is not among the "
                f"{len(self)} characters that the tokenizer was trained on; a byte-pair tokenizer knows every character"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(self.characters[i] for i in self._checked(ids))

    def to_json(self) -> dict[str, Any]:
        return {"characters": self.characters}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> CharacterTokenizer:
        return cls(values["characters"])
