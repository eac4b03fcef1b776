"""Who may look at whom: masks of attention, and how several become one.

A mask is either bool, true where a query may look at a key, or numbers that are added to the scores (-inf: may not).
It is broadcast to [batch, heads, queries, keys]. This is the meaning in ``Tensor.scaled_dot_product_attention`` and
``nn.MultiHeadAttention``. PyTorch's modules take bool masks the other way round, true where looking is forbidden; the
layers here that have PyTorch's names and arguments do the same, and ``visible`` translates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ir import dtypes
from tinygrad_like.tensor import Tensor


def causal_mask(length: int, keys: int | None = None) -> Tensor:
    """[length, keys], true where a query may look at a key: itself and what came before; as many keys by default."""
    return Tensor.ones(length, length if keys is None else keys, dtype=dtypes.bool).tril()


def padding_mask(lengths: Tensor | Sequence[int], length: int) -> Tensor:
    """[batch, length], true behind the end of each sequence: a ``key_padding_mask``.

    >>> padding_mask([1, 3], 3).tolist()
    [[False, True, True], [False, False, False]]
    """
    ends = lengths if isinstance(lengths, Tensor) else Tensor(list(lengths))
    return Tensor.arange(length).reshape(1, length) >= ends.reshape(-1, 1)


def visible(mask: Tensor) -> Tensor:
    """PyTorch's mask as ours: a bool one the other way round, numbers as they are."""
    return mask.logical_not() if mask.dtype.is_bool else mask


def masks_together(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Both masks at once: what two bool masks both allow, the sum of numbers, -inf where a bool mask forbids."""
    if first is None or second is None:
        return second if first is None else first
    if first.dtype.is_bool and second.dtype.is_bool:
        return first & second
    return _numbers(first) + _numbers(second)


def _numbers(mask: Tensor) -> Tensor:
    return mask.where(0.0, -math.inf) if mask.dtype.is_bool else mask
