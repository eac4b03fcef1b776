"""Keccak, the hash function of SHA-3, as tensor operations: one scan over blocks of a scan over rounds.

Source: Bertoni, Daemen, Peeters and Van Assche, "The Keccak reference", 2011; FIPS 202.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import ir
from ir import dtypes
from tinygrad_like.tensor.base import TensorBase

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor

_STATE_BYTES, _LANES, _ROUNDS = 200, 25, 24
# name -> (bytes of a block, the byte behind the message)
_VARIANTS = {"sha3_224": (144, 0x06), "sha3_256": (136, 0x06), "sha3_384": (104, 0x06), "sha3_512": (72, 0x06),
             "shake_128": (168, 0x1F)}
_CHUNK, _PAGE = 1 << 20, 4096  # of ``hash``


class HashingMixin(TensorBase):
    """Digests of the bytes of a tensor; equal on every device."""

    __slots__ = ()

    def keccak(self, cfg: str | tuple[int, int] = "sha3_256") -> Tensor:
        """The digests (uint8) of the bytes along the last dimension: [.., n] -> [.., digest].

        cfg: "sha3_224", "sha3_256", "sha3_384", "sha3_512" or "shake_128" (16 bytes), or (bytes of a block, the byte
        that follows the message). The digest has half as many bytes as the state has more than a block.

            >>> bytes(Tensor(b"abc").keccak().tolist()).hex()[:8]
            '3a985da7'
        """
        if isinstance(cfg, str) and cfg not in _VARIANTS:
            raise ValueError(f"keccak knows {', '.join(_VARIANTS)}, got {cfg!r}")
        rate, suffix = _VARIANTS[cfg] if isinstance(cfg, str) else cfg
        if not self.ndim or not 0 < rate < _STATE_BYTES or rate % 8:
            raise ValueError(f"keccak needs one or more dimensions and blocks of 8 to 192 bytes, got shape "
                             f"{self.shape} and {rate}")
        messages = self.bitcast(dtypes.uint8)
        length = int(messages.shape[-1])
        rows = messages.reshape(ir.product(messages.shape[:-1]), length)
        blocks = length // rate + 1
        ending = np.zeros(blocks * rate - length, np.uint8)
        ending[0] ^= suffix
        ending[-1] ^= 0x80
        behind = type(self)(ending, device=self._device).reshape(1, -1).expand(rows.shape[0], len(ending))
        padded = rows.cat(behind, dim=1).reshape(rows.shape[0], blocks, rate)
        lanes = padded.pad((0, _STATE_BYTES - rate)).bitcast(dtypes.uint64).permute(1, 0, 2)
        state = self.from_node(ir.constant(0, dtypes.uint64, (rows.shape[0], _LANES)))
        constants = type(self)(_round_constants(), device=self._device)

        def absorb(state: Tensor, constants: Tensor, block: Tensor) -> tuple[Tensor, ...]:
            return *(state ^ block)._repeated(_round, (state ^ block,), constants), constants

        state, _ = state._repeated(absorb, (state, constants), lanes)
        digest = (_STATE_BYTES - rate) // 2
        return state.bitcast(dtypes.uint8)[:, :digest].reshape(*self.shape[:-1], digest)

    def hash(self) -> Tensor:
        """A digest of 16 bytes of all elements: SHAKE-128 of the digests of pages of 4 KiB, MiB by MiB."""
        data: Any = self.flatten().bitcast(dtypes.uint8)
        chunks = -(-int(data.shape[0]) // _CHUNK)
        while chunks > 1:
            data = _digests(data.pad_to(chunks * _CHUNK).reshape(chunks, _CHUNK)).flatten()
            chunks = -(-chunks // (_CHUNK // 16))
        return _digests(data.pad_to(_CHUNK).unsqueeze(0)).flatten()[:16]


def _digests(chunks: Tensor) -> Tensor:
    """[n, 1 MiB] -> [n, 16]."""
    pages = chunks.reshape(-1, _PAGE).keccak("shake_128")
    return pages.reshape(chunks.shape[0], -1).keccak("shake_128")


def _round(state: Tensor, constant: Tensor) -> tuple[Tensor, ...]:
    """One round of the permutation; lane x + 5 y of [n, 25] is row y, column x."""
    table = state.reshape(-1, 5, 5)
    columns = table[:, 0] ^ table[:, 1] ^ table[:, 2] ^ table[:, 3] ^ table[:, 4]
    ahead = columns.roll(-1, 1)
    mixed = columns.roll(1, 1) ^ ((ahead << 1) | (ahead >> 63))
    lanes = (table ^ mixed.unsqueeze(1)).reshape(-1, _LANES)
    parts = [_rotated(lanes[:, source], amount) for source, amount in _moves()]
    table = parts[0].stack(*parts[1:], dim=1).reshape(-1, 5, 5)
    table = table ^ (table.roll(-1, 2).bitwise_not() & table.roll(-2, 2))
    first = state.from_node(ir.iota(_LANES)) == 0
    return (table.reshape(-1, _LANES) ^ first.where(constant, constant.const_like(0)),)


def _rotated(lane: Tensor, amount: int) -> Tensor:
    return (lane << amount) | (lane >> (64 - amount)) if amount else lane


def _moves() -> list[tuple[int, int]]:
    """For each lane of the result: which lane it was, and by how many bits that is rotated (steps rho and pi)."""
    amounts = {(0, 0): 0}
    x, y = 1, 0
    for step in range(24):
        amounts[x, y] = (step + 1) * (step + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    target = {(b, (2 * a + 3 * b) % 5): (a, b) for a in range(5) for b in range(5)}
    sources = [target[i, j] for j in range(5) for i in range(5)]
    return [(a + 5 * b, amounts[a, b]) for a, b in sources]


def _round_constants() -> np.ndarray[Any, np.dtype[np.uint64]]:
    """[24]: bits 2^j - 1 of round i are those that a shift register gives at step j + 7 i (step iota)."""
    register, bits = 1, []
    for _ in range(7 * _ROUNDS):
        bits.append(register & 1)
        register = register << 1 ^ (0x171 if register & 0x80 else 0)
    return np.array([sum(bits[j + 7 * i] << (2**j - 1) for j in range(7)) for i in range(_ROUNDS)], np.uint64)
