"""A growing cache under a bounded variable: one program serves every position."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, Variable, jit

WIDTH, LENGTH = 8, 16


def attention(query: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """One head, keys used as values too: [1, width] and [length, width] to [1, width]."""
    scores = query @ keys.T
    weights = np.exp(scores - scores.max())
    return weights / weights.sum() @ keys


def test_a_decode_step_compiles_once_and_reads_only_what_was_written(rng: np.random.Generator) -> None:
    cache = Tensor(np.full((LENGTH, WIDTH), np.nan, np.float32)).realize()
    position = Variable("position", 0, LENGTH - 1)

    @jit
    def step(token: Tensor, at: object) -> Tensor:
        cache[at:at + 1].assign(token)
        keys = cache[:at + 1]
        return (token @ keys.transpose(0, 1)).softmax() @ keys

    tokens = rng.standard_normal((LENGTH, 1, WIDTH)).astype(np.float32)
    for number, token in enumerate(tokens):
        result = step(Tensor(token), position.bind(number)).numpy()
        np.testing.assert_allclose(result, attention(token, tokens[:number + 1, 0]), rtol=1e-5, atol=1e-6)
    assert len(step.programs) == 1 and step.retraces == []


def test_bound_arithmetic_outside_a_compiled_function(rng: np.random.Generator) -> None:
    values = rng.standard_normal(LENGTH).astype(np.float32)
    count = Variable("count", 1, LENGTH // 2).bind(5)
    x = Tensor(values)
    assert x[:count].sum().item() == pytest.approx(values[:5].sum(), rel=1e-6)
    assert x[:count + 1].sum().item() == pytest.approx(values[:6].sum(), rel=1e-6)
    assert x[count - 1:2 * count].sum().item() == pytest.approx(values[4:10].sum(), rel=1e-6)


def test_a_value_outside_the_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        Variable("position", 0, LENGTH - 1).bind(LENGTH)
