"""Checkpoints that ``torch.save`` wrote, read without PyTorch and without running anything that a file asks for.

Such a file is a zip archive: a pickle, ``data.pkl``, and the bytes of each storage, ``data/KEY``. A pickle may name any
function to be called; here only those few that describe tensors are known, and whatever else it names is an error.
"""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_like.io.errors import InputError
from tinygrad_like.io.files import read_bytes
from tinygrad_like.io.safetensors_file import StoredTensor

Array = np.ndarray[Any, np.dtype[Any]]

# Storage classes: the code (as in safetensors) and the little-endian NumPy dtype of the bytes.
_STORAGES = {
    "FloatStorage": ("F32", "<f4"), "DoubleStorage": ("F64", "<f8"), "HalfStorage": ("F16", "<f2"),
    "BFloat16Storage": ("BF16", "<u2"), "LongStorage": ("I64", "<i8"), "IntStorage": ("I32", "<i4"),
    "ShortStorage": ("I16", "<i2"), "CharStorage": ("I8", "|i1"), "ByteStorage": ("U8", "|u1"),
    "BoolStorage": ("BOOL", "|b1"),
}


def read_torch_file(path: str | os.PathLike[str]) -> Any:
    """What was saved, with a ``StoredTensor`` in the place of each tensor: mostly a dict of names and tensors.

    Errors: InputError for a file that is missing, damaged, of the format before PyTorch 1.6, or that holds objects
    other than tensors, numbers, text, lists, tuples and dicts (save ``model.state_dict()``, not the model).
    """
    content = read_bytes(path, "checkpoint of PyTorch")
    if content[:4] != b"PK\x03\x04":
        raise InputError(f"{path} is no checkpoint that torch.save wrote: it starts with "
                         f"{content[:4].hex(' ') or 'nothing'}, not with a zip archive")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            [pickled] = [name for name in archive.namelist() if name.endswith("data.pkl")]
            folder = pickled.removesuffix("data.pkl")
            big = f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") == b"big"
            reader = _Unpickler(archive.read(pickled), lambda key: archive.read(f"{folder}data/{key}"), big)
            return reader.load()
    except _ForeignObject as error:
        raise InputError(f"{path} {error}") from error
    except (zipfile.BadZipFile, pickle.UnpicklingError, KeyError, ValueError, EOFError) as error:
        raise InputError(f"{path} is damaged or no checkpoint that torch.save wrote: {error}") from error


class _ForeignObject(Exception):
    """The pickle names something else than a tensor."""


class _Unpickler(pickle.Unpickler):
    """Knows only how tensors are described."""

    def __init__(self, content: bytes, read: Callable[[str], bytes], big_endian: bool) -> None:
        super().__init__(io.BytesIO(content))
        self._read, self._big_endian = read, big_endian

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict, ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter, ("torch", "Size"): tuple,
        }
        if (module, name) in known:
            return known[module, name]
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return name
        raise _ForeignObject(f"holds {module}.{name}, which is neither a tensor nor plain data; save "
                             "model.state_dict() instead of the model")

    def persistent_load(self, pid: Any) -> tuple[str, Array]:
        _, kind, key, _, count = pid
        code, dtype = _STORAGES[kind]
        stored = np.dtype(dtype).newbyteorder(">") if self._big_endian else np.dtype(dtype)
        values = np.frombuffer(self._read(key), stored)
        if len(values) != count:
            raise ValueError(f"storage {key} has {len(values)} elements instead of {count}")
        return code, values.astype(dtype, copy=False)


def _tensor(storage: tuple[str, Array], offset: int, size: Sequence[int], stride: Sequence[int],
            *_: Any) -> StoredTensor:
    """A view of a storage: ``torch._utils._rebuild_tensor_v2``."""
    code, values = storage
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if all(size) else offset
    if offset < 0 or min(stride, default=0) < 0 or (all(size) and last >= len(values)):
        raise ValueError(f"a tensor of shape {tuple(size)} reaches beyond its storage of {len(values)} elements")
    strides = [step * values.itemsize for step in stride]
    view = np.lib.stride_tricks.as_strided(values[offset:], tuple(size), strides, writeable=False)
    return StoredTensor(code, np.ascontiguousarray(view).reshape(tuple(size)))


def _parameter(tensor: StoredTensor, *_: Any) -> StoredTensor:
    return tensor
