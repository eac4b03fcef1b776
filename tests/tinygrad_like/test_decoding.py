"""Decoding with a cache of keys and values: what the model without one says, by one program for all positions."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Device, Tensor, Variable, jit, nn
from tinygrad_like.generate import Decoder, Generator
from tinygrad_like.models import GPT, GPTConfig
from tinygrad_like.text import CharacterTokenizer

CONFIG = GPTConfig(vocabulary=37, context=20, layers=2, heads=3, width=24)
TOLERANCE = {"rtol": 2e-4, "atol": 2e-5}


@pytest.fixture
def model() -> GPT:
    """With weights large enough that its predictions differ from token to token."""
    Tensor.manual_seed(5)
    model = GPT(CONFIG).eval()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.assign(parameter * 20).realize()
    return model


def logits_after(model: GPT, tokens: np.ndarray) -> np.ndarray:
    """What the model without a cache says after the window that it can see: [batch, vocabulary]."""
    return model(Tensor(tokens[:, -CONFIG.context:].astype(np.int32))).numpy()[:, -1]


@pytest.mark.parametrize(("batch", "prompt"), [(1, 1), (1, 7), (3, 16), (2, 20), (1, 29)])
def test_cached_logits_are_those_of_the_whole_window(
        model: GPT, rng: np.random.Generator, batch: int, prompt: int) -> None:
    """Also where the prompt is longer than the context, and where steps move the window."""
    tokens = rng.integers(0, CONFIG.vocabulary, (batch, prompt))
    decoder = Decoder(model, batch)
    prediction = decoder.read(tokens)
    for _ in range(6):
        expected = logits_after(model, tokens)
        np.testing.assert_allclose(prediction.logits.numpy(), expected, **TOLERANCE)
        np.testing.assert_array_equal(prediction.likeliest.numpy(), expected.argmax(-1))
        added = rng.integers(0, CONFIG.vocabulary, batch)
        tokens = np.concatenate([tokens, added[:, None]], axis=1)
        prediction = decoder.step(added)


def test_one_program_serves_all_positions(model: GPT) -> None:
    decoder = Decoder(model)
    decoder.read([[1, 2, 3]])
    for _ in range(2):
        for token in range(CONFIG.context - 3):
            decoder.step([token])
        decoder.read([[3, 2, 1]])
    assert len(decoder._step.programs) == 1 and decoder._step.retraces == []
    assert len(decoder._read.programs) == 1  # prompts of similar length share one


def test_a_prompt_may_be_read_in_pieces(model: GPT, rng: np.random.Generator) -> None:
    """Several tokens at a position that is not the first: each sees the tokens before it, and none behind."""
    tokens = rng.integers(0, CONFIG.vocabulary, (2, 15)).astype(np.int32)
    caches = model.make_caches(batch=2)
    position = Variable("position", 0, CONFIG.context - 5)

    @jit
    def piece(part: Tensor, at: object) -> Tensor:
        return model(part, caches, at)

    parts = [piece(Tensor(tokens[:, at:at + 5]), position.bind(at)).numpy() for at in (0, 5, 10)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), model(Tensor(tokens)).numpy(), **TOLERANCE)
    assert len(piece.programs) == 1


def test_without_jit_and_with_numbers_for_positions(model: GPT) -> None:
    tokens = Tensor(np.arange(9, dtype=np.int32)[None])
    caches = model.make_caches()
    parts = [model(tokens[:, at:end], caches, position=at).numpy() for at, end in ((0, 4), (4, 8), (8, 9))]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), model(tokens).numpy(), **TOLERANCE)


def test_the_reference_device_decodes() -> None:
    before = Device.DEFAULT
    Device.DEFAULT = "REFERENCE"
    try:
        model = GPT(CONFIG).eval()
        decoder = Decoder(model)
        tokens = np.array([[4, 9, 2]])
        decoder.read(tokens[:, :2])
        np.testing.assert_allclose(decoder.step([2]).logits.numpy(), logits_after(model, tokens), **TOLERANCE)
    finally:
        Device.DEFAULT = before


def test_streams_of_one_generator_do_not_disturb_each_other(model: GPT) -> None:
    generator = Generator(model, CharacterTokenizer.train("abc"))
    alone = [list(generator.tokens(ids, 8, temperature=0)) for ids in ([1, 2], [3])]
    together = zip(*(generator.tokens(ids, 8, temperature=0) for ids in ([1, 2], [3])), strict=True)
    assert [list(tokens) for tokens in zip(*together, strict=True)] == alone


def test_misuse_is_explained(model: GPT) -> None:
    cache = nn.KeyValueCache(batch=1, heads=2, context=4, head_width=8)
    with pytest.raises(ValueError, match=r"heads=2, time, width=8\]; got \[1, 3, 2, 8\]"):
        cache.extend(Tensor.zeros(1, 3, 2, 8), Tensor.zeros(1, 3, 2, 8))
    with pytest.raises(ValueError, match="5 tokens exceed the cache's 4 positions"):
        cache.extend(Tensor.zeros(1, 2, 3, 8), Tensor.zeros(1, 2, 3, 8), position=2)
    with pytest.raises(ValueError, match="context is at least 1, got 0"):
        nn.KeyValueCache(batch=1, heads=2, context=0, head_width=8)
    with pytest.raises(ValueError, match=r"expected tokens \[batch=1, time\], time at least 1, got shape \[1, 0\]"):
        Decoder(model).read([[]])
    with pytest.raises(ValueError, match="21 tokens exceed the model's context of 20"):
        model(Tensor([[1, 2, 3]]), model.make_caches(), position=18)
