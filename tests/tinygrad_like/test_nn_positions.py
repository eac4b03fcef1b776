"""Positions: formulas, continuation at a later start, and what each promises about order and distance."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, Variable, jit, nn


def angles(length: int, width: int, base: float = 10000.0) -> np.ndarray:
    return np.arange(length)[:, None] / base ** (2 * np.arange(width // 2) / width)


def test_sinusoidal_positions_follow_the_formula(rng):
    x = rng.standard_normal((2, 300, 8)).astype(np.float32)
    expected = np.zeros((300, 8))
    expected[:, 0::2], expected[:, 1::2] = np.sin(angles(300, 8)), np.cos(angles(300, 8))
    np.testing.assert_allclose(nn.SinusoidalPositions(8)(Tensor(x)).numpy(), x + expected, atol=3e-5)


@pytest.mark.parametrize("halves", [False, True])
def test_rotary_positions_turn_pairs(halves, rng):
    x = rng.standard_normal((2, 3, 50, 8)).astype(np.float32)
    pairs = (x[..., :4], x[..., 4:]) if halves else (x[..., 0::2], x[..., 1::2])
    turned = (pairs[0] + 1j * pairs[1]) * np.exp(1j * angles(50, 8))
    expected = np.zeros(x.shape)
    if halves:
        expected[..., :4], expected[..., 4:] = turned.real, turned.imag
    else:
        expected[..., 0::2], expected[..., 1::2] = turned.real, turned.imag
    np.testing.assert_allclose(nn.RotaryPositions(8, halves=halves)(Tensor(x)).numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("make", [
    lambda: nn.SinusoidalPositions(8), lambda: nn.LearnedPositions(12, 8), lambda: nn.RotaryPositions(8)],
    ids=["sinusoidal", "learned", "rotary"])
def test_a_sequence_continues_at_a_later_start(make, rng):
    layer, x = make(), Tensor(rng.standard_normal((2, 10, 8)).astype(np.float32))
    whole = layer(x).numpy()
    np.testing.assert_allclose(layer(x[:, 6:], start=6).numpy(), whole[:, 6:], atol=1e-6)
    np.testing.assert_allclose(layer(x[:, 6:], start=Tensor(6)).numpy(), whole[:, 6:], atol=1e-6)
    bound = Variable("position", 0, 7).bind(6)
    np.testing.assert_allclose(layer(x[:, 6:], start=bound).numpy(), whole[:, 6:], atol=1e-6)


def test_rotary_attention_sees_distances_only(rng):
    rotate = nn.RotaryPositions(4)
    q, k = (Tensor(rng.standard_normal((1, 6, 4)).astype(np.float32)) for _ in range(2))
    scores = [(rotate(q, start) @ rotate(k, start).transpose(-2, -1)).numpy() for start in (0, 17)]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4, atol=1e-5)
    layer = nn.MultiHeadAttention(8, 2, rotate=rotate)
    assert set(layer.state_dict()) == set(nn.MultiHeadAttention(8, 2).state_dict())
    x = rng.standard_normal((1, 5, 8)).astype(np.float32)
    forward, backward = layer(Tensor(x)).numpy(), layer(Tensor(x[:, ::-1].copy())).numpy()[:, ::-1]
    assert np.abs(forward - backward).max() > 1e-3  # without positions these would be equal


def test_rotary_attention_decodes_with_a_cache(rng):
    layer = nn.MultiHeadAttention(8, 2, rotate=nn.RotaryPositions(4))
    x = Tensor(rng.standard_normal((1, 6, 8)).astype(np.float32))
    whole = layer(x, is_causal=True).numpy()
    cache, position = nn.KeyValueCache(1, 2, 6, 4), Variable("position", 0, 5)
    np.testing.assert_allclose(layer(x[:, :2], is_causal=True, cache=cache).numpy(), whole[:, :2], atol=1e-6)
    step = jit(lambda token, at: layer(token, is_causal=True, cache=cache, position=at).realize())
    for i in range(2, 6):
        token = step(Tensor(x.numpy()[:, i : i + 1].copy()), position.bind(i))
        np.testing.assert_allclose(token.numpy(), whole[:, i : i + 1], atol=1e-6)
    assert len(step.programs) == 1


def test_learned_positions_are_rows_of_a_table(rng):
    layer, x = nn.LearnedPositions(12, 8), rng.standard_normal((2, 10, 8)).astype(np.float32)
    y = layer(Tensor(x))
    np.testing.assert_allclose(y.numpy(), x + layer.weight.numpy()[:10], rtol=1e-6)
    y.sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy(), np.repeat([2.0, 0.0], [10, 2])[:, None] * np.ones(8))


@pytest.mark.parametrize(("heads", "slopes"), [
    (1, [2**-8]), (2, [2**-4, 2**-8]), (8, [2.0**-i for i in range(1, 9)]),
    (3, [2**-4, 2**-8, 2**-2]), (6, [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3])])
def test_alibi_slopes_are_the_published_ones(heads, slopes):
    bias = nn.ALiBi(heads)(2).numpy()
    np.testing.assert_allclose(-bias[:, 1, 0], slopes, rtol=1e-6)


def test_alibi_is_a_mask_of_distances(rng):
    bias = nn.ALiBi(2)(3).numpy()
    np.testing.assert_array_equal(bias[0] * 16, [[0, -np.inf, -np.inf], [-1, 0, -np.inf], [-2, -1, 0]])
    np.testing.assert_array_equal(nn.ALiBi(2)(1, 3).numpy()[0], bias[0, 2:])
    np.testing.assert_array_equal(nn.ALiBi(2, causal=False)(2).numpy()[0] * 16, [[0, -1], [-1, 0]])
    layer = nn.MultiHeadAttention(8, 2)
    x = Tensor(rng.standard_normal((1, 40, 8)).astype(np.float32))
    weights = layer.attention_weights(x, mask=nn.ALiBi(2)(40)).numpy()
    assert weights[0, 0, 39, :8].sum() < weights[0, 0, 39, -8:].sum()
    assert layer(x, mask=nn.ALiBi(2)(40)).shape == (1, 40, 8)


MISTAKES = {
    "RotaryPositions expects an even width, got 3": lambda: nn.RotaryPositions(3),
    "positions of width 8 expect [..., time, 8], got [2, 6]": lambda: nn.SinusoidalPositions(8)(Tensor.zeros(2, 6)),
    "5 positions from 8 on exceed the table of 12": lambda: nn.LearnedPositions(12, 4)(Tensor.zeros(5, 4), start=8),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_named(message):
    with pytest.raises(ValueError) as caught:
        MISTAKES[message]()
    assert message in str(caught.value)
