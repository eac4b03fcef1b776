"""Layers between space and channels against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_oracle import check, torch

from tinygrad_like import Tensor, nn
from tinygrad_like.data.cifar import load_cifar
from tinygrad_like.io import InputError

IMAGE = (2, 4, 6, 8)
LAYERS = {
    "PixelShuffle": (lambda m: m.PixelShuffle(2), IMAGE), "PixelUnshuffle": (lambda m: m.PixelUnshuffle(2), IMAGE),
    "Upsample": (lambda m: m.Upsample(scale_factor=2), IMAGE), "Upsample to": (lambda m: m.Upsample((5, 9)), IMAGE),
    "Upsample bilinear": (lambda m: m.Upsample(scale_factor=1.5, mode="bilinear", align_corners=False), IMAGE),
    "Upsample linear": (lambda m: m.Upsample(9, mode="linear", align_corners=True), (2, 4, 6)),
    "ZeroPad2d": (lambda m: m.ZeroPad2d((1, 2, 0, 3)), IMAGE),
    "ReflectionPad1d": (lambda m: m.ReflectionPad1d(2), (2, 3, 5)),
    "ReflectionPad2d": (lambda m: m.ReflectionPad2d((1, 2, 0, 3)), IMAGE),
    "ReplicationPad1d": (lambda m: m.ReplicationPad1d((1, 2)), (2, 3, 5)),
    "ReplicationPad2d": (lambda m: m.ReplicationPad2d(2), IMAGE),
    "CircularPad2d": (lambda m: m.CircularPad2d(2), IMAGE),
    "Unfold": (lambda m: m.Unfold(3), IMAGE), "Unfold strided": (lambda m: m.Unfold((2, 3), 2, (1, 0), (2, 1)), IMAGE),
    "Fold": (lambda m: m.Fold((5, 4), 2), (2, 12, 12)),
    "Fold strided": (lambda m: m.Fold((6, 8), (2, 3), 2, (1, 0), (2, 1)), (2, 12, 12)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_equal_torch(name, rng):
    make, shape = LAYERS[name]
    check(make(nn), make(torch.nn), [rng.standard_normal(shape).astype(np.float32)], rtol=1e-5, atol=1e-6)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"channels divided by 4, got \[1, 3, 2, 2\]"):
        nn.PixelShuffle(2)(Tensor.zeros(1, 3, 2, 2))
    with pytest.raises(ValueError, match="give size or scale_factor"):
        nn.Upsample()
    with pytest.raises(ValueError, match="one number or 4, got"):
        nn.ZeroPad2d((1, 2))
    with pytest.raises(ValueError, match="expects 12 positions, got 11"):
        nn.Fold((5, 4), 2)(Tensor.zeros(2, 12, 11))


def test_cifar_from_a_directory(tmp_path, rng):
    records = {}
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        records[name] = rng.integers(0, 256, (4, 3073), dtype=np.uint8)
        records[name][:, 0] %= 10
        (tmp_path / name).write_bytes(records[name].tobytes())
    found = load_cifar(tmp_path)
    assert found.train_images.shape == (20, 3, 32, 32) and found.test_labels.dtype == np.int32
    np.testing.assert_array_equal(found.train_images[4:8], records["data_batch_2.bin"][:, 1:].reshape(4, 3, 32, 32))
    np.testing.assert_array_equal(found.test_labels, records["test_batch.bin"][:, 0])
    (tmp_path / "test_batch.bin").write_bytes(b"short")
    with pytest.raises(InputError, match="test_batch.bin has 5 bytes, which are no whole records of 3073"):
        load_cifar(tmp_path)
    with pytest.raises(InputError, match="expected CIFAR-10's binary version"):
        load_cifar(tmp_path / "nowhere")
