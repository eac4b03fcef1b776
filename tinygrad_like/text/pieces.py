r"""Cutting text into the pieces inside which byte pairs merge: GPT-2's rule, without a third-party regex engine.

The rule (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019) is

    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

and Python's own ``re`` lacks only ``\p{L}`` and ``\p{N}``: they are spelled out from ``unicodedata``.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

# Unicode's White_Space. Python's \s also counts the separators U+001C to U+001F, which the rule does not.
_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


def split_pieces(text: str) -> list[str]:
    """``text`` cut into pieces; joined they are ``text`` again.

    >>> split_pieces("Hello world, it's 2024!")
    ['Hello', ' world', ',', ' it', "'s", ' 2024', '!']
    """
    return _pattern().findall(text)


@cache
def _pattern() -> re.Pattern[str]:
    letters, numbers = _character_ranges()
    return re.compile(
        rf"'(?:s|t|re|ve|m|ll|d)| ?[{letters}]+| ?[{numbers}]+| ?[^{_SPACE}{letters}{numbers}]+"
        rf"|[{_SPACE}]+(?![^{_SPACE}])|[{_SPACE}]+"
    )


def _character_ranges() -> tuple[str, str]:
    """All letters and all numbers of Unicode, as the inside of a character class."""
    ranges: dict[str, list[str]] = {"L": [], "N": []}
    start, current = 0, ""
    for code in range(sys.maxunicode + 2):
        major = unicodedata.category(chr(code))[0] if code <= sys.maxunicode else ""
        if major != current:
            if current in ranges:
                ranges[current].append(f"{_escape(start)}-{_escape(code - 1)}")
            start, current = code, major
    return "".join(ranges["L"]), "".join(ranges["N"])


def _escape(code: int) -> str:
    return f"\\U{code:08x}"
