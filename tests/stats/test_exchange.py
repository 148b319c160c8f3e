import itertools

import numpy as np
import pytest
import scipy.stats

from plantain.base.errors import InputError
from plantain.stats import hedges_factor, template_test
from plantain.stats.exchange import plan_exchange

FRAMES = list("abcdefgh") * 2


def sides(a=8, b=8, units=20, shift=1.5, planted=5, seed=0):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(a, units)), rng.normal(size=(b, units))
    first[:, :planted] += shift
    return first, second


def in_frames(seed=0, frames=8, **options):
    first, second = sides(frames, frames, seed=seed, **options)
    shared = 3 * np.random.default_rng(seed + 1).normal(size=(frames, first.shape[1]))
    return first + shared, second + shared


def test_eight_frames_agree_with_all_sign_flips_of_their_differences():
    first, second = in_frames()
    result = template_test(first, second, frames=FRAMES, threshold=2.0)
    signs = np.array(list(itertools.product([1, -1], repeat=8)))
    flipped = signs[:, :, None] * (first - second)
    t = np.abs(scipy.stats.ttest_1samp(flipped, 0, axis=1).statistic)
    observed = scipy.stats.ttest_rel(first, second)
    np.testing.assert_allclose(result.t, observed.statistic, rtol=1e-10)
    np.testing.assert_allclose(result.p, (t >= np.abs(observed.statistic) - 1e-9).mean(axis=0), rtol=1e-12)
    counts = (t > 2.0).sum(axis=1)
    assert result.count == np.count_nonzero(np.abs(observed.statistic) > 2.0)
    assert result.count_p == pytest.approx((counts >= result.count).mean())
    psi = (np.sort(scipy.stats.t.sf(t, 7) * 2, axis=1) * 20 / np.arange(1, 21)).min(axis=1)
    own = (np.sort(observed.pvalue) * 20 / np.arange(1, 21)).min()
    assert result.simes_p == pytest.approx((psi <= own * (1 + 1e-7)).mean())
    assert (result.exchange, result.rows, result.df) == ("frames", (8, 8), 7)
    assert (result.permutations, result.floor_p, result.exact) == (128, 1 / 128, True)


def test_paired_t_is_that_of_a_linear_model_with_a_factor_of_frames():
    first, second = in_frames(units=4)
    design = np.column_stack([np.r_[np.ones(8), -np.ones(8)], np.tile(np.eye(8), (2, 1))])
    table = np.concatenate([first, second])
    beta, inside = np.linalg.lstsq(design, table)[:2]
    error = np.sqrt(inside / 7 * np.linalg.inv(design.T @ design)[0, 0])
    np.testing.assert_allclose(template_test(first, second, frames=FRAMES).t, beta[0] / error, rtol=1e-9)


def test_delta_leaves_frames_in_the_deviation_and_is_the_same_under_either_scheme():
    first, second = in_frames()
    framed, free = (template_test(first, second, frames=frames) for frames in (FRAMES, None))
    pooled = np.sqrt((first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)) / 2)
    expected = (first.mean(axis=0) - second.mean(axis=0)) / pooled * hedges_factor(14)
    np.testing.assert_allclose(framed.delta, expected, rtol=1e-10)
    np.testing.assert_allclose(free.delta, framed.delta, rtol=1e-10)
    assert free.exchange == "clusters"


def test_frames_of_unequal_size_give_one_row_a_side():
    first, second = sides(9, 7)
    frames = [*"aabcdefgg", *"abcdefg"]
    means = np.stack([first[:2].mean(0), *first[2:7], first[7:].mean(0)])
    result = template_test(first, second, frames=frames)
    np.testing.assert_allclose(result.t, scipy.stats.ttest_rel(means, second).statistic, rtol=1e-10)
    assert result.rows == (7, 7)
    assert result.floor_p == 1 / 64


def test_clusters_join_frames():
    plan = plan_exchange((8, 8), clusters=[0, 0, *range(2, 8), *range(8, 16)], frames=FRAMES)
    assert (plan.scheme, plan.sides, plan.units) == ("frames", (7, 7), 7)
    first, second = sides()
    result = template_test(first, second, clusters=[0, 0, *range(2, 16)], frames=FRAMES)
    a = np.concatenate([first[:2].mean(0, keepdims=True), first[2:]])
    b = np.concatenate([second[:2].mean(0, keepdims=True), second[2:]])
    np.testing.assert_allclose(result.t, scipy.stats.ttest_rel(a, b).statistic, rtol=1e-10)


def test_links_are_followed_however_long_the_chain():
    # Frames a-b, c-d, ... are joined by clusters of side a, b-c, d-e, ... by clusters of side b: one component.
    clusters = [0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6, 7, 7, 8]
    plan = plan_exchange((8, 8), clusters=clusters, frames=FRAMES)
    assert (plan.scheme, plan.sides) == ("clusters", (4, 5))


@pytest.mark.parametrize(
    ("frames", "strata"),
    [
        ([*"abcde"] * 2, None),
        ([*"abcdef", *"abcdeg"], None),
        ([*"abcdef", *"abcde", None], None),
        ([*"abcdef"] * 2, [0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1]),
    ],
)
def test_frames_that_cannot_be_exchanged_leave_rows_that_can(frames, strata):
    half = len(frames) // 2
    first, second = sides(half, half)
    framed = template_test(first, second, frames=frames, strata=strata)
    free = template_test(first, second, strata=strata)
    assert framed.exchange == "clusters"
    assert framed.rows == (half, half)
    np.testing.assert_array_equal(framed.p, free.p)
    assert framed.floor_p == free.floor_p


