"""CIFAR-10: 60,000 colour images of 32 x 32 in ten classes (Krizhevsky, 2009)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygrad_like.data.download import fetch
from tinygrad_like.io.archives import read_tar
from tinygrad_like.io.errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # as published beside the archive
_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_TEST = ("test_batch.bin",)
_RECORD = 1 + 3 * 32 * 32


class Cifar(NamedTuple):
    """Images [n, 3, 32, 32] as uint8 and labels [n] as int32."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array


def load_cifar(directory: str | os.PathLike[str] | None = None) -> Cifar:
    """CIFAR-10 from the binary files in ``directory`` (``data_batch_1.bin``, ...), else from the cache or the network.

    Errors: InputError (DownloadError for the network) where a file is missing, unreachable or damaged.
    """
    if directory is None:
        archive = fetch(_URL, f"md5:{_MD5}", "cifar-10-binary.tar.gz")
        content = {Path(name).name: data for name, data in read_tar(archive)}
    else:
        content = {name: _read(Path(directory) / name) for name in (*_TRAIN, *_TEST)}
    (train_images, train_labels), (test_images, test_labels) = (
        _decoded([content[name] for name in names], names) for names in (_TRAIN, _TEST))
    return Cifar(train_images, train_labels, test_images, test_labels)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; expected CIFAR-10's binary version, "
                         f"{', '.join((*_TRAIN, *_TEST))}") from error


def _decoded(parts: list[bytes], names: tuple[str, ...]) -> tuple[Array, Array]:
    """Images and labels of records of a label and 3 x 32 x 32 bytes."""
    for name, part in zip(names, parts, strict=True):
        if not part or len(part) % _RECORD:
            raise InputError(f"{name} has {len(part)} bytes, which are no whole records of {_RECORD}")
    records = np.concatenate([np.frombuffer(part, np.uint8).reshape(-1, _RECORD) for part in parts])
    if records[:, 0].max() >= len(CLASSES):
        raise InputError(f"{names[0]} has a label above {len(CLASSES) - 1}: it is no file of CIFAR-10")
    return records[:, 1:].reshape(-1, 3, 32, 32).copy(), records[:, 0].astype(np.int32)
