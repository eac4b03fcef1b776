"""Model files in the safetensors format, through the package of that name.

Arrays here are NumPy's; ``tinygrad_like.nn.state`` makes tensors of them. NumPy has no bfloat16: such a tensor is an
array of uint16 whose code is ``BF16``.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_like.io.errors import InputError
from tinygrad_like.io.files import atomic_write, read_bytes

Array = np.ndarray[Any, np.dtype[Any]]

# The format's dtype codes: how the package names them when writing, and the little-endian NumPy dtype of the bytes.
_DTYPES = {
    "BOOL": ("bool", "|b1"), "U8": ("uint8", "|u1"), "I8": ("int8", "|i1"), "U16": ("uint16", "<u2"),
    "I16": ("int16", "<i2"), "U32": ("uint32", "<u4"), "I32": ("int32", "<i4"), "U64": ("uint64", "<u8"),
    "I64": ("int64", "<i8"), "F16": ("float16", "<f2"), "BF16": ("bfloat16", "<u2"), "F32": ("float32", "<f4"),
    "F64": ("float64", "<f8"),
}
_LENGTH_BYTES = 8
_FOREIGN = {b"PK\x03\x04": "a zip archive, as torch.save writes", b"\x80\x02": "a pickle", b"\x80\x04": "a pickle",
            b"\x93NUMPY": "a NumPy file", b"\x89HDF": "an HDF5 file", b"GGUF": "a GGUF file"}


class StoredTensor(NamedTuple):
    """A tensor as the file holds it: the format's dtype code and the array."""

    code: str
    array: Array


def code_of(dtype: np.dtype[Any]) -> str:
    """The format's code of a NumPy dtype (uint16 is U16: a bfloat16 tensor says BF16 itself)."""
    for code, (_, numpy_name) in _DTYPES.items():
        if code != "BF16" and np.dtype(numpy_name) == dtype.newbyteorder("<"):
            return code
    raise InputError(f"safetensors has no code for dtype {dtype}; known are {', '.join(_DTYPES)}")


def write_safetensors(
    path: str | os.PathLike[str], tensors: Mapping[str, StoredTensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write ``tensors`` whole or not at all. ``metadata`` maps text to text."""
    package = _package()
    arrays = {name: np.ascontiguousarray(tensor.array, np.dtype(_DTYPES[tensor.code][1])).reshape(tensor.array.shape)
              for name, tensor in tensors.items()}  # kept alive while their memory is read
    specifications = {
        name: package.TensorSpec(dtype=_DTYPES[tensors[name].code][0], shape=list(array.shape),
                                 data_ptr=array.ctypes.data, data_len=array.nbytes)
        for name, array in arrays.items()
    }
    content = package.serialize(specifications, dict(metadata) if metadata else None)
    with atomic_write(path) as file:
        file.write(content)


def read_safetensors(path: str | os.PathLike[str]) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """The tensors and the metadata of ``path``; a truncated, damaged or foreign file is an InputError that says so."""
    package = _package()
    data = read_bytes(path, "safetensors file")
    _refuse_foreign(path, data)
    try:
        entries = package.deserialize(data)
        with package.safe_open(os.fspath(path), "numpy") as opened:
            metadata = dict(opened.metadata() or {})
    except package.SafetensorError as error:
        what = "truncated or damaged" if "not fully covered" in str(error) else "damaged"
        raise InputError(f"{path} is {what}: {' '.join(str(error).split())}") from error
    return {name: _tensor(path, name, entry) for name, entry in entries}, metadata


def _package() -> Any:
    try:
        import safetensors
    except ImportError as error:
        raise InputError("models are read and written by the package safetensors, which is not installed: "
                         "python -m pip install 'safetensors>=0.8'") from error
    return safetensors


def _refuse_foreign(path: str | os.PathLike[str], data: bytes) -> None:
    for signature, kind in _FOREIGN.items():
        if data.startswith(signature):
            raise InputError(f"{path} is {kind}, not a safetensors file")
    if len(data) < _LENGTH_BYTES:
        raise InputError(f"{path} is truncated: {len(data)} bytes cannot hold a safetensors header")
    if data[_LENGTH_BYTES:_LENGTH_BYTES + 1] not in (b"{", b""):
        raise InputError(f"{path} is not a safetensors file: it does not start with a JSON header")
    (length,) = struct.unpack_from("<Q", data)
    if _LENGTH_BYTES + length > len(data):
        raise InputError(f"{path} is truncated: its header has {length} bytes, the whole file {len(data)}")


def _tensor(path: str | os.PathLike[str], name: str, entry: dict[str, Any]) -> StoredTensor:
    code = entry["dtype"]
    if code not in _DTYPES:
        raise InputError(f"{path}: tensor {name!r} has dtype {code}; known are {', '.join(_DTYPES)}")
    array = np.frombuffer(bytes(entry["data"]), np.dtype(_DTYPES[code][1])).reshape(entry["shape"])
    return StoredTensor(code, array.copy())  # writable, and independent of the file's bytes
