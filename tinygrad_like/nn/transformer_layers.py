"""One layer of a Transformer's encoder and one of its decoder, with PyTorch's arguments and names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Union

from tinygrad_like.nn.attention import MultiHeadAttention
from tinygrad_like.nn.attention_masks import visible
from tinygrad_like.nn.dropout import Dropout
from tinygrad_like.nn.linear import Linear
from tinygrad_like.nn.module import Module
from tinygrad_like.nn.normalization import LayerNorm
from tinygrad_like.tensor import Tensor

Activation = Union[str, Callable[[Tensor], Tensor]]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": Tensor.relu, "gelu": lambda x: x.gelu(approximate="none")
}


class TransformerLayer(Module):
    """What encoder and decoder layers share.

    Each sublayer stands beside a shortcut: norm(x + sublayer(x)) (post-norm, Vaswani et al., "Attention Is All You
    Need", 2017) or, with ``norm_first``, x + sublayer(norm(x)) (pre-norm, Xiong et al., "On Layer Normalization in the
    Transformer Architecture", 2020). The last one is linear2(activation(linear1(x))).

    d_model: the width. nhead: heads. dropout: of attention weights, of hidden activations and of each sublayer's
    output. activation: "relu", "gelu" (by the error function) or a function of a tensor. batch_first: inputs are
    [batch, time, d_model] instead of [time, batch, d_model].

    Masks are PyTorch's: a bool mask is true where looking is *forbidden*, numbers are added to the scores;
    [queries, keys], broadcast to [batch, heads, queries, keys]. Padding masks are [batch, keys]. ``is_causal`` hides
    what comes later, with or without a mask beside it.
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Activation = "relu", layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True,
    ) -> None:
        if isinstance(activation, str) and activation not in _ACTIVATIONS:
            raise ValueError(f"activation={activation!r} is unknown; expected 'relu', 'gelu' or a function")
        self.activation = _ACTIVATIONS[activation] if isinstance(activation, str) else activation
        self.batch_first, self.norm_first = batch_first, norm_first
        self.self_attn = MultiHeadAttention(d_model, nhead, dropout, bias)
        self.linear1, self.linear2 = Linear(d_model, dim_feedforward, bias), Linear(dim_feedforward, d_model, bias)
        self.norm1, self.norm2 = (LayerNorm(d_model, layer_norm_eps, bias=bias) for _ in range(2))
        self.dropout, self.dropout1, self.dropout2 = (Dropout(dropout) for _ in range(3))

    def _beside(self, x: Tensor, sublayer: Callable[[Tensor], Tensor], norm: LayerNorm, dropout: Dropout) -> Tensor:
        """``sublayer`` beside a shortcut, with its norm before or after."""
        if self.norm_first:
            return x + dropout(sublayer(norm(x)))
        return norm(x + dropout(sublayer(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _batch_first(self, x: Tensor) -> Tensor:
        """Between the caller's order of dimensions and [batch, time, d_model], either way."""
        return x if self.batch_first else x.transpose(0, 1)


class TransformerEncoderLayer(TransformerLayer):
    """Self-attention, then a feed-forward network: the layer of PyTorch's name. See ``TransformerLayer``.

    >>> TransformerEncoderLayer(64, 4, batch_first=True)(Tensor.rand(2, 10, 64)).shape
    (2, 10, 64)
    """

    def forward(
        self, src: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        mask = None if src_mask is None else visible(src_mask)

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, mask=mask, is_causal=is_causal, key_padding_mask=src_key_padding_mask)

        x = self._beside(self._batch_first(src), attend, self.norm1, self.dropout1)
        return self._batch_first(self._beside(x, self._feed_forward, self.norm2, self.dropout2))


class TransformerDecoderLayer(TransformerLayer):
    """Self-attention, attention to the encoder's output ``memory``, then a feed-forward network.

    The layer of PyTorch's name; it hides no later positions by itself: give ``tgt_is_causal`` or a mask. See
    ``TransformerLayer``.

    >>> layer = TransformerDecoderLayer(64, 4, batch_first=True)
    >>> layer(Tensor.rand(2, 7, 64), Tensor.rand(2, 10, 64), tgt_is_causal=True).shape
    (2, 7, 64)
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Activation = "relu", layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True,
    ) -> None:
        super().__init__(d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first,
                         bias)
        self.multihead_attn = MultiHeadAttention(d_model, nhead, dropout, bias)
        self.norm3, self.dropout3 = LayerNorm(d_model, layer_norm_eps, bias=bias), Dropout(dropout)

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False, memory_is_causal: bool = False,
    ) -> Tensor:
        own_mask, cross_mask = (None if mask is None else visible(mask) for mask in (tgt_mask, memory_mask))
        source = self._batch_first(memory)

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, mask=own_mask, is_causal=tgt_is_causal, key_padding_mask=tgt_key_padding_mask)

        def attend_to_memory(x: Tensor) -> Tensor:
            return self.multihead_attn(x, source, source, mask=cross_mask, is_causal=memory_is_causal,
                                       key_padding_mask=memory_key_padding_mask)

        x = self._beside(self._batch_first(tgt), attend, self.norm1, self.dropout1)
        x = self._beside(x, attend_to_memory, self.norm2, self.dropout2)
        return self._batch_first(self._beside(x, self._feed_forward, self.norm3, self.dropout3))
