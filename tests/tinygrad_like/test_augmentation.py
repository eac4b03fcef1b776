"""Crops, flips, erased squares and normalisation of images."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like.data import generator
from tinygrad_like.data.augmentation import channel_statistics, normalise, random_crop, random_erase, random_flip

IMAGES = np.arange(1, 6 * 3 * 5 * 4 + 1, dtype=np.float32).reshape(6, 3, 5, 4)


def test_a_crop_is_a_window_of_the_padded_image():
    found = random_crop(IMAGES, 2, generator(0, 1))
    assert found.shape == IMAGES.shape and found.dtype == IMAGES.dtype
    padded = np.pad(IMAGES, ((0, 0), (0, 0), (2, 2), (2, 2)))
    places = set()
    for image, whole in zip(found, padded, strict=True):
        matches = [(i, j) for i in range(5) for j in range(5) if np.array_equal(whole[:, i:i + 5, j:j + 4], image)]
        assert len(matches) >= 1
        places.add(matches[0])
    assert len(places) > 1, "each image has a place of its own"
    assert random_crop(IMAGES, 0, generator(0, 1), size=3).shape == (6, 3, 3, 3)
    np.testing.assert_array_equal(random_crop(IMAGES, 0, generator(0, 0)), IMAGES)


def test_a_step_draws_the_same_in_every_run():
    for function in (lambda r: random_crop(IMAGES, 2, r), lambda r: random_flip(IMAGES, r)):
        np.testing.assert_array_equal(function(generator(3, 9)), function(generator(3, 9)))
        assert any(not np.array_equal(function(generator(3, 9)), function(generator(3, s))) for s in range(5))


def test_flips():
    many = np.repeat(IMAGES, 100, axis=0)
    found = random_flip(many, generator(0, 0))
    flipped = np.array([np.array_equal(a, b[..., ::-1]) for a, b in zip(found, many, strict=True)])
    kept = np.array([np.array_equal(a, b) for a, b in zip(found, many, strict=True)])
    assert (flipped ^ kept).all() and 0.4 < flipped.mean() < 0.6
    np.testing.assert_array_equal(random_flip(IMAGES, generator(0, 0), 0.0), IMAGES)
    np.testing.assert_array_equal(random_flip(IMAGES, generator(0, 0), 1.0), IMAGES[..., ::-1])


def test_erased_squares():
    images = np.ones((200, 2, 9, 9), np.uint8)
    found = random_erase(images, 3, generator(0, 0))
    areas = (found == 0).sum((2, 3))
    assert found.dtype == np.uint8 and (areas[:, 0] == areas[:, 1]).all()
    assert areas.max() == 9 and areas.min() >= 4  # cut off at corners


def test_normalise():
    mean, std = channel_statistics(IMAGES)
    found = normalise(IMAGES, mean, std)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std((0, 2, 3)), 1, rtol=1e-5)
    np.testing.assert_allclose(normalise(IMAGES.astype(np.uint8), 1, 2), (IMAGES.astype(np.uint8) - 1.0) / 2)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"images \[n, channels, h, w\], got .*\[3, 5, 4\]"):
        random_flip(IMAGES[0], generator(0, 0))
    with pytest.raises(ValueError, match="crop of 9 x 9 is larger than the padded 7 x 6"):
        random_crop(IMAGES, 1, generator(0, 0), size=9)
    with pytest.raises(ValueError, match="one for each of 3 channels, got 2 and 1"):
        normalise(IMAGES, (1, 2), 1)
    with pytest.raises(ValueError, match="above 0"):
        normalise(IMAGES, 0, 0)
