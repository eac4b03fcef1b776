"""Schedules of whole models, forward, backward and optimizer step, against the interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import schedule_models as models
from schedule_oracle import run_schedule

import ir
from codegen.schedule import Limits, schedule
from codegen.target import Target
from ir.dtype import dtypes
from ir.node import Node

TARGET = Target.cpu("generic")
TIGHT = Limits(parallel=2, tiny=16, scratch=1 << 10, cache=512, inlined=20, kernel=60)


def values(node: Node, rng: np.random.Generator) -> Any:
    shape = tuple(ir.upper_bound(size) for size in node.shape)
    if node.dtype.is_integer:
        return rng.integers(0, 3, shape).astype(node.dtype.numpy)
    name = node.attributes.handle
    if name in ("v", "c1", "c2"):
        return (rng.random(shape) + 0.5).astype(np.float32)
    return (rng.normal(size=shape) * 0.3 + (1 if name and name[-2:-1] == "g" else 0)).astype(np.float32)


def check(outputs: Sequence[Node], limits: Limits | None, tolerance: float = 2e-4) -> None:
    rng = np.random.default_rng(0)
    buffers = [node for node in ir.topological_order(outputs) if node.op.name == "buffer"]
    feeds = {node: values(node, rng) for node in buffers}
    expected = ir.evaluate(outputs, feeds)
    found = run_schedule(schedule(outputs, TARGET, limits), feeds)
    for node, mine, theirs in zip(outputs, found, expected, strict=True):
        scale = max(1e-3, float(np.abs(theirs).max()))
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance * scale, err_msg=str(node))


limits = pytest.mark.parametrize("limits", [None, TIGHT], ids=["wide", "tight"])


@limits
def test_perceptron_step(limits: Limits | None) -> None:
    p = models.Parameters()
    x, labels = models.buffer(16, 20), models.buffer(16, dtype=dtypes.int32)
    hidden = models.gelu(models.linear(x, p("w1", 20, 32), p("b1", 32)))
    loss = models.cross_entropy(models.linear(hidden, p("w2", 32, 10), p("b2", 10)), labels)
    parameters = list(p.all.values())
    check([loss, *models.adam(parameters, models.gradients(loss, parameters))], limits)


@limits
def test_convolutional_network_step(limits: Limits | None) -> None:
    p = models.Parameters()
    x, labels = models.buffer(2, 3, 12, 12), models.buffer(2, dtype=dtypes.int32)
    h = models.conv2d(x, p("w1", 8, 3, 3, 3), padding=1)
    h = models.maxpool(models.relu(models.batchnorm(h, p("g1", 8), p("b1", 8))), 3, 2)
    h = models.conv2d(h, p("w2", 8, 4, 3, 3), stride=2, padding=1, groups=2)
    h = models.relu(models.batchnorm(h, p("g2", 8), p("b2", 8)))
    flat = ir.reshape(h, (2, int(np.prod(h.shape[1:]))))
    loss = models.cross_entropy(models.linear(flat, p("w3", flat.shape[1], 10)), labels)
    parameters = list(p.all.values())
    check([loss, *models.gradients(loss, [*parameters, x])], limits, 2e-3)


@limits
@pytest.mark.parametrize("options", [
    {"padding": 1}, {"stride": 2, "padding": 1}, {"stride": 2, "k": 2}, {"stride": 3, "padding": 1},
    {"stride": 2, "k": 5, "padding": 2}, {"dilation": 2, "padding": 2}, {"stride": 2, "dilation": 2, "padding": 2},
    {"padding": 1, "groups": 2}, {"padding": 1, "groups": 4, "stride": 2}], ids=str)
def test_convolution_and_gradients(options: dict[str, int], limits: Limits | None) -> None:
    options = dict(options)
    k, groups = options.pop("k", 3), options.get("groups", 1)
    x, weight = models.buffer(2, 4, 9, 8), models.buffer(8, 4 // groups, k, k)
    y = models.conv2d(x, weight, **options)
    loss = ir.reduce("sum", models.mul(y, models.buffer(*y.shape)), (0, 1, 2, 3))
    check([y, *models.gradients(loss, [x, weight])], limits)


@limits
def test_transformer_step(limits: Limits | None) -> None:
    p = models.Parameters()
    tokens, labels = models.buffer(2, 8, dtype=dtypes.int32), models.buffer(2, 8, dtype=dtypes.int32)
    loss = models.gpt_loss(p, tokens, labels, 16, 2, 2, 23)
    parameters = list(p.all.values())
    check([loss, *models.adam(parameters, models.gradients(loss, parameters))], limits, 1e-3)
