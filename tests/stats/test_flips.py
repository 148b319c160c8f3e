import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plantain.stats import sign_flip_test, split_half, true_discoveries
from plantain.stats import splithalf as halves_module
from plantain.stats.flips import engine as engine_module
from plantain.stats.flips import exact as exact_module
from plantain.stats.flips.counting import build_query
from plantain.stats.flips.draw import draw_flips
from plantain.stats.flips.engine import tally_kernel, tally_numpy
from plantain.stats.flips.exact import tally_all
from plantain.stats.flips.quantise import quantise

FIELDS = ("t", "d_z", "g_z", "p", "p_fwer", "q_bh", "q_by", "alive", "degenerate")
TABLES = hnp.arrays(np.float64, (7, 5), elements=st.floats(-1e3, 1e3, width=32))


def correlated(items=20, units=300, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(items, units)) + rng.normal(size=(items, 4)) @ rng.normal(size=(4, units))
    values[:, 5] = 0.0
    values[:, 9] = 1.5
    values[:, 20:40] += 1.0
    return values


def question(values, *, signed=False, groups=None):
    groups = np.arange(len(values)) if groups is None else groups
    scores = quantise(values, groups)
    return build_query(scores, (values != 0).any(axis=0), np.array([1.0, 3.0, 5.0]), signed=signed)[0]


def assert_same(left, right):
    np.testing.assert_array_equal(left.hits, right.hits)
    np.testing.assert_array_equal(left.steps, right.steps)
    np.testing.assert_array_equal(left.counts, right.counts)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("items", [5, 20, 33, 70])
def test_all_routes_count_the_same(signed, items):
    query = question(correlated(items), signed=signed)
    flips = draw_flips(items, 700, folded=not signed)
    reference = tally_numpy(query, flips, chunk_bytes=1 << 30)
    assert_same(reference, tally_numpy(query, flips, chunk_bytes=1))
    assert_same(reference, tally_numpy(query, flips))
    for threads in (1, 2, 3):
        assert_same(reference, tally_kernel(query, flips, threads))


@pytest.mark.parametrize("items", [20, 300])
def test_a_torch_device_counts_the_same(items):
    device = pytest.importorskip("plantain.stats.flips.device", reason="torch")
    query = question(correlated(items))
    flips = draw_flips(items, 400)
    assert_same(tally_numpy(query, flips), device.tally_on_device(query, flips, "cpu"))


def test_the_result_does_not_name_the_device():
    values = correlated()
    plain, device = sign_flip_test(values, flips=300), sign_flip_test(values, flips=300, device="cpu")
    for name in FIELDS:
        assert getattr(plain, name).tobytes() == getattr(device, name).tobytes(), name


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("items", [4, 12])
def test_enumeration_counts_what_the_list_of_all_flips_counts(signed, items, monkeypatch):
    values = correlated(items)
    query = question(values, signed=signed)
    listed = tally_numpy(query, draw_flips(items, 1 << items, folded=not signed))
    for low_bits, tasks in ((8, 16), (2, 5)):
        monkeypatch.setattr(exact_module, "LOW_BITS", low_bits)
        monkeypatch.setattr(exact_module, "TASKS", tasks)
        hits, steps, histogram = tally_all(query, threads=2)
        np.testing.assert_array_equal(hits, listed.hits)
        np.testing.assert_array_equal(steps, listed.steps)
        for column, row in zip(listed.counts.T, histogram, strict=True):
            np.testing.assert_array_equal(np.bincount(column, minlength=len(row)), row)


def test_unit_order_changes_nothing():
    values = correlated()
    order = np.random.default_rng(1).permutation(values.shape[1])
    plain, shuffled = sign_flip_test(values, flips=500), sign_flip_test(values[:, order], flips=500)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(plain, name)[order], getattr(shuffled, name), err_msg=name)
    np.testing.assert_array_equal(plain.null_counts, shuffled.null_counts)


