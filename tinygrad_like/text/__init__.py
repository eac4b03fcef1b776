"""Text as numbers: corpora and tokenizers.

>>> tokenizer = CharacterTokenizer.train("to be or not to be")
>>> tokenizer.decode(tokenizer.encode("robot"))
'robot'
"""

from tinygrad_like.text.byte_pairs import END_OF_TEXT, BytePairTokenizer
from tinygrad_like.text.characters import CharacterTokenizer
from tinygrad_like.text.corpus import Corpus, python_reference, read_corpus, split_tokens
from tinygrad_like.text.pieces import split_pieces
from tinygrad_like.text.tokenizer import Tokenizer, load_tokenizer

__all__ = [
    "END_OF_TEXT",
    "BytePairTokenizer",
    "CharacterTokenizer",
    "Corpus",
    "Tokenizer",
    "load_tokenizer",
    "python_reference",
    "read_corpus",
    "split_pieces",
    "split_tokens",
]
