"""Where random numbers come from: a counter-based generator per device.

The numbers are those of threefry2x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) and, with
the same seed, those of tinygrad: every call takes as many counters as it needs words and derives a key from the first.
The position is kept on the host. A program that ``jit`` compiled reads it from a buffer and advances it itself, so that
each call draws new numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

import ir
from ir import Node, dtypes
from ir.ops.random_bits import threefry_2x32
from runtime import Buffer, buffer_node
from runtime.device import get_device
from tinygrad_like.tensor import live

_WORD = (1 << 32) - 1
_collected: ContextVar[list[Node] | None] = ContextVar("collected keys", default=None)


@contextmanager
def collected_keys() -> Iterator[list[Node]]:
    """The keys that are drawn inside the block, in a list that fills up (for ``vmap``)."""
    keys: list[Node] = []
    token = _collected.set(keys)
    try:
        yield keys
    finally:
        _collected.reset(token)
        outer = _collected.get()
        if outer is not None:
            outer.extend(keys)


class RandomStream:
    """The generator of one device. position: how many 32-bit words were drawn so far."""

    def __init__(self, device: str, number: int, seed: int) -> None:
        self.device, self.number = device, number
        self._state: Buffer | None = None
        self._written: tuple[int, int] | None = None
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Starts the sequence of ``seed``."""
        digest = int.from_bytes(hashlib.sha256(self.number.to_bytes(4, "big")).digest(), "big")
        self.key = (seed & _WORD) << 32 | digest & _WORD
        self.position = 0

    @property
    def state(self) -> Node:
        """The buffer [key, position] that compiled functions read and advance."""
        if self._state is None:
            self._state = Buffer(get_device(self.device), dtypes.uint64, (2,))
        self.synchronize()
        return buffer_node(self._state)

    def synchronize(self) -> None:
        """The buffer holds the key and position that the host knows; it is written only where that has changed."""
        wanted = (self.key, self.position)
        if self._state is not None and self._written != wanted:
            self._state.write(np.array(wanted, np.uint64))
            self._written = wanted

    def advanced(self, words: int) -> None:
        """A compiled function has drawn ``words`` words and written the new position to the buffer."""
        self.position += words
        self._written = (self.key, self.position)

    def next_key(self, words: int) -> Node:
        """The key (uint64, 0-D) for the next ``words`` words."""
        key = self._drawn_key(words)
        collected = _collected.get()
        if collected is not None:
            collected.append(key)
        return key

    def _drawn_key(self, words: int) -> Node:
        trace = live.current_trace()
        if trace is not None:
            return _device_key(self.state, trace.draw(self, words))
        key = threefry_2x32(np.array([self.position], np.uint64), np.array([self.key], np.uint64))
        self.position += words
        return buffer_node(Buffer(get_device(self.device), dtypes.uint64, ()).write(key.astype(np.uint64).reshape(())))


def _device_key(state: Node, offset: int) -> Node:
    """The key at ``offset`` words after the position in ``state``, computed on the device."""
    key, position = (ir.reshape(ir.slice(state, ((i, i + 1, 1),)), ()) for i in (0, 1))
    return ir.random_bits(ir.add(position, ir.constant(offset, dtypes.uint64)), key)


def advanced_state(stream: RandomStream, words: int) -> Node:
    """The assignment by which a compiled function moves the position on."""
    step = ir.concat([ir.constant(0, dtypes.uint64, (1,)), ir.constant(words, dtypes.uint64, (1,))], 0)
    return ir.assign(stream.state, ir.add(stream.state, step))


class RandomState:
    """The streams of all devices, and their common seed. The seed is 0 until ``manual_seed``: runs repeat exactly."""

    def __init__(self) -> None:
        self._seed = 0
        self._streams: dict[str, RandomStream] = {}

    def manual_seed(self, seed: int) -> None:
        """Every device starts the sequence of ``seed``, in the order in which they are used (as in tinygrad)."""
        self._seed = int(seed)
        for stream in self._streams.values():
            stream.seed(self._seed)

    def stream(self, device: str) -> RandomStream:
        """The generator of ``device``."""
        found = self._streams.get(device)
        if found is None:
            found = self._streams[device] = RandomStream(device, len(self._streams), self._seed)
        return found

    def snapshot(self) -> dict[str, int]:
        """Seed and positions: all there is to a random state."""
        return {"seed": self._seed, **{f"position.{name}": s.position for name, s in self._streams.items()}}

    def restore(self, snapshot: dict[str, int]) -> None:
        """Continues from a snapshot."""
        self.manual_seed(snapshot["seed"])
        for name, position in snapshot.items():
            if name.startswith("position."):
                self.stream(name.removeprefix("position.")).position = position


random_state = RandomState()


def words(key: Node, count: int, number: Node) -> Node:
    """The words (uint32) at ``number`` of ``count`` words of a key: the low halves of all counters, then the high.

    Elementwise, so that it fuses with whatever uses the numbers.
    """
    half = ir.constant(-(-count // 2), dtypes.uint64, number.shape)
    late = ir.bit_not(ir.less(number, half))
    low = ir.where(late, ir.sub(number, half), number)
    counter = ir.bit_or(ir.shift_left(ir.add(low, half), ir.constant(32, dtypes.uint64, number.shape)), low)
    bits = ir.random_bits(counter, ir.expand(ir.reshape(key, (1,) * len(number.shape)), number.shape))
    high = ir.shift_right(bits, ir.constant(32, dtypes.uint64, number.shape))
    low_half = ir.bit_and(bits, ir.constant(_WORD, dtypes.uint64, number.shape))
    return ir.cast(ir.where(late, high, low_half), dtypes.uint32)
