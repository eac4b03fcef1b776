"""Models of sequences: shapes, states that continue, what may influence what, and that training lowers their losses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinygrad_like import Tensor, nn
from tinygrad_like.data import continued_windows
from tinygrad_like.models import CharacterRNN, MLPLanguageModel, Seq2SeqTransformer
from tinygrad_like.models.seq2seq import END, PADDING, START
from tinygrad_like.train import training_step


def tokens(rng: np.random.Generator, *shape: int, kinds: int = 9) -> Tensor:
    return Tensor(rng.integers(0, kinds, shape).astype(np.int32))


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_character_rnn_goes_on_from_its_states(kind, rng):
    model, text = CharacterRNN(9, width=4, hidden=6, layers=2, kind=kind), tokens(rng, 2, 8)
    whole, last = model(text)
    first, states = model(text[:, :5])
    second, end = model(text[:, 5:], states)
    assert whole.shape == (2, 8, 9)
    np.testing.assert_allclose(first.cat(second, dim=1).numpy(), whole.numpy(), atol=1e-5)
    for mine, other in zip(end if kind == "LSTM" else [end], last if kind == "LSTM" else [last], strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), atol=1e-5)
    given, _ = model(text, model.initial_states(2))
    np.testing.assert_allclose(given.numpy(), whole.numpy(), atol=1e-6)


def test_an_lstm_begins_with_open_forget_gates():
    bias = CharacterRNN(9, width=4, hidden=6, layers=2).recurrent.bias_ih_l1.numpy()
    np.testing.assert_array_equal(bias[6:12], np.ones(6))
    assert np.abs(np.delete(bias, range(6, 12))).max() <= 1 / math.sqrt(6)


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="kind='Elman' is unknown; expected one of RNN, GRU, LSTM"):
        CharacterRNN(9, kind="Elman")


def test_a_training_step_hands_on_states():
    """Truncated backpropagation: states are carried between steps, gradients are not."""
    model = CharacterRNN(4, width=4, hidden=16).train()
    step = training_step(model.loss, nn.optim.Adam(model.parameters(), lr=0.02), clip=1.0)
    text = np.tile(np.arange(4, dtype=np.int32), 400)
    losses = []
    for _ in range(2):
        states = model.initial_states(4)
        for inputs, targets in continued_windows(text, 16, 4):
            loss, states = step(0.02, inputs, targets, states)
            losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(4), abs=0.5) and losses[-1] < 0.1
    assert [state.shape for state in states] == [(1, 4, 16), (1, 4, 16)]


def test_the_mlp_begins_with_the_loss_of_a_guess(rng):
    model = MLPLanguageModel(27, context=3)
    loss = model.loss(tokens(rng, 64, 3, kinds=27), tokens(rng, 64, kinds=27))
    assert loss.item() == pytest.approx(math.log(27), abs=0.05)
    hidden = model.hidden(model.embedding(tokens(rng, 64, 3, kinds=27)).flatten(1)).tanh().numpy()
    assert (np.abs(hidden) > 0.99).mean() < 0.15
    with pytest.raises(ValueError, match=r"expects \[batch, 3\] tokens, got \[2, 4\]"):
        model(tokens(rng, 2, 4))


def test_nobody_looks_at_padding_or_ahead(rng):
    model = Seq2SeqTransformer(12, width=8, heads=2, layers=1).eval()
    source = rng.integers(3, 12, (2, 6)).astype(np.int32)
    source[1, 4:] = PADDING
    target = rng.integers(3, 12, (2, 5)).astype(np.int32)
    before = model(Tensor(source), Tensor(target)).numpy()
    shorter = model(Tensor(source[1:, :4].copy()), Tensor(target[1:])).numpy()
    np.testing.assert_allclose(before[1:], shorter, atol=1e-5)
    target[:, 3:] = 3 + (target[:, 3:] - 2) % 9
    after = model(Tensor(source), Tensor(target)).numpy()
    np.testing.assert_allclose(before[:, :3], after[:, :3], atol=1e-5)
    assert np.abs(before[:, 3:] - after[:, 3:]).max() > 1e-2


def test_padding_does_not_count_in_the_loss(rng):
    model = Seq2SeqTransformer(12, width=8, heads=2, layers=1).eval()
    source = Tensor(np.array([[3, 4, 5], [6, 7, 8]], np.int32))
    target = np.array([[START, 5, END, PADDING], [START, 8, 7, END]], np.int32)
    logits = model(source, Tensor(target[:, :-1].copy())).log_softmax().numpy()
    picked = [logits[row, i, target[row, i + 1]] for row, i in [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]]
    assert model.loss(source, Tensor(target)).item() == pytest.approx(-np.mean(picked), rel=1e-5)


def test_translation_takes_the_likeliest_token_each_time(rng):
    model = Seq2SeqTransformer(7, width=8, heads=2, layers=1).eval()
    source = rng.integers(3, 7, (6, 4)).astype(np.int32)
    found = model.translator(5)(source)
    for row, answer in zip(source, found, strict=True):
        target = [START]
        while len(target) <= 5 and target[-1] not in (END, PADDING):
            logits = model(Tensor(row[None]), Tensor(np.array([target + [PADDING] * (6 - len(target))], np.int32)))
            target.append(int(logits.numpy()[0, len(target) - 1].argmax()))
        expected = (target[1:] + [PADDING] * 5)[:5]
        assert answer.tolist() == expected
