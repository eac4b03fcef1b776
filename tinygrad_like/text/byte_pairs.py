"""Byte-level byte-pair encoding: every text has an encoding, frequent runs of bytes have short ones."""

from __future__ import annotations

import heapq
import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from tinygrad_like.io.errors import InputError
from tinygrad_like.io.files import read_bytes
from tinygrad_like.text.byte_pair_training import learn_merges
from tinygrad_like.text.pieces import split_pieces
from tinygrad_like.text.tokenizer import Tokenizer

END_OF_TEXT = "<|endoftext|>"
_CACHED_PIECES = 100_000


class BytePairTokenizer(Tokenizer):
    """GPT-2's tokenizer: text is cut into pieces, a piece into bytes, and neighbouring tokens merge in learned order.

    Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016; bytes as the base
    alphabet: Radford et al., 2019. Token ids: ``tokens[i]`` are the bytes of token i; special tokens follow.

    >>> tokenizer = BytePairTokenizer.train("low lower lowest", vocabulary_size=260)
    >>> tokenizer.decode(tokenizer.encode("a slow llama"))
    'a slow llama'
    """

    kind = "byte pairs"

    def __init__(
        self, tokens: Sequence[bytes], merges: Sequence[tuple[int, int]], special: Sequence[str] = (END_OF_TEXT,)
    ) -> None:
        self.tokens = list(tokens)
        self.merges = [(int(left), int(right)) for left, right in merges]
        self.special = list(special)
        ids = {token: i for i, token in enumerate(self.tokens)}
        if len(ids) != len(self.tokens):
            raise ValueError("a token stands twice in the vocabulary")
        missing = [byte for byte in range(256) if bytes([byte]) not in ids]
        if missing:
            raise ValueError(f"byte {missing[0]:#04x} has no token of its own")
        self._byte_ids = [ids[bytes([byte])] for byte in range(256)]
        self._ranks: dict[tuple[int, int], tuple[int, int]] = {}
        for rank, (left, right) in enumerate(self.merges):
            merged = ids.get(self.tokens[left] + self.tokens[right])
            if merged is None:
                raise ValueError(f"merge {rank} of tokens {left} and {right} has no token")
            self._ranks[left, right] = (rank, merged)
        self._special_ids = {text: len(self.tokens) + i for i, text in enumerate(self.special)}
        self._pieces: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls, text: str, vocabulary_size: int = 512, special: Sequence[str] = (END_OF_TEXT,)
    ) -> BytePairTokenizer:
        """Learn merges from ``text`` until there are ``vocabulary_size`` tokens (fewer where no pair occurs twice)."""
        count = vocabulary_size - 256 - len(special)
        if count < 0:
            raise InputError(
                f"vocabulary size {vocabulary_size} is too small: 256 bytes and {len(special)} special tokens need "
                f"{256 + len(special)}"
            )
        tokens = [bytes([byte]) for byte in range(256)]
        merges = learn_merges([piece.encode("utf-8", "replace") for piece in split_pieces(text)], count)
        for left, right in merges:
            tokens.append(tokens[left] + tokens[right])
        return cls(tokens, merges, special)

    def __len__(self) -> int:
        return len(self.tokens) + len(self.special)

    def encode(self, text: str, special: bool = False) -> list[int]:
        """The ids of ``text``. With ``special=True`` special tokens written out in the text become their ids;
        otherwise they are text like any other, which is safe for text from outside.

        Lone surrogates, which UTF-8 cannot hold, are encoded as ``?``.
        """
        if not special or not self.special:
            return self._encode_ordinary(text)
        ids: list[int] = []
        pattern = "|".join(re.escape(token) for token in sorted(self.special, key=len, reverse=True))
        for part in re.split(f"({pattern})", text):
            ids.extend([self._special_ids[part]] if part in self._special_ids else self._encode_ordinary(part))
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``; bytes that are no UTF-8 (a character cut in two) become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of ``ids``."""
        count = len(self.tokens)
        return b"".join(
            self.tokens[i] if i < count else self.special[i - count].encode() for i in self._checked(ids)
        )

    def to_json(self) -> dict[str, Any]:
        # Latin-1 writes any bytes as text of the same length, readable where they are ASCII.
        return {
            "tokens": [token.decode("latin-1") for token in self.tokens],
            "merges": self.merges,
            "special": self.special,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> BytePairTokenizer:
        return cls([token.encode("latin-1") for token in values["tokens"]], values["merges"], values["special"])

    @classmethod
    def from_gpt2_files(
        cls, encoder: str | os.PathLike[str], merges: str | os.PathLike[str]
    ) -> BytePairTokenizer:
        """GPT-2's own vocabulary from the two files it was published in (``encoder.json``, ``vocab.bpe``)."""
        try:
            ids = json.loads(read_bytes(encoder, "vocabulary file"))
            lines = read_bytes(merges, "merges file").decode("utf-8").splitlines()
            alphabet = _published_alphabet()
            ordered = sorted(ids, key=ids.__getitem__)
            special = [token for token in ordered if token.startswith("<|")]
            tokens = [bytes(alphabet[c] for c in token) for token in ordered if token not in special]
            pairs = [line.split() for line in lines if line and not line.startswith("#version")]
            return cls(tokens, [(ids[left], ids[right]) for left, right in pairs], special)
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{encoder} and {merges} are not GPT-2's vocabulary files ({error!r})") from error

    def _encode_ordinary(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in split_pieces(text):
            known = self._pieces.get(piece)
            if known is None:
                known = self._merge([self._byte_ids[byte] for byte in piece.encode("utf-8", "replace")])
                if len(self._pieces) < _CACHED_PIECES:
                    self._pieces[piece] = known
            ids.extend(known)
        return ids

    def _merge(self, ids: list[int]) -> list[int]:
        """Apply the merges to one piece, lowest rank first, then leftmost: O(n log n), a heap over a linked list."""
        following = list(range(1, len(ids) + 1))
        preceding = list(range(-1, len(ids) - 1))
        heap: list[tuple[int, int, int, int]] = []

        def consider(position: int) -> None:
            after = following[position]
            if after < len(ids):
                found = self._ranks.get((ids[position], ids[after]))
                if found is not None:
                    heapq.heappush(heap, (found[0], position, ids[position], ids[after]))

        for position in range(len(ids)):
            consider(position)
        while heap:
            _, position, left, right = heapq.heappop(heap)
            after = following[position]
            if ids[position] != left or after >= len(ids) or ids[after] != right:
                continue  # one of the two has merged with another neighbour since
            ids[position], ids[after] = self._ranks[left, right][1], -1
            following[position] = following[after]
            if following[position] < len(ids):
                preceding[following[position]] = position
            if preceding[position] >= 0:
                consider(preceding[position])
            consider(position)
        return [i for i in ids if i >= 0]


def _published_alphabet() -> dict[str, int]:
    """GPT-2's files write each byte as a printable character: itself where it is one, else one from U+0100."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}
