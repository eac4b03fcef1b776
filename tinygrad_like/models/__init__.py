"""Models built from ``nn``."""

from tinygrad_like.models.cnn import CNN
from tinygrad_like.models.gpt import GPT, GPTConfig
from tinygrad_like.models.mlp import MLP
from tinygrad_like.models.resnet import ResNet, cifar_resnet, resnet18, resnet34, resnet50

__all__ = ["CNN", "GPT", "MLP", "GPTConfig", "ResNet", "cifar_resnet", "resnet18", "resnet34", "resnet50"]
