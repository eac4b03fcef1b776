"""random_bits: counter-based random numbers that fuse like any elementwise op.

Threefry-2x32 with 20 rounds: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ir.dtype import dtypes
from ir.ops.elementwise import ElementwiseOp

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
KEY_PARITY = 0x1BD11BDA


def threefry_2x32(counter: Any, key: Any) -> Any:
    """uint64 random bits of uint64 counters and keys; the low half of each is its first 32-bit word."""
    half = np.uint64(32)
    first_key, second_key = key.astype(np.uint32), (key >> half).astype(np.uint32)
    keys = (first_key, second_key, first_key ^ second_key ^ np.uint32(KEY_PARITY))
    first = counter.astype(np.uint32) + keys[0]
    second = (counter >> half).astype(np.uint32) + keys[1]
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:
            first = first + second
            second = ((second << np.uint32(rotation)) | (second >> np.uint32(32 - rotation))) ^ first
        first = first + keys[(group + 1) % 3]
        second = second + keys[(group + 2) % 3] + np.uint32(group + 1)
    return (second.astype(np.uint64) << half) | first.astype(np.uint64)


random_bits = ElementwiseOp(
    "random_bits", threefry_2x32, arity=2, accepts=(dtypes.uint64,),
    doc="64 random bits of a uint64 counter and a uint64 key; equal arguments give equal bits on every device.",
)
