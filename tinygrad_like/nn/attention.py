"""Multi-head attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_like.nn import init
from tinygrad_like.nn.attention_masks import causal_mask, masks_together, visible
from tinygrad_like.nn.key_value_cache import KeyValueCache
from tinygrad_like.nn.linear import Linear
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor


class MultiHeadAttention(Module):
    """softmax(Q Kᵀ / sqrt(d)) V in ``num_heads`` heads (Vaswani et al., "Attention Is All You Need", 2017).

    Inputs are [batch, time, width]; key and value default to the query (self-attention). Queries are embed_dim wide,
    keys ``kdim`` and values ``vdim``, both embed_dim by default. ``mask``, broadcast to [batch, heads, queries, keys],
    is added to the scores or, if bool, says what may be looked at (see ``nn.attention_masks``); ``key_padding_mask``
    [batch, keys] is true where a key is padding, ``is_causal`` hides what comes later; all may be combined.
    ``rotate``, such as ``nn.RotaryPositions``, is called with queries and keys [batch, heads, time, d] and their start.

    With a ``cache`` the input holds the tokens from ``position`` (an int or a bound ``Variable``) on: their keys and
    values are written to the cache, and they look at all that it holds up to the last of them.

    Parameters have the names, shapes and initial distributions of PyTorch's ``nn.MultiheadAttention``; only the output
    is returned, ``attention_weights`` gives the rest. ``nn.MultiheadAttention`` is this layer with PyTorch's arguments.

    >>> MultiHeadAttention(64, 4)(Tensor.rand(2, 10, 64), is_causal=True).shape
    (2, 10, 64)
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, kdim: int | None = None,
        vdim: int | None = None, rotate: Callable[[Tensor, Any], Tensor] | None = None,
    ) -> None:
        if embed_dim % num_heads:
            raise ValueError(f"num_heads={num_heads} must divide embed_dim={embed_dim}")
        self.embed_dim, self.num_heads, self.dropout, self.rotate = embed_dim, num_heads, dropout, rotate
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        if self._one_width:
            self.in_proj_weight = init.xavier_uniform(
                3 * embed_dim, embed_dim, fan_in=embed_dim, fan_out=3 * embed_dim
            )
        else:
            for name, width in (("q", embed_dim), ("k", self.kdim), ("v", self.vdim)):
                weight = init.xavier_uniform(embed_dim, width, fan_in=width, fan_out=embed_dim)
                setattr(self, f"{name}_proj_weight", weight)
        self.in_proj_bias: Tensor | None = init.zeros(3 * embed_dim) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias)
        if self.out_proj.bias is not None:
            self.out_proj.bias = init.zeros(embed_dim)

    def forward(
        self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None, mask: Tensor | None = None,
        is_causal: bool = False, key_padding_mask: Tensor | None = None, cache: KeyValueCache | None = None,
        position: Any = 0,
    ) -> Tensor:
        q, k, v = (self._split_heads(x) for x in self._project(query, key, value))
        q, k = self._rotated(q, position), self._rotated(k, position)
        if cache is not None:
            time = int(q.shape[2])
            k, v = cache.extend(k, v, position)
            if is_causal and k.shape[2] != time:  # the queries are the last of the keys
                is_causal = False
                if time > 1:
                    mask = masks_together(mask, causal_mask(cache.context)[position:position + time, :k.shape[2]])
        mask, is_causal = _mask_of(q, k, mask, is_causal, key_padding_mask)
        attended = q.scaled_dot_product_attention(
            k, v, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0, is_causal=is_causal
        )
        batch, _, time, _ = attended.shape
        return self.out_proj(attended.transpose(1, 2).reshape(batch, time, self.embed_dim))

    def attention_weights(
        self, query: Tensor, key: Tensor | None = None, mask: Tensor | None = None, is_causal: bool = False,
        key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        """How much each query looks at each key: [batch, heads, queries, keys], rows sum to 1; without dropout."""
        pairs = zip((query, query if key is None else key), self._projections(), strict=False)
        q, k = (self._rotated(self._split_heads(x.linear(*projection))) for x, projection in pairs)
        mask, is_causal = _mask_of(q, k, mask, is_causal, key_padding_mask)
        unit_values = Tensor.eye(int(k.shape[2]), dtype=k.dtype)  # what attention makes of them are its weights
        return q.scaled_dot_product_attention(k, unit_values, attn_mask=mask, is_causal=is_causal)

    def _project(self, query: Tensor, key: Tensor | None, value: Tensor | None) -> tuple[Tensor, ...]:
        if key is None and value is None and self._one_width:  # one matmul for all three
            return query.linear(self.in_proj_weight.transpose(0, 1), self.in_proj_bias).split(self.embed_dim, dim=-1)
        key = query if key is None else key
        inputs = (query, key, key if value is None else value)
        widths = (self.embed_dim, self.kdim, self.vdim)
        for name, x, width in zip(("query", "key", "value"), inputs, widths, strict=True):
            if x.ndim != 3 or x.shape[-1] != width:
                raise ValueError(f"attention expects a {name} of shape [batch, time, {width}], got {list(x.shape)}")
        return tuple(x.linear(*projection) for x, projection in zip(inputs, self._projections(), strict=True))

    def _projections(self) -> list[tuple[Tensor, Tensor | None]]:
        """Weight (transposed, as ``linear`` takes it) and bias of queries, keys and values."""
        whole = self._one_width
        weights = self.in_proj_weight.split(self.embed_dim) if whole else (
            self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.split(self.embed_dim)
        return [(weight.transpose(0, 1), bias) for weight, bias in zip(weights, biases, strict=True)]

    @property
    def _one_width(self) -> bool:
        """Whether queries, keys and values are equally wide, so that their weights are one tensor."""
        return self.kdim == self.vdim == self.embed_dim

    def _rotated(self, x: Tensor, position: Any = 0) -> Tensor:
        return x if self.rotate is None else self.rotate(x, position)

    def _split_heads(self, x: Tensor) -> Tensor:
        batch, time, _ = x.shape
        return x.reshape(batch, time, self.num_heads, self.embed_dim // self.num_heads).transpose(1, 2)


def _mask_of(
    q: Tensor, k: Tensor, mask: Tensor | None, is_causal: bool, key_padding_mask: Tensor | None
) -> tuple[Tensor | None, bool]:
    """All masks as one, and whether it remains to hide what comes later: cheaper by a comparison than by a mask."""
    if key_padding_mask is not None:
        mask = masks_together(mask, visible(key_padding_mask).unsqueeze(1).unsqueeze(1))
    if mask is None or not is_causal:
        return mask, is_causal
    return masks_together(mask, causal_mask(q.shape[2], k.shape[2])), False
