"""What share of skewed units is healthy: normal data that vary together have many, or few, at once."""

import numpy as np
import pytest

from plantain.stats.effects import symmetry
from plantain.stats.skewed import healthy_share


def correlated(rng, items=30, units=200, factors=5):
    return rng.normal(size=(items, factors)) @ rng.normal(size=(factors, units))


def test_units_that_vary_together_are_flagged_together():
    """The mean share is 5% either way; with five dimensions a data set in nine has more than 10%."""
    rng = np.random.default_rng(0)
    shares = np.array([symmetry(correlated(rng)).share for _ in range(1000)])
    apart = np.array([symmetry(rng.normal(size=(30, 200))).share for _ in range(200)])
    assert shares.mean() == pytest.approx(0.05, abs=0.005)
    assert apart.mean() == pytest.approx(0.05, abs=0.005)
    assert (shares > 0.10).mean() == pytest.approx(1 / 9, abs=0.03)
    assert (apart > 0.10).mean() < 0.01


def test_normal_data_exceed_it_once_in_twenty():
    rng = np.random.default_rng(1)
    over = 0
    for _ in range(150):
        data = correlated(rng, units=20)
        over += symmetry(data).share > healthy_share(data, draws=39)
    assert 0.0 < over / 150 < 0.11


def test_skewed_data_exceed_it_and_the_same_data_give_the_same_share():
    rng = np.random.default_rng(2)
    data = rng.exponential(size=(30, 5)) @ rng.uniform(size=(5, 200))
    assert symmetry(data).share > healthy_share(data)
    assert healthy_share(data) == healthy_share(data + 3.0)
    assert healthy_share(data) != healthy_share(data, seed=1)


def test_too_few_items_have_no_share():
    assert np.isnan(healthy_share(np.random.default_rng(0).normal(size=(5, 4))))
