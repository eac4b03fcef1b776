"""What attention remembers of earlier tokens, so that a model reads each token once."""

from __future__ import annotations

from typing import Any

from ir.dtype import DTypeLike
from tinygrad_like.tensor import Tensor


class KeyValueCache:
    """Room for the keys and values of one attention layer, each [batch, heads, context, head_width], zeros at first.

    ``extend`` writes those of new tokens in place. A position may be a bound ``Variable``: then one compiled program
    serves every position. Whatever stands behind the tokens that were given last is never read.

    >>> cache = KeyValueCache(batch=1, heads=12, context=1024, head_width=64)
    >>> keys, values = cache.extend(keys, values, Variable("position", 0, 1023).bind(7))  # [1, 12, 8, 64] each
    """

    def __init__(
        self, batch: int, heads: int, context: int, head_width: int, dtype: DTypeLike | None = None,
        device: str | None = None,
    ) -> None:
        for name, size in (("batch", batch), ("heads", heads), ("context", context), ("head_width", head_width)):
            if size < 1:
                raise ValueError(f"{name} is at least 1, got {size}")
        shape = (batch, heads, context, head_width)
        self.keys, self.values = (_room(shape, dtype, device) for _ in range(2))

    @property
    def context(self) -> int:
        """How many positions there is room for."""
        return int(self.keys.shape[2])

    def extend(self, keys: Tensor, values: Tensor, position: Any = 0) -> tuple[Tensor, Tensor]:
        """Write the keys and values [batch, heads, time, head_width] of the tokens that stand at ``position`` and on.

        position: an int or a bound ``Variable``. Returns all keys and values up to and with the new ones: [batch,
        heads, position + time, head_width] each. Errors: ValueError for another batch, number or width of heads, and
        for tokens that exceed the room.
        """
        end = position + keys.shape[2]
        self._check(keys, end)
        self.keys[:, :, position:end].assign(keys)
        self.values[:, :, position:end].assign(values)
        return self.keys[:, :, :end], self.values[:, :, :end]

    def _check(self, keys: Tensor, end: Any) -> None:
        batch, heads, context, width = self.keys.shape
        given = (keys.shape[0], keys.shape[1], keys.shape[3])
        if given != (batch, heads, width):
            raise ValueError(f"the cache holds keys of [batch={batch}, heads={heads}, time, width={width}]; got "
                             f"{list(keys.shape)}")
        if isinstance(end, int) and end > context:
            raise ValueError(f"{end} tokens exceed the cache's {context} positions")


def _room(shape: tuple[int, ...], dtype: DTypeLike | None, device: str | None) -> Tensor:
    room = Tensor.zeros(*shape, dtype=dtype, device=device).contiguous().realize()
    return room.is_param_(False).requires_grad_(False)
