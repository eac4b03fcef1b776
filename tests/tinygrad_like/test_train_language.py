"""Training a GPT on a text: files, sampling, resuming to the same bits, bad input."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest

from tinygrad_like import Tensor
from tinygrad_like.generate import Generator, next_token_probabilities, sample_token
from tinygrad_like.io import InputError
from tinygrad_like.models import GPT, GPTConfig
from tinygrad_like.text import BytePairTokenizer, CharacterTokenizer
from tinygrad_like.train import LanguageRun, LanguageSettings, Reporter, RunDirectory, load_language_model, read_log

SMALL = LanguageSettings(
    layers=1, heads=2, width=16, context=8, batch=4, steps=12, warmup=2, evaluate_every=4, save_every=6,
    evaluation_batches=2, dropout=0.1)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog. " * 40)
    return str(path)


@pytest.fixture
def settings(text):
    return replace(SMALL, data=text)


def train(settings, path, **options):
    run = LanguageRun.start(settings, RunDirectory.fresh(path))
    assert run.train(Reporter(settings.steps, stream=io.StringIO())) is options.get("finished", True)
    return run


def weights(model):
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def same(first, second):
    assert set(first) == set(second)
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_a_run_writes_everything_and_learns(settings, tmp_path):
    settings = replace(settings, steps=60, rate=0.02, dropout=0.0)
    run = train(settings, tmp_path / "run")
    names = {path.name for path in run.directory.path.iterdir()}
    assert names >= {"config.json", "settings.json", "tokenizer.json", "model.safetensors", "checkpoint.safetensors",
                     "log.jsonl"}
    records = read_log(run.directory.log)
    assert records[-1].step == 60 and records[-1].validation_loss < 0.8 * records[0].train_loss
    model, tokenizer = load_language_model(run.directory)
    assert same(weights(model), weights(run.model))
    generator = Generator(model, tokenizer)
    assert generator.text("the ", 40, 0.5) == generator.text("the ", 40, 0.5) == run.sample("the ", 40, temperature=0.5)
    assert len(generator.text("the ", 40, 0.5, top_k=3)) == 40
    assert not model.training and run.model.training


def test_a_resumed_run_has_the_bits_of_one_that_never_stopped(settings, tmp_path):
    whole = train(settings, tmp_path / "whole")
    resumed = LanguageRun.resume(interrupted_at_six(settings, tmp_path / "stopped"))
    assert resumed.done == 6
    assert resumed.train(Reporter(12, 6, stream=io.StringIO()))
    assert same(weights(whole.model), weights(resumed.model))
    states = [{name: t.numpy() for name, t in run.optimizer.state_dict().items()} for run in (whole, resumed)]
    assert same(*states)


def interrupted_at_six(settings, path):
    """Train to step 6 of 12 and stop there as Ctrl-C does."""
    run = LanguageRun.start(settings, RunDirectory.fresh(path))
    plain = run.step

    def step(i):
        if i == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(i)

    run.step = step
    assert not run.train(Reporter(settings.steps, stream=io.StringIO()))
    return run.directory


def test_two_runs_are_the_same_bits(settings, tmp_path):
    first, second = train(settings, tmp_path / "a"), train(settings, tmp_path / "b")
    assert same(weights(first.model), weights(second.model))
    other = train(replace(settings, seed=7), tmp_path / "c")
    assert not same(weights(first.model), weights(other.model))


def test_byte_pairs(settings, tmp_path):
    run = train(replace(settings, tokens="bytes", vocabulary=300, steps=2), tmp_path / "run")
    assert isinstance(run.tokenizer, BytePairTokenizer) and run.model.config.vocabulary == len(run.tokenizer)
    assert isinstance(run.sample("the", 10), str)


@pytest.mark.parametrize("damage", ["truncated", "foreign", "other"])
def test_a_damaged_checkpoint_is_one_clear_line(settings, tmp_path, damage):
    run = train(replace(settings, steps=1), tmp_path / "run")
    path = run.directory.checkpoint
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "foreign":
        shutil.copy(run.directory.model, path)
    else:
        values = json.loads(run.directory.settings.read_text()) | {"width": 32}
        run.directory.settings.write_text(json.dumps(values))
    message = {"truncated": "is truncated", "foreign": "no checkpoint", "other": "another model"}[damage]
    with pytest.raises(InputError, match=message) as caught:
        LanguageRun.resume(run.directory)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "number of heads divides the width"),
        ({"layers": 0}, "layers is at least 1"),
        ({"context": 1000}, "too short: its validation part has 180 tokens"),
        ({"data": "/nowhere/text.txt"}, "no text file /nowhere/text.txt"),
        ({"dropout": 1.0}, "dropout lies in"),
    ],
)
def test_bad_settings_are_one_clear_line(settings, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        train(replace(settings, **change), tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(("name", "value"), [("steps", 0), ("batch", -1), ("tokens", "words"), ("rate", 0.0)])
def test_settings_that_make_no_sense_are_refused(name, value):
    with pytest.raises(InputError, match=f"--{name}"):
        replace(SMALL, **{name: value})


@pytest.mark.parametrize("content", ["", "[]", "{}", "{"])
def test_damaged_settings_and_configurations_are_named(tmp_path, content):
    directory = RunDirectory(tmp_path)
    directory.settings.write_text(content)
    directory.config.write_text(content)
    with pytest.raises(InputError, match="settings.json"):
        LanguageSettings.load(directory)
    with pytest.raises(InputError, match="config.json"):
        GPTConfig.load(directory.config)


def test_the_generator_moves_its_window_and_refuses_nonsense():
    tokenizer = CharacterTokenizer.train("abcdef")
    model = GPT(GPTConfig(vocabulary=6, context=4, layers=1, heads=1, width=8))
    generator = Generator(model, tokenizer)
    long = generator.text("abcdefabcdef", 5, temperature=0)
    assert long == generator.text("cdef", 5, temperature=0) and len(long) == 5
    for prompt, options, message in [
        ("", {}, "prompt is empty"), ("xyz", {}, "'x'"), ("a", {"temperature": -1}, "temperature"),
        ("a", {"top_k": 0}, "top-k"), ("a", {"count": -1}, "not negative"),
    ]:
        with pytest.raises(InputError, match=message):
            generator.text(prompt, **({"count": 1} | options))


def test_the_generator_sees_what_the_model_sees(rng):
    tokenizer = CharacterTokenizer.train("abcdef")
    model = GPT(GPTConfig(vocabulary=6, context=4, layers=1, heads=1, width=8))
    ids = [1, 2]
    expected = model(Tensor([ids])).numpy()[0, -1]
    assert next(Generator(model, tokenizer).tokens(ids, 1, temperature=0)) == expected.argmax()


def test_the_model_refuses_more_than_its_context():
    model = GPT(GPTConfig(vocabulary=6, context=4, layers=1, heads=1, width=8))
    with pytest.raises(ValueError, match="5 tokens exceed the model's context of 4"):
        model(Tensor([[0, 1, 2, 3, 4]]))


def test_sampling_probabilities():
    logits = np.log(np.array([0.5, 0.25, 0.125, 0.125]))
    np.testing.assert_allclose(next_token_probabilities(logits), [0.5, 0.25, 0.125, 0.125])
    np.testing.assert_allclose(next_token_probabilities(logits, top_k=2), [2 / 3, 1 / 3, 0, 0])
    np.testing.assert_allclose(next_token_probabilities(logits, top_k=3), [4 / 7, 2 / 7, 1 / 7, 0])
    np.testing.assert_allclose(next_token_probabilities(logits, 0.5)[:2], np.array([4, 1]) / 5.5 * 4 / 4, atol=0.05)
    assert next_token_probabilities(logits, 0).tolist() == [1, 0, 0, 0]
    assert next_token_probabilities(np.array([1e30, -1e30])).tolist() == [1, 0]


def test_of_equal_logits_those_of_smaller_ids_are_kept(rng):
    for count in (1, 2, 7, 30, 99):
        logits = rng.integers(0, 5, 100).astype(np.float32)
        kept = np.flatnonzero(next_token_probabilities(logits, top_k=count))
        assert kept.tolist() == sorted(np.argsort(-logits, kind="stable")[:count])


def test_samples_follow_the_probabilities():
    random = np.random.Generator(np.random.Philox(0))
    logits = np.log(np.array([0.6, 0.3, 0.1]))
    counts = np.bincount([sample_token(logits, random) for _ in range(5000)], minlength=3) / 5000
    np.testing.assert_allclose(counts, [0.6, 0.3, 0.1], atol=0.03)
    assert {sample_token(logits, random, top_k=1) for _ in range(20)} == {0}
