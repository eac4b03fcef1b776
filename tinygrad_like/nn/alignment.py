"""Attention as an alignment of two sequences, as translation had it before the Transformer.

Both layers take queries [batch, queries, width], keys [batch, keys, width] and values [batch, keys, ...] (the keys by
default), and return (context [batch, queries, ...], weights [batch, queries, keys]). ``mask``, broadcast to the
weights, is bool, true where a query may look at a key, or numbers that are added to the scores.
"""

from __future__ import annotations

import math

from tinygrad_like.nn.linear import Linear
from tinygrad_like.nn.module import Module
from tinygrad_like.tensor import Tensor


class AdditiveAttention(Module):
    """score = v · tanh(W q + U k + b), a small network that compares two vectors of any widths.

    Source: Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and Translate", 2015.

    >>> context, weights = AdditiveAttention(5, 7, hidden=16)(Tensor.rand(2, 3, 5), Tensor.rand(2, 4, 7))
    >>> context.shape, weights.shape
    ((2, 3, 7), (2, 3, 4))
    """

    def __init__(self, query_width: int, key_width: int, hidden: int) -> None:
        self.query, self.key = Linear(query_width, hidden, bias=False), Linear(key_width, hidden)
        self.score = Linear(hidden, 1, bias=False)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        compared = (self.query(query).unsqueeze(2) + self.key(key).unsqueeze(1)).tanh()
        return _attend(self.score(compared).squeeze(-1), key if value is None else value, mask)


class DotProductAttention(Module):
    """score = q · k, with ``scaled`` divided by sqrt(width).

    Source: Luong et al., "Effective Approaches to Attention-based Neural Machine Translation", 2015.
    """

    def __init__(self, scaled: bool = False) -> None:
        self.scaled = scaled

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        scores = query @ key.transpose(-2, -1)
        scores = scores * (1 / math.sqrt(int(query.shape[-1]))) if self.scaled else scores
        return _attend(scores, key if value is None else value, mask)


def _attend(scores: Tensor, value: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    if mask is not None:
        scores = mask.where(scores, -math.inf) if mask.dtype.is_bool else scores + mask
    weights = scores.softmax(-1)
    return weights @ value, weights