def test_chunks_and_threads_change_nothing_elsewhere(monkeypatch):
    values = correlated()
    bounds = true_discoveries(values, unit_sets=[range(300), range(40)], flips=500)
    halves = split_half(values, flips=60, splits=20)
    monkeypatch.setattr("plantain.stats.bounds.CHUNK_BYTES", 8 * 300 * 7)
    monkeypatch.setattr(halves_module, "BLOCK_VALUES", 300 * 3)
    monkeypatch.setattr(halves_module, "threads_available", lambda: 3)
    np.testing.assert_array_equal(true_discoveries(values, unit_sets=[range(300), range(40)], flips=500), bounds)
    again = split_half(values, flips=60, splits=20)
    assert again.null_medians.tobytes() == halves.null_medians.tobytes()
    assert again.jackknife_interval == pytest.approx(halves.jackknife_interval, rel=1e-12)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_flips():
    values = correlated(25)
    first, second = sign_flip_test(values, flips=200, seed=4), sign_flip_test(values, flips=200, seed=4)
    assert first.null_counts.tobytes() == second.null_counts.tobytes()
    assert first.null_counts.tobytes() != sign_flip_test(values, flips=200, seed=5).null_counts.tobytes()


def test_variables_say_how_many_threads_and_change_no_number(monkeypatch):
    values, used, found = correlated(), [], []
    executor = engine_module.ThreadPoolExecutor
    monkeypatch.setattr(engine_module, "KERNEL_WORK", 0)
    monkeypatch.setattr(engine_module, "KERNEL_WORK_LOADED", 0)
    recorded = lambda max_workers: used.append(max_workers) or executor(max_workers)  # noqa: E731
    monkeypatch.setattr(engine_module, "ThreadPoolExecutor", recorded)
    for plantain, openmp in (("1", "4,2"), ("3", "4,2"), ("", "4,2"), ("", "2")):
        monkeypatch.setenv("PLANTAIN_THREADS", plantain)
        monkeypatch.setenv("OMP_NUM_THREADS", openmp)
        found.append(sign_flip_test(values, flips=500))
    assert used == [1, 3, 4, 2]
    for one in found[1:]:
        assert one.null_counts.tobytes() == found[0].null_counts.tobytes()
        assert one.p_fwer.tobytes() == found[0].p_fwer.tobytes()


@given(TABLES, st.integers(-20, 20))
@settings(max_examples=40, deadline=None)
def test_scale_changes_no_p_value(values, power):
    plain = sign_flip_test(values, flips="exact", thresholds=(1.7,))
    scaled = sign_flip_test(values * 2.0**power, flips="exact", thresholds=(1.7,))
    for name in ("p", "p_fwer", "t", "observed", "null_counts"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(scaled, name), err_msg=name)


@given(TABLES)
@settings(max_examples=40, deadline=None)
def test_the_sign_of_all_differences_changes_no_two_sided_p_value(values):
    plain, negated = (sign_flip_test(sign * values, flips="exact", thresholds=(1.7,)) for sign in (1, -1))
    for name in ("p", "p_fwer", "observed"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(negated, name), err_msg=name)
    np.testing.assert_array_equal(plain.t, -negated.t)


@given(TABLES)
@settings(max_examples=40, deadline=None)
def test_one_side_is_the_other_of_the_negated_differences(values):
    greater = sign_flip_test(values, flips="exact", alternative="greater")
    less = sign_flip_test(-values, flips="exact", alternative="less")
    np.testing.assert_array_equal(greater.p, less.p)


@given(TABLES)
@settings(max_examples=40, deadline=None)
def test_p_values_keep_their_order(values):
    result = sign_flip_test(values, flips="exact")
    alive = result.alive
    assert (result.p[alive] >= 1 / 64).all()
    assert (result.p[alive] <= result.p_fwer[alive]).all()
    assert (result.p[alive] <= result.q_bh[alive]).all()
    assert (result.q_bh[alive] <= result.q_by[alive]).all()


def test_memory_stays_below_64_mib_whatever_the_flips():
    values = np.random.default_rng(0).normal(size=(30, 4_000))
    for flips in (1_000, 100_000):
        tracemalloc.start()
        sign_flip_test(values, flips=flips)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 * 1024 * 1024
