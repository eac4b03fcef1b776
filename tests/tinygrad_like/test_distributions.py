"""Distributions against those of SciPy: Kolmogorov and Smirnov's distance of 20,000 draws."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_like import Tensor, vmap

stats = pytest.importorskip("scipy.stats", reason="the oracle scipy is not installed")

DRAWS = {
    "exponential": (lambda: Tensor.exponential(200, 100, rate=2.0), lambda: stats.expon(scale=0.5)),
    "gumbel": (lambda: Tensor.gumbel(200, 100, loc=1.0, scale=2.0), lambda: stats.gumbel_r(1, 2)),
    "laplace": (lambda: Tensor.laplace(200, 100, loc=1.0, scale=2.0), lambda: stats.laplace(1, 2)),
    "cauchy": (lambda: Tensor.cauchy(200, 100, median=1.0, sigma=2.0), lambda: stats.cauchy(1, 2)),
    "log_normal": (lambda: Tensor.log_normal(200, 100, mean=0.5, std=0.7),
                   lambda: stats.lognorm(0.7, scale=np.exp(0.5))),
    "truncated_normal": (lambda: Tensor.truncated_normal(200, 100, mean=1.0, std=2.0, low=-1.0, high=4.0),
                         lambda: stats.truncnorm(-1, 1.5, 1, 2)),
    "normal": (lambda: Tensor.normal(200, 100, mean=1.0, std=2.0), lambda: stats.norm(1, 2)),
    "uniform": (lambda: Tensor.uniform(200, 100, low=-1.0, high=2.0), lambda: stats.uniform(-1, 3)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_the_distribution_is_the_one_it_is_called(name):
    Tensor.manual_seed(3)
    make, expected = DRAWS[name]
    drawn = make()
    assert drawn.shape == (200, 100) and np.isfinite(drawn.numpy()).all()
    assert stats.kstest(drawn.numpy().ravel(), expected().cdf).statistic < 0.012  # 1 % of honest draws exceed 0.0115
    assert not np.array_equal(make().numpy(), drawn.numpy())


def test_bernoulli():
    Tensor.manual_seed(1)
    p = Tensor([0.0, 0.25, 0.9, 1.0]).expand(4000, 4)
    np.testing.assert_allclose(p.bernoulli().numpy().mean(0), [0, 0.25, 0.9, 1], atol=0.025)
    assert Tensor.zeros(1000, dtype="int32").bernoulli(0.5).dtype.name == "int32"
    each = vmap(lambda x: x.bernoulli(0.5), randomness="different")(Tensor.zeros(3, 50)).numpy()
    assert len({tuple(row) for row in each}) == 3


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="exponential needs rate > 0, got 0"):
        Tensor.exponential(2, rate=0)
    with pytest.raises(ValueError, match="low < high, got 1 and 1"):
        Tensor.truncated_normal(2, low=1, high=1)
    with pytest.raises(ValueError, match="between 0 and 1, got 2"):
        Tensor.zeros(2).bernoulli(2)
