"""The formula of an Einstein summation, taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_letters

from tinygrad_like.tensor.base import Shape, Size


@dataclass(frozen=True)
class EinsumPlan:
    """operands: the letters of each operand's axes; result: those of the result; letters: all, in a fixed order."""

    operands: tuple[str, ...]
    result: str
    letters: str
    sizes: dict[str, Size]


def parse_einsum(formula: str, shapes: Sequence[Shape]) -> EinsumPlan:
    """``formula`` for operands of ``shapes``; ValueError says what does not fit."""
    text = formula.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ValueError(f"einsum {formula!r} names {len(terms)} operands, but {len(shapes)} were given")
    free = [c for c in ascii_letters if c not in text]
    hidden = [len(shape) - len(term.replace("...", ""))
              for term, shape in zip(terms, shapes, strict=True) if "..." in term]
    rank = max(hidden, default=0)
    if not 0 <= rank <= len(free):
        raise ValueError(f"einsum {formula!r} does not fit the shapes {', '.join(map(str, shapes))}")
    leading = "".join(free[:rank])
    operands = tuple(_spelled(term, shape, leading, formula) for term, shape in zip(terms, shapes, strict=True))
    seen = "".join(operands)
    if arrow:
        result = right.replace("...", leading)
    else:
        result = leading + "".join(c for c in sorted(set(seen)) if seen.count(c) == 1 and c not in leading)
    if len(set(result)) != len(result) or not set(result) <= set(seen):
        raise ValueError(f"einsum {formula!r}: the result must name axes of the operands, each once")
    letters = result + "".join(sorted(set(seen) - set(result)))
    return EinsumPlan(operands, result, letters, _sizes(operands, shapes, formula))


def _spelled(term: str, shape: Shape, leading: str, formula: str) -> str:
    """The letters of one operand, with ``...`` replaced by as many of the leading letters as it has further axes."""
    if "..." in term:
        count = len(shape) - len(term.replace("...", ""))
        term = term.replace("...", leading[len(leading) - count:] if count > 0 else "")
    if len(term) != len(shape) or (term and not term.isalpha()):
        raise ValueError(f"einsum {formula!r}: {term!r} does not name the axes of shape {shape}")
    return term


def _sizes(operands: Sequence[str], shapes: Sequence[Shape], formula: str) -> dict[str, Size]:
    sizes: dict[str, Size] = {}
    for letters, shape in zip(operands, shapes, strict=True):
        for letter, size in zip(letters, shape, strict=True):
            known = sizes.get(letter, 1)
            if known != 1 and size not in (1, known):
                raise ValueError(f"einsum {formula!r}: axis {letter!r} has sizes {known} and {size}")
            sizes[letter] = known if size == 1 else size
    return sizes
