"""The Transformer block."""

from __future__ import annotations

from typing import Any

from tinygrad_like.nn.attention import MultiHeadAttention
from tinygrad_like.nn.dropout import Dropout
from tinygrad_like.nn.key_value_cache import KeyValueCache
from tinygrad_like.nn.linear import Linear
from tinygrad_like.nn.module import Module
from tinygrad_like.nn.normalization import LayerNorm
from tinygrad_like.tensor import Tensor


class TransformerBlock(Module):
    """Self-attention and a feed-forward network, each behind a layer norm and beside a shortcut (pre-norm, as GPT-2).

        x = x + attention(norm1(x))
        x = x + linear2(gelu(linear1(norm2(x))))

    Input and output are [batch, time, width]; with a ``cache`` the input starts at ``position`` (see
    ``MultiHeadAttention``). Parameters have the names and shapes of PyTorch's
    ``nn.TransformerEncoderLayer``, and this is what that computes with ``norm_first=True`` and GELU (its tanh form).
    """

    def __init__(
        self, width: int, heads: int, hidden: int | None = None, dropout: float = 0.0, causal: bool = True
    ) -> None:
        hidden = 4 * width if hidden is None else hidden
        self.causal = causal
        self.self_attn = MultiHeadAttention(width, heads, dropout)
        self.linear1, self.linear2 = Linear(width, hidden), Linear(hidden, width)
        self.norm1, self.norm2 = LayerNorm(width), LayerNorm(width)
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, cache: KeyValueCache | None = None, position: Any = 0
    ) -> Tensor:
        attended = self.self_attn(
            self.norm1(x), mask=mask, is_causal=self.causal, cache=cache, position=position
        )
        x = x + self.dropout(attended)
        hidden = self.dropout(self.linear1(self.norm2(x)).gelu())
        return x + self.dropout(self.linear2(hidden))
