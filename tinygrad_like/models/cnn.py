"""A small convolutional network for images of digits."""

from __future__ import annotations

from tinygrad_like import nn


class CNN(nn.Sequential):
    """Two stages of two convolutions, batch normalisation and pooling, then a linear layer: [n, 1, 28, 28] -> [n, 10].

    The layers are numbered as in the same ``nn.Sequential`` of PyTorch.
    """

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 32, 5), nn.ReLU(), nn.Conv2d(32, 32, 5), nn.ReLU(), nn.BatchNorm2d(32), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.BatchNorm2d(64), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(576, 10),
        )
