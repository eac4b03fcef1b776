"""IDX files, the format of MNIST: a magic number with dtype and rank, the shape, then the elements, all big-endian."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from typing import Any

import numpy as np

from tinygrad_like.io.errors import InputError
from tinygrad_like.io.files import read_bytes

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray[Any, np.dtype[Any]]:
    """The array in an IDX file, gzipped or not (the content decides, not the name).

    Source: http://yann.lecun.com/exdb/mnist ("the IDX file format"). Errors: InputError for a file that is missing,
    truncated, damaged or of another format.
    """
    data = read_bytes(path, "IDX file")
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path} is truncated or damaged: {error}") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _DTYPES:
        raise InputError(f"{path} is not an IDX file: it starts with {data[:4].hex(' ') or 'nothing'}")
    rank = data[3]
    if len(data) < 4 + 4 * rank:
        raise InputError(f"{path} is truncated: {len(data)} bytes cannot hold a shape of rank {rank}")
    shape = struct.unpack_from(f">{rank}I", data, 4)
    dtype = np.dtype(_DTYPES[data[2]])
    expected = 4 + 4 * rank + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        problem = "truncated" if len(data) < expected else "damaged"
        raise InputError(f"{path} is {problem}: shape {list(shape)} needs {expected} bytes, it has {len(data)}")
    return np.frombuffer(data, dtype, offset=4 + 4 * rank).reshape(shape).astype(dtype.newbyteorder("="))
