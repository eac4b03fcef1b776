"""Every layer equals PyTorch's within 1e-5 of its largest number: values, gradients, buffers; training, evaluation.

Attention layers, Transformers and recurrent layers have tests of their own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_like import Tensor, nn

torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
tn = torch.nn
TOLERANCE = 1e-5
LINE, IMAGE, VOLUME = (3, 4, 9), (3, 4, 7, 6), (2, 4, 5, 4, 6)

# name -> (the layer from a module, ours or PyTorch's; the shape of its input)
SAME: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "Linear": (lambda m: m.Linear(6, 5), (3, 6)), "Linear of sequences": (lambda m: m.Linear(6, 5), (2, 3, 6)),
    "Linear without bias": (lambda m: m.Linear(6, 5, bias=False), (3, 6)),
    "Conv1d": (lambda m: m.Conv1d(4, 6, 3, 2, 1, 2, 2), LINE),
    "Conv2d": (lambda m: m.Conv2d(4, 6, (3, 2), 2, (1, 0)), IMAGE),
    "Conv2d in groups": (lambda m: m.Conv2d(4, 8, 3, padding="same", groups=4, bias=False), IMAGE),
    "Conv3d": (lambda m: m.Conv3d(4, 3, 2, (1, 2, 1), 1), VOLUME),
    "ConvTranspose1d": (lambda m: m.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2), LINE),
    "ConvTranspose2d": (lambda m: m.ConvTranspose2d(4, 6, (3, 2), 2, 1, dilation=2), IMAGE),
    "ConvTranspose3d": (lambda m: m.ConvTranspose3d(4, 2, 2, 2, groups=2), VOLUME),
    "MaxPool1d": (lambda m: m.MaxPool1d(3, 2, 1, ceil_mode=True), LINE),
    "MaxPool2d": (lambda m: m.MaxPool2d(3, 2, 1), IMAGE),
    "MaxPool2d dilated": (lambda m: m.MaxPool2d(2, 1, 0, 2), IMAGE),
    "MaxPool3d": (lambda m: m.MaxPool3d(2, ceil_mode=True), VOLUME),
    "AvgPool1d": (lambda m: m.AvgPool1d(3, 2, 1), LINE), "AvgPool2d": (lambda m: m.AvgPool2d(3, 2, 1, True), IMAGE),
    "AvgPool2d without padding": (lambda m: m.AvgPool2d(3, 2, 1, False, False), IMAGE),
    "AvgPool3d": (lambda m: m.AvgPool3d((2, 1, 3)), VOLUME),
    "AdaptiveAvgPool1d": (lambda m: m.AdaptiveAvgPool1d(4), LINE),
    "AdaptiveAvgPool2d": (lambda m: m.AdaptiveAvgPool2d((3, None)), IMAGE),
    "AdaptiveAvgPool2d to one": (lambda m: m.AdaptiveAvgPool2d(1), IMAGE),
    "AdaptiveAvgPool3d": (lambda m: m.AdaptiveAvgPool3d((2, 2, 5)), VOLUME),
    "BatchNorm1d": (lambda m: m.BatchNorm1d(4), (6, 4)), "BatchNorm1d of lines": (lambda m: m.BatchNorm1d(4), LINE),
    "BatchNorm2d": (lambda m: m.BatchNorm2d(4), IMAGE),
    "BatchNorm2d plain": (lambda m: m.BatchNorm2d(4, affine=False, track_running_stats=False), IMAGE),
    "BatchNorm3d": (lambda m: m.BatchNorm3d(4), VOLUME), "GroupNorm": (lambda m: m.GroupNorm(2, 4), IMAGE),
    "InstanceNorm1d": (lambda m: m.InstanceNorm1d(4, affine=True), LINE),
    "InstanceNorm2d": (lambda m: m.InstanceNorm2d(4, track_running_stats=True), IMAGE),
    "InstanceNorm3d": (lambda m: m.InstanceNorm3d(4), VOLUME), "LayerNorm": (lambda m: m.LayerNorm((7, 6)), IMAGE),
    "LayerNorm plain": (lambda m: m.LayerNorm(6, elementwise_affine=False), IMAGE),
    "RMSNorm": (lambda m: m.RMSNorm(6, eps=1e-6), IMAGE), "Flatten": (lambda m: m.Flatten(), IMAGE),
    "Unflatten": (lambda m: m.Unflatten(1, (2, 2)), IMAGE), "Identity": (lambda m: m.Identity(), IMAGE),
    "PReLU": (lambda m: m.PReLU(4, 0.3), IMAGE), "PReLU of one": (lambda m: m.PReLU(), IMAGE),
    "GELU": (lambda m: m.GELU(), IMAGE), "GELU by tanh": (lambda m: m.GELU("tanh"), IMAGE),
    "LeakyReLU": (lambda m: m.LeakyReLU(0.2), IMAGE), "ELU": (lambda m: m.ELU(1.5), IMAGE),
    "CELU": (lambda m: m.CELU(1.5), IMAGE), "Softplus": (lambda m: m.Softplus(2.0), IMAGE),
    "Hardtanh": (lambda m: m.Hardtanh(-0.5, 0.75), IMAGE), "Hardshrink": (lambda m: m.Hardshrink(0.3), IMAGE),
    "Softshrink": (lambda m: m.Softshrink(0.3), IMAGE), "Threshold": (lambda m: m.Threshold(0.1, 2.0), IMAGE),
    "GLU": (lambda m: m.GLU(1), IMAGE), "Softmax": (lambda m: m.Softmax(1), IMAGE),
    "LogSoftmax": (lambda m: m.LogSoftmax(1), IMAGE), "Softmin": (lambda m: m.Softmin(1), IMAGE),
    **{name: (lambda m, name=name: getattr(m, name)(), IMAGE) for name in (
        "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Tanh", "Mish", "Softsign", "LogSigmoid", "Hardswish",
        "Hardsigmoid", "Tanhshrink")},
    "Sequential": (lambda m: m.Sequential(
        m.Conv2d(4, 3, 3, bias=False), m.BatchNorm2d(3), m.ReLU(), m.Flatten(), m.Linear(60, 4)), IMAGE),
}


def close(found: Any, expected: Any, what: str) -> None:
    expected = expected.detach().numpy()
    found = found.numpy()
    assert found.shape == expected.shape, what
    scale = max(float(np.abs(expected).max(initial=0)), 1e-3)
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=TOLERANCE, err_msg=what)


def same_state(ours: Any, theirs: Any, rng: np.random.Generator) -> None:
    for parameter in theirs.parameters():  # the norms' ones and zeros would hide mistakes
        parameter.data = torch.from_numpy(rng.standard_normal(parameter.shape).astype(np.float32))
    ours.load_state_dict({name: Tensor(value.numpy().copy()) for name, value in theirs.state_dict().items()})


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", SAME)
def test_values_gradients_and_buffers(name, training, rng):
    make, shape = SAME[name]
    ours, theirs = make(nn).train(training), make(tn).train(training)
    same_state(ours, theirs, rng)
    data = rng.standard_normal(shape).astype(np.float32)
    x, tx = Tensor(data), torch.from_numpy(data).requires_grad_()
    x.requires_grad = True
    y, ty = ours(x), theirs(tx)
    weights = rng.standard_normal(ty.shape).astype(np.float32)
    (y * Tensor(weights)).sum().backward()
    (ty * torch.from_numpy(weights)).sum().backward()
    close(y, ty, "value")
    close(x.grad, tx.grad, "gradient of the input")
    expected = dict(theirs.named_parameters())
    for path, parameter in ours.named_parameters():
        close(parameter.grad, expected[path].grad, f"gradient of {path}")
    for path, value in theirs.state_dict().items():
        close(ours.state_dict()[path], value, path)


NORMS = {"BatchNorm1d": (6, 4), "BatchNorm2d": (3, 4, 5, 4), "BatchNorm3d": (2, 4, 3, 2, 4),
         "InstanceNorm1d": (3, 4, 9), "InstanceNorm2d": (3, 4, 5, 4), "InstanceNorm3d": (2, 4, 3, 2, 4)}


@pytest.mark.parametrize("name", NORMS)
def test_running_statistics_after_50_steps(name, rng):
    ours, theirs = (getattr(m, name)(4, affine=True, track_running_stats=True).train() for m in (nn, tn))
    for _ in range(50):
        data = (rng.standard_normal(NORMS[name]) * 3 + 2).astype(np.float32)
        Tensor.realize(ours(Tensor(data)), *ours.state_dict().values())
        theirs(torch.from_numpy(data))
    for path, value in theirs.state_dict().items():
        close(ours.state_dict()[path], value, path)
    data = rng.standard_normal(NORMS[name]).astype(np.float32)
    close(ours.eval()(Tensor(data)), theirs.eval()(torch.from_numpy(data)), "evaluation")


# name -> (the loss from a module, the prediction, the target)
LOGITS, CLASSES = np.cos(np.arange(20.0)).reshape(4, 5).astype(np.float32), np.array([1, 0, 4, 2])
SHARES = np.abs(np.sin(np.arange(20.0))).reshape(4, 5).astype(np.float32)
LOSSES: dict[str, tuple[Callable[[Any, str], Any], np.ndarray, np.ndarray]] = {
    "MSELoss": (lambda m, r: m.MSELoss(reduction=r), LOGITS, SHARES),
    "L1Loss": (lambda m, r: m.L1Loss(reduction=r), LOGITS, SHARES),
    "HuberLoss": (lambda m, r: m.HuberLoss(reduction=r, delta=0.5), LOGITS, SHARES),
    "SmoothL1Loss": (lambda m, r: m.SmoothL1Loss(reduction=r, beta=0.5), LOGITS, SHARES),
    "SmoothL1Loss of width 0": (lambda m, r: m.SmoothL1Loss(reduction=r, beta=0), LOGITS, SHARES),
    "BCELoss": (lambda m, r: m.BCELoss(reduction=r), SHARES * 0.9 + 0.05, SHARES[::-1].copy()),
    "BCEWithLogitsLoss": (lambda m, r: m.BCEWithLogitsLoss(reduction=r), LOGITS, SHARES),
    "CrossEntropyLoss": (lambda m, r: m.CrossEntropyLoss(reduction=r, label_smoothing=0.1), LOGITS, CLASSES),
    "NLLLoss": (lambda m, r: m.NLLLoss(reduction=r, ignore_index=4), LOGITS, CLASSES),
    "KLDivLoss": (lambda m, r: m.KLDivLoss(reduction=r), LOGITS, SHARES * (SHARES > 0.3)),
    "KLDivLoss of logarithms": (lambda m, r: m.KLDivLoss(reduction=r, log_target=True), LOGITS, -SHARES),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, reduction):
    make, prediction, target = LOSSES[name]
    x, tx = Tensor(prediction), torch.tensor(prediction, requires_grad=True)
    found, expected = make(nn, reduction)(x, Tensor(target)), make(tn, reduction)(tx, torch.tensor(target))
    close(found, expected, "value")
    [gradient] = found.sum().gradient(x)
    close(gradient, torch.autograd.grad(expected.sum(), tx)[0], "gradient")


@pytest.mark.parametrize("options", [{}, {"weight": True}, {"ignore_index": 2}, {"weight": True, "ignore_index": 2},
                                     {"label_smoothing": 0.2}], ids=str)
def test_cross_entropy_of_maps_of_classes(options, rng):
    """Classes are dimension 1, as in PyTorch; also with weights of classes."""
    logits = rng.standard_normal((3, 5, 4, 2)).astype(np.float32)
    target = rng.integers(0, 5, (3, 4, 2))
    weights = np.linspace(0.5, 2, 5, dtype=np.float32)
    mine, yours = ({**options, "weight": make(weights)} if "weight" in options else options
                   for make in (Tensor, torch.tensor))
    x, tx = Tensor(logits), torch.tensor(logits, requires_grad=True)
    found = nn.CrossEntropyLoss(**mine)(x, Tensor(target))
    expected = tn.CrossEntropyLoss(**yours)(tx, torch.tensor(target))
    close(found, expected, "value")
    close(found.gradient(x)[0], torch.autograd.grad(expected, tx)[0], "gradient")
    with pytest.raises(ValueError, match="weights of classes and label_smoothing"):
        nn.CrossEntropyLoss(weight=Tensor(weights), label_smoothing=0.1)


def test_losses_that_are_methods():
    f = tn.functional
    x, y, v = (torch.tensor(a, requires_grad=True) for a in (LOGITS, SHARES, SHARES + 0.1))
    mine = [Tensor(a) for a in (LOGITS, SHARES, SHARES + 0.1)]
    for ours, theirs in (
            (mine[0].gaussian_nll_loss(mine[1], mine[2], full=True), f.gaussian_nll_loss(x, y, v, full=True)),
            (mine[0].poisson_nll_loss(mine[1] * 3, full=True), f.poisson_nll_loss(x, y * 3, full=True)),
            (mine[2].poisson_nll_loss(mine[1], log_input=False), f.poisson_nll_loss(v, y, log_input=False)),
            (mine[0].kl_div(mine[1], "batchmean"), f.kl_div(x, y, reduction="batchmean")),
            (nn.CosineSimilarity()(mine[0], mine[2]).sum(), tn.CosineSimilarity()(x, v).sum())):
        close(ours, theirs, "value")
        chosen = [(a, b) for a, b in zip(mine, (x, y, v), strict=True)]
        for (a, b), grad in zip(chosen, torch.autograd.grad(theirs, (x, y, v), allow_unused=True), strict=True):
            close(ours.gradient(a)[0], torch.zeros_like(b) if grad is None else grad, "gradient")


def test_dropout_keeps_means_and_scales():
    x = Tensor.ones(200, 100)
    for layer, p in ((nn.Dropout(0.3), 0.3), (nn.Dropout(0.0), 0.0)):
        kept = layer.train()(x).numpy()
        assert set(np.unique(kept)) <= {np.float32(0), np.float32(1 / (1 - p))}
        assert kept.mean() == pytest.approx(1, abs=0.02)
        np.testing.assert_array_equal(layer.eval()(x).numpy(), 1)


ELSEWHERE = {  # classes with tests in other files
    "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "Embedding", "ExponentialMovingAverage", "GRU", "GRUCell", "LSTM",
    "LSTMCell", "RNN", "RNNCell", "BatchNorm", "InstanceNorm", "LayerNorm2d", "Module", "ModuleList",
    "CosineSimilarity",
    # between space and channels
    "CircularPad2d", "Fold", "PixelShuffle", "PixelUnshuffle", "ReflectionPad1d", "ReflectionPad2d", "ReplicationPad1d",
    "ReplicationPad2d", "Unfold", "Upsample", "ZeroPad2d",
    # attention and Transformers
    "ALiBi", "AdditiveAttention", "DotProductAttention", "KeyValueCache", "LearnedPositions", "MultiHeadAttention",
    "MultiheadAttention", "RotaryPositions", "SinusoidalPositions", "Transformer", "TransformerBlock",
    "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
}


def test_no_layer_is_forgotten():
    layers = {name for name in nn.__all__ if inspect.isclass(getattr(nn, name))}
    tested = {name.partition(" ")[0] for name in (*SAME, *LOSSES)}
    assert layers - ELSEWHERE <= tested
