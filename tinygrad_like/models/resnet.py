"""Residual networks (He et al., "Deep Residual Learning for Image Recognition", 2016) under torchvision's names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Union

from tinygrad_like import nn
from tinygrad_like.nn import init
from tinygrad_like.tensor import Tensor


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, which is projected where the shape changes."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions, the middle one strided, with four times the width at the end."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _projection(inputs, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


Block = Union[type[BasicBlock], type[Bottleneck]]


class ResNet(nn.Module):
    """Images [n, 3, h, w] -> logits [n, classes].

    layers: the number of blocks of each stage; a stage doubles the width and halves the space. stem: "imagenet", a
    7 x 7 convolution and a pool that divide the space by 4, or "cifar", a 3 x 3 convolution, for small images.
    ``state_dict`` has torchvision's names, so its checkpoints load. Initial values: normal with variance 2 / fan_out.

    >>> ResNet(BasicBlock, (2, 2, 2, 2), classes=10, stem="cifar")(Tensor.rand(1, 3, 32, 32)).shape
    (1, 10)
    """

    def __init__(self, block: Block, layers: Sequence[int], classes: int = 1000, stem: str = "imagenet",
                 width: int = 64, channels: int = 3) -> None:
        if stem not in ("imagenet", "cifar"):
            raise ValueError(f"stem is 'imagenet' or 'cifar', got {stem!r}")
        large = stem == "imagenet"
        self.conv1 = nn.Conv2d(channels, width, *((7, 2, 3) if large else (3, 1, 1)), bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        self._stages = len(layers)
        inputs = width
        for number, count in enumerate(layers):
            stage = width * 2**number
            blocks = []
            for position in range(count):
                blocks.append(block(inputs, stage, 2 if number and not position else 1))
                inputs = stage * block.expansion
            setattr(self, f"layer{number + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """What the head reads: [n, width of the last stage]."""
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for number in range(self._stages):
            x = getattr(self, f"layer{number + 1}")(x)
        return self.avgpool(x).flatten(1)

    def _initialise(self) -> None:
        weights = [m.weight for m in self.modules() if isinstance(m, nn.Conv2d)]
        for weight in weights:
            fan_out = int(weight.shape[0]) * math.prod(weight.shape[2:])
            init.normal_(weight, std=math.sqrt(2 / fan_out))
        Tensor.realize(*weights)


def resnet18(classes: int = 1000, stem: str = "imagenet") -> ResNet:
    """18 layers, 11.7 million parameters with 1,000 classes."""
    return ResNet(BasicBlock, (2, 2, 2, 2), classes, stem)


def resnet34(classes: int = 1000, stem: str = "imagenet") -> ResNet:
    """34 layers, 21.8 million parameters."""
    return ResNet(BasicBlock, (3, 4, 6, 3), classes, stem)


def resnet50(classes: int = 1000, stem: str = "imagenet") -> ResNet:
    """50 layers, 25.6 million parameters."""
    return ResNet(Bottleneck, (3, 4, 6, 3), classes, stem)


def cifar_resnet(depth: int = 20, classes: int = 10) -> ResNet:
    """The paper's networks for CIFAR-10 (section 4.2): 6 n + 2 layers in three stages of 16, 32 and 64 channels.

    Shortcuts that change the shape are projected (option B; 0.27 million parameters at depth 20).
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth is 6 n + 2: 20, 32, 44, 56 or 110 in the paper; got {depth}")
    return ResNet(BasicBlock, [(depth - 2) // 6] * 3, classes, "cifar", width=16)


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
