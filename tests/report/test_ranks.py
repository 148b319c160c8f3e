import numpy as np
import pytest
from scipy import stats

from plantain.report.ranks import average_ranks, spearman


def test_ranks_and_their_correlation_are_those_of_scipy():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 6, (20, 30)).astype(float)
    values[3, 4] = np.nan
    np.testing.assert_array_equal(average_ranks(values), stats.rankdata(values, axis=0))
    np.testing.assert_array_equal(average_ranks(values[:, 0]), stats.rankdata(values[:, 0]))
    expected = stats.spearmanr(values[:, 0], values[:, 1]).statistic
    assert spearman(values[:, 0], values[:, 1]) == pytest.approx(expected, rel=1e-14)
