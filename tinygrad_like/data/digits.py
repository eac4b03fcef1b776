"""Images of handwritten digits: MNIST where it can be had, scikit-learn's small digits everywhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygrad_like.data.download import DownloadError, cached_path, fetch
from tinygrad_like.data.idx import read_idx
from tinygrad_like.io.errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]

_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist"
_HASHES = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}  # of the files with .gz
_TRAIN_SHARE = 0.8


class Digits(NamedTuple):
    """Images [n, 1, 28, 28] as float32 in 0..1 and labels [n] as int32; ``source`` says in one line what they are."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array
    source: str


def load_digits(directory: str | os.PathLike[str] | None = None, download: bool = True) -> Digits:
    """MNIST from the IDX files in ``directory``; without one from the cache or the network, else small digits.

    Where ``directory`` holds only the 10,000 official test images (``t10k``), the first 8,000 are for training.
    """
    if directory is not None:
        return _read_directory(Path(directory))
    if download or all(cached_path(f"{name}.gz").is_file() for name in _HASHES):
        try:
            files = {name: fetch(f"{_MIRROR}/{name}.gz", digest, f"{name}.gz") for name, digest in _HASHES.items()}
        except DownloadError as error:
            return _small_digits(f"MNIST is neither cached nor reachable ({error})")
        train, test = (_read_pair(files, kind) for kind in ("train", "t10k"))
        return Digits(*train, *test, f"MNIST: {len(train[1]):,} training and {len(test[1]):,} test images")
    return _small_digits("MNIST is not cached")


def _read_directory(directory: Path) -> Digits:
    if not directory.is_dir():
        raise InputError(f"no directory {directory}; give one that holds MNIST's IDX files")
    found = {name: path for name in _HASHES for path in _candidates(directory, name) if path.is_file()}
    missing = [name for name in _HASHES if name.startswith("t10k") and name not in found]
    if missing:
        raise InputError(f"{directory} lacks {missing[0]}[.gz]; expected MNIST's IDX files, as {', '.join(_HASHES)}")
    images, labels = _read_pair(found, "t10k")
    if all(name in found for name in _HASHES):
        train = _read_pair(found, "train")
        return Digits(*train, images, labels, f"MNIST from {directory}: {len(train[1]):,} training images")
    cut = int(len(labels) * _TRAIN_SHARE)
    source = f"{directory} holds MNIST's test images only: training on the first {cut:,}, testing on the last "
    return Digits(images[:cut], labels[:cut], images[cut:], labels[cut:], f"{source}{len(labels) - cut:,}")


def _candidates(directory: Path, name: str) -> tuple[Path, ...]:
    return tuple(directory / spelling for spelling in (name, f"{name}.gz", name.replace("-idx", ".idx")))


def _read_pair(files: dict[str, Path], kind: str) -> tuple[Array, Array]:
    image_path, label_path = files[f"{kind}-images-idx3-ubyte"], files[f"{kind}-labels-idx1-ubyte"]
    images, labels = read_idx(image_path), read_idx(label_path)
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise InputError(f"{image_path} holds an array of shape {list(images.shape)}; expected images [n, 28, 28]")
    if labels.shape != images.shape[:1]:
        raise InputError(f"{label_path} holds {list(labels.shape)} labels for {len(images)} images in {image_path}")
    return images[:, None].astype(np.float32) / np.float32(255), labels.astype(np.int32)


def _small_digits(reason: str) -> Digits:
    """scikit-learn's 1,797 digits of 8 x 8 pixels, each pixel tripled and framed: 28 x 28, as MNIST's."""
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as error:
        raise InputError(
            f"{reason}, and scikit-learn, whose digits would do, is not installed: "
            "python -m pip install scikit-learn, or give MNIST's files with --data DIR"
        ) from error
    pixels, labels = load(return_X_y=True)
    images = np.kron(pixels.reshape(-1, 8, 8), np.ones((1, 3, 3))) / 16
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))[:, None].astype(np.float32)
    labels = labels.astype(np.int32)
    cut = int(len(labels) * _TRAIN_SHARE)
    return Digits(images[:cut], labels[:cut], images[cut:], labels[cut:],
                  f"{reason}: using scikit-learn's {len(labels):,} digits instead")
