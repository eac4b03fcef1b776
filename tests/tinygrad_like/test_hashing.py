"""Keccak as tensor operations against hashlib's SHA-3."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tinygrad_like import Tensor, jit

NAMES = ["sha3_224", "sha3_256", "sha3_384", "sha3_512"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [1, 71, 72, 135, 136, 137, 500])
def test_digests_equal_hashlib(name, length):
    message = bytes(range(256)) * 2
    found = bytes(Tensor(message[:length]).keccak(name).tolist())
    assert found == hashlib.new(name, message[:length]).digest()


def test_batches_dtypes_and_jit(rng):
    rows = rng.integers(0, 2**31, (2, 3, 50), dtype=np.int32)
    for keccak in (Tensor.keccak, jit(lambda x: x.keccak())):
        for _ in range(2):
            found = keccak(Tensor(rows)).numpy()
        assert found.shape == (2, 3, 32)
        for i, j in ((0, 0), (1, 2)):
            assert found[i, j].tobytes() == hashlib.sha3_256(rows[i, j].tobytes()).digest()
    shake = bytes(Tensor(b"abc").keccak("shake_128").tolist())
    assert shake == hashlib.shake_128(b"abc").digest(16)
    with pytest.raises(ValueError, match="keccak knows sha3_224, .*, got 'md5'"):
        Tensor(b"abc").keccak("md5")


@pytest.mark.slow
def test_hash_is_that_of_tinygrad():
    """Digests of pages of 4 KiB, then of those of a MiB."""
    data = b"Hello World!" + bytes((1 << 20) - 12)
    pages = b"".join(hashlib.shake_128(data[i:i + 4096]).digest(16) for i in range(0, 1 << 20, 4096))
    assert bytes(Tensor(b"Hello World!").hash().tolist()) == hashlib.shake_128(pages).digest(16)
