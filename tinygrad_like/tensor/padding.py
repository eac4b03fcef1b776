"""Padding: with a constant, by reflection, by repetition of the edge, or around the circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ir
from tinygrad_like.tensor.base import Scalar, Size, TensorBase

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor

Widths = list[tuple[Size, Size]]


class PaddingMixin(TensorBase):
    """Widths may be negative: they cut."""

    __slots__ = ()

    def pad(self, padding: Sequence[Any], mode: str = "constant", value: Scalar = 0.0) -> Tensor:
        """Elements added before and after each dimension.

        padding: one (before, after) or None per dimension, or PyTorch's flat list, last dimension first.
        mode: "constant" (filled with ``value``), "reflect", "replicate" or "circular".

            >>> Tensor([1, 2]).pad((1, 2)).tolist()
            [0, 1, 2, 0, 0]
        """
        widths = self._widths(padding)
        if mode == "constant":
            return self._padded(widths, value)
        edges = {"reflect": _reflected, "replicate": _replicated, "circular": _wrapped}.get(mode)
        if edges is None:
            raise ValueError(f"mode must be 'constant', 'reflect', 'replicate' or 'circular', got {mode!r}")
        result: Any = self
        for axis, (before, after) in enumerate(widths):
            if before > 0 or after > 0:
                result = edges(result, axis, max(before, 0), max(after, 0))
        return result._padded([(min(before, 0), min(after, 0)) for before, after in widths], 0)

    def pad_to(self, shape: Any, *rest: Any, value: Scalar = 0) -> Tensor:
        """Elements added after each dimension up to ``shape``; None keeps a size."""
        sizes = (shape, *rest) if rest or shape is None or isinstance(shape, int) else tuple(shape)
        growth = [0 if new is None else new - old for new, old in zip(sizes, self.shape)]  # noqa: B905  # checked next
        if len(sizes) != self.ndim or any(size < 0 for size in growth):
            raise ValueError(f"cannot pad shape {self.shape} to {sizes}: no size may be smaller")
        return self._padded([(0, size) for size in growth], value)

    def _widths(self, padding: Sequence[Any]) -> Widths:
        """(before, after) of every dimension."""
        given = list(padding)
        if any(isinstance(item, (tuple, list)) or item is None for item in given):
            if len(given) != self.ndim:
                raise ValueError(f"padding {tuple(padding)} needs (before, after) per dimension of shape {self.shape}")
            return [(0, 0) if item is None else (item[0], item[1]) for item in given]
        if len(given) % 2 or len(given) > 2 * self.ndim:
            raise ValueError(f"flat padding {tuple(padding)} needs two numbers a dimension, of up to {self.ndim}")
        pairs = [(given[i], given[i + 1]) for i in range(0, len(given), 2)]
        return [(0, 0)] * (self.ndim - len(pairs)) + pairs[::-1]

    def _padded(self, widths: Widths, value: Scalar) -> Tensor:
        """Cut where widths are negative, then filled."""
        ranges = [(-before if before < 0 else 0, size + after if after < 0 else size, 1)
                  for (before, after), size in zip(widths, self.shape, strict=True)]
        node = ir.slice(self.node, ranges)
        return self._make(ir.pad(node, [(max(before, 0), max(after, 0)) for before, after in widths], value))


def _reflected(x: Any, axis: int, before: int, after: int) -> Any:
    """Mirrored at the first and at the last element, which are not repeated."""
    size = int(x.shape[axis])
    if before >= size or after >= size:
        raise ValueError(f"reflecting needs padding smaller than the size {size} of dimension {axis}, got "
                         f"{before} and {after}")
    front = x._cut(axis, 1, before + 1).flip(axis)
    back = x._cut(axis, size - 1 - after, size - 1).flip(axis)
    return front.cat(x, back, dim=axis)


def _replicated(x: Any, axis: int, before: int, after: int) -> Any:
    """The first and the last element repeated."""
    size = int(x.shape[axis])
    front, back = ([n if i == axis else s for i, s in enumerate(x.shape)] for n in (before, after))
    return x._cut(axis, 0, 1).expand(front).cat(x, x._cut(axis, size - 1, size).expand(back), dim=axis)


def _wrapped(x: Any, axis: int, before: int, after: int) -> Any:
    """As if the dimension were a circle."""
    size = int(x.shape[axis])
    if before > size or after > size:
        raise ValueError(f"circular padding is at most the size {size} of dimension {axis}, got {before} and {after}")
    return x._cut(axis, size - before, size).cat(x, x._cut(axis, 0, after), dim=axis)
