"""Every layer equals PyTorch's: values, and gradients of input and parameters, from the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from tinygrad_like import Tensor, nn

torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
tn = torch.nn


class Case(NamedTuple):
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    shape: tuple[int, ...]
    tolerance: float = 2e-5


CASES = {
    "linear": Case(lambda: nn.Linear(5, 7), lambda: tn.Linear(5, 7), (3, 5)),
    "linear of three dimensions": Case(lambda: nn.Linear(5, 7), lambda: tn.Linear(5, 7), (2, 3, 5)),
    "linear without bias": Case(lambda: nn.Linear(5, 7, bias=False), lambda: tn.Linear(5, 7, bias=False), (3, 5)),
    "conv1d": Case(lambda: nn.Conv1d(3, 4, 3, padding=1), lambda: tn.Conv1d(3, 4, 3, padding=1), (2, 3, 9)),
    "conv2d": Case(lambda: nn.Conv2d(3, 4, 3), lambda: tn.Conv2d(3, 4, 3), (2, 3, 8, 7)),
    "conv2d strided": Case(
        lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1), lambda: tn.Conv2d(3, 4, 3, stride=2, padding=1), (2, 3, 8, 7)),
    "conv2d dilated": Case(
        lambda: nn.Conv2d(3, 4, (3, 2), dilation=2), lambda: tn.Conv2d(3, 4, (3, 2), dilation=2), (2, 3, 9, 8)),
    "conv2d grouped": Case(
        lambda: nn.Conv2d(4, 6, 3, groups=2), lambda: tn.Conv2d(4, 6, 3, groups=2), (2, 4, 6, 6)),
    "conv2d same": Case(
        lambda: nn.Conv2d(3, 4, 4, padding="same"), lambda: tn.Conv2d(3, 4, 4, padding="same"), (2, 3, 6, 6)),
    "conv2d padded by side": Case(
        lambda: nn.Conv2d(2, 3, 3, padding=(2, 1), bias=False),
        lambda: tn.Conv2d(2, 3, 3, padding=(2, 1), bias=False), (2, 2, 5, 5)),
    "conv_transpose2d": Case(
        lambda: nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1),
        lambda: tn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), (2, 3, 4, 5)),
    "max_pool2d": Case(lambda: nn.MaxPool2d(2), lambda: tn.MaxPool2d(2), (2, 3, 6, 8)),
    "max_pool2d overlapping": Case(
        lambda: nn.MaxPool2d(3, 2, 1), lambda: tn.MaxPool2d(3, 2, 1), (2, 3, 7, 7)),
    "avg_pool2d": Case(lambda: nn.AvgPool2d(2), lambda: tn.AvgPool2d(2), (2, 3, 6, 8)),
    "layernorm": Case(lambda: nn.LayerNorm(6), lambda: tn.LayerNorm(6), (2, 3, 6), 1e-4),
    "layernorm of two dimensions": Case(lambda: nn.LayerNorm((3, 6)), lambda: tn.LayerNorm((3, 6)), (2, 3, 6), 1e-4),
    "groupnorm": Case(lambda: nn.GroupNorm(2, 4), lambda: tn.GroupNorm(2, 4), (2, 4, 3, 3), 1e-4),
    "instancenorm": Case(
        lambda: nn.InstanceNorm(4), lambda: tn.InstanceNorm2d(4, affine=True), (2, 4, 3, 3), 1e-4),
    "rmsnorm": Case(lambda: nn.RMSNorm(6, eps=1e-6), lambda: tn.RMSNorm(6, eps=1e-6), (2, 3, 6), 1e-4),
    "batchnorm in training": Case(lambda: nn.BatchNorm2d(4).train(), lambda: tn.BatchNorm2d(4), (5, 4, 3, 3), 1e-4),
    "batchnorm in evaluation": Case(
        lambda: nn.BatchNorm2d(4).eval(), lambda: tn.BatchNorm2d(4).eval(), (5, 4, 3, 3), 1e-4),
    "batchnorm of vectors": Case(lambda: nn.BatchNorm1d(4).train(), lambda: tn.BatchNorm1d(4), (5, 4), 1e-4),
    "attention": Case(
        lambda: nn.MultiHeadAttention(8, 2), lambda: SelfAttention(8, 2), (2, 5, 8)),
    "transformer block": Case(
        lambda: nn.TransformerBlock(8, 2, causal=False), lambda: torch_block(8, 2), (2, 5, 8), 1e-4),
    "relu": Case(nn.ReLU, tn.ReLU, (4, 5)),
    "leaky relu": Case(lambda: nn.LeakyReLU(0.2), lambda: tn.LeakyReLU(0.2), (4, 5)),
    "gelu": Case(nn.GELU, tn.GELU, (4, 5)),
    "gelu by tanh": Case(lambda: nn.GELU("tanh"), lambda: tn.GELU("tanh"), (4, 5)),
    "silu": Case(nn.SiLU, tn.SiLU, (4, 5)),
    "sigmoid": Case(nn.Sigmoid, tn.Sigmoid, (4, 5)),
    "tanh": Case(nn.Tanh, tn.Tanh, (4, 5)),
    "softmax": Case(lambda: nn.Softmax(1), lambda: tn.Softmax(1), (4, 5)),
    "flatten": Case(nn.Flatten, tn.Flatten, (4, 5, 2)),
    "dropout in evaluation": Case(lambda: nn.Dropout(0.5).eval(), lambda: tn.Dropout(0.5).eval(), (4, 5)),
    "sequential": Case(
        lambda: nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)),
        lambda: tn.Sequential(tn.Linear(5, 4), tn.ReLU(), tn.Linear(4, 3)), (2, 5)),
}


class SelfAttention(tn.MultiheadAttention):
    def __init__(self, width, heads):
        super().__init__(width, heads, batch_first=True)

    def forward(self, x):
        return super().forward(x, x, x)[0]


def torch_block(width, heads):
    return tn.TransformerEncoderLayer(
        width, heads, 4 * width, 0.0, lambda x: tn.functional.gelu(x, approximate="tanh"), batch_first=True,
        norm_first=True)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name, rng):
    case = CASES[name]
    ours, theirs = case.ours(), case.theirs()
    for parameter in theirs.parameters():  # the norms' ones and zeros would hide mistakes
        parameter.data = torch.from_numpy(rng.standard_normal(parameter.shape).astype(np.float32))
    copy_state(ours, theirs)
    data, weight = rng.standard_normal(case.shape).astype(np.float32), None
    x, tx = Tensor(data), torch.from_numpy(data).requires_grad_()
    x.requires_grad = True
    y, ty = ours(x), theirs(tx)
    assert y.shape == tuple(ty.shape)
    weight = rng.standard_normal(y.shape).astype(np.float32)
    (y * Tensor(weight)).sum().backward()
    (ty * torch.from_numpy(weight)).sum().backward()
    close(y, ty, case.tolerance)
    close(x.grad, tx.grad, case.tolerance)
    expected = dict(theirs.named_parameters())
    found = dict(ours.named_parameters())
    assert set(found) == set(expected)
    for path, parameter in found.items():
        assert parameter.shape == tuple(expected[path].shape)
        close(parameter.grad, expected[path].grad, case.tolerance)
    for path, value in theirs.state_dict().items():
        close(ours.state_dict()[path], value, case.tolerance)


def copy_state(ours, theirs):
    ours.load_state_dict({name: Tensor(value.numpy().copy()) for name, value in theirs.state_dict().items()})


def close(found, expected, tolerance):
    expected = expected.detach().numpy()
    np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance, atol=tolerance * max(1, np.abs(expected).max()))


INITIAL = {
    "linear": (lambda: nn.Linear(300, 200), lambda: tn.Linear(300, 200)),
    "conv2d": (lambda: nn.Conv2d(16, 32, 5), lambda: tn.Conv2d(16, 32, 5)),
    "conv2d grouped": (lambda: nn.Conv2d(16, 32, 5, groups=4), lambda: tn.Conv2d(16, 32, 5, groups=4)),
    "conv_transpose2d": (lambda: nn.ConvTranspose2d(16, 32, 5), lambda: tn.ConvTranspose2d(16, 32, 5)),
    "embedding": (lambda: nn.Embedding(300, 64), lambda: tn.Embedding(300, 64)),
    "layernorm": (lambda: nn.LayerNorm(300), lambda: tn.LayerNorm(300)),
    "batchnorm": (lambda: nn.BatchNorm2d(300), lambda: tn.BatchNorm2d(300)),
    "attention": (lambda: nn.MultiHeadAttention(96, 4), lambda: SelfAttention(96, 4)),
}


@pytest.mark.parametrize("name", INITIAL)
def test_initial_parameters_have_the_same_distribution(name):
    Tensor.manual_seed(0)
    ours, theirs = (make() for make in INITIAL[name])
    expected = dict(theirs.named_parameters())
    for path, parameter in ours.named_parameters():
        found, wanted = parameter.numpy(), expected[path].detach().numpy()
        assert found.shape == wanted.shape and found.dtype == wanted.dtype
        spread = max(wanted.std(), 1e-9)
        slack = 4 / np.sqrt(found.size)
        assert abs(found.std() - wanted.std()) <= 2 * slack * spread
        assert abs(found.mean() - wanted.mean()) <= 2 * slack * spread
        uniform = np.abs(wanted).max() < 2 * spread
        if found.size >= 1000 and uniform:
            assert np.abs(found).max() == pytest.approx(np.abs(wanted).max(), rel=0.02)


def test_embedding(rng):
    ours, theirs = nn.Embedding(10, 4), tn.Embedding(10, 4)
    copy_state(ours, theirs)
    index = np.array([[1, 2, 2], [9, 0, 1]])
    weight = rng.standard_normal((2, 3, 4)).astype(np.float32)
    y, ty = ours(Tensor(index)), theirs(torch.from_numpy(index))
    (y * Tensor(weight)).sum().backward()
    (ty * torch.from_numpy(weight)).sum().backward()
    close(y, ty, 1e-6)
    close(ours.weight.grad, theirs.weight.grad, 1e-6)


def test_an_index_outside_an_embedding_gives_zeros():
    layer = nn.Embedding(4, 3)
    np.testing.assert_array_equal(layer(Tensor([0, 4])).numpy()[1], np.zeros(3))


def test_attention_between_two_sequences_with_masks(rng):
    ours, theirs = nn.MultiHeadAttention(8, 2), tn.MultiheadAttention(8, 2, batch_first=True)
    copy_state(ours, theirs)
    q, k, v = (rng.standard_normal((2, n, 8)).astype(np.float32) for n in (3, 5, 5))
    blocked = np.zeros((3, 5), bool)
    blocked[0, 3:] = blocked[2, 0] = True
    expected, _ = theirs(*map(torch.from_numpy, (q, k, v)), attn_mask=torch.from_numpy(blocked))
    close(ours(Tensor(q), Tensor(k), Tensor(v), mask=Tensor(~blocked)), expected, 2e-5)
    added = rng.standard_normal((3, 5)).astype(np.float32)
    expected, _ = theirs(*map(torch.from_numpy, (q, k, v)), attn_mask=torch.from_numpy(added))
    close(ours(Tensor(q), Tensor(k), Tensor(v), mask=Tensor(added)), expected, 2e-5)


def test_a_causal_block_does_not_look_ahead(rng):
    block = nn.TransformerBlock(8, 2)
    x = rng.standard_normal((1, 6, 8)).astype(np.float32)
    changed = x.copy()
    changed[:, 4:] += 1
    before, after = block(Tensor(x)).numpy(), block(Tensor(changed)).numpy()
    np.testing.assert_allclose(before[:, :4], after[:, :4], atol=1e-6)
    assert np.abs(before[:, 4:] - after[:, 4:]).max() > 0.1


def test_batchnorm_moves_its_running_statistics_as_torch(rng):
    ours, theirs = nn.BatchNorm2d(3).train(), tn.BatchNorm2d(3)
    for _ in range(5):
        x = (rng.standard_normal((4, 3, 2, 2)) * 2 + 1).astype(np.float32)
        ours(Tensor(x)).realize()
        theirs(torch.from_numpy(x))
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        close(getattr(ours, name), getattr(theirs, name), 1e-5)
    x = rng.standard_normal((4, 3, 2, 2)).astype(np.float32)
    close(ours.eval()(Tensor(x)), theirs.eval()(torch.from_numpy(x)), 1e-5)
    assert [name for name, _ in ours.named_parameters()] == ["weight", "bias"]


LOSSES = {
    "cross entropy": (nn.CrossEntropyLoss, tn.CrossEntropyLoss),
    "cross entropy, summed": (lambda: nn.CrossEntropyLoss("sum"), lambda: tn.CrossEntropyLoss(reduction="sum")),
    "cross entropy, smoothed": (
        lambda: nn.CrossEntropyLoss(label_smoothing=0.1), lambda: tn.CrossEntropyLoss(label_smoothing=0.1)),
    "mean squares": (nn.MSELoss, tn.MSELoss),
    "absolute": (lambda: nn.L1Loss("none"), lambda: tn.L1Loss(reduction="none")),
    "binary cross entropy": (nn.BCEWithLogitsLoss, tn.BCEWithLogitsLoss),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, rng):
    ours, theirs = (make() for make in LOSSES[name])
    data = rng.standard_normal((6, 4)).astype(np.float32)
    target = rng.integers(0, 4, 6) if name.startswith("cross entropy") else rng.random((6, 4)).astype(np.float32)
    x, tx = Tensor(data), torch.from_numpy(data).requires_grad_()
    x.requires_grad = True
    y, ty = ours(x, Tensor(target)), theirs(tx, torch.from_numpy(target))
    y.sum().backward()
    ty.sum().backward()
    close(y, ty, 1e-5)
    close(x.grad, tx.grad, 1e-5)


def test_a_target_may_be_ignored(rng):
    logits, target = rng.standard_normal((4, 3)).astype(np.float32), np.array([0, -100, 2, -100])
    expected = tn.CrossEntropyLoss()(torch.from_numpy(logits), torch.from_numpy(target))
    close(nn.CrossEntropyLoss()(Tensor(logits), Tensor(target)), expected, 1e-5)


MISTAKES = {
    "Linear(3, 4) expects [..., 3], got [2, 5]": lambda: nn.Linear(3, 4)(Tensor.zeros(2, 5)),
    "LayerNorm expects [..., 6], got [2, 5]": lambda: nn.LayerNorm(6)(Tensor.zeros(2, 5)),
    "BatchNorm expects [n, channels, ...], got [3]": lambda: nn.BatchNorm(3)(Tensor.zeros(3)),
    "more than one value a channel": lambda: nn.BatchNorm(3).train()(Tensor.zeros(1, 3)),
    "num_heads=3 must divide embed_dim=8": lambda: nn.MultiHeadAttention(8, 3),
    "groups=2 must divide in_channels=3": lambda: nn.Conv2d(3, 4, 3, groups=2),
    "padding='valid' is unknown": lambda: nn.Conv2d(3, 4, 3, padding="valid"),
    "needs stride 1": lambda: nn.Conv2d(3, 4, 3, stride=2, padding="same"),
    "between 0 and 1, got p=2": lambda: nn.Dropout(2),
    "'none' or 'tanh'": lambda: nn.GELU("fast"),
    "expected one number or 2": lambda: nn.MaxPool2d((1, 2, 3)),
    "num_groups=2 must divide num_channels=3": lambda: nn.GroupNorm(2, 3),
    "reduction='median' is unknown": lambda: nn.MSELoss("median"),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_named(message):
    with pytest.raises(ValueError) as caught:
        MISTAKES[message]()
    assert message in str(caught.value)


def test_floats_do_not_index_an_embedding():
    with pytest.raises(TypeError, match="Embedding expects integers, got"):
        nn.Embedding(3, 4)(Tensor([0.5]))
