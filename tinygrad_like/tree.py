"""Nested dicts, lists and tuples of values: what functions take and return, taken apart and put together again.

    >>> leaves, structure = flatten({"b": [1, 2], "a": (3,)})
    >>> leaves, structure.rebuild([x * 10 for x in leaves])
    ([1, 2, 3], {'b': [10, 20], 'a': (30,)})
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple


class Structure(NamedTuple):
    """The shape of a nest, equal for equally nested values.

    kind: None for a leaf, else the type of the container. keys: of a dict (or None). parts: of the elements.
    """

    kind: type | None
    keys: tuple[Hashable, ...] | None = None
    parts: tuple[Structure, ...] = ()

    @property
    def leaf_count(self) -> int:
        return 1 if self.kind is None else sum(part.leaf_count for part in self.parts)

    def rebuild(self, leaves: Sequence[Any]) -> Any:
        """The nest with these leaves."""
        return leaves[0] if self.kind is None else self._rebuilt(iter(leaves))

    def _rebuilt(self, leaves: Iterator[Any]) -> Any:
        if self.kind is None:
            return next(leaves)
        values = [part._rebuilt(leaves) for part in self.parts]
        if self.keys is not None:
            return self.kind(zip(self.keys, values, strict=True))
        return self.kind(*values) if hasattr(self.kind, "_fields") else self.kind(values)

    def paths(self, prefix: str = "") -> list[str]:
        """Where each leaf is: ``[0]['weight']``."""
        if self.kind is None:
            return [prefix]
        keys: Sequence[Any] = self.keys if self.keys is not None else range(len(self.parts))
        return [path for key, part in zip(keys, self.parts, strict=True) for path in part.paths(f"{prefix}[{key!r}]")]


LEAF = Structure(None)


def flatten(value: Any) -> tuple[list[Any], Structure]:
    """The leaves of a nest in order, and its structure. Whatever is no dict, list or tuple is a leaf."""
    leaves: list[Any] = []
    return leaves, _flatten(value, leaves)


def _flatten(value: Any, leaves: list[Any]) -> Structure:
    kind = type(value)
    if isinstance(value, dict):
        return Structure(dict if kind.__init__ is not dict.__init__ else kind, tuple(value),
                         tuple(_flatten(item, leaves) for item in value.values()))
    if isinstance(value, (list, tuple)):
        return Structure(kind, None, tuple(_flatten(item, leaves) for item in value))
    leaves.append(value)
    return LEAF
