"""Exponential moving averages of weights, against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, jit, nn
from tinygrad_like.nn.averaging import ExponentialMovingAverage

torch = pytest.importorskip("torch", reason="the oracle torch is not installed")


def test_the_average_equals_torch(rng):
    ours, theirs = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    ours.load_state_dict({name: Tensor(value.numpy()) for name, value in theirs.state_dict().items()})
    average = ExponentialMovingAverage(ours, 0.9)
    oracle = torch.optim.swa_utils.AveragedModel(theirs, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    oracle.update_parameters(theirs)
    for _ in range(20):
        for (_, p), (_, tp) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            value = rng.standard_normal(p.shape).astype(np.float32)
            p.assign(Tensor(value)).realize()
            tp.data = torch.from_numpy(value)
        average.update()
        oracle.update_parameters(theirs)
    for name, value in oracle.module.state_dict().items():
        np.testing.assert_allclose(average.averages[name].numpy(), value.numpy(), rtol=1e-5, atol=1e-6)


def test_statistics_are_copied_and_the_model_gets_its_own_values_back(rng):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4)).train()
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
    average = ExponentialMovingAverage(model, 0.5)

    @jit
    def step(x):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        average.update()
        return loss.realize()

    for _ in range(4):
        step(Tensor(rng.standard_normal((8, 3)).astype(np.float32)))
    own = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    np.testing.assert_array_equal(average.averages["1.running_mean"].numpy(), own["1.running_mean"])
    assert average.averages["1.num_batches_tracked"].item() == 4
    with average.applied():
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), average.averages[name].numpy())
        assert not np.array_equal(model.state_dict()["0.weight"].numpy(), own["0.weight"])
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), own[name])


def test_averages_move_to_another_run():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    average, resumed = ExponentialMovingAverage(first), ExponentialMovingAverage(second)
    resumed.load_state_dict(average.state_dict())
    np.testing.assert_array_equal(resumed.averages["weight"].numpy(), first.weight.numpy())
    with pytest.raises(ValueError, match=r"decay lies in \[0, 1\), got 1"):
        ExponentialMovingAverage(first, 1.0)
