import numpy as np
import pytest
import scipy.stats

from plantain.base.errors import InputError
from plantain.stats import both
from plantain.stats.simulated.attacks import crossed, generalised


def cell(concept=0.0, seed=0, units=30, wordings=6, items=12):
    rng = np.random.default_rng(seed)
    values = crossed(rng, units, (1.0, 1.0), items, wordings)
    values[:wordings, :, :10] += concept
    return values[:wordings], values[wordings:]


def two_t(a, b, *, frames=False):
    """t over items and t over wordings, by SciPy."""
    items = scipy.stats.ttest_rel(a.mean(0), b.mean(0)).statistic
    test = scipy.stats.ttest_rel if frames else scipy.stats.ttest_ind
    return items, test(a.mean(1), b.mean(1)).statistic


@pytest.mark.parametrize("frames", [False, True])
def test_t_is_the_harmonic_sum_of_both(frames):
    a, b = cell(concept=1.0)
    result = both(a, b, frames=list(range(6)) * 2 if frames else None, draws=200)
    first, second = two_t(a, b, frames=frames)
    np.testing.assert_allclose(result.t, np.sign(first) / np.sqrt(first**-2.0 + second**-2.0), rtol=1e-9)
    assert result.exchange == ("frames" if frames else "clusters")
    df = 5 if frames else 10
    share = first**-2.0, second**-2.0
    np.testing.assert_allclose(result.df, sum(share) ** 2 / (share[0] ** 2 / 11 + share[1] ** 2 / df), rtol=1e-9)
    assert (result.rows, result.items, result.draws) == ((6, 6), 12, 200)


def test_p_without_item_scatter_is_that_of_wordings_and_without_wording_scatter_that_of_items():
    from plantain.stats import template_test

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(12, 1, 25))
    rows[:6, :, :5] += 3
    words = np.repeat(rows, 10, axis=1)
    found = both(words[:6], words[6:], draws=6_000)
    exact = template_test(rows[:6, 0], rows[6:, 0]).simes_p
    assert found.simes_p == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("scatter", [(3.0, 0.0), (0.0, 3.0), (1.0, 3.0)])
def test_level_where_either_or_both_vary(scatter):
    rng = np.random.default_rng(int(10 * sum(scatter)))
    found = np.mean([generalised(rng, 40, scatter) for _ in range(120)])
    assert found <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)


def test_a_concept_over_items_and_wordings_is_bounded():
    a, b = cell(concept=8.0)
    result = both(a, b, draws=1_000)
    assert 3 <= result.lower_bound <= 10
    assert both(*cell(), draws=1_000).lower_bound == 0


def test_same_seed_same_bytes_and_dead_units_stay_empty():
    a, b = cell(concept=2.0)
    a[:, :, 3] = b[:, :, 3] = 0.5
    first, second = (both(a, b, draws=300, seed=7) for _ in range(2))
    assert first.t.tobytes() == second.t.tobytes()
    assert (first.simes_p, first.lower_bound) == (second.simes_p, second.lower_bound)
    assert np.flatnonzero(np.isnan(first.t)).tolist() == [3]


def test_copies_of_a_wording_count_once():
    a, b = cell(concept=1.0)
    more = np.concatenate([a, a[:1], a[:1]])
    labels = [0, 1, 2, 3, 4, 5, 0, 0, *range(6, 12)]
    ours, plain = both(more, b, clusters=labels, draws=300), both(a, b, draws=300)
    np.testing.assert_allclose(ours.t, plain.t, rtol=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((4, 3)), np.zeros((4, 3)), "Sides have shapes"),
        (np.zeros((4, 3, 2)), np.zeros((4, 2, 2)), "Sides have shapes"),
        (np.zeros((4, 1, 2)), np.zeros((4, 1, 2)), "1 items"),
        (np.full((4, 3, 2), np.inf), np.zeros((4, 3, 2)), "not finite"),
        (np.zeros((1, 3, 2)), np.zeros((1, 3, 2)), "no degree of freedom"),
    ],
)
def test_refuses_what_is_no_crossed_table(a, b, message):
    with pytest.raises(InputError, match=message):
        both(a, b)
