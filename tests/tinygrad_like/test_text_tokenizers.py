"""Tokenizers: round trips, parity with GPT-2's, and files that are damaged."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tinygrad_like.io import InputError
from tinygrad_like.text import (
    END_OF_TEXT,
    BytePairTokenizer,
    CharacterTokenizer,
    load_tokenizer,
    python_reference,
    split_pieces,
)

any_text = st.text(st.characters(exclude_categories=["Cs"]))
# Characters that no edition of Unicode has assigned yet differ between Python's tables and an oracle's.
assigned_text = st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"]))


@pytest.fixture(scope="module")
def trained() -> BytePairTokenizer:
    return BytePairTokenizer.train(python_reference().text[:100_000], vocabulary_size=600)


@pytest.fixture(scope="module")
def gpt2(shared) -> BytePairTokenizer:
    directory = shared / "data" / "tokenizer"
    return BytePairTokenizer.from_gpt2_files(directory / "gpt2-encoder.json", directory / "gpt2-vocab.bpe")


@given(any_text)
def test_pieces_join_to_the_text(text):
    assert "".join(split_pieces(text)) == text


@given(any_text)
def test_byte_pairs_round_trip_any_unicode(trained, text):
    assert trained.decode(trained.encode(text)) == text


@given(any_text)
def test_characters_round_trip_their_own_text(text):
    tokenizer = CharacterTokenizer.train(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer) == len(set(text))


def test_training_is_repeatable_and_compresses(trained):
    text = python_reference().text[:100_000]
    again = BytePairTokenizer.train(text, vocabulary_size=600)
    assert again.tokens == trained.tokens and again.merges == trained.merges
    assert len(trained) == 600
    assert len(trained.encode(text)) < len(text) / 2


def test_training_picks_the_most_frequent_pair_first():
    tokenizer = BytePairTokenizer.train("ab ab ab cd cd", vocabulary_size=260, special=())
    assert tokenizer.tokens[256] == b"ab"
    assert tokenizer.encode("ab") == [256]


def test_overlapping_pairs_merge_from_the_left():
    tokenizer = BytePairTokenizer.train("aaa aaa", vocabulary_size=257, special=())
    assert [tokenizer.tokens[i] for i in tokenizer.encode("aaaaa")] == [b"aa", b"aa", b"a"]


def test_a_text_without_repetition_gives_a_smaller_vocabulary():
    assert len(BytePairTokenizer.train("abc", vocabulary_size=1000)) == 257


def test_a_long_piece_takes_no_quadratic_time(trained):
    text = "a" * 200_000
    assert trained.decode(trained.encode(text)) == text


def test_special_tokens_are_recognised_only_on_request(trained):
    text = f"one{END_OF_TEXT}two"
    assert len(trained) - 1 in trained.encode(text, special=True)
    assert len(trained) - 1 not in trained.encode(text)
    assert trained.decode(trained.encode(text, special=True)) == trained.decode(trained.encode(text)) == text


def test_a_character_cut_in_two_decodes_to_the_replacement_character(trained):
    ids = BytePairTokenizer.train("", vocabulary_size=257).encode("é")
    assert BytePairTokenizer.train("", vocabulary_size=257).decode(ids[:1]) == "\ufffd"


@pytest.mark.parametrize("kind", ["characters", "byte pairs"])
def test_save_and_load(tmp_path, kind, trained):
    tokenizer = trained if kind == "byte pairs" else CharacterTokenizer.train("naïve café\n\t\"quoted\" 🎉")
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    loaded = load_tokenizer(path)
    assert type(loaded) is type(tokenizer) and len(loaded) == len(tokenizer)
    text = 'naïve café 🎉 "quoted"'
    assert loaded.encode(text) == tokenizer.encode(text)
    assert json.loads(path.read_text(encoding="utf-8"))["kind"] == kind


def test_gpt2_has_its_vocabulary(gpt2):
    assert len(gpt2) == 50257
    assert gpt2.encode("Hello world") == [15496, 995]
    assert gpt2.encode(END_OF_TEXT, special=True) == [50256]


def test_gpt2_equals_tiktoken(gpt2, shared):
    tiktoken = pytest.importorskip("tiktoken", reason="the oracle tiktoken is not installed")
    oracle = tiktoken.Encoding(
        "gpt2",
        pat_str=r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        mergeable_ranks={token: rank for rank, token in enumerate(gpt2.tokens)},
        special_tokens={END_OF_TEXT: 50256},
    )
    text = (shared / "data" / "text" / "tinyshakespeare.txt").read_text()[:200_000] + python_reference().text
    assert gpt2.encode(text) == oracle.encode_ordinary(text)

    @given(assigned_text)
    def equal_on_any_text(text):
        assert gpt2.encode(text) == oracle.encode_ordinary(text)

    equal_on_any_text()


def test_gpt2_equals_tokenizers(gpt2, shared):
    tokenizers = pytest.importorskip("tokenizers", reason="the oracle tokenizers is not installed")
    directory = shared / "data" / "tokenizer"
    oracle = tokenizers.ByteLevelBPETokenizer(
        str(directory / "gpt2-encoder.json"), str(directory / "gpt2-vocab.bpe"), add_prefix_space=False
    )

    @given(assigned_text)
    def equal_on_any_text(text):
        assert gpt2.encode(text) == oracle.encode(text).ids

    equal_on_any_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no readable tokenizer file"),
        ("{", "no readable tokenizer file"),
        ("[1, 2]", "no tokenizer that this library saved"),
        ('{"format": "tinygrad_like tokenizer", "kind": "words"}', "of kind 'words'"),
        ('{"format": "tinygrad_like tokenizer", "kind": "characters"}', "no readable tokenizer file"),
        ('{"format": "tinygrad_like tokenizer", "kind": "characters", "characters": "aa"}', "twice"),
        ('{"format": "tinygrad_like tokenizer", "kind": "byte pairs", "tokens": ["a"], "merges": [], "special": []}',
         "no token of its own"),
    ],
)
def test_a_damaged_file_is_one_clear_line(tmp_path, content, message):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        load_tokenizer(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no tokenizer file"):
        load_tokenizer(tmp_path / "none.json")


def test_an_unknown_character_is_named():
    with pytest.raises(InputError, match=r"'é' \(U\+00E9\) at position 2"):
        CharacterTokenizer.train("abc").encode("abé")


@pytest.mark.parametrize("ids", [[-1], [3], [0, 1, 99]])
def test_an_id_outside_the_vocabulary_is_named(ids):
    with pytest.raises(InputError, match="outside the vocabulary of 3 tokens"):
        CharacterTokenizer.train("abc").decode(ids)


def test_a_vocabulary_too_small_for_bytes_is_refused():
    with pytest.raises(InputError, match="256 bytes and 1 special tokens need 257"):
        BytePairTokenizer.train("text", vocabulary_size=100)


def test_files_that_are_not_gpt2s_are_named(tmp_path):
    encoder, merges = tmp_path / "encoder.json", tmp_path / "vocab.bpe"
    encoder.write_text('{"a": 0}')
    merges.write_text("#version: 0.2\nx y\n")
    with pytest.raises(InputError, match="not GPT-2's vocabulary files"):
        BytePairTokenizer.from_gpt2_files(encoder, merges)
