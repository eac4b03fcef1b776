"""Multi-head attention called as PyTorch's layer is."""

from __future__ import annotations

from tinygrad_like.nn.attention import MultiHeadAttention
from tinygrad_like.nn.attention_masks import visible
from tinygrad_like.tensor import Tensor


class MultiheadAttention(MultiHeadAttention):
    """``MultiHeadAttention`` with the arguments, masks and results of PyTorch's layer of this name.

    query [queries, batch, embed_dim], key and value [keys, batch, ...], or without batch; with ``batch_first`` the
    batch comes first. Bool masks are true where looking is *forbidden*: ``key_padding_mask`` [batch, keys],
    ``attn_mask`` [queries, keys] or [batch * num_heads, queries, keys]; masks of numbers are added to the scores.
    Returns the output and the weights [batch, queries, keys], averaged over heads unless ``average_attn_weights`` is
    false (then [batch, heads, queries, keys]), or None without ``need_weights``. Tensors are lazy: weights that nobody
    reads cost nothing. Unlike PyTorch's they are those before dropout, and ``is_causal`` needs no mask beside it.

    >>> output, weights = MultiheadAttention(64, 4, batch_first=True)(x, x, x)
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, *, kdim: int | None = None,
        vdim: int | None = None, batch_first: bool = False,
    ) -> None:
        super().__init__(embed_dim, num_heads, dropout, bias, kdim, vdim)
        self.batch_first = batch_first

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        alone = query.ndim == 2
        q, k, v = (x.unsqueeze(0) if alone else x if self.batch_first else x.transpose(0, 1)
                   for x in (query, key, value))
        padding = key_padding_mask.unsqueeze(0) if alone and key_padding_mask is not None else key_padding_mask
        mask = self._per_head(attn_mask)
        output = super().forward(q, k, v, mask, is_causal, padding)
        output = output.squeeze(0) if alone else output if self.batch_first else output.transpose(0, 1)
        if not need_weights:
            return output, None
        weights = self.attention_weights(q, k, mask, is_causal, padding)
        weights = weights.mean(1) if average_attn_weights else weights
        return output, weights.squeeze(0) if alone else weights

    def _per_head(self, mask: Tensor | None) -> Tensor | None:
        if mask is None or mask.ndim == 2:
            return None if mask is None else visible(mask)
        if mask.ndim != 3 or mask.shape[0] % self.num_heads:
            raise ValueError(f"attn_mask expects [queries, keys] or [batch * {self.num_heads}, queries, keys], "
                             f"got {list(mask.shape)}")
        return visible(mask).unflatten(0, (-1, self.num_heads))
