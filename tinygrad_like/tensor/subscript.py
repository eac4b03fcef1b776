"""What stands between the brackets of ``x[...]``: which box of x, and which positions are looked up in it.

A subscript is one item per dimension: an int, a slice, an integer tensor, None for a new dimension, and at most one
``...`` for all dimensions that are not named. This module turns it into numbers; ``indexing`` builds the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import ir
from ir import Dimension
from tinygrad_like.tensor.base import Shape, Size, TensorBase


class Box(NamedTuple):
    """The part of one dimension: elements start, start + step, ... before stop, in reverse order if ``flipped``.

    A dimension that was indexed by an int has one element and is then ``dropped``.
    """

    start: Size
    stop: Size
    step: int
    flipped: bool = False
    dropped: bool = False

    @property
    def size(self) -> Size:
        return (self.stop - self.start + self.step - 1) // self.step if self.step > 1 else self.stop - self.start


class Subscript(NamedTuple):
    """boxes: one per dimension of the tensor.

    layout: one entry per dimension of the result before lookups: the number of the dimension it comes from, or None for
    a new one. lookups: result dimension -> the integer tensor that indexes it. symbols: values of bounded variables.
    """

    boxes: tuple[Box, ...]
    layout: tuple[int | None, ...]
    lookups: dict[int, Any]
    symbols: dict[str, int]

    @property
    def ranges(self) -> tuple[tuple[Size, Size, int], ...]:
        return tuple((box.start, box.stop, box.step) for box in self.boxes)

    @property
    def flipped(self) -> tuple[int, ...]:
        return tuple(axis for axis, box in enumerate(self.boxes) if box.flipped)

    def shape(self) -> Shape:
        """The shape before lookups."""
        return tuple(1 if axis is None else self.boxes[axis].size for axis in self.layout)


def parse(index: Any, shape: Shape, lift: Callable[[Any], Any]) -> Subscript:
    """The subscript ``index`` of a tensor of ``shape``; ``lift`` makes an integer tensor of lists and arrays.

    Raises IndexError for a number out of range, for too many items, and for what cannot be an index.
    """
    symbols: dict[str, int] = {}
    items = _expanded(index, shape)
    boxes: list[Box] = []
    layout: list[int | None] = []
    lookups: dict[int, Any] = {}
    for item in items:
        if item is None:
            layout.append(None)
            continue
        axis, size = len(boxes), shape[len(boxes)]
        if isinstance(item, (list, tuple, np.ndarray, TensorBase)):
            tensor = lift(item)
            if not tensor.dtype.is_integer:
                raise IndexError(f"an index tensor must be of integers, got {tensor.dtype}"
                                 + ("; a bool mask selects a number of elements that depends on values: use "
                                    "mask.where, masked_fill or masked_select" if tensor.dtype.is_bool else ""))
            lookups[len(layout)] = tensor
            boxes.append(Box(0, size, 1))
        else:
            boxes.append(_box(item, axis, shape, symbols))
        if not boxes[-1].dropped:
            layout.append(axis)
    return Subscript(tuple(boxes), tuple(layout), lookups, symbols)


def _expanded(index: Any, shape: Shape) -> list[Any]:
    """One item per dimension (and the Nones): the ellipsis and missing items become whole slices."""
    if isinstance(index, list) and not any(
            item is None or item is Ellipsis or isinstance(item, (slice, TensorBase)) for item in index):
        items: list[Any] = [index]  # a list of numbers, at any depth, is an index tensor
    else:
        items = list(index) if isinstance(index, (tuple, list)) else [index]
    places = [number for number, item in enumerate(items) if item is Ellipsis]
    if len(places) > 1:
        raise IndexError("an index can have only one ...")
    named = sum(1 for item in items if item is not None and item is not Ellipsis)
    if named > len(shape):
        raise IndexError(f"too many indices for shape {shape}: {named} given")
    place = places[0] if places else len(items)
    items[place:place + len(places)] = [slice(None)] * (len(shape) - named)
    return items


def _box(item: Any, axis: int, shape: Shape, symbols: dict[str, int]) -> Box:
    size = shape[axis]
    if isinstance(item, slice):
        start, stop, step = (_number(bound, symbols) for bound in (item.start, item.stop, item.step))
        if all(bound is None or isinstance(bound, int) for bound in (start, stop, step)) and isinstance(size, int):
            return _static_slice(slice(start, stop, step), size)
        return _symbolic_slice(start, stop, step, size)
    position = _number(item, symbols)
    if position is None or isinstance(item, (bool, np.bool_)):
        raise IndexError(f"{item!r} cannot index dimension {axis} of shape {shape}: "
                         "expected an int, a slice, None, ... or an integer tensor")
    if isinstance(position, int) and isinstance(size, int):
        if not -size <= position < size:
            raise IndexError(f"index {position} is out of range for dimension {axis} of shape {shape}")
        position %= size
    return Box(position, position + 1, 1, dropped=True)


def _static_slice(bounds: slice, size: int) -> Box:
    if bounds.step == 0:
        raise ValueError("a slice needs a step other than 0")
    positions = range(*bounds.indices(size))
    if not positions:
        start = min(max(positions.start, 0), size)
        return Box(start, start, 1)
    first, last = min(positions[0], positions[-1]), max(positions[0], positions[-1])
    return Box(first, last + 1, abs(positions.step) if len(positions) > 1 else 1, flipped=positions.step < 0)


def _symbolic_slice(start: Size | None, stop: Size | None, step: Size | None, size: Size) -> Box:
    if step not in (None, 1):
        raise IndexError(f"a slice with a bounded variable needs step 1, got {step}")
    first, last = (0 if start is None else start), (size if stop is None else stop)
    if isinstance(first, int) and first < 0:
        first = size + first
    if isinstance(last, int) and last < 0:
        last = size + last
    return Box(first, last, 1)


def _number(item: Any, symbols: dict[str, int]) -> Any:
    """An int or Dimension from an index item; None stays. What is bound also leaves its values in ``symbols``."""
    if isinstance(item, (ir.BoundVariable, ir.BoundDimension)):
        symbols.update(item.values)
        return item.dimension
    if isinstance(item, np.integer):
        return int(item)
    return item if isinstance(item, (int, Dimension)) else None


def adjacent(places: Sequence[int]) -> bool:
    """Whether the numbers follow each other without a gap."""
    return list(places) == list(range(places[0], places[0] + len(places)))
