"""Pooling over sliding windows, its inverse, and interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import ir
from ir import Node, dtypes
from tinygrad_like.tensor.base import Size, TensorBase, broadcast_node
from tinygrad_like.tensor.contraction import padding_pairs, per_dimension, windows

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor

Pairs = tuple[tuple[int, int], ...]


class PoolingMixin(TensorBase):
    """Pools work on as many of the last dimensions as ``kernel_size`` has numbers. ``stride`` is by default that."""

    __slots__ = ()

    def avg_pool2d(self, kernel_size: int | Sequence[int] = (2, 2), stride: int | Sequence[int] | None = None,
                   dilation: int | Sequence[int] = 1, padding: int | Sequence[int] = 0, ceil_mode: bool = False,
                   count_include_pad: bool = True) -> Tensor:
        """The mean of each window. count_include_pad: whether padding counts as elements of value 0."""
        x = self._as_float()
        pool = _Pool(x, kernel_size, stride, dilation, padding, ceil_mode)
        total = x._make(ir.reduce("sum", pool.windows(x.node, 0), pool.tap_axes))
        if not ceil_mode and (count_include_pad or all(pair == (0, 0) for pair in pool.padding)):
            return total / prod(pool.kernel)
        counted = pool.padding if count_include_pad else ((0, 0),) * len(pool.kernel)
        counts = [pool.counts(i, counted[i]) for i in range(len(pool.kernel))]
        shape = tuple(len(count) for count in counts)
        divisor: Any = 1.0
        for axis, count in enumerate(counts):
            line = type(self)(count, dtype=x.dtype, device=self._device)
            divisor = line.reshape(tuple(n if i == axis else 1 for i, n in enumerate(shape))) * divisor
        return total / divisor

    def max_pool2d(self, kernel_size: int | Sequence[int] = (2, 2), stride: int | Sequence[int] | None = None,
                   dilation: int | Sequence[int] = 1, padding: int | Sequence[int] = 0, ceil_mode: bool = False,
                   return_indices: bool = False) -> Any:
        """The largest element of each window; padding never wins.

        return_indices: also the position (int32) of each in its flattened plane. Ties share the gradient.
        """
        pool = _Pool(self, kernel_size, stride, dilation, padding, ceil_mode)
        seen = pool.windows(self.node, self.dtype.minimum)
        largest = self._make(ir.reduce("max", seen, pool.tap_axes))
        return (largest, self._make(pool.positions(seen))) if return_indices else largest

    def max_unpool2d(self, indices: Tensor, kernel_size: int | Sequence[int] = (2, 2),
                     stride: int | Sequence[int] | None = None, dilation: int | Sequence[int] = 1,
                     padding: int | Sequence[int] = 0, output_size: Sequence[int] | None = None) -> Tensor:
        """The elements put back to where ``max_pool2d`` found them, zeros elsewhere."""
        rank = self.ndim - 2
        if output_size is None:
            kernel = per_dimension(kernel_size, rank)
            strides = per_dimension(kernel if stride is None else stride, rank)
            pairs, dilations = padding_pairs(padding, rank), per_dimension(dilation, rank)
            space = tuple((n - 1) * s - sum(p) + d * (k - 1) + 1 for n, s, p, d, k in
                          zip(self.shape[2:], strides, pairs, dilations, kernel, strict=True))
        else:
            space = tuple(output_size)[-rank:]
        planes = type(self).zeros(*self.shape[:2], prod(space), dtype=self.dtype, buffer=False)
        placed = planes.scatter(2, indices.flatten(2), self.flatten(2))
        return placed.reshape(*self.shape[:2], *space)

    def interpolate(self, size: Sequence[int], mode: str = "linear", align_corners: bool = False) -> Tensor:
        """The last dimensions resampled to ``size``: mode "linear", "nearest" or "nearest-exact" (as in PyTorch)."""
        if not 0 < len(size) <= self.ndim:
            raise ValueError(f"interpolate needs 1 to {self.ndim} sizes for shape {self.shape}, got {tuple(size)}")
        if mode not in ("linear", "nearest", "nearest-exact"):
            raise ValueError(f"mode must be 'linear', 'nearest' or 'nearest-exact', got {mode!r}")
        if align_corners and mode != "linear":
            raise ValueError(f"align_corners needs mode 'linear', got {mode!r}")
        x = self._as_float() if mode == "linear" else self
        for axis, target in enumerate(size, self.ndim - len(size)):
            x = _resampled(x, axis, target, mode, align_corners)
        return x.cast(self.dtype)


class _Pool:
    """The windows of one pooling call."""

    def __init__(self, x: TensorBase, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None,
                 dilation: int | Sequence[int], padding: int | Sequence[int], ceil_mode: bool) -> None:
        self.kernel = (kernel_size,) * 2 if isinstance(kernel_size, int) else tuple(kernel_size)
        rank = len(self.kernel)
        if rank > x.ndim:
            raise ValueError(f"a kernel {self.kernel} does not fit shape {x.shape}")
        self.first = x.ndim - rank
        self.space = x.shape[self.first:]
        self.strides = per_dimension(self.kernel if stride is None else stride, rank)
        self.dilations = per_dimension(dilation, rank)
        self.padding: Pairs = padding_pairs(padding, rank)
        self.reach = tuple(d * (k - 1) + 1 for d, k in zip(self.dilations, self.kernel, strict=True))
        if any(n + sum(p) < r for n, p, r in zip(self.space, self.padding, self.reach, strict=True)):
            raise ValueError(f"windows of {self.reach} elements do not fit the padded size of {self.space}; use a "
                             "smaller kernel or more padding")
        self.outputs = tuple(self._output(i, ceil_mode) for i in range(rank))

    def _output(self, i: int, ceil_mode: bool) -> Size:
        """How many windows there are; with ``ceil_mode`` also one that hangs over the end, if it starts inside."""
        size, stride, (before, after) = self.space[i], self.strides[i], self.padding[i]
        free = size + before + after - self.reach[i]
        count = (-(-free // stride) if ceil_mode else free // stride) + 1
        return count - 1 if ceil_mode and (count - 1) * stride >= size + before else count

    @property
    def tap_axes(self) -> tuple[int, ...]:
        return tuple(self.first + 1 + 2 * i for i in range(len(self.kernel)))

    def windows(self, x: Node, fill: Any) -> Node:
        """[.., (position, tap) ..]; the padding behind is what the last window needs."""
        padding = [(before, max(0, (o - 1) * s + r - before - n)) for (before, _), o, s, r, n in
                   zip(self.padding, self.outputs, self.strides, self.reach, self.space, strict=True)]
        return windows(x, self.kernel, self.strides, self.dilations, padding, fill)

    def counts(self, i: int, padding: tuple[int, int]) -> list[int]:
        """For each window along dimension ``i``: how many taps lie on elements, or on the ``padding`` that counts."""
        size, start = int(self.space[i]), self.padding[i][0]
        low, high = -padding[0], size + padding[1]
        positions = (range(o * self.strides[i] - start, o * self.strides[i] - start + self.reach[i], self.dilations[i])
                     for o in range(int(self.outputs[i])))
        return [sum(low <= p < high for p in taps) for taps in positions]

    def positions(self, seen: Node) -> Node:
        """The position of each window's largest element in its flattened plane."""
        tap = ir.reduce("argmax", seen, self.tap_axes)
        shape, total = tap.shape, None
        for i in range(len(self.kernel)):
            behind = prod(self.kernel[i + 1:])
            along = ir.mod(ir.floordiv(tap, _filled(tap, behind)), _filled(tap, self.kernel[i]))
            line = tuple(n if axis == self.first + i else 1 for axis, n in enumerate(shape))
            window = broadcast_node(ir.reshape(ir.iota(shape[self.first + i]), line), shape)
            place = ir.sub(ir.add(ir.mul(window, _filled(tap, self.strides[i])),
                                  ir.mul(along, _filled(tap, self.dilations[i]))), _filled(tap, self.padding[i][0]))
            total = place if total is None else ir.add(ir.mul(total, _filled(tap, int(self.space[i]))), place)
        assert total is not None
        return total


def _filled(like: Node, value: int) -> Node:
    return ir.constant(value, like.dtype, like.shape)


def _resampled(x: Tensor, axis: int, target: int, mode: str, align_corners: bool) -> Tensor:
    """One dimension resampled to ``target`` elements."""
    size = int(x.shape[axis])
    index = (slice(None),) * axis
    if mode != "linear":
        offset = 0.5 if mode == "nearest-exact" else 0.0
        number = type(x).arange(target, dtype=dtypes.float32)
        return x[(*index, ((number + offset) * (size / target)).cast(dtypes.int32))]
    number = type(x).arange(target)
    if align_corners:
        numerator, denominator = number * (size - 1), max(target - 1, 1)
    else:
        numerator, denominator = (number * 2 + 1) * size - target, 2 * target
    numerator = numerator.clamp(0, (size - 1) * denominator)
    low, part = numerator // denominator, (numerator % denominator).cast(x.dtype) / denominator
    weight = part.reshape(tuple(target if i == axis else 1 for i in range(x.ndim)))
    high = (low + 1).minimum(size - 1)
    return x[(*index, low)].lerp(x[(*index, high)], weight)
