"""Models built from ``nn``."""

from tinygrad_like.models.character_rnn import CharacterRNN
from tinygrad_like.models.cnn import CNN
from tinygrad_like.models.gpt import GPT, GPTConfig
from tinygrad_like.models.mlp import MLP
from tinygrad_like.models.mlp_language import MLPLanguageModel
from tinygrad_like.models.resnet import ResNet, cifar_resnet, resnet18, resnet34, resnet50
from tinygrad_like.models.seq2seq import Seq2SeqTransformer

__all__ = [
    "CNN", "GPT", "MLP", "CharacterRNN", "GPTConfig", "MLPLanguageModel", "ResNet", "Seq2SeqTransformer",
    "cifar_resnet", "resnet18", "resnet34", "resnet50",
]
