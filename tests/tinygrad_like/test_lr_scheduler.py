"""Learning-rate schedulers against PyTorch's, step by step, for two groups with different rates."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, jit
from tinygrad_like.nn import optim
from tinygrad_like.nn.optim import lr_scheduler as ours_module

torch = pytest.importorskip("torch", reason="the oracle torch is not installed")

SCHEDULERS = {
    "step": lambda m, o: m.StepLR(o, 7, 0.3), "milestones": lambda m, o: m.MultiStepLR(o, [3, 20, 20]),
    "exponential": lambda m, o: m.ExponentialLR(o, 0.9), "warm-up": lambda m, o: m.LinearLR(o, 0.1, total_iters=8),
    "cosine": lambda m, o: m.CosineAnnealingLR(o, 40, 0.001),
    "function": lambda m, o: m.LambdaLR(o, lambda s: 1 / (1 + s)),
    "one cycle": lambda m, o: one_cycle(m, o, "cos"), "one linear cycle": lambda m, o: one_cycle(m, o, "linear"),
}


def one_cycle(module, optimizer, strategy):
    options = {} if module is ours_module else {"cycle_momentum": False}
    return module.OneCycleLR(optimizer, 0.3, 41, anneal_strategy=strategy, **options)


def optimizers():
    ours, theirs = [Tensor([1.0]), Tensor([2.0])], [torch.ones(1, requires_grad=True) for _ in range(2)]
    groups = [[{"params": [ps[0]], "lr": 0.5}, {"params": [ps[1]]}] for ps in (ours, theirs)]
    return optim.SGD(groups[0], lr=0.1), torch.optim.SGD(groups[1], lr=0.1)


def rates(optimizer):
    return [float(group["lr"].item() if hasattr(group["lr"], "item") else group["lr"])
            for group in optimizer.param_groups]


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning")
def test_rates_equal_torch(name):
    ours, theirs = optimizers()
    mine, oracle = (SCHEDULERS[name](m, o) for m, o in ((ours_module, ours), (torch.optim.lr_scheduler, theirs)))
    for _ in range(40):
        np.testing.assert_allclose(mine.get_last_lr(), rates(theirs), rtol=1e-7, atol=1e-15)
        mine.step()
        theirs.step()
        oracle.step()
    np.testing.assert_allclose(rates(ours), rates(theirs), rtol=1e-6)


def test_warm_up_then_cosine():
    ours, _ = optimizers()
    scheduler = ours_module.SequentialLR(
        ours, [ours_module.LinearLR(ours, 0.1, total_iters=5), ours_module.CosineAnnealingLR(ours, 20)], [5])
    seen = []
    for _ in range(25):
        seen.append(scheduler.get_last_lr()[0])
        scheduler.step()
    assert seen[0] == pytest.approx(0.05) and max(seen) == seen[5] == pytest.approx(0.5) and seen[-1] < 0.01


@pytest.mark.parametrize("options", [{}, {"mode": "max", "cooldown": 2, "threshold_mode": "abs", "threshold": 0.05},
                                     {"factor": 0.5, "min_lr": 0.02}], ids=str)
def test_plateaus_equal_torch(options, rng):
    ours, theirs = optimizers()
    mine = ours_module.ReduceLROnPlateau(ours, patience=2, **options)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, patience=2, **options)
    for metric in np.concatenate([np.linspace(1, 0.5, 5), 0.5 + 0.1 * rng.random(20), np.linspace(0.5, 2, 10)]):
        mine.step(float(metric))
        oracle.step(float(metric))
        np.testing.assert_allclose(mine.get_last_lr(), rates(theirs), rtol=1e-7)
    np.testing.assert_allclose(rates(ours), rates(theirs), rtol=1e-6)


def test_a_run_goes_on_from_its_state():
    first, second = optimizers()[0], optimizers()[0]
    scheduler = ours_module.StepLR(first, 2, 0.1)
    for _ in range(5):
        scheduler.step()
    resumed = ours_module.StepLR(second, 2, 0.1)
    resumed.load_state_dict(scheduler.state_dict())
    assert rates(second) == rates(first) and rates(first)[0] == pytest.approx(0.005)


def test_a_compiled_step_reads_the_new_rate():
    parameter = Tensor([1.0])
    optimizer = optim.SGD([parameter], lr=1.0)
    scheduler = ours_module.ExponentialLR(optimizer, 0.5)

    @jit
    def step():
        parameter.grad = Tensor([1.0])
        optimizer.step()
        return parameter.detach().realize()

    for _ in range(4):
        step()
        scheduler.step()
    assert parameter.item() == pytest.approx(1 - 1 - 0.5 - 0.25 - 0.125)


def test_mistakes_are_named():
    optimizer, _ = optimizers()
    with pytest.raises(ValueError, match="'cos' or 'linear', got 'sin'"):
        ours_module.OneCycleLR(optimizer, 0.1, 10, anneal_strategy="sin")
    with pytest.raises(ValueError, match="between 0 and 1, got 2"):
        ours_module.ReduceLROnPlateau(optimizer, factor=2)
    with pytest.raises(ValueError, match="2 schedulers need 1 milestones, got 0"):
        ours_module.SequentialLR(optimizer, [ours_module.StepLR(optimizer, 1)] * 2, [])
    scheduler = ours_module.OneCycleLR(optimizer, 0.1, 2)
    with pytest.raises(ValueError, match="has 2 steps, step 3 is beyond"):
        for _ in range(3):
            scheduler.step()
