"""Training does not grow: a thousand steps leave as many nodes, tensors and bytes as five hundred."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from ir.node import live_node_count
from tinygrad_like import Tensor, nn
from tinygrad_like.tensor import live
from tinygrad_like.train import training_step


def make_step(compiled):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1)).train()
    optimizer = nn.optim.Adam(nn.state.get_parameters(model), 1e-3)
    data = np.random.default_rng(0).standard_normal((16, 4)).astype(np.float32)
    if compiled:
        step = training_step(lambda x: model(x).square().mean(), optimizer, clip=1.0)
        return lambda: step(1e-3, data).item()

    def step():
        optimizer.zero_grad()
        loss = model(Tensor(data)).square().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def measure():
    for _ in range(3):  # what other tests left in cycles may need several rounds
        gc.collect()
    return live_node_count(), len(live.tensors()), tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize(("compiled", "steps"), [(True, 500), (False, 60)])
def test_steps_do_not_grow(compiled, steps):
    """A leak grows in every window of steps; a cache that fills, or another test's leftovers, in one of them."""
    step = make_step(compiled)
    tracemalloc.start()
    try:
        levels = []
        for _ in range(3):
            for _ in range(steps):
                step()
            levels.append(measure())
    finally:
        tracemalloc.stop()
    nodes, tensors, sizes = (np.diff(level) for level in zip(*levels, strict=True))
    assert min(nodes) <= 10
    assert min(tensors) <= 2
    assert min(sizes) < 20_000
