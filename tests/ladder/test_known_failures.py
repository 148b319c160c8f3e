"""What was measured to fail, and must not come back: the failure is shown, then that the verdict is free of it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.verdict_cells import (
    ANALYSIS,
    CONTROL,
    FRAME,
    RULES,
    TARGET,
    A,
    B,
    activations,
    cell,
    groups,
    log_rms,
    records,
)
from helpers.verdict_cells import contrasts as all_contrasts
from scipy import stats

from plantain.base.params import Method, WordingMeasure
from plantain.ladder.climb import climb
from plantain.ladder.evidence import Evidence, Family, Reliability
from plantain.ladder.judge import judge
from plantain.ladder.rungs import exceeds_untrained
from plantain.ladder.tables import drawn
from plantain.measure.sides import Measured
from plantain.stats.trend import adjust_for_length

SOURCES = Path(__file__).resolve().parents[2] / "src" / "plantain"


def test_never_target_against_control_over_items():
    """Item by item, |target| beats |control| in a fifth of heads where there is no concept at all."""
    selective, rungs = [], []
    for seed in range(12):
        values = log_rms(items=30, rng=seed)[:, :, 0, 0]
        target = np.abs(values[:, 0] - values[:, 6])
        controls = [np.abs(values[:, 1] - values[:, 2]), np.abs(values[:, 7] - values[:, 8])]
        p = [stats.ttest_rel(target, control, alternative="greater").pvalue for control in controls]
        selective.append((np.max(p, axis=0) < 0.01).mean())
        rungs.append(judge(cell(log_rms(items=30, rng=seed)), FRAME).rung)
    assert np.mean(selective) > 0.15
    assert sum(rung > 2 for rung in rungs) <= 2


def test_a_control_contrast_changes_nothing_about_the_target():
    values = log_rms(concept=8.0)
    alone, beside = judge(cell(values), FRAME), judge(cell(values, CONTROL), FRAME)
    other = {"exploratory", "length"}
    assert alone.model_dump(exclude=other) == beside.model_dump(exclude=other)
    assert set(beside.exploratory) == {"control"}
    assert beside.contrast == "target"


def test_never_an_interval_that_is_bootstrapped_for_a_count():
    """Resampled items repeat, so that |t| grows: the share over 3 of a null is several times too large."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(25, 4000))
    observed = (np.abs(stats.ttest_1samp(data, 0).statistic) > 3).mean()
    resampled = [(np.abs(stats.ttest_1samp(data[rng.integers(0, 25, 25)], 0).statistic) > 3).mean() for _ in range(20)]
    assert np.mean(resampled) > 4 * observed
    record = judge(cell(log_rms(concept=8.0)), FRAME)
    assert not [key for key in keys(record.model_dump()) if re.search(r"interval|_low$|_high$|ci95|boot", key)]


def keys(value):
    if isinstance(value, dict):
        return list(value) + [key for inner in value.values() for key in keys(inner)]
    return [key for inner in value for key in keys(inner)] if isinstance(value, list) else []


def test_no_code_that_makes_a_result_resamples():
    """Draws with replacement stand in simulations and in training alone; results shuffle, flip or permute."""
    simulations = {"scenarios.py", "calibration.py", "simulate.py"}
    drawing = r"bootstrap\(|import bootstrap|replace=True|\.choice\(|\.integers\(|resample"
    for room in ("stats", "report", "capture", "stages"):
        for path in (SOURCES / room).rglob("*.py"):
            assert path.name in simulations or not re.search(drawing, path.read_text(encoding="utf-8")), path


def test_never_head_against_head_of_two_networks():
    """Heads of two initialisations do not correspond; the verdict is the same however a network orders its own."""
    rng = np.random.default_rng(0)
    networks = [log_rms(rng=seed) for seed in range(20)]
    own = log_rms(concept=8.0, rng=99)

    def verdict(shuffled):
        order = (lambda: rng.permutation(60)) if shuffled else (lambda: np.arange(60))
        found = [{WordingMeasure.log_rms: Measured(values[..., order()], activations(values))} for values in networks]
        table = drawn(found, [TARGET], {"target": {}}, RULES)["target"]
        sides = Measured(own[..., order()], activations(own)).sides(TARGET)
        families = tuple(
            Family(str(method), method, 2.0, tuple(table.pivots), 60, tuple(table.counts)) for method in Method
        )
        split = Reliability(0.9, 0.01, 0.005)
        evidence = Evidence(sides.differences, sides.a, sides.b, split, families=families)
        found_rung = exceeds_untrained(evidence, RULES)
        return table.counts, (*table.concept_information, *table.pivots), found_rung, climb(evidence, RULES).selective

    plain, shuffled = verdict(False), verdict(True)
    assert plain[0] == shuffled[0]
    assert plain[1] == pytest.approx(shuffled[1], rel=1e-5)
    assert plain[2:] == shuffled[2:]


