"""The safetensors file format: eight bytes of header length, a JSON header, then the bytes of every tensor.

Format: https://huggingface.co/docs/safetensors. Arrays here are NumPy's; ``tinygrad_like.nn.state`` makes tensors of
them. NumPy has no bfloat16: such a tensor is an array of uint16 whose code is ``BF16``.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_like.io.errors import InputError
from tinygrad_like.io.files import atomic_write, read_bytes

Array = np.ndarray[Any, np.dtype[Any]]

# The format is little-endian on every machine.
_NUMPY = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8",
}
_HEADER_LIMIT = 100_000_000
_FOREIGN = {b"PK\x03\x04": "a zip archive, as torch.save writes", b"\x80\x02": "a pickle", b"\x80\x04": "a pickle",
            b"\x93NUMPY": "a NumPy file", b"\x89HDF": "an HDF5 file", b"GGUF": "a GGUF file"}


class StoredTensor(NamedTuple):
    """A tensor as the file holds it: the format's dtype code and the array."""

    code: str
    array: Array


def code_of(dtype: np.dtype[Any]) -> str:
    """The format's code of a NumPy dtype (uint16 is U16: a bfloat16 tensor says BF16 itself)."""
    for code, numpy_name in _NUMPY.items():
        if code != "BF16" and np.dtype(numpy_name) == dtype.newbyteorder("<"):
            return code
    raise InputError(f"safetensors has no code for dtype {dtype}; known are {', '.join(_NUMPY)}")


def write_safetensors(
    path: str | os.PathLike[str], tensors: Mapping[str, StoredTensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write ``tensors`` whole or not at all. ``metadata`` maps text to text."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + tensor.array.nbytes
        header[name] = {"dtype": tensor.code, "shape": list(tensor.array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start aligned, so that a file can be mapped into memory
    with atomic_write(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor.array, np.dtype(_NUMPY[tensor.code])).tobytes())


def read_safetensors(path: str | os.PathLike[str]) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """The tensors and the metadata of ``path``; a truncated, damaged or foreign file is an InputError that says so."""
    data = read_bytes(path, "safetensors file")
    for signature, kind in _FOREIGN.items():
        if data.startswith(signature):
            raise InputError(f"{path} is {kind}, not a safetensors file")
    if len(data) < 8:
        raise InputError(f"{path} is truncated: {len(data)} bytes cannot hold a safetensors header")
    (length,) = struct.unpack_from("<Q", data)
    if length > _HEADER_LIMIT or data[8:9] not in (b"{", b""):
        raise InputError(f"{path} is not a safetensors file: it does not start with a JSON header")
    if 8 + length > len(data):
        raise InputError(f"{path} is truncated: its header has {length} bytes, the whole file {len(data)}")
    try:
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__", {})
        content = memoryview(data)[8 + length :]
        return {name: _tensor(path, name, entry, content) for name, entry in header.items()}, metadata
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged: its safetensors header cannot be read ({error})") from error


def _tensor(path: str | os.PathLike[str], name: str, entry: dict[str, Any], content: memoryview) -> StoredTensor:
    code, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if code not in _NUMPY:
        raise InputError(f"{path}: tensor {name!r} has dtype {code}; known are {', '.join(_NUMPY)}")
    dtype = np.dtype(_NUMPY[code])
    if end > len(content):
        raise InputError(f"{path} is truncated: tensor {name!r} ends at byte {end} of {len(content)} that are there")
    if not 0 <= start <= end or end - start != math.prod(shape) * dtype.itemsize:
        raise InputError(f"{path} is damaged: tensor {name!r} of shape {list(shape)} has {end - start} bytes of {code}")
    # A copy: the array outlives the file's bytes, is writable, and is aligned whatever the header's length was.
    return StoredTensor(code, np.frombuffer(content[start:end], dtype).reshape(shape).copy())
