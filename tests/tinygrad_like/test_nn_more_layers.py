"""Layers of one to three dimensions equal PyTorch's: values, gradients, running statistics."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, nn

torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
tn = torch.nn
LENGTHS = {1: (7,), 2: (5, 4), 3: (3, 4, 3)}
CASES = {
    "conv1d strided": ("Conv1d", 1, (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}),
    "conv3d": ("Conv3d", 3, (4, 2, 2), {"padding": 1, "dilation": 2}),
    "conv_transpose1d": ("ConvTranspose1d", 1, (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    "conv_transpose1d grouped": ("ConvTranspose1d", 1, (4, 6, 3), {"groups": 2, "dilation": 2}),
    "conv_transpose3d": ("ConvTranspose3d", 3, (4, 2, 2), {"stride": 2}),
    **{f"instancenorm{d}d{' with ' + ' '.join(options) if options else ''}": (f"InstanceNorm{d}d", d, (4,), options)
       for d in (1, 2, 3) for options in ({}, {"affine": True, "track_running_stats": True})},
    **{f"batchnorm{d}d": (f"BatchNorm{d}d", d, (4,), {}) for d in (1, 2, 3)},
    **{f"groupnorm of {d}": ("GroupNorm", d, (2, 4), {}) for d in (1, 3)},
}


@pytest.mark.parametrize("name", CASES)
def test_training_and_evaluation_equal_torch(name, rng):
    kind, dimensions, arguments, options = CASES[name]
    ours, theirs = getattr(nn, kind)(*arguments, **options), getattr(tn, kind)(*arguments, **options)
    ours.load_state_dict({key: Tensor(value.numpy().copy()) for key, value in theirs.state_dict().items()})
    data = rng.standard_normal((3, 4, *LENGTHS[dimensions])).astype(np.float32) * 2 + 1
    for mode in (True, False):
        x, tx = Tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
        ours.train(mode).zero_grad()
        theirs.train(mode).zero_grad()
        y, ty = ours(x), theirs(tx)
        (y.sin() * y).sum().backward()
        (ty.sin() * ty).sum().backward()
        close(y, ty)
        close(x.grad, tx.grad)
        for key, parameter in theirs.named_parameters():
            close(ours.state_dict()[key].grad, parameter.grad)
        for key, value in theirs.state_dict().items():
            close(ours.state_dict()[key], value)


def test_running_statistics_after_50_steps(rng):
    pairs = [(nn.BatchNorm1d(3).train(), tn.BatchNorm1d(3)),
             (nn.InstanceNorm1d(3, track_running_stats=True).train(), tn.InstanceNorm1d(3, track_running_stats=True))]
    for ours, theirs in pairs:
        for _ in range(50):
            data = rng.standard_normal((4, 3, 5)).astype(np.float32) * 3 + 2
            Tensor.realize(ours(Tensor(data)), ours.running_mean, ours.running_var)
            theirs(torch.tensor(data))
        close(ours.running_mean, theirs.running_mean)
        close(ours.running_var, theirs.running_var)
        close(ours.num_batches_tracked, theirs.num_batches_tracked)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_channel_dropout_drops_whole_channels(dimensions):
    layer = getattr(nn, f"Dropout{dimensions}d")(0.25).train()
    x = Tensor.ones(40, 50, *LENGTHS[dimensions])
    y = layer(x).numpy().reshape(40, 50, -1)
    np.testing.assert_array_equal(y.min(2), y.max(2))
    assert set(np.unique(y.round(4))) == {np.float32(0), np.float32(1.3333)}
    assert abs((y[:, :, 0] == 0).mean() - 0.25) < 0.04
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match="expects"):
        layer(Tensor.ones(2))


def test_instance_norm_says_what_it_expects():
    with pytest.raises(ValueError, match=r"InstanceNorm2d\(3\) expects"):
        nn.InstanceNorm2d(3)(Tensor.ones(2, 4, 5, 5))


def close(ours, theirs, tolerance=1e-5):
    expected = theirs.detach().numpy()
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(ours.numpy(), expected, rtol=tolerance, atol=tolerance * scale)
