"""Thirty training steps from the same initial weights have PyTorch's losses, step by step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ir import dtypes
from tinygrad_like import Tensor, nn
from tinygrad_like.models import CNN, GPT, MLP, GPTConfig
from tinygrad_like.train import training_step

torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
tn = torch.nn

STEPS = 30
TOLERANCE = {"float32": 1e-4, "float64": 1e-6}


def torch_cnn():
    return tn.Sequential(
        tn.Conv2d(1, 32, 5), tn.ReLU(), tn.Conv2d(32, 32, 5), tn.ReLU(), tn.BatchNorm2d(32), tn.MaxPool2d(2),
        tn.Conv2d(32, 64, 3), tn.ReLU(), tn.Conv2d(64, 64, 3), tn.ReLU(), tn.BatchNorm2d(64), tn.MaxPool2d(2),
        tn.Flatten(), tn.Linear(576, 10))


class TorchGPT(tn.Module):
    """The model of ``GPT`` with PyTorch's layers and the same names."""

    def __init__(self, config):
        super().__init__()
        self.token_embedding = tn.Embedding(config.vocabulary, config.width)
        self.position_embedding = tn.Embedding(config.context, config.width)
        self.blocks = tn.ModuleList(
            tn.TransformerEncoderLayer(
                config.width, config.heads, 4 * config.width, 0.0,
                lambda x: tn.functional.gelu(x, approximate="tanh"), batch_first=True, norm_first=True)
            for _ in range(config.layers))
        self.norm = tn.LayerNorm(config.width)

    def forward(self, tokens):
        time = tokens.shape[1]
        x = self.token_embedding(tokens) + self.position_embedding.weight[:time]
        mask = tn.Transformer.generate_square_subsequent_mask(time)
        for block in self.blocks:
            x = block(x, src_mask=mask, is_causal=True)
        return self.norm(x) @ self.token_embedding.weight.T


class TorchMLP(tn.Module):
    """The model of ``MLP`` with PyTorch's layers and the same names."""

    def __init__(self, sizes):
        super().__init__()
        self.layers = tn.ModuleList(tn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)


def make_equal(model, oracle, precision):
    """Give both the same weights, in float64 where that is asked for."""
    model.load_state_dict({name: Tensor(value.numpy().copy()) for name, value in oracle.state_dict().items()})
    if precision == "float64":
        oracle.double()
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.replace(tensor.cast(dtypes.float64).realize())


def compare(model, oracle, optimizer, torch_optimizer, batches, precision):
    """Train both and compare the loss of every step and the parameters and statistics at the end."""
    step = training_step(
        lambda x, y: model(x).flatten(0, -2).sparse_categorical_crossentropy(y.flatten()), optimizer)
    model.train()
    oracle.train()
    losses = []
    for x, y in batches:
        x = x.astype(precision) if x.dtype == np.float32 else x
        torch_optimizer.zero_grad()
        wanted = tn.functional.cross_entropy(
            oracle(torch.from_numpy(x)).flatten(0, -2), torch.from_numpy(y).flatten().long())
        wanted.backward()
        torch_optimizer.step()
        losses.append((step(optimizer.lr.item(), x, y).item(), wanted.item()))
    found, expected = np.array(losses).T
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE[precision])
    for name, value in oracle.state_dict().items():
        np.testing.assert_allclose(
            model.state_dict()[name].numpy(), value.numpy(), rtol=1e-2, atol=1e-2, err_msg=name)


def image_batches(rng, batch, shape):
    """Images of ten overlapping classes."""
    means = 0.1 * rng.standard_normal((10, *shape))
    for _ in range(STEPS):
        labels = rng.integers(0, 10, batch)
        images = means[labels] + rng.standard_normal((batch, *shape))
        yield images.astype(np.float32), labels.astype(np.int32)


def text_batches(rng, config):
    """Windows of a text with something to learn."""
    text = np.cumsum(rng.integers(0, 3, 20_000)) % config.vocabulary
    for _ in range(STEPS):
        starts = rng.integers(0, len(text) - config.context - 1, 12)
        windows = text[starts[:, None] + np.arange(config.context + 1)].astype(np.int32)
        yield windows[:, :-1], windows[:, 1:]


# Rounding differs between two implementations, and a rate at which training is chaotic turns the last bit into the
# first within thirty steps (PyTorch in float32 then strays as far from PyTorch in float64). So float32 runs at a gentle
# rate, and float64, where rounding is far below the tolerance, at the usual one.
MLP_RATES = {"float32": 3e-4, "float64": 1e-3}
CNN_RATES = {"float32": 1e-5, "float64": 1e-3}


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_mlp(rng, precision):
    torch.manual_seed(0)
    sizes = (784, 512, 512, 10)
    model, oracle = MLP(sizes), TorchMLP(sizes)
    make_equal(model, oracle, precision)
    rate = MLP_RATES[precision]
    optimizer, torch_optimizer = nn.optim.Adam(model.parameters(), rate), torch.optim.Adam(oracle.parameters(), rate)
    compare(model, oracle, optimizer, torch_optimizer, image_batches(rng, 128, (784,)), precision)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_cnn(rng, precision):
    torch.manual_seed(0)
    model, oracle = CNN(), torch_cnn()
    make_equal(model, oracle, precision)
    rate = CNN_RATES[precision]
    optimizer, torch_optimizer = nn.optim.Adam(model.parameters(), rate), torch.optim.Adam(oracle.parameters(), rate)
    compare(model, oracle, optimizer, torch_optimizer, image_batches(rng, 16, (1, 28, 28)), precision)


def test_gpt(rng):
    torch.manual_seed(0)
    Tensor.manual_seed(0)
    config = GPTConfig(vocabulary=65, context=64, layers=4, heads=4, width=128)
    model, oracle = GPT(config), TorchGPT(config)
    # GPT's own initialisation: PyTorch's default embeddings make the first losses enormous.
    oracle.load_state_dict({name: torch.from_numpy(value.numpy()) for name, value in model.state_dict().items()})
    optimizer = nn.optim.AdamW(model.parameters(), 3e-4)
    torch_optimizer = torch.optim.AdamW(oracle.parameters(), 3e-4)
    compare(model, oracle, optimizer, torch_optimizer, text_batches(rng, config), "float32")
