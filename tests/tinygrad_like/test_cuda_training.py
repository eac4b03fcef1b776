"""Whole training steps on the emulated CUDA device, beside the CPU."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "cuda_emulator"))

from emulated_driver import COMPILER, BatchingDriver

from runtime import register_device
from runtime.cuda import CudaDevice
from tinygrad_like import Device, Tensor, nn
from tinygrad_like.generate import Decoder
from tinygrad_like.models.gpt import GPT, GPTConfig
from tinygrad_like.models.mlp import MLP

pytestmark = pytest.mark.skipif(COMPILER is None, reason="the CUDA emulator needs g++ or clang++ on the PATH")


class EmulatedDevice(CudaDevice):
    """The CUDA device under a name of its own, beside the real one."""

    name = "EMULATED"


@pytest.fixture
def devices() -> Iterator[tuple[str, str]]:
    """The names of the devices to compare."""
    register_device("EMULATED", lambda: EmulatedDevice(BatchingDriver()))
    before = Device.DEFAULT
    yield "CPU", "EMULATED"
    Device.DEFAULT = before


def made_on(device: str, make: Callable[[], Any]) -> Any:
    """The model, with the same weights on every device."""
    Device.DEFAULT = device
    model, weights = make(), np.random.default_rng(5)
    for parameter in model.parameters():
        parameter.assign(Tensor(0.2 * weights.standard_normal(parameter.shape).astype(np.float32))).realize()
    return model


def trained(device: str, make: Callable[[], Any], batches: list[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """The losses of a few steps of Adam on ``device``, and the parameters after them."""
    model = made_on(device, make).train()
    optimizer = nn.optim.Adam(model.parameters(), 1e-2)
    losses = []
    with Tensor.train():
        for x, y in batches:
            optimizer.zero_grad()
            logits = model(Tensor(x))
            loss = logits.flatten(0, -2).sparse_categorical_crossentropy(Tensor(y).flatten())
            loss.backward()
            optimizer.step()
            losses.append(loss.numpy())
    return [np.array(losses), *[parameter.numpy() for parameter in model.parameters()]]


def compare(devices: tuple[str, str], make: Callable[[], Any], batches: list[tuple[np.ndarray, np.ndarray]]) -> None:
    wanted, found = (trained(device, make, batches) for device in devices)
    for expected, actual in zip(wanted, found, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=2e-3, atol=2e-3)


def test_steps_of_an_mlp(devices: tuple[str, str], rng: np.random.Generator) -> None:
    batches = [(rng.standard_normal((24, 20)).astype(np.float32), rng.integers(0, 5, 24).astype(np.int32))
               for _ in range(2)]
    compare(devices, lambda: MLP((20, 33, 5)), batches)


@pytest.mark.slow
def test_a_step_of_a_gpt(devices: tuple[str, str], rng: np.random.Generator) -> None:
    tokens = rng.integers(0, 17, (2, 9)).astype(np.int32)
    compare(devices, lambda: GPT(GPTConfig(vocabulary=17, context=8, layers=2, heads=2, width=16)),
            [(tokens[:, :-1].copy(), tokens[:, 1:].copy())])


def test_decoding_with_a_cache(devices: tuple[str, str]) -> None:
    """A prompt and two steps at positions that the program is given as it runs."""
    logits = []
    for device in devices:
        model = made_on(device, lambda: GPT(GPTConfig(vocabulary=17, context=8, layers=1, heads=2, width=16)))
        decoder = Decoder(model.eval())
        predictions = [decoder.read([[3, 1, 4]]), decoder.step([1]), decoder.step([5])]
        logits.append(np.concatenate([prediction.logits.numpy() for prediction in predictions]))
    np.testing.assert_allclose(logits[1], logits[0], rtol=2e-3, atol=2e-3)
