"""A residual network learns small digits with everything that belongs to it: crops, smoothing, one cycle, averages."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, jit, nn
from tinygrad_like.data import channel_statistics, generator, load_digits, normalise, random_crop, shuffled
from tinygrad_like.models import ResNet
from tinygrad_like.models.resnet import BasicBlock
from tinygrad_like.nn.folding import fold_batchnorm


@pytest.mark.slow
def test_digits():
    pytest.importorskip("sklearn", reason="scikit-learn, whose digits these are, is not installed")
    digits = load_digits(download=False)
    mean, std = channel_statistics(digits.train_images)
    train, test = (normalise(images[:, :, ::2, ::2], mean, std) for images in (digits.train_images, digits.test_images))
    Tensor.manual_seed(0)
    model = ResNet(BasicBlock, (1, 1, 1), 10, "cifar", width=8, channels=1).train()
    batch, epochs = 64, 6
    steps = epochs * (len(train) // batch)
    optimizer = nn.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = nn.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, steps)
    average = nn.ExponentialMovingAverage(model, 0.95)

    @jit
    def step(images, labels):
        optimizer.zero_grad()
        loss = model(images).cross_entropy(labels, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        average.update()
        return loss.realize()

    number = 0
    for epoch in range(epochs):
        for rows in shuffled(len(train), batch, seed=0, epoch=epoch):
            images = random_crop(train[rows], 1, generator(0, number))
            step(Tensor(images), Tensor(digits.train_labels[rows]))
            scheduler.step()
            number += 1
    model.eval()

    def accuracy():
        return float((model(Tensor(test)).argmax(1).numpy() == digits.test_labels).mean())

    assert accuracy() > 0.93
    with average.applied():
        assert accuracy() > 0.93
    before = model(Tensor(test)).numpy()
    assert len(fold_batchnorm(model, Tensor(test))) == 9
    np.testing.assert_allclose(model(Tensor(test)).numpy(), before, rtol=1e-3, atol=1e-3)
