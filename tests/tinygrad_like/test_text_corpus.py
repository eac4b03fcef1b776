"""Texts to train on, and files that cannot be."""

from __future__ import annotations

import pytest

from tinygrad_like.io import InputError
from tinygrad_like.text import CharacterTokenizer, Corpus, python_reference, read_corpus, split_tokens


def test_the_default_text_is_on_every_installation():
    corpus = read_corpus()
    assert len(corpus.text) > 200_000 and "pydoc_data" in corpus.source
    assert corpus == python_reference()


def test_a_file_is_read_as_utf8_without_its_mark(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffZürich".encode())
    assert read_corpus(path) == Corpus("Zürich", str(path))


@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b" \n", "is empty"), (b"abc\xff", "not UTF-8")])
def test_a_file_that_is_no_text_is_refused(tmp_path, content, message):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_corpus(path)


def test_a_missing_file_and_a_directory_are_named(tmp_path):
    with pytest.raises(InputError, match="no text file"):
        read_corpus(tmp_path / "none.txt")
    with pytest.raises(InputError, match="is a directory"):
        read_corpus(tmp_path)


def test_the_split_is_nine_to_one():
    corpus = Corpus("0123456789" * 10, "digits")
    training, validation = split_tokens(corpus, CharacterTokenizer.train(corpus.text), context=5)
    assert len(training) == 90 and len(validation) == 10
    assert validation.tolist() == list(range(10))


def test_a_text_shorter_than_the_context_is_refused():
    corpus = Corpus("0123456789" * 10, "digits.txt")
    with pytest.raises(InputError, match="digits.txt is too short: its validation part has 10 tokens"):
        split_tokens(corpus, CharacterTokenizer.train(corpus.text), context=10)
