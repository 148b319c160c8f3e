"""Ladders climbed by what magnitude cannot see: every rung from 3 on, by direction and by profile."""

from functools import cache

import numpy as np
import pytest
from helpers.vector_cells import grams_of
from helpers.verdict_cells import (
    FRAME,
    IMAGES,
    RULES,
    TARGET,
    A,
    B,
    activations,
    cell,
    groups,
    lock,
    log_rms,
    records,
    sources,
)

from plantain.base.params import AnalysisParams, CaptureParams, Method, WordingMeasure
from plantain.ladder.judge import judge
from plantain.ladder.tables import drawn
from plantain.measure.sides import Measured, sampled_records
from plantain.measure.vectors import MeasuredVectors
from plantain.records.study import NullTable
from plantain.records.study_keys import contrast_inputs, null_settings, shared_inputs

SEEDS, REFERENCES, ITEMS, HEADS, DIMENSIONS = 3, 2, 12, 60, 6
CELL = activations(log_rms(seeds=SEEDS, references=REFERENCES))
SAMPLED = sampled_records(records(ITEMS), [TARGET], RULES)
CHOSEN = tuple(dict.fromkeys(record.item for record in SAMPLED))
DIFFER = log_rms(seeds=SEEDS, references=REFERENCES, rng=5)
"""Sides that differ between these sentences and not beyond their wordings, in magnitude."""


def vectors(seed, concept=0.0, signs=None):
    """Heads that scatter with their wordings; the first ten turn with the concept, one way or by item."""
    random = np.random.default_rng(seed)
    found = random.standard_normal((1, 12, 1, 1, HEADS, DIMENSIONS)) / 2
    found = found + random.standard_normal((ITEMS, 12, REFERENCES, SEEDS, HEADS, DIMENSIONS)) / 4
    turned = random.standard_normal((10, DIMENSIONS))
    by_item = np.ones(ITEMS) if signs is None else signs
    found[:, :6, :, :, :10] += concept * by_item[:, None, None, None, None, None] * turned
    return found


def grams(values):
    return grams_of(values, A + B, CELL.items, CELL.references, CELL.seeds, subsets={"sampled": CHOSEN})


@cache
def table(method, concept=0.0):
    """Nineteen draws without a concept, or with one of their own."""
    shared = shared_inputs(lock(), CaptureParams(), FRAME.analysis, RULES, {"torch": "1"})
    inputs = contrast_inputs(TARGET, SAMPLED, IMAGES, null_settings(shared, lock(), method), scheme="clusters")
    draws = []
    for seed in range(19):
        values = log_rms(items=len(CHOSEN), rng=200 + seed)
        known = activations(values)
        known = type(known)(known.mean_square, known.token_count, CHOSEN, *vars_of(known))
        kept = grams_of(vectors(300 + seed, concept)[: len(CHOSEN), :, :1, :1], A + B, CHOSEN, ("image_0",), (0,))
        found = {WordingMeasure.log_rms: Measured(values, known)}
        found |= {one: MeasuredVectors(kept, known, one) for one in (WordingMeasure.direction, WordingMeasure.profile)}
        draws.append(found)
    return NullTable(
        family=f"tiny-{method}", method=method, of="tiny", probe="probe", items=list(CHOSEN), seeds=list(CELL.seeds),
        draws=[f"{method} {k}" for k in range(19)], contrasts=drawn(draws, [TARGET], {"target": inputs}, RULES),
    )  # fmt: skip


def vars_of(known):
    return known.conditions, known.references, known.seeds, known.draws, known.tokens, known.header


def both(concept=0.0):
    return tuple(table(method, concept) for method in (Method.reinit, Method.shuffle))


def judged(values, measure="log_rms", tables=None):
    tables = tables or both()
    frame = type(FRAME)(FRAME.name, FRAME.analysis, RULES.model_copy(update={"measure": measure}))
    return judge(cell(DIFFER, beside=sources(tables=tables), grams=grams(values)), frame)


def test_a_head_that_turns_climbs_by_direction_alone_up_to_every_seed_and_reference():
    found = judged(vectors(1, concept=2.0))
    assert found.rung == 1
    direction = found.measures[WordingMeasure.direction]
    assert direction.rung == 6
    assert "in direction of output" in direction.rungs[2].guarantee
    assert 1 <= direction.metrics["selective_heads_lower_bound"] <= 10
    for name in ("verdict_rung", "selective_heads_lower_bound", "delta", "concept_information"):
        assert found.metrics[f"direction.{name}"] == direction.metrics[name]


def test_an_effect_whose_sign_varies_over_items_climbs_by_profile_alone():
    found = judged(vectors(2, concept=2.0, signs=np.resize([1.0, -1.0], ITEMS)))
    assert (found.rung, found.measures["direction"].rung) == (1, 1)
    assert found.measures["profile"].rung == 6


def test_nothing_planted_is_nothing_found_and_the_reason_says_in_what():
    found = judged(vectors(3))
    assert (found.rung, found.measures["direction"].rung, found.measures["profile"].rung) == (1, 1, 1)
    assert "in output magnitude" in found.rungs[2].reason
    assert "in direction of output" in found.measures["direction"].rungs[2].reason


def test_untrained_draws_that_turn_as_much_stop_the_climb_at_three():
    assert judged(vectors(1, concept=2.0), tables=both(concept=2.0)).measures["direction"].rung == 3


def test_the_confirmatory_measure_is_what_the_rules_name():
    found = judged(vectors(1, concept=2.0), measure="direction")
    assert (found.rung, found.measure) == (6, "direction")
    assert found.measures[WordingMeasure.log_rms].rung == 1
    assert found.metrics["log_rms.verdict_rung"] == 1


def test_a_table_without_direction_leaves_rung_four_untested():
    old = tuple(
        one.model_copy(update={"contrasts": {"target": one.contrasts["target"].model_copy(update={"vectors": {}})}})
        for one in both()
    )
    fourth = judged(vectors(1, concept=2.0), tables=old).measures["direction"].rungs[3]
    assert fourth.status == "not tested"
    assert "its table has no direction" in fourth.reason


def test_an_unknown_measure_is_refused():
    with pytest.raises(ValueError, match="measure"):
        type(RULES)(measure="rms")
    assert isinstance(FRAME.analysis, AnalysisParams)
    assert groups().height == HEADS
