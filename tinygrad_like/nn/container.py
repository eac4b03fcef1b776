"""Modules made of modules. Their children are attributes named 0, 1, 2, ..., so that names agree with PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tinygrad_like.nn.module import Module

Layer = Callable[..., Any]


class ModuleList(Module):
    """A list of modules (or of any callables and objects with tensors)."""

    def __init__(self, layers: Iterable[Layer] = ()) -> None:
        self._length = 0
        for layer in layers:
            self.append(layer)

    def append(self, layer: Layer) -> None:
        """Add one at the end."""
        setattr(self, str(self._length), layer)
        self._length += 1

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        if not -self._length <= index < self._length:
            raise IndexError(f"index {index} is out of range for {self._length} modules")
        return getattr(self, str(index % self._length))

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, str(i)) for i in range(self._length))


class Sequential(ModuleList):
    """Layers applied one after the other.

    >>> net = Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    >>> list(net.state_dict())
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__(layers)

    def forward(self, x: Any) -> Any:
        for layer in self:
            x = layer(x)
        return x
