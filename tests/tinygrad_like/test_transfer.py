"""Transfer learning: freezing by name, groups with own rates, a new head, loading what fits."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, jit, nn
from tinygrad_like.nn.transfer import freeze, frozen, parameter_groups, unfreeze


class Net(nn.Module):
    """A body of two layers with batch normalisation, and a head."""

    def __init__(self, classes: int = 3) -> None:
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm(8), nn.ReLU(), nn.Linear(8, 8))
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).relu())


def batch(rng: np.random.Generator, classes: int = 3) -> tuple[Tensor, Tensor]:
    return Tensor(rng.standard_normal((16, 4)).astype(np.float32)), Tensor(rng.integers(0, classes, 16))


def values(model: Net) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("compiled", [False, True])
def test_frozen_weights_stay_bit_identical_and_the_others_move(compiled, rng):
    model = Net()
    names = freeze(model, "body.*")
    assert names == frozen(model) == [n for n, _ in model.named_parameters() if n.startswith("body.")]
    model.body.eval()
    before = values(model)
    optimizer = nn.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1)

    def step(x, y):
        optimizer.zero_grad()
        loss = model(x).sparse_categorical_crossentropy(y)
        loss.backward()
        optimizer.step()
        return loss.realize()

    step = jit(step) if compiled else step
    for _ in range(5):
        step(*batch(rng))
    assert all(p.grad is None for name, p in model.named_parameters() if name in names)
    for name, value in values(model).items():
        assert np.array_equal(value, before[name]) == name.startswith("body."), name


def test_frozen_weights_get_no_gradient_kernels():
    from tinygrad_like.inspect import explain

    def kernels(model: Net) -> int:
        optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
        model.eval()(Tensor.ones(2, 4).realize()).square().sum().backward()
        return explain([p.grad for p in optimizer.params if p.grad is not None]).kernel_count

    whole, partly = Net(), Net()
    freeze(partly, "body.*")
    assert kernels(partly) < kernels(whole)


def test_unfreezing_by_stages(rng):
    model = Net()
    freeze(model)
    assert unfreeze(model, "head.*") == ["head.weight", "head.bias"]
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
    for stage, moved in (((), "head."), (("body.3.*",), ("head.", "body.3."))):
        unfreeze(model, *stage) if stage else None
        before = values(model)
        x, y = batch(rng)
        optimizer.zero_grad()
        model.eval()(x).sparse_categorical_crossentropy(y).backward()
        optimizer.step()
        for name, value in values(model).items():
            assert np.array_equal(value, before[name]) != name.startswith(moved), name


def test_groups_by_pattern_have_their_own_rates(rng):
    model = Net()
    freeze(model, "body.0.*")
    groups = parameter_groups(model, {"head.*": {"lr": 0.1}, "*.bias": {"weight_decay": 0.0}})
    optimizer = nn.optim.AdamW(groups, lr=0.01, weight_decay=0.5)
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2, 2]
    assert [group["lr"].item() for group in optimizer.param_groups] == pytest.approx([0.1, 0.01, 0.01])
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0, 0.5]
    with pytest.raises(ValueError, match=r"no parameter matches 'haed\.\*'; there are body.1.weight, .*"):
        parameter_groups(model, {"haed.*": {"lr": 1.0}})
    with pytest.raises(ValueError, match="no parameter matches 'neck'"):
        freeze(model, "neck")


def test_a_new_head_on_a_trained_body(rng):
    source, target = Net(3), Net(5)
    checkpoint = source.state_dict()
    before = values(target)
    report = target.load_state_dict(checkpoint, strict=False, skip_mismatched=True)
    assert [mismatch.name for mismatch in report.mismatched] == ["head.weight", "head.bias"]
    assert report.mismatched[0].expected == (5, 8) and report.mismatched[0].found == (3, 8)
    assert report.matched_keys == [name for name in checkpoint if name.startswith("body.")]
    for name, value in values(target).items():
        expected = checkpoint[name].numpy() if name.startswith("body.") else before[name]
        np.testing.assert_array_equal(value, expected)
    assert "loaded 9 of 11 tensors" in str(report) and "head.weight [5, 8], not [3, 8]" in str(report)
    source.head = nn.Linear(8, 2)
    assert source(batch(rng)[0]).shape == (16, 2)


def test_the_report_is_also_a_pair():
    state = Net().state_dict()
    state["extra"] = state.pop("head.bias")
    missing, unexpected = report = Net().load_state_dict(state, strict=False)
    assert missing == ["head.bias"] and unexpected == ["extra"] and len(report.matched_keys) == 10
    assert str(report).splitlines() == ["loaded 10 of 11 tensors", "kept their values (not in the state): head.bias",
                                        "not used (not in the model): extra"]
