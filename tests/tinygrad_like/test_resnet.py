"""Residual networks against the same ones written with PyTorch's layers: names, values, gradients, folding."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, nn
from tinygrad_like.models.resnet import BasicBlock, Bottleneck, ResNet, cifar_resnet, resnet18, resnet34, resnet50
from tinygrad_like.nn.folding import fold_batchnorm

torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
tn = torch.nn


class TorchBlock(tn.Module):
    """torchvision's BasicBlock or Bottleneck."""

    def __init__(self, inputs, width, stride, wide):
        super().__init__()
        outputs = width * 4 if wide else width
        kernels = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)] if wide else [
            (inputs, width, 3, stride), (width, width, 3, 1)]
        self.count = len(kernels)
        for number, (a, b, kernel, step) in enumerate(kernels, 1):
            setattr(self, f"conv{number}", tn.Conv2d(a, b, kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{number}", tn.BatchNorm2d(b))
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = tn.Sequential(tn.Conv2d(inputs, outputs, 1, stride, bias=False), tn.BatchNorm2d(outputs))

    def forward(self, x):
        y = x
        for number in range(1, self.count + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            y = y.relu() if number < self.count else y
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class TorchResNet(tn.Module):
    """torchvision's ResNet; with another stem for small images."""

    def __init__(self, layers, classes, wide, stem, width):
        super().__init__()
        self.conv1 = tn.Conv2d(3, width, *((7, 2, 3) if stem == "imagenet" else (3, 1, 1)), bias=False)
        self.bn1 = tn.BatchNorm2d(width)
        self.maxpool = tn.MaxPool2d(3, 2, 1) if stem == "imagenet" else tn.Identity()
        inputs, self.stages = width, len(layers)
        for stage, count in enumerate(layers):
            blocks = []
            for position in range(count):
                blocks.append(TorchBlock(inputs, width << stage, 2 if stage and not position else 1, wide))
                inputs = (width << stage) * (4 if wide else 1)
            setattr(self, f"layer{stage + 1}", tn.Sequential(*blocks))
        self.avgpool = tn.AdaptiveAvgPool2d((1, 1))
        self.fc = tn.Linear(inputs, classes)

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(self.avgpool(x).flatten(1))


def pair(block, stem, width=8, layers=(1, 2)):
    ours = ResNet(block, layers, 5, stem, width)
    theirs = TorchResNet(layers, 5, block is Bottleneck, stem, width)
    report = ours.load_state_dict({name: Tensor(value.numpy()) for name, value in theirs.state_dict().items()})
    assert not report.missing_keys and not report.unexpected_keys
    return ours, theirs


@pytest.mark.parametrize(("block", "stem"), [(BasicBlock, "cifar"), (BasicBlock, "imagenet"), (Bottleneck, "cifar")])
def test_values_gradients_and_statistics_equal_torch(block, stem, rng):
    ours, theirs = pair(block, stem)
    images = rng.standard_normal((4, 3, 16, 16)).astype(np.float32)
    for training in (True, False):
        ours.train(training)
        theirs.train(training)
        loss = ours(Tensor(images)).square().sum()
        ours.zero_grad()
        theirs.zero_grad()
        loss.backward()
        expected = theirs(torch.tensor(images)).square().sum()
        expected.backward()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
        gradients = dict(theirs.named_parameters())
        for name, parameter in ours.named_parameters():
            wanted = gradients[name].grad.numpy()
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(parameter.grad.numpy() / scale, wanted / scale, atol=2e-5, err_msg=name)
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name].numpy(), value.numpy(), rtol=1e-5, atol=1e-6, err_msg=name)


def count(model):
    return sum(int(parameter.numel()) for parameter in model.parameters())


def test_sizes_are_those_of_the_paper():
    assert count(resnet18()) == 11_689_512 and count(resnet34()) == 21_797_672 and count(resnet50()) == 25_557_032
    assert count(cifar_resnet(20)) == 272_474  # 0.27 million
    names = list(resnet18().state_dict())
    assert names[0] == "conv1.weight" and "layer2.0.downsample.1.num_batches_tracked" in names and len(names) == 122
    with pytest.raises(ValueError, match=r"depth is 6 n \+ 2.*got 19"):
        cifar_resnet(19)


def test_initial_weights_have_variance_2_over_fan_out():
    weight = ResNet(BasicBlock, (1, 1), 5, "cifar", 32).layer2[0].conv2.weight.numpy()
    assert weight.std() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


def test_folding_gives_the_same_results_in_fewer_kernels(rng):
    from tinygrad_like.inspect import explain

    model, _ = pair(BasicBlock, "imagenet")
    images = Tensor(rng.standard_normal((2, 3, 32, 32)).astype(np.float32)).realize()
    for _ in range(3):
        model.train()(Tensor(rng.standard_normal((4, 3, 32, 32)).astype(np.float32))).realize()
        Tensor.realize(*model.state_dict().values())
    for name, parameter in model.named_parameters():
        if "bn" in name:
            parameter.assign(Tensor(rng.standard_normal(parameter.shape).astype(np.float32) + 1)).realize()
    before = model.eval()(images)
    expected, bytes_before = before.numpy(), explain(before).bytes_moved
    folded = fold_batchnorm(model, images)
    assert folded == ["bn1", "layer1.0.bn1", "layer1.0.bn2", "layer2.0.bn1", "layer2.0.bn2", "layer2.0.downsample.1",
                      "layer2.1.bn1", "layer2.1.bn2"]
    assert not any("running" in name for name in model.state_dict())
    after = model(images)
    np.testing.assert_allclose(after.numpy(), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert explain(after).bytes_moved <= bytes_before


class Order(nn.Module):
    """A normalisation before its convolution, one that two read, and one layer that is used twice."""

    def __init__(self):
        self.first, self.conv = nn.BatchNorm(3), nn.Conv2d(3, 4, 1)
        self.second, self.shared = nn.BatchNorm(4), nn.Conv2d(4, 4, 1)
        self.third, self.last, self.fourth = nn.BatchNorm(4), nn.Linear(4, 2), nn.BatchNorm(2)

    def forward(self, x):
        y = self.conv(self.first(x))
        y = self.second(y) + y
        y = self.third(self.shared(self.shared(y)))
        return self.fourth(self.last(y.mean((2, 3))))


def test_only_what_follows_a_layer_directly_is_folded(rng):
    model = Order().eval()
    for name in ("first", "second", "third", "fourth"):
        norm = getattr(model, name)
        norm.running_mean.assign(Tensor(rng.standard_normal(norm.running_mean.shape).astype(np.float32))).realize()
    images = Tensor(rng.standard_normal((2, 3, 4, 4)).astype(np.float32))
    before = model(images).numpy()
    assert fold_batchnorm(model, images) == ["fourth"]
    np.testing.assert_allclose(model(images).numpy(), before, rtol=1e-5, atol=1e-6)
