"""Sums of products: dot, matmul, einsum, linear and convolution.

There is no matmul in the graph. Operands are expanded over the axes they lack, multiplied, and summed over the axes
that the result lacks; codegen recognises a contraction by which loop axes each operand's index uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ir
from ir import Node, dtypes
from ir.dtype import DType, DTypeLike, promote, to_dtype
from tinygrad_like.tensor.base import Shape, Size, TensorBase, broadcast_shape, cast_node
from tinygrad_like.tensor.einsum import EinsumPlan, parse_einsum
from tinygrad_like.tensor.reduction import accumulation_dtype

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class ContractionMixin(TensorBase):
    """Products of 16-bit floats are taken and summed in float32 and rounded once; ``dtype`` chooses another."""

    __slots__ = ()

    def dot(self, w: Tensor, dtype: DTypeLike | None = None) -> Tensor:
        """The matrix product: over the last dimension of this tensor and the last but one (the only one) of ``w``.

        [.., m, k] x [.., k, n] -> [.., m, n]; leading dimensions are broadcast.

            >>> Tensor.ones(2, 3).dot(Tensor.ones(3, 4)).shape
            (2, 4)
        """
        w = self._lift(w)
        if not self.ndim or not w.ndim:
            raise ValueError(f"dot needs one or more dimensions on both sides, got shapes {self.shape} and {w.shape}")
        if self.shape[-1] != w.shape[-min(w.ndim, 2)]:
            position = "the size" if w.ndim == 1 else "the last size but one"
            raise ValueError(f"cannot multiply shapes {self.shape} and {w.shape}: the last size of the first, "
                             f"{self.shape[-1]}, must be {position} of the second, {w.shape[-min(w.ndim, 2)]}")
        left = self.node if self.ndim > 1 else ir.reshape(self.node, (1, *self.shape))
        right = w.node if w.ndim > 1 else ir.reshape(w.node, (*w.shape, 1))
        result, work = promote(self.dtype, w.dtype), _working_dtype(promote(self.dtype, w.dtype), dtype)
        product = _matrix_product(cast_node(left, work), cast_node(right, work))
        shape = product.shape[:-2] + (self.shape[-2:-1] if self.ndim > 1 else ()) + (w.shape[-1:] if w.ndim > 1 else ())
        product = product if product.shape == shape else ir.reshape(product, shape)
        return self._make(cast_node(product, result if dtype is None else to_dtype(dtype)), w)

    def matmul(self, x: Tensor, reverse: bool = False, dtype: DTypeLike | None = None) -> Tensor:
        """``self @ x`` (``x @ self`` with ``reverse``): see ``dot``."""
        return self._lift(x).dot(self, dtype) if reverse else self.dot(x, dtype)

    def __matmul__(self, x: Any) -> Tensor:
        return self.dot(x)

    def __rmatmul__(self, x: Any) -> Tensor:
        return self._lift(x).dot(self)

    def linear(self, weight: Tensor, bias: Tensor | None = None, dtype: DTypeLike | None = None) -> Tensor:
        """``x @ weight + bias``; a 1-D weight scales instead (tinygrad's meaning)."""
        if dtype is not None:
            bias = None if bias is None else bias.cast(dtype)
            return self.cast(dtype).linear(weight.cast(dtype), bias)
        x = self * weight if weight.ndim == 1 else self.dot(weight)
        return x if bias is None else x + bias

    @staticmethod
    def einsum(formula: str, *operands: Any, dtype: DTypeLike | None = None) -> Tensor:
        """Einstein summation: ``Tensor.einsum("ij,jk->ik", a, b)`` is ``a @ b``.

        Letters name axes, a letter that the result lacks is summed over, ``...`` stands for leading axes that are
        broadcast, a letter twice in one operand takes the diagonal. Several operands are combined from left to right.
        """
        given = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
        tensors: list[Any] = list(given)
        plan = parse_einsum(formula, [tensor.shape for tensor in tensors])
        result = promote(*(tensor.dtype for tensor in tensors))
        work = _working_dtype(result, dtype)
        nodes = [cast_node(tensor.node, work) for tensor in tensors]
        return tensors[0]._make(
            cast_node(_einsum(plan, nodes), result if dtype is None else to_dtype(dtype)), *tensors[1:])

    # ------------------------------------------------------------------------------------------- convolution

    def conv2d(self, weight: Tensor, bias: Tensor | None = None, groups: int = 1, stride: int | Sequence[int] = 1,
               dilation: int | Sequence[int] = 1, padding: int | Sequence[int] = 0,
               dtype: DTypeLike | None = None) -> Tensor:
        """The cross-correlation of [batch, channels, *space] with [out_channels, channels / groups, *kernel].

        One to any number of space dimensions. padding: one number, one a dimension, or before and after of each, last
        dimension first (as in ``pad``); the padding is zeros, negative padding cuts.
        """
        _check_convolution(self, weight, groups)
        taps = weight.shape[2:]
        before_after = padding_pairs(padding, len(taps))
        work = _working_dtype(promote(self.dtype, weight.dtype), dtype)
        x, w = cast_node(self.node, work), cast_node(weight.node, work)
        strides, dilations = per_dimension(stride, len(taps)), per_dimension(dilation, len(taps))
        result = _convolution(windows(x, taps, strides, dilations, before_after, 0), w, groups)
        output = self._make(cast_node(result, promote(self.dtype, weight.dtype) if dtype is None else to_dtype(dtype)),
                            weight)
        return output if bias is None else output + bias.reshape(-1, *(1,) * len(taps))

    def conv_transpose2d(self, weight: Tensor, bias: Tensor | None = None, groups: int = 1,
                         stride: int | Sequence[int] = 1, dilation: int | Sequence[int] = 1,
                         padding: int | Sequence[int] = 0, output_padding: int | Sequence[int] = 0) -> Tensor:
        """The transpose of ``conv2d``: what differentiating that by its input gives.

        weight: [channels, out_channels / groups, *kernel].
        A space dimension of size n becomes (n - 1) stride - padding + dilation (kernel - 1) + output_padding + 1.
        """
        if weight.ndim != self.ndim or self.ndim < 3 or weight.shape[0] != self.shape[1] or self.shape[1] % groups:
            raise ValueError(f"conv_transpose2d of shape {self.shape} with weight {weight.shape} and groups={groups}: "
                             "expected [batch, channels, *space] and [channels, out_channels / groups, *kernel]")
        taps, rank = weight.shape[2:], self.ndim - 2
        pairs = padding_pairs(padding, rank)
        extra = per_dimension(output_padding, rank)
        strides, dilations = per_dimension(stride, rank), per_dimension(dilation, rank)
        space = tuple((n - 1) * s - sum(p) + d * (k - 1) + 1 + e for n, s, p, d, k, e in
                      zip(self.shape[2:], strides, pairs, dilations, taps, extra, strict=True))
        work = _working_dtype(promote(self.dtype, weight.dtype), None)
        g, w = cast_node(self.node, work), cast_node(weight.node, work)
        source = ir.fresh_parameter(work, (self.shape[0], weight.shape[1] * groups, *space))
        forward = _convolution(windows(source, taps, strides, dilations, pairs, 0), w, groups)
        if forward.shape != g.shape:
            raise ValueError(f"output_padding {extra} must be smaller than the stride {strides}")
        [adjoint] = ir.gradient([forward], [g], [source])
        assert adjoint is not None
        output = self._make(cast_node(adjoint, promote(self.dtype, weight.dtype)), weight)
        return output if bias is None else output + bias.reshape(-1, *(1,) * rank)


def _working_dtype(result: DType, dtype: DTypeLike | None) -> DType:
    """The dtype in which products are taken and summed."""
    if dtype is not None:
        return to_dtype(dtype)
    return dtypes.float32 if result.is_float and result.itemsize < 4 else accumulation_dtype(result)


def _matrix_product(left: Node, right: Node) -> Node:
    """[.., m, k] and [.., k, n] multiplied over [.., m, k, n] and summed over k."""
    batch = broadcast_shape(left.shape[:-2], right.shape[:-2])
    m, k, n = left.shape[-2], left.shape[-1], right.shape[-1]
    shape = (*batch, m, k, n)
    padded_left = (1,) * (len(batch) - len(left.shape) + 2) + left.shape
    padded_right = (1,) * (len(batch) - len(right.shape) + 2) + right.shape
    wide_left = ir.expand(ir.reshape(left, (*padded_left, 1)), shape)
    wide_right = ir.expand(ir.reshape(right, (*padded_right[:-2], 1, k, n)), shape)
    return ir.reduce("sum", ir.mul(wide_left, wide_right), (len(shape) - 2,))


# ----------------------------------------------------------------------------------------------- einsum


def _einsum(plan: EinsumPlan, operands: Sequence[Node]) -> Node:
    """Operands combined from left to right; an axis is summed over as soon as nothing after needs it."""
    aligned = [_aligned(*_diagonals(node, letters), plan)
               for node, letters in zip(operands, plan.operands, strict=True)]
    needed_later = [set(plan.result).union(*map(set, plan.operands[i + 1:])) for i in range(len(aligned))]
    total = aligned[0]
    for number, node in enumerate(aligned):
        if number:
            shape = broadcast_shape(total.shape, node.shape)
            total = ir.mul(ir.expand(total, shape), ir.expand(node, shape))
        finished = [i for i, letter in enumerate(plan.letters)
                    if letter not in needed_later[number] and total.shape[i] != 1]
        if finished:
            kept = tuple(1 if i in finished else size for i, size in enumerate(total.shape))
            total = ir.reshape(ir.reduce("sum", total, finished), kept)
    total = ir.expand(total, tuple(plan.sizes[c] if c in plan.result else 1 for c in plan.letters))
    kept = [letter for letter in plan.letters if letter in plan.result]
    squeezed = ir.reshape(total, tuple(plan.sizes[letter] for letter in kept))
    return ir.permute(squeezed, [kept.index(letter) for letter in plan.result])


def _diagonals(node: Node, letters: str) -> tuple[Node, str]:
    """``node`` with a letter that occurs twice taken along the diagonal, 0 elsewhere, summed over the repetition."""
    for letter in dict.fromkeys(letters):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            row, column = (_coordinate(node.shape, axis) for axis in (first, second))
            kept = ir.where(ir.equal(row, column), node, ir.constant(0, node.dtype, node.shape))
            node = ir.reduce("sum", kept, (second,))
            letters = letters[:second] + letters[second + 1:]
    return node, letters


def _coordinate(shape: Shape, axis: int) -> Node:
    """The index along ``axis`` at every place of ``shape``."""
    line = tuple(size if i == axis else 1 for i, size in enumerate(shape))
    return ir.expand(ir.reshape(ir.iota(shape[axis]), line), shape)


def _aligned(node: Node, letters: str, plan: EinsumPlan) -> Node:
    """``node`` with one axis per letter of the plan, of size 1 where it lacks the letter."""
    order = sorted(range(len(letters)), key=lambda i: plan.letters.index(letters[i]))
    sizes = dict(zip(letters, node.shape, strict=True))
    return ir.reshape(ir.permute(node, order), tuple(sizes.get(letter, 1) for letter in plan.letters))


# ----------------------------------------------------------------------------------------------- windows


def per_dimension(value: int | Sequence[int], count: int) -> tuple[int, ...]:
    """One number for each of ``count`` dimensions."""
    given = (value,) * count if isinstance(value, int) else tuple(value)
    if len(given) != count:
        raise ValueError(f"expected one number or {count} of them, got {value!r}")
    return given


def padding_pairs(padding: int | Sequence[int], count: int) -> tuple[tuple[int, int], ...]:
    """(before, after) of each of ``count`` dimensions: from one number, one a dimension, or two each, last first."""
    if isinstance(padding, int):
        return ((padding, padding),) * count
    given = tuple(padding)
    if len(given) == count:
        return tuple((p, p) for p in given)
    if len(given) == 2 * count:
        return tuple(zip(given[-2::-2], given[-1::-2], strict=True))
    raise ValueError(f"padding must be one number, {count} or {2 * count} of them, got {padding!r}")


def windows(x: Node, sizes: Sequence[Size], strides: Sequence[int], dilations: Sequence[int],
            padding: Sequence[tuple[int, int]], fill: Any) -> Node:
    """The sliding windows of the last dimensions: each becomes a pair, position and tap."""
    first = len(x.shape) - len(sizes)
    cut = [(max(-before, 0), size - max(-after, 0), 1)
           for (before, after), size in zip(padding, x.shape[first:], strict=True)]
    if any(min(pair) < 0 for pair in padding):
        x = ir.slice(x, [*((0, size, 1) for size in x.shape[:first]), *cut])
    for i, (size, stride, dilation, (before, after)) in enumerate(zip(sizes, strides, dilations, padding, strict=True)):
        x = ir.window(x, first + 2 * i, size, stride, dilation, max(before, 0), max(after, 0), fill)
    return x


def _check_convolution(x: TensorBase, weight: TensorBase, groups: int) -> None:
    expected = "expected [batch, channels, *space] and [out_channels, channels / groups, *kernel]"
    if weight.ndim != x.ndim or x.ndim < 3:
        raise ValueError(f"conv2d of shape {x.shape} with weight {weight.shape}: {expected}")
    if weight.shape[1] * groups != x.shape[1] or weight.shape[0] % groups:
        raise ValueError(f"conv2d of shape {x.shape} with weight {weight.shape} and groups={groups}: {expected}; "
                         f"{x.shape[1]} channels are not {groups} x {weight.shape[1]}, or {weight.shape[0]} output "
                         f"channels are not divided by {groups}")


def _convolution(seen: Node, weight: Node, groups: int) -> Node:
    """The windows [batch, channels, (position, tap) ..] times the weights, summed over channels and taps.

    The product has the axes batch, group, output channel of the group, channel of the group, (position, tap) ..
    """
    batch, _, *pairs = seen.shape
    outputs, inputs, *taps = weight.shape
    rank = len(taps)
    shape = (batch, groups, outputs // groups, inputs, *pairs)
    x = ir.reshape(seen, (batch, groups, 1, inputs, *pairs))
    w = ir.reshape(weight, (1, groups, outputs // groups, inputs, *(n for tap in taps for n in (1, tap))))
    summed = (3, *(5 + 2 * i for i in range(rank)))
    result = ir.reduce("sum", ir.mul(ir.expand(x, shape), ir.expand(w, shape)), summed)
    return ir.reshape(result, (batch, outputs, *pairs[::2]))


