"""Multi-head attention."""

from __future__ import annotations

from typing import Any

from ir import dtypes
from tinygrad_like.nn import init
from tinygrad_like.nn.key_value_cache import KeyValueCache
from tinygrad_like.nn.linear import Linear
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor


class MultiHeadAttention(Module):
    """softmax(Q Kᵀ / sqrt(d)) V in ``num_heads`` heads (Vaswani et al., "Attention Is All You Need", 2017).

    Inputs are [batch, time, embed_dim]; key and value default to the query (self-attention). ``mask``, broadcast to
    [batch, heads, queries, keys], is added to the scores or, if bool, says what may be looked at. Parameters have the
    names, shapes and initial distributions of PyTorch's ``nn.MultiheadAttention``; only the output is returned.

    With a ``cache`` the input holds the tokens from ``position`` (an int or a bound ``Variable``) on: their keys and
    values are written to the cache, and they look at all that it holds up to the last of them.

    >>> MultiHeadAttention(64, 4)(Tensor.rand(2, 10, 64), is_causal=True).shape
    (2, 10, 64)
    """

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True) -> None:
        if embed_dim % num_heads:
            raise ValueError(f"num_heads={num_heads} must divide embed_dim={embed_dim}")
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.in_proj_weight = init.xavier_uniform(
            3 * embed_dim, embed_dim, fan_in=embed_dim, fan_out=3 * embed_dim
        )
        self.in_proj_bias: Tensor | None = init.zeros(3 * embed_dim) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias)
        if self.out_proj.bias is not None:
            self.out_proj.bias = init.zeros(embed_dim)

    def forward(
        self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None, mask: Tensor | None = None,
        is_causal: bool = False, cache: KeyValueCache | None = None, position: Any = 0,
    ) -> Tensor:
        q, k, v = (self._split_heads(x) for x in self._project(query, key, value))
        if cache is not None:
            time = int(q.shape[2])
            k, v = cache.extend(k, v, position)
            if is_causal and mask is None and k.shape[2] != time:  # the queries are the last of the keys
                is_causal = False
                mask = causal_mask(cache.context)[position:position + time, :k.shape[2]] if time > 1 else None
        attended = q.scaled_dot_product_attention(
            k, v, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0, is_causal=is_causal
        )
        batch, _, time, _ = attended.shape
        return self.out_proj(attended.transpose(1, 2).reshape(batch, time, self.embed_dim))

    def _project(self, query: Tensor, key: Tensor | None, value: Tensor | None) -> tuple[Tensor, ...]:
        weight, bias, width = self.in_proj_weight, self.in_proj_bias, self.embed_dim
        if key is None and value is None:  # one matmul for all three
            return query.linear(weight.transpose(0, 1), bias).split(width, dim=-1)
        key = query if key is None else key
        inputs = (query, key, key if value is None else value)
        biases = (None,) * 3 if bias is None else bias.split(width)
        weights = weight.split(width)
        return tuple(x.linear(w.transpose(0, 1), b) for x, w, b in zip(inputs, weights, biases, strict=True))

    def _split_heads(self, x: Tensor) -> Tensor:
        batch, time, _ = x.shape
        return x.reshape(batch, time, self.num_heads, self.embed_dim // self.num_heads).transpose(1, 2)


def causal_mask(length: int) -> Tensor:
    """[length, length], true where a query may look at a key: itself and what came before."""
    return Tensor.ones(length, length, dtype=dtypes.bool).tril()