def test_frames_within_strata_are_exchanged_within_frames():
    first, second = in_frames()
    strata = [0, 0, 0, 1, 1, 1, 2, 2] * 2
    result = template_test(first, second, frames=FRAMES, strata=strata)
    assert result.exchange == "frames"
    np.testing.assert_array_equal(result.p, template_test(first, second, frames=FRAMES).p)


def test_many_frames_are_drawn_from():
    first, second = in_frames(frames=16, shift=9.0)
    result = template_test(first, second, frames=list(range(16)) * 2, permutations=500)
    assert (result.permutations, result.floor_p, result.exact) == (500, 1 / 500, False)
    assert result.p[0] == 1 / 500


def test_rows_of_a_cluster_are_averaged_and_exchanged_together():
    first, second = sides(8, 8)
    labels = [0, 0, 0, 1, 2, 3, 4, 4, *range(5, 10), 10, 10, 10]
    a = np.stack([first[:3].mean(0), first[3], first[4], first[5], first[6:].mean(0)])
    b = np.concatenate([second[:5], second[5:].mean(0, keepdims=True)])
    ours = template_test(first, second, clusters=labels)
    plain = template_test(a, b, studentised=True)
    assert (ours.rows, ours.df, ours.exchange) == ((5, 6), 9, "clusters")
    for name in ("t", "p", "delta"):
        np.testing.assert_allclose(getattr(ours, name), getattr(plain, name), rtol=1e-12)
    assert ours.floor_p == plain.floor_p == 1 / 462
    strata = [0] * 6 + [1] * 2 + [0] * 5 + [1] * 3
    within = template_test(first, second, clusters=labels, strata=strata)
    assert within.floor_p == template_test(a, b, strata=[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]).floor_p


def test_labels_that_say_nothing_change_nothing():
    first, second = sides(6, 6)
    plain = template_test(first, second)
    for other in (
        template_test(first, second, clusters=range(12)),
        template_test(first, second, clusters=[None] * 12, frames=[None] * 12),
        template_test(first, second, studentised=False),
    ):
        for name in ("t", "p", "delta"):
            assert getattr(other, name).tobytes() == getattr(plain, name).tobytes()
        assert other.calibration.pivots.tobytes() == plain.calibration.pivots.tobytes()


def test_unequal_sides_are_studentised_and_agree_with_scipy():
    first, second = sides(6, 4)
    table = np.concatenate([first, second])
    chosen = [list(c) for c in itertools.combinations(range(10), 6)]
    welch = [scipy.stats.ttest_ind(table[c], np.delete(table, c, axis=0), equal_var=False) for c in chosen]
    p = np.stack([one.pvalue for one in welch])
    observed = scipy.stats.ttest_ind(first, second, equal_var=False)
    result = template_test(first, second, clusters=[None] * 10)
    assert result.studentised
    # Wallace's deviate has the p-value of Student's t to a few hundredths of itself where p is not tiny.
    own = scipy.stats.t.sf(np.abs(result.t), 8) * 2
    np.testing.assert_allclose(own, observed.pvalue, rtol=0.05)
    np.testing.assert_array_equal(np.sign(result.t), np.sign(observed.statistic))
    np.testing.assert_allclose(result.p, (p <= observed.pvalue + 1e-12).mean(axis=0), atol=1.5 / 210)
    assert result.floor_p == 1 / 210
    pooled = template_test(first, second)
    assert not pooled.studentised
    np.testing.assert_allclose(result.delta, pooled.delta, rtol=1e-10)


def test_studentised_t_of_equal_sides_orders_relabellings_as_pooled_t_does_within_rounding():
    first, second = sides(6, 6)
    np.testing.assert_allclose(
        template_test(first, second, studentised=True).p, template_test(first, second).p, atol=0.03
    )


def test_perfect_and_dead_units():
    first, second = in_frames(units=4)
    first[:, 1] = second[:, 1]
    first[:, 2] = second[:, 2] + 0.25
    framed = template_test(first, second, frames=FRAMES)
    assert framed.alive.tolist() == [True, False, True, True]
    assert np.isnan(framed.t[1])
    assert framed.p[2] == framed.floor_p
    one, other = sides(5, 7, units=3)
    one[:, 0], other[:, 0] = 0.5, 0.1
    one[:, 1] = other[0, 1] = 0.3
    other[:, 1] = 0.3
    welch = template_test(one, other, clusters=range(12))
    assert np.isposinf(welch.t[0])
    assert welch.p[0] == welch.floor_p
    assert welch.alive.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": [0, 0, 0, 0, 0, 1, 2, 3]}, "Cluster 0 holds wordings of both sides"),
        ({"clusters": [0, 0, 1, 2, 3, 4, 5, 6], "strata": [0, 1] * 4}, "Cluster 0 holds wordings of several strata"),
        ({"clusters": [0] * 4}, "4 cluster labels for 8 rows"),
        ({"frames": [0] * 4}, "4 frame labels for 8 rows"),
        ({"clusters": [0] * 4 + [1] * 4}, "1 and 1 rows leave no degree of freedom"),
        ({"clusters": [0] * 4 + [1, 2, 3, 4], "studentised": True}, "one row has no spread"),
    ],
)
def test_refuses_labels_that_do_not_fit(options, message):
    with pytest.raises(InputError, match=message):
        template_test(*sides(4, 4), **options)
