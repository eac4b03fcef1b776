"""Thirty training steps from the same initial weights have PyTorch's losses, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, nn
from tinygrad_like.models import CNN, GPT, MLP, GPTConfig
from tinygrad_like.train import training_step

torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
tn = torch.nn

STEPS = 30
TOLERANCE = 1e-4


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


def copy_from_torch(model, oracle):
    model.load_state_dict({name: Tensor(value.numpy().copy()) for name, value in oracle.state_dict().items()})


def copy_to_torch(oracle, model):
    oracle.load_state_dict({name: torch.from_numpy(value.numpy()) for name, value in model.state_dict().items()})


def compare(model, oracle, optimizer, torch_optimizer, batches, rate):
    """Train both and compare the losses; the last difference is in the message of a failure."""
    step = training_step(
        lambda x, y: model(x).flatten(0, -2).sparse_categorical_crossentropy(y.flatten()), optimizer)
    model.train()
    oracle.train()
    for number, (x, y) in enumerate(batches):
        loss = step(rate, x, y).item()
        torch_optimizer.zero_grad()
        wanted = tn.functional.cross_entropy(
            oracle(torch.from_numpy(x)).flatten(0, -2), torch.from_numpy(y).flatten().long())
        wanted.backward()
        torch_optimizer.step()
        assert loss == pytest.approx(wanted.item(), rel=TOLERANCE), f"step {number}"
    for name, value in oracle.state_dict().items():  # running statistics included
        np.testing.assert_allclose(model.state_dict()[name].numpy(), value.numpy(), rtol=2e-2, atol=5e-3, err_msg=name)


def image_batches(rng, batch, shape):
    means = rng.standard_normal((10, *shape))
    for _ in range(STEPS):
        labels = rng.integers(0, 10, batch)
        images = means[labels] + rng.standard_normal((batch, *shape))
        yield images.astype(np.float32), labels.astype(np.int32)


def test_mlp(rng):
    torch.manual_seed(0)
    sizes = (784, 512, 512, 10)
    linear = [tn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    oracle = tn.Sequential(linear[0], tn.ReLU(), linear[1], tn.ReLU(), linear[2])
    model = MLP(sizes)
    for layer, theirs in zip(model.layers, linear, strict=True):
        layer.load_state_dict({name: Tensor(value.numpy().copy()) for name, value in theirs.state_dict().items()})
    step = training_step(lambda x, y: model(x).sparse_categorical_crossentropy(y), nn.optim.Adam(model.parameters()))
    torch_optimizer = torch.optim.Adam(oracle.parameters())
    for x, y in image_batches(rng, 128, (784,)):
        torch_optimizer.zero_grad()
        wanted = tn.functional.cross_entropy(oracle(torch.from_numpy(x)), torch.from_numpy(y).long())
        wanted.backward()
        torch_optimizer.step()
        assert step(1e-3, x, y).item() == pytest.approx(wanted.item(), rel=TOLERANCE)


def test_cnn(rng):
    torch.manual_seed(0)
    model, oracle = CNN(), torch_cnn()
    copy_from_torch(model, oracle)
    optimizer = nn.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    torch_optimizer = torch.optim.SGD(oracle.parameters(), 0.01, momentum=0.9)
    compare(model, oracle, optimizer, torch_optimizer, image_batches(rng, 16, (1, 28, 28)), 0.01)


def test_gpt(rng):
    Tensor.manual_seed(0)
    config = GPTConfig(vocabulary=65, context=64, layers=4, heads=4, width=128)
    model, oracle = GPT(config), TorchGPT(config)
    copy_to_torch(oracle, model)
    text = np.cumsum(rng.integers(0, 3, 20_000)) % config.vocabulary  # a text with something to learn
    batches = []
    for _ in range(STEPS):
        starts = rng.integers(0, len(text) - config.context - 1, 12)
        windows = text[starts[:, None] + np.arange(config.context + 1)]
        batches.append((windows[:, :-1].astype(np.int32), windows[:, 1:].astype(np.int32)))
    optimizer = nn.optim.AdamW(model.parameters(), 3e-4)
    torch_optimizer = torch.optim.AdamW(oracle.parameters(), 3e-4)
    compare(model, oracle, optimizer, torch_optimizer, batches, 3e-4)
