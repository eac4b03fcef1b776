"""Modules: training mode, names, parameters, plain classes."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Context, Tensor, nn


class Block(nn.Module):
    def __init__(self):
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.dropout(self.norm(self.linear(x)))


class Net(nn.Module):
    def __init__(self):
        self.blocks = [Block(), Block()]
        self.heads = {"a": nn.Linear(4, 2), "b": nn.Linear(4, 3)}
        self.scale = Tensor.ones(1)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.heads["a"](x) * self.scale


def test_names_follow_attributes():
    names = list(Net().state_dict())
    assert names[:2] == ["blocks.0.linear.weight", "blocks.0.linear.bias"]
    assert "heads.b.weight" in names and "scale" in names and "blocks.1.norm.running_mean" in names
    parameters = [name for name, _ in Net().named_parameters()]
    assert "blocks.1.norm.running_mean" not in parameters and "blocks.1.norm.weight" in parameters


def test_a_module_follows_train_and_eval():
    net = Net()
    assert not net.training
    assert net.train() is net and all(module.training for module in net.modules())
    assert net.eval() is net and not any(module.training for module in net.modules())
    assert len(list(net.modules())) == 11


def test_a_module_that_was_told_nothing_follows_the_setting():
    dropout, x = nn.Dropout(0.5), Tensor.ones(1000)
    assert dropout(x).numpy().min() == 1
    with Context(TRAINING=1):
        assert dropout.training and dropout(x).numpy().min() == 0
        assert not dropout.eval().training and dropout(x).numpy().min() == 1
    assert dropout.train().training and dropout(x).numpy().min() == 0


def test_dropout_keeps_the_mean():
    Tensor.manual_seed(0)
    y = nn.Dropout(0.25).train()(Tensor.ones(100_000)).numpy()
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.75], rtol=1e-6)
    assert abs(y.mean() - 1) < 0.01
    assert nn.Dropout(1.0).train()(Tensor.ones(10)).numpy().tolist() == [0] * 10


def test_shared_tensors_are_one_parameter_with_two_names():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    assert len(net.state_dict()) == 4 and len(list(net.parameters())) == 3


def test_a_reference_to_the_parent_is_no_endless_walk():
    net = nn.Sequential(nn.Linear(2, 2))
    net[0].parent = net
    assert list(net.state_dict()) == ["0.weight", "0.bias"]
    assert len(list(net.modules())) == 2


def test_deep_nesting_is_no_recursion():
    net = nn.Linear(1, 1)
    for _ in range(3000):
        net = nn.Sequential(net)
    assert len(net.state_dict()) == 2


def test_sequential_and_module_list():
    net = nn.Sequential(nn.Linear(3, 4), Tensor.relu, nn.Linear(4, 2))
    assert net(Tensor.zeros(5, 3)).shape == (5, 2)
    assert len(net) == 3 and net[-1] is net[2] and next(iter(net)) is net[0]
    with pytest.raises(IndexError, match="out of range for 3 modules"):
        net[3]
    layers = nn.ModuleList([nn.Linear(2, 2)])
    layers.append(nn.Linear(2, 2))
    assert list(layers.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_zero_grad_forgets():
    net = nn.Linear(2, 2)
    net(Tensor.ones(1, 2)).sum().backward()
    assert net.weight.grad is not None
    net.zero_grad()
    assert net.weight.grad is None and net.bias.grad is None


def test_a_module_prints_its_tensors():
    text = repr(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    assert text == "Sequential(\n  0: Linear weight[3, 2] bias[3]\n)"


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Empty defines no forward"):
        type("Empty", (nn.Module,), {})()()
