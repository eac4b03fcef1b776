"""Layers, losses, optimizers and the state of models.

>>> model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
>>> optimizer = nn.optim.Adam(model.parameters(), lr=1e-3)
"""

from tinygrad_like.nn import datasets, init, optim, state, transfer
from tinygrad_like.nn.activation import GELU, Flatten, Identity, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from tinygrad_like.nn.alignment import AdditiveAttention, DotProductAttention
from tinygrad_like.nn.attention import MultiHeadAttention
from tinygrad_like.nn.attention_masks import causal_mask, padding_mask
from tinygrad_like.nn.container import ModuleList, Sequential
from tinygrad_like.nn.convolution import AvgPool2d, Conv1d, Conv2d, Conv3d, MaxPool2d
from tinygrad_like.nn.dropout import Dropout
from tinygrad_like.nn.dropout_channels import Dropout1d, Dropout2d, Dropout3d
from tinygrad_like.nn.embedding import Embedding
from tinygrad_like.nn.encoder_decoder import Transformer, TransformerDecoder, TransformerEncoder
from tinygrad_like.nn.instance_normalization import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from tinygrad_like.nn.key_value_cache import KeyValueCache
from tinygrad_like.nn.linear import Linear
from tinygrad_like.nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss
from tinygrad_like.nn.module import Module
from tinygrad_like.nn.normalization import (
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LayerNorm2d,
    RMSNorm,
)
from tinygrad_like.nn.positions import ALiBi, LearnedPositions, RotaryPositions, SinusoidalPositions
from tinygrad_like.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from tinygrad_like.nn.torch_attention import MultiheadAttention
from tinygrad_like.nn.transformer import TransformerBlock
from tinygrad_like.nn.transformer_layers import TransformerDecoderLayer, TransformerEncoderLayer
from tinygrad_like.nn.transposed_convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d

__all__ = [
    "GELU", "GRU", "LSTM", "RNN", "ALiBi", "AdditiveAttention", "AvgPool2d", "BCEWithLogitsLoss", "BatchNorm",
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d",
    "ConvTranspose3d", "CrossEntropyLoss", "DotProductAttention", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d",
    "Embedding", "Flatten", "GRUCell", "GroupNorm", "Identity", "InstanceNorm", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "KeyValueCache", "L1Loss", "LSTMCell", "LayerNorm", "LayerNorm2d", "LeakyReLU",
    "LearnedPositions", "Linear", "MSELoss", "MaxPool2d", "Module", "ModuleList", "MultiHeadAttention",
    "MultiheadAttention", "RMSNorm", "RNNCell", "ReLU", "RotaryPositions", "Sequential", "SiLU", "Sigmoid",
    "SinusoidalPositions", "Softmax", "Tanh", "Transformer", "TransformerBlock", "TransformerDecoder",
    "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer", "causal_mask", "datasets", "init",
    "optim", "padding_mask", "state", "transfer",
]
