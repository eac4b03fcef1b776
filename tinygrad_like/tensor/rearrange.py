"""``rearrange``: reshaping and reordering by a formula with names, as einops has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_like.tensor.base import Shape, Size, TensorBase

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor

Group = list[str]


class RearrangeMixin(TensorBase):
    """The one method that reads formulas of dimensions."""

    __slots__ = ()

    def rearrange(self, formula: str, **sizes: int) -> Tensor:
        """Dimensions split, reordered and merged by name.

            >>> Tensor.zeros(2, 12, 4).rearrange("b (h d) t -> b h t d", h=3).shape
            (2, 3, 4, 4)

        Names in parentheses are one dimension; ``...`` stands for the dimensions that are not named.
        """
        left, arrow, right = formula.partition("->")
        if not arrow or "->" in right:
            raise ValueError(f"rearrange needs one '->', got {formula!r}")
        before, after = _groups(left, formula), _groups(right, formula)
        before, after = _without_ellipsis(before, after, self.ndim, formula)
        names = [name for group in before for name in group]
        if sorted(names) != sorted(name for group in after for name in group) or len(set(names)) != len(names):
            raise ValueError(f"rearrange {formula!r}: both sides must name the same dimensions, each once")
        if len(before) != self.ndim or not set(sizes) <= set(names):
            raise ValueError(f"rearrange {formula!r} with sizes {sizes} does not fit shape {self.shape}")
        known = _known_sizes(before, self.shape, sizes, formula)
        split: Any = self.reshape(tuple(known[name] for name in names))
        order = [names.index(name) for group in after for name in group]
        moved = split.permute(order) if order else split
        merged = []
        for group in after:
            size: Size = 1
            for name in group:
                size = size * known[name]
            merged.append(size)
        return moved.reshape(tuple(merged))


def _groups(side: str, formula: str) -> list[Group]:
    """The dimensions of one side: each the list of names that it consists of; 1 is the empty list."""
    groups: list[Group] = []
    open_group: Group | None = None
    for token in side.replace("…", "...").replace("(", " ( ").replace(")", " ) ").split():
        if token == "(" and open_group is None:
            open_group = []
        elif token == ")" and open_group is not None:
            groups.append(open_group)
            open_group = None
        elif token in ("(", ")") or not (token.isidentifier() or token in ("1", "...")):
            raise ValueError(f"rearrange {formula!r}: unexpected {token!r}")
        elif token == "1":
            groups.extend([[]] if open_group is None else [])
        elif open_group is None:
            groups.append([token])
        else:
            open_group.append(token)
    if open_group is not None:
        raise ValueError(f"rearrange {formula!r}: a parenthesis is not closed")
    return groups


def _without_ellipsis(before: list[Group], after: list[Group], rank: int,
                      formula: str) -> tuple[list[Group], list[Group]]:
    """Both sides with ``...`` replaced by numbered names."""
    if ["..."] not in before:
        if any("..." in group for group in before + after):
            raise ValueError(f"rearrange {formula!r}: ... must be a dimension of its own on the left")
        return before, after
    hidden = [f"...{i}" for i in range(rank - len(before) + 1)]

    def replaced(groups: list[Group]) -> list[Group]:
        result: list[Group] = []
        for group in groups:
            if group == ["..."]:
                result.extend([name] for name in hidden)
            else:
                result.append([n for name in group for n in (hidden if name == "..." else [name])])
        return result

    return replaced(before), replaced(after)


def _known_sizes(groups: list[Group], shape: Shape, given: dict[str, int], formula: str) -> dict[str, Size]:
    """The size of every name: given, or what is left of its dimension."""
    known: dict[str, Size] = dict(given)
    for group, size in zip(groups, shape, strict=True):
        missing = [name for name in group if name not in known]
        product: Size = 1
        for name in group:
            product = product * known.get(name, 1)
        if len(missing) > 1 or (not missing and product != size):
            raise ValueError(f"rearrange {formula!r}: dimension ({' '.join(group)}) of size {size} needs sizes for all "
                             f"names but one that multiply to it, got {given}")
        if missing:
            known[missing[0]] = size // product
    return known
