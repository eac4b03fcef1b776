"""Models as functions of their parameters, and ensembles of them, against PyTorch's torch.func."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, grad, jit, nn, vmap

torch = pytest.importorskip("torch", reason="the oracle torch is not installed")


def pair():
    ours = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    ours.load_state_dict({name: Tensor(value.numpy().copy()) for name, value in theirs.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize("compiled", [False, True])
def test_an_ensemble_is_one_call(compiled, rng):
    pairs = [pair() for _ in range(3)]
    x = rng.standard_normal((5, 3)).astype(np.float32)
    model, stacked = pairs[0][0], nn.stack_states([ours for ours, _ in pairs])
    together = vmap(lambda p, x: nn.functional_call(model, p, x), (0, None))
    together = jit(together) if compiled else together
    for _ in range(2):
        found = together(stacked, Tensor(x)).numpy()
    for row, (_, theirs) in zip(found, pairs, strict=True):
        np.testing.assert_allclose(row, theirs(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_gradients_of_each_member_equal_torch(rng):
    pairs = [pair() for _ in range(2)]
    x = rng.standard_normal((5, 3)).astype(np.float32)
    stacked = nn.stack_states([ours for ours, _ in pairs])
    each = vmap(lambda p: nn.functional_call(pairs[0][0], p, Tensor(x)).square().sum())
    found = grad(lambda p: each(p).sum())(stacked)
    for number, (_, theirs) in enumerate(pairs):
        theirs(torch.tensor(x)).square().sum().backward()
        for name, parameter in theirs.named_parameters():
            np.testing.assert_allclose(found[name].numpy()[number], parameter.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_the_model_keeps_its_own_values(rng):
    model = nn.Linear(3, 2)
    before, node = model.weight.numpy(), model.weight.node
    x = Tensor(rng.standard_normal((4, 3)).astype(np.float32))
    zeros = nn.functional_call(model, {"weight": Tensor.zeros(2, 3)}, x)
    np.testing.assert_allclose(zeros.numpy(), np.tile(model.bias.numpy(), (4, 1)))
    assert model.weight.node is node
    np.testing.assert_array_equal(model.weight.numpy(), before)
    with pytest.raises(ValueError, match=r"no tensor 'wieght'; it has weight, bias"):
        nn.functional_call(model, {"wieght": Tensor.zeros(2, 3)}, x)
    with pytest.raises(ValueError, match=r"weight is float32\[2, 3\] in the model, got float32\[3, 2\]"):
        nn.functional_call(model, {"weight": Tensor.zeros(3, 2)}, x)
    with pytest.raises(ValueError, match="same names"):
        nn.stack_states([model, nn.BatchNorm(2)])