def test_never_an_adjustment_for_a_constant_token_count():
    """Least squares shares the effect between two equal columns and returns a number; there is none to be had."""
    rng = np.random.default_rng(0)
    differences = 5.0 + rng.normal(size=(30, 8))
    eleven = np.full(30, 11.0)
    design = np.column_stack([np.ones(30), eleven])
    invented = np.linalg.lstsq(design, differences, rcond=None)[0][0]
    assert invented == pytest.approx(differences.mean(axis=0) / 122)
    found = adjust_for_length(differences, eleven)
    assert (found.adjusted, found.said, found.count) == (None, "not identifiable", 8)
    nearly = eleven + rng.integers(0, 2, 30)
    assert adjust_for_length(differences, nearly).adjusted is None


def test_an_adjustment_that_can_be_told_is_that_of_ordinary_least_squares():
    rng = np.random.default_rng(1)
    length = rng.integers(-2, 8, 40).astype(float)
    differences = 0.8 * length[:, None] + rng.normal(size=(40, 50))
    differences[:, :5] += 4
    found = adjust_for_length(differences, length)
    t = [stats.linregress(length, unit) for unit in differences.T]
    expected = sum(abs(fit.intercept / fit.intercept_stderr) > 3 for fit in t)
    assert found.adjusted == expected
    assert (found.count > found.adjusted >= 5, found.fewest, found.most) == (True, -2, 7)


def test_the_verdict_prints_not_identifiable_for_a_pair_of_unequal_length():
    lengths = {"short": 9, "middle": 7, "long": 8}
    pair = replace(CONTROL, name="pair", a=("a_0",), b=("b_2",), strata=(None, None))
    record = judge(cell(log_rms(), pair, lengths=lengths), FRAME)
    row = next(row for row in record.length if row.contrast == "pair")
    assert (row.tokens_fewest, row.tokens_most) == (2, 2)
    assert row.heads_over_adjusted == "not identifiable"


@pytest.mark.parametrize("axis", [2, 3], ids=["references", "seeds"])
def test_never_seeds_or_references_as_rows(axis):
    """A seed that repeats another adds nothing; as rows, four copies would make |t| twice as large."""
    values = log_rms(noise=3.0, templates=0.0)
    copies = np.concatenate([values] * 4, axis=axis)
    once, four = judge(cell(values), FRAME), judge(cell(copies), FRAME)
    assert once.rung == four.rung == 0
    for low, high in zip(once.rungs, four.rungs, strict=True):
        assert low == high.model_copy(update={"reason": low.reason} if low.rung == 6 else {})
    rows = np.repeat(values[:, 0, 0, 0] - values[:, 6, 0, 0], 4, axis=0)
    single = stats.ttest_1samp(rows[::4], 0).statistic
    assert np.median(np.abs(stats.ttest_1samp(rows, 0).statistic / single)) == pytest.approx(2, rel=0.05)


def test_rows_are_items_and_templates():
    values = log_rms(seeds=3, references=2)
    sides = Measured.of(activations(values), groups(), ANALYSIS).sides(TARGET)
    assert sides.differences.shape == (12, 60)
    assert sides.a.shape == sides.b.shape == (6, 60)
    expected = (values[:, :6] - values[:, 6:]).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(sides.differences, expected, atol=1e-6)
    np.testing.assert_allclose(sides.b, values[:, 6:].mean(axis=(0, 2, 3)), atol=1e-6)


def test_the_helpers_hold_what_they_say():
    assert len(records()) == 12 * 12
    assert {one.name for one in all_contrasts(CONTROL).contrasts} == {"target", "control"}
    assert len(A) == len(B) == 6
