"""Normalisation, attention, dropout, and running functions one after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ir
from ir import dtypes
from ir.dtype import promote
from tinygrad_like.context import setting
from tinygrad_like.tensor.base import TensorBase

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class NetworkMixin(TensorBase):
    """What layers consist of besides contractions and activations."""

    __slots__ = ()

    def sequential(self, ll: Sequence[Callable[[Any], Any]]) -> Tensor:
        """Each function applied to the result of the one before."""
        x: Any = self
        for function in ll:
            x = function(x)
        return x

    def layernorm(self, axis: int | Sequence[int] = -1, eps: float = 1e-5) -> Tensor:
        """Shifted and scaled to mean 0 and variance 1 over ``axis`` (https://arxiv.org/abs/1607.06450)."""
        centred = self - self.mean(axis, keepdim=True)
        variance = (centred * centred).mean(axis, keepdim=True)
        return centred * (variance + eps).rsqrt()

    def rmsnorm(self, axis: int | Sequence[int] = -1, eps: float = 1e-5) -> Tensor:
        """Scaled to a mean square of 1 over ``axis`` (https://arxiv.org/abs/1910.07467)."""
        return self * (self.square().mean(axis, keepdim=True) + eps).rsqrt()

    def batchnorm(self, weight: Tensor | None, bias: Tensor | None, mean: Tensor, invstd: Tensor,
                  axis: int | Sequence[int] = 1) -> Tensor:
        """(self - mean) invstd weight + bias, these having one element per index of ``axis``."""
        axes = self._axes(axis)
        shape = tuple(size if i in axes else 1 for i, size in enumerate(self.shape))
        scale = invstd.reshape(shape) if invstd.ndim == len(axes) else invstd
        if weight is not None:
            scale = scale * weight.reshape(shape)
        result = (self - mean.reshape(shape)) * scale
        return result if bias is None else result + bias.reshape(shape)

    def dropout(self, p: float = 0.5) -> Tensor:
        """Elements set to 0 with probability ``p``, the others divided by 1 - p; only while training.

        The mask is a function of a key, computed again in the backward pass and never stored
        (https://jmlr.org/papers/v15/srivastava14a.html). See ``Context(TRAINING=1)``.
        """
        if not 0 <= p <= 1:
            raise ValueError(f"dropout needs a probability between 0 and 1, got {p}")
        if not setting("TRAINING") or p == 0 or 0 in self.shape:
            return self
        if p == 1:
            return self.const_like(0)
        kept = self.rand_like(dtype=dtypes.default_float, contiguous=False) >= p
        return kept.where(self, 0) * (1 / (1 - p))

    def scaled_dot_product_attention(self, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
                                     dropout_p: float = 0.0, is_causal: bool = False,
                                     enable_gqa: bool = False) -> Tensor:
        """softmax(q k^T / sqrt(d) + mask) v for queries [.., l, d], keys [.., s, d], values [.., s, e].

        attn_mask: bool (True: may attend) or numbers to add, broadcast to [.., l, s]. is_causal: query i sees keys up
        to i. enable_gqa: a group of query heads shares a head of keys and values. The softmax is computed in float32.
        Vaswani et al., "Attention is all you need", https://arxiv.org/abs/1706.03762.
        """
        if is_causal and attn_mask is not None:
            raise ValueError("give is_causal or attn_mask, not both")
        if enable_gqa and key.shape[-3] != self.shape[-3]:
            return self._grouped_attention(key, value, attn_mask, dropout_p, is_causal)
        wide = promote(self.dtype, key.dtype, dtypes.float32)
        scores = self.matmul(key.transpose(-2, -1), dtype=wide) * (1 / math.sqrt(int(self.shape[-1])))
        if is_causal:
            scores = _causal(scores)
        elif attn_mask is not None:
            scores = attn_mask.where(scores, -math.inf) if attn_mask.dtype.is_bool else scores + attn_mask
        weights = scores.softmax(-1).cast(self.dtype).dropout(dropout_p)
        return weights.matmul(value)

    def _grouped_attention(self, key: Tensor, value: Tensor, attn_mask: Tensor | None, dropout_p: float,
                           is_causal: bool) -> Tensor:
        heads, groups = int(self.shape[-3]), int(key.shape[-3])
        if heads % groups:
            raise ValueError(f"{heads} query heads cannot share {groups} heads of keys: that must divide the first")
        query = self.unflatten(-3, (groups, heads // groups))
        if attn_mask is not None and attn_mask.ndim > 2:
            attn_mask = attn_mask.unsqueeze(-3) if attn_mask.shape[-3] in (1, groups) else attn_mask.unflatten(
                -3, (groups, heads // groups))
        key, value = key.unsqueeze(-3), value.unsqueeze(-3)
        result = query.scaled_dot_product_attention(key, value, attn_mask, dropout_p, is_causal)
        return result.flatten(-4, -3)


def _causal(scores: Tensor) -> Tensor:
    """-inf where the column (key) is behind the row (query)."""
    rows, columns = scores.shape[-2:]
    row = scores.from_node(ir.reshape(ir.iota(rows), (rows, 1)))
    column = scores.from_node(ir.iota(columns))
    return (column <= row).where(scores, -math.inf)
