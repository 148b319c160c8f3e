"""Rows of vectors against every relabelling by hand, SciPy's F, and the test of numbers that one dimension is."""

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from plantain.base.errors import InputError
from plantain.stats import control_test, dispersion_test, template_test
from plantain.stats.vectors import effective_dimensions

FRAMES = [*range(8)] * 2


def sides(seed, *, rows=(6, 6), heads=5, dimensions=7, shift=0.0):
    random = np.random.default_rng(seed)
    a, b = (random.standard_normal((count, heads, dimensions)) for count in rows)
    b[:, 0] += shift
    return a, b


def pseudo_f(rows, side_a):
    """Anderson (2001) by definition: squared distances between all pairs."""
    count = len(rows)
    square = np.square(rows[:, None] - rows[None]).sum(-1)
    total = square.sum() / 2 / count
    sides = np.flatnonzero(side_a), np.flatnonzero(~side_a)
    within = sum(square[np.ix_(own, own)].sum() / 2 / len(own) for own in sides)
    return (total - within) / (within / (count - 2))


def labelled(chosen, count):
    found = np.zeros(count, bool)
    found[list(chosen)] = True
    return found


def test_free_exchange_counts_every_relabelling_of_the_pseudo_f():
    a, b = sides(1, shift=1.0)
    found = template_test(a, b)
    rows = np.concatenate([a, b])
    every = [labelled((0, *rest), 12) for rest in itertools.combinations(range(1, 12), 5)]
    assert (found.permutations, found.exact) == (462, True)
    for head in range(5):
        values = np.array([pseudo_f(rows[:, head], one) for one in every])
        own = pseudo_f(rows[:, head], labelled(range(6), 12))
        assert found.p[head] == pytest.approx(np.mean(values >= own * (1 - 1e-9)))


def test_frames_flip_the_sign_of_the_difference_of_a_frame():
    a, b = sides(2, rows=(8, 8), shift=0.8)
    found = template_test(a, b, frames=FRAMES)
    differences = a - b
    for head in range(5):
        values = []
        for signs in itertools.product([1.0, -1.0], repeat=7):
            signed = differences[:, head] * np.array([1.0, *signs])[:, None]
            between = 8 * np.square(signed.mean(0)).sum()
            values.append(between / (np.square(signed).sum() - between))
        assert found.p[head] == pytest.approx(np.mean(np.array(values) >= values[0] * (1 - 1e-9)))


@pytest.mark.parametrize("labels", [{}, {"frames": FRAMES}, {"clusters": [0, 0, *range(1, 15)]}])
def test_one_dimension_is_the_test_of_numbers(labels):
    random = np.random.default_rng(3)
    a, b = random.standard_normal((8, 30)), random.standard_normal((8, 30)) + 0.8
    numbers, vectors = template_test(a, b, **labels), template_test(a[..., None], b[..., None], **labels)
    assert vectors.t == pytest.approx(np.abs(numbers.t), rel=5e-3)
    # Welch's t is brought to common degrees of freedom by F here, by Wallace's formula there.
    assert vectors.p == pytest.approx(numbers.p, abs=2e-3 if numbers.studentised else 0)
    assert (vectors.lower_bound, vectors.count, vectors.df) == (numbers.lower_bound, numbers.count, numbers.df)
    assert vectors.simes_p == pytest.approx(numbers.simes_p, abs=2e-3 if numbers.studentised else 0)


def test_t_has_the_p_of_f_at_the_effective_dimension():
    a, b = sides(4, shift=1.5)
    found = template_test(a, b)
    rows = np.concatenate([a, b])
    for head in range(5):
        centred = rows[:, head] - rows[:, head].mean(0)
        nu = effective_dimensions((centred @ centred.T)[:, :, None], centred=True)[0]
        p = scipy_stats.f.sf(pseudo_f(rows[:, head], labelled(range(6), 12)), nu, nu * 10)
        assert scipy_stats.t.sf(found.t[head], 10) * 2 == pytest.approx(p, rel=1e-6)


@pytest.mark.parametrize(("centred", "rows"), [(True, 12), (False, 8)])
@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0])
def test_effective_dimension_is_that_of_the_truth(centred, rows, decay):
    """tr(C)^2 / tr(C^2) of the covariance that rows are drawn from, which the sample's own ratio misses by far."""
    weights = np.arange(1.0, 33.0) ** -decay
    values = np.random.default_rng(5).standard_normal((rows, 600, 32)) * np.sqrt(weights)
    values = values - values.mean(axis=0) if centred else values
    found = effective_dimensions(np.einsum("iud,jud->iju", values, values), centred=centred)
    assert np.median(found) == pytest.approx(weights.sum() ** 2 / np.square(weights).sum(), rel=0.25)


def test_heads_of_any_dimension_share_one_scale():
    """Without a concept, p of F is below 0.05 in 5% of the heads, whatever the directions that they vary in."""
    random = np.random.default_rng(6)
    for dimensions in (1, 4, 32, 128):
        a, b = (random.standard_normal((8, 1500, dimensions)) for _ in range(2))
        found = template_test(a, b, frames=FRAMES, permutations=20)
        share = np.mean(scipy_stats.t.sf(found.t, 7) * 2 <= 0.05)
        assert share == pytest.approx(0.05, abs=0.02), dimensions


def test_rotation_changes_nothing_and_a_change_of_length_of_a_head_neither():
    a, b = sides(7, shift=1.0)
    turn, _ = np.linalg.qr(np.random.default_rng(8).standard_normal((7, 7)))
    plain, turned = template_test(a, b), template_test(3 * a @ turn, 3 * b @ turn)
    assert turned.t == pytest.approx(plain.t, rel=1e-9)
    assert turned.delta == pytest.approx(plain.delta, rel=1e-9)
    assert np.array_equal(turned.p, plain.p)


def test_a_dead_head_changes_nothing_for_the_others():
    a, b = sides(9, shift=1.0)
    dead = np.zeros((6, 1, 7))
    found = template_test(np.concatenate([a, dead], axis=1), np.concatenate([b, dead], axis=1))
    assert not found.alive[5]
    assert np.isnan(found.t[5])
    assert np.array_equal(found.p[:5], template_test(a, b).p)


def test_delta_is_the_shift_without_what_noise_adds():
    random = np.random.default_rng(10)
    a, b = (random.standard_normal((32, 3, 6)) for _ in range(2))
    b[:, 0, 0] += 3.0
    found = template_test(a, b, permutations=20)
    assert found.delta[0] == pytest.approx(3 / np.sqrt(6), rel=0.2)
    assert found.delta[1:] == pytest.approx(0, abs=0.4)


def test_controls_and_spread_take_vectors_too():
    random = np.random.default_rng(11)
    target, control = (random.standard_normal((6, 4, 5)) for _ in range(2))
    target[:, 0] += 2.5
    assert control_test(target, control).lower_bound >= 1
    wide, narrow = random.standard_normal((8, 6, 5)) * 4, random.standard_normal((8, 6, 5))
    found = dispersion_test(wide, narrow)
    assert found.ratio == pytest.approx(4, rel=0.3)
    assert found.p <= 0.01


def test_sides_of_other_dimensions_are_refused():
    a, b = sides(12)
    with pytest.raises(InputError, match="5 x 7"):
        template_test(a, b[:, :, :6])
    a[2, 1, 3] = np.nan
    with pytest.raises(InputError, match="unit 1"):
        template_test(a, b)
