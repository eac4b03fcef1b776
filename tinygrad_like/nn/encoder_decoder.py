"""The Transformer as published: a stack of encoder layers and a stack of decoder layers, with PyTorch's arguments."""

from __future__ import annotations

import copy
import math
from typing import Any

from tinygrad_like.nn import init
from tinygrad_like.nn.container import ModuleList
from tinygrad_like.nn.module import Module
from tinygrad_like.nn.normalization import LayerNorm
from tinygrad_like.nn.transformer_layers import Activation, TransformerDecoderLayer, TransformerEncoderLayer
from tinygrad_like.tensor import Tensor


class TransformerEncoder(Module):
    """``num_layers`` copies of an encoder layer one after the other, then ``norm`` where one is given.

    The copies begin with equal weights, as in PyTorch; ``Transformer`` draws them anew.
    """

    def __init__(self, encoder_layer: TransformerEncoderLayer, num_layers: int, norm: Module | None = None) -> None:
        self.layers, self.norm = _copies(encoder_layer, num_layers), norm

    def forward(
        self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """``num_layers`` copies of a decoder layer one after the other, then ``norm`` where one is given."""

    def __init__(self, decoder_layer: TransformerDecoderLayer, num_layers: int, norm: Module | None = None) -> None:
        self.layers, self.norm = _copies(decoder_layer, num_layers), norm

    def forward(self, tgt: Tensor, memory: Tensor, *masks: Any, **named_masks: Any) -> Tensor:
        """The masks are those of ``TransformerDecoderLayer``."""
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, **named_masks)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """Encoder and decoder (Vaswani et al., "Attention Is All You Need", 2017): embeddings in, hidden states out.

    src [source, batch, d_model], tgt [target, batch, d_model] -> [target, batch, d_model]; with ``batch_first`` the
    batch comes first. Masks and settings are those of ``TransformerLayer``. Matrices begin uniform in
    +-sqrt(6 / (fan_in + fan_out)). ``models.Seq2SeqTransformer`` adds embeddings, positions and a head.

    >>> model = Transformer(64, 4, 2, 2, 128, batch_first=True)
    >>> model(Tensor.rand(2, 10, 64), Tensor.rand(2, 7, 64), tgt_is_causal=True).shape
    (2, 7, 64)
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
        dim_feedforward: int = 2048, dropout: float = 0.1, activation: Activation = "relu",
        layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False, bias: bool = True,
    ) -> None:
        settings = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        norms = (LayerNorm(d_model, layer_norm_eps, bias=bias) for _ in range(2))
        self.encoder = TransformerEncoder(TransformerEncoderLayer(*settings), num_encoder_layers, next(norms))
        self.decoder = TransformerDecoder(TransformerDecoderLayer(*settings), num_decoder_layers, next(norms))
        matrices = [p for p in self.parameters() if p.ndim > 1]
        for p in matrices:
            bound = math.sqrt(6 / (int(p.shape[0]) + int(p.shape[1])))
            init.uniform_(p, -bound, bound)
        if matrices:
            Tensor.realize(*matrices)

    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool = False, tgt_is_causal: bool = False, memory_is_causal: bool = False,
    ) -> Tensor:
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,
                            tgt_is_causal, memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int) -> Tensor:
        """[sz, sz]: 0 where a query may look at a key, itself and what came before, else -inf."""
        return Tensor.full((sz, sz), -math.inf).triu(1)


def _copies(layer: Any, count: int) -> ModuleList:
    return ModuleList([layer, *(copy.deepcopy(layer) for _ in range(count - 1))][:count])
