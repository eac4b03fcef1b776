"""What every tokenizer can do, and the JSON file that holds one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from tinygrad_like.io.errors import InputError
from tinygrad_like.io.files import read_bytes, write_text

_FORMAT = "tinygrad_like tokenizer"


class Tokenizer:
    """Text to token ids and back. Ids run from 0 to ``len(tokenizer) - 1``."""

    kind: ClassVar[str]

    def __len__(self) -> int:
        """How many tokens there are: the number of rows of an embedding table."""
        raise NotImplementedError

    def encode(self, text: str) -> list[int]:
        """The ids of ``text``."""
        raise NotImplementedError

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """What ``from_json`` needs to build this tokenizer again, as JSON values."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Tokenizer:
        """The tokenizer that ``to_json`` described; raises KeyError, TypeError or ValueError where it is damaged."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer as one JSON file."""
        values = {"format": _FORMAT, "kind": self.kind, **self.to_json()}
        write_text(path, json.dumps(values, ensure_ascii=False, indent=1) + "\n")

    def _checked(self, ids: Iterable[int]) -> Sequence[int]:
        ids = [int(i) for i in ids]
        for position, i in enumerate(ids):
            if not 0 <= i < len(self):
                raise InputError(f"token id {i} at position {position} is outside the vocabulary of {len(self)} tokens")
        return ids


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer that ``Tokenizer.save`` wrote to ``path``, of whichever kind."""
    try:
        values = json.loads(read_bytes(path, "tokenizer file"))
        if not isinstance(values, dict) or values.get("format") != _FORMAT:
            raise InputError(f"{path} holds JSON, but no tokenizer that this library saved")
        kinds = {kind.kind: kind for kind in Tokenizer.__subclasses__()}
        if values["kind"] not in kinds:
            known = ", ".join(sorted(kinds))
            raise InputError(f"{path} holds a tokenizer of kind {values['kind']!r}; known are {known}")
        return kinds[values["kind"]].from_json(values)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no readable tokenizer file ({error}); train or copy it again") from error
