"""Data sets under tinygrad's names."""

from __future__ import annotations

import numpy as np

from tinygrad_like.data import load_digits
from tinygrad_like.data.cifar import load_cifar
from tinygrad_like.tensor import Tensor


def mnist(device: str | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images and labels, test images and labels: uint8 [n, 1, 28, 28] in 0..255 and uint8 [n].

    The real MNIST where it is cached or reachable; otherwise scikit-learn's digits, and a line says so.
    """
    digits = load_digits()
    if not digits.source.startswith("MNIST:"):
        print(digits.source)
    arrays = (digits.train_images * 255, digits.train_labels, digits.test_images * 255, digits.test_labels)
    x, y, test_x, test_y = (Tensor(np.rint(array).astype(np.uint8), device=device) for array in arrays)
    return x, y, test_x, test_y


def cifar(device: str | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """CIFAR-10: training images and labels, test images and labels: uint8 [n, 3, 32, 32] in 0..255 and uint8 [n].

    Downloaded once, 162 MB; ``data.cifar.load_cifar(directory)`` reads files that are already there.
    """
    found = load_cifar()
    x, y, test_x, test_y = (Tensor(array.astype(np.uint8), device=device) for array in found)
    return x, y, test_x, test_y
