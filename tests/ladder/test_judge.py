"""From activations and tables to a verdict: what serves a cell, what does not, and what is printed of it."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from helpers.verdict_cells import (
    ANALYSIS,
    CONTROL,
    FRAME,
    IMAGES,
    RULES,
    TARGET,
    activations,
    analysed,
    cell,
    contrasts,
    groups,
    lock,
    log_rms,
    records,
    sources,
)
from scipy import stats

from plantain.base.errors import InputError
from plantain.base.params import CaptureParams, Method, ReferenceParams, WordingMeasure
from plantain.ladder.beside import replicas
from plantain.ladder.judge import confirmatory, judge, rules_digest
from plantain.ladder.tables import drawn
from plantain.measure.plan import Lengths, differences, lengths, plan_of
from plantain.measure.sides import Measured, sampled_records, unequal_strata
from plantain.probe.records import ExpandedContrast, Reason, Tie
from plantain.probe.sampling import sampled_items
from plantain.probe.spec import Decides, Role
from plantain.records.study import NullTable, ReplicatedContrast, ReplicationTable, read_null, read_replications
from plantain.records.study_keys import contrast_inputs, mismatch, null_settings, replication_settings, shared_inputs
from plantain.stats.template import template_test

PLAN = plan_of(TARGET, (TARGET,), RULES)
SAMPLED = sampled_records(records(), [TARGET], RULES)
ITEMS = list(dict.fromkeys(record.item for record in SAMPLED))


def table(method=Method.reinit, draws=19, concept=0.0, parent=None, **changes):
    parent = parent or lock()
    shared = shared_inputs(parent, CaptureParams(), ANALYSIS, RULES, {"torch": "1"})
    inputs = (
        contrast_inputs(TARGET, SAMPLED, IMAGES, null_settings(shared, parent, method), scheme="clusters") | changes
    )
    networks = []
    for seed in range(draws):
        values = log_rms(rng=100 + seed, concept=concept)
        networks.append({WordingMeasure.log_rms: Measured(values, activations(values)).restricted(ITEMS, (0,))})
    return NullTable(
        family=f"tiny-{method}", method=method, of="tiny", probe="probe", items=ITEMS, seeds=[0],
        draws=[f"{method} {k}" for k in range(draws)], contrasts=drawn(networks, [TARGET], {"target": inputs}, RULES),
    )  # fmt: skip


def replications(p=0.01, **changes):
    settings = replication_settings(sources().shared, lock(), ReferenceParams(), RULES)
    inputs = contrast_inputs(TARGET, SAMPLED, IMAGES, settings, scheme="clusters") | changes
    cells = [(seed, image, p) for seed in range(3) for image in ("kitchen", "kitchen_2")]
    return ReplicationTable(
        model="tiny", probe="probe", items=ITEMS, contrasts={"target": ReplicatedContrast(inputs=inputs, cells=cells)}
    )


BOTH = (table(), table(Method.shuffle))
CONCEPT = log_rms(concept=8.0)


def rungs(found):
    return {rung.rung: rung for rung in found.rungs}


def test_with_tables_that_fit_the_ladder_is_climbed_to_six():
    found = judge(cell(CONCEPT, beside=sources(tables=BOTH, replications=replications())), FRAME)
    assert found.rung == 6
    assert rungs(found)[4].floor == 0.05
    assert found.metrics["verdict_rung"] == 6
    assert found.metrics["selective_heads_lower_bound"] >= 5


def test_without_tables_rung_four_is_not_tested():
    found = judge(cell(CONCEPT), FRAME)
    assert (found.rung, rungs(found)[4].status) == (3, "not tested")


CHANGED = {
    "prompts": {"prompts": "0"},
    "reference images": {"references": "0"},
    "another encoder": {"model": "0"},
    "another capture": {"capture": "0"},
    "another threshold": {"measure": []},
    "another package": {"versions": "0"},
    "other templates": {"a": []},
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_table_made_from_anything_else_does_not_serve(change):
    made = (table(**CHANGED[change]), BOTH[1])
    found = judge(cell(CONCEPT, beside=sources(tables=made)), FRAME)
    assert rungs(found)[4].status == "not tested"
    assert f"made from other inputs ({next(iter(CHANGED[change]))})" in rungs(found)[4].reason


@pytest.mark.parametrize("strange", [{"items": ["item-0", "nobody"]}, {"seeds": [7]}])
def test_a_table_of_items_or_seeds_that_were_not_captured_does_not_serve(strange):
    made = (table().model_copy(update=strange), BOTH[1])
    reason = rungs(judge(cell(CONCEPT, beside=sources(tables=made)), FRAME))[4].reason
    assert "names what was not captured" in reason


def test_the_inputs_of_a_table_follow_what_they_name():
    shared = sources().shared
    same = shared_inputs(lock(weights="other"), CaptureParams(), ANALYSIS, RULES, {"torch": "1"})
    assert same == shared
    others = {
        "capture": shared_inputs(lock(), CaptureParams(sigma=0.5), ANALYSIS, RULES, {"torch": "1"}),
        "versions": shared_inputs(lock(), CaptureParams(), ANALYSIS, RULES, {"torch": "2"}),
        "measure": shared_inputs(
            lock(), CaptureParams(), ANALYSIS, RULES.model_copy(update={"threshold": 2.0}), {"torch": "1"}
        ),
    }
    for capture in (CaptureParams(seeds=[1]), CaptureParams(attention="math"), CaptureParams(batch_size=2)):
        assert shared_inputs(lock(), capture, ANALYSIS, RULES, {"torch": "1"})["capture"] != shared["capture"]
    assert shared_inputs(lock(), CaptureParams(seeds=[0, 1]), ANALYSIS, RULES, {"torch": "1"}) == shared
    elsewhere = lock().model_copy(update={"device": "cuda"})
    assert shared_inputs(elsewhere, CaptureParams(), ANALYSIS, RULES, {"torch": "1"})["model"] != shared["model"]
    encoder = lock().components["text_encoder"].model_copy(update={"weights_sha256": "new"})
    parts = lock().components | {"text_encoder": encoder}
    changed = lock().model_copy(update={"components": parts})
    others["model"] = shared_inputs(changed, CaptureParams(), ANALYSIS, RULES, {"torch": "1"})
    for name, made in others.items():
        assert {key for key in shared if made[key] != shared[key]} == {name}
    made = partial(contrast_inputs, settings={}, scheme="clusters")
    inputs = made(TARGET, SAMPLED, IMAGES)
    reworded = (replace(SAMPLED[0], sha256="0"), *SAMPLED[1:])
    assert made(TARGET, reworded, IMAGES)["prompts"] != inputs["prompts"]
    assert made(TARGET, SAMPLED, {"kitchen": "2"})["references"] != inputs["references"]
    assert made(TARGET, SAMPLED[::-1], IMAGES) == inputs


DESIGNS = {
    "clusters": {"clusters": (0, 0, *range(1, 11))},
    "frames": {"frames": ("one",) + (None,) * 5 + ("one",) + (None,) * 5},
    "copies": {"ties": (Tie(Reason.copy, ("a_0", "a_1"), ""),)},
    "strata": {"strata": ("long",) * 12},
}


@pytest.mark.parametrize("change", DESIGNS)
def test_a_table_of_another_design_does_not_serve(change):
    """What is exchanged decides the numbers, so that tables made before the wordings were tied serve no more."""
    made = partial(contrast_inputs, records=SAMPLED, images=IMAGES, settings={}, scheme="clusters")
    other = made(replace(TARGET, **DESIGNS[change]))
    assert {name for name, value in made(TARGET).items() if other[name] != value} == {"design"}
    assert made(TARGET, scheme="frames")["design"] != made(TARGET)["design"]
    held = made(TARGET, scheme="control", control=replace(CONTROL, a=("c_0",)))
    assert held["design"] != made(TARGET, scheme="control", control=CONTROL)["design"]
    old = {name: value for name, value in made(TARGET).items() if name != "design"}
    assert mismatch(old, made(TARGET)) == "design"


def test_shuffled_draws_belong_to_the_weights_that_were_shuffled():
    trained = lock(weights="trained further")
    made = sources(trained, parent=trained, tables=BOTH)
    assert "tiny-shuffle" in rungs(judge(cell(CONCEPT, beside=made), FRAME))[4].reason
    assert "tiny-reinit:" not in rungs(judge(cell(CONCEPT, beside=made), FRAME))[4].reason


def test_an_untrained_model_is_not_ranked_against_itself():
    own = lock("tiny-untrained", weights="reinit 3", of="tiny")
    twenty = (table(draws=20), BOTH[1])
    made = sources(own, tables=twenty)
    beside = made.beside(Measured.of(activations(CONCEPT), groups(), ANALYSIS), PLAN, records(), RULES)
    assert [len(family.draws) for family in beside.families] == [19, 19]
    assert judge(cell(CONCEPT, beside=sources(own, tables=BOTH)), FRAME).rung == 3


def test_without_the_parent_in_the_run_nothing_is_compared():
    found = judge(cell(CONCEPT, beside=sources(parent=None, tables=BOTH)), FRAME)
    assert "not in this run" in rungs(found)[4].reason


def test_a_concept_that_untrained_draws_hold_as_well_stops_at_three():
    keyword = (table(concept=8.0), table(Method.shuffle, concept=8.0))
    found = judge(cell(CONCEPT, beside=sources(tables=keyword, replications=replications())), FRAME)
    assert (found.rung, rungs(found)[4].status) == (3, "failed")


def test_the_own_number_is_taken_on_the_items_of_the_table():
    values = log_rms(items=30, concept=8.0)
    measured = Measured.of(activations(values), groups(), ANALYSIS)
    rows = [0, 10, 20, 29]
    made = table().model_copy(update={"items": [f"item-{k}" for k in rows]})
    chosen = sources(tables=(made,))._drawn([made], measured, PLAN, RULES)
    means = values[rows].mean(axis=(0, 2, 3))
    p = np.sort(stats.ttest_ind(means[:6], means[6:]).pvalue)
    simes = (p * len(p) / np.arange(1, len(p) + 1)).min()
    assert chosen.families[0].own == pytest.approx(-np.log10(simes), rel=1e-4)


def test_replications_of_other_inputs_do_not_serve():
    made = sources(tables=BOTH, replications=replications(weights="other"))
    assert judge(cell(CONCEPT, beside=made), FRAME).rung == 5
    for change in ({"weights": "other"}, {"rules": []}, {"drawing": []}):
        reason = rungs(judge(cell(CONCEPT, beside=sources(tables=BOTH, replications=replications(**change))), FRAME))[6]
        assert f"the study's table was made from other inputs ({next(iter(change))})" in reason.reason
    worse = sources(tables=BOTH, replications=replications(p=0.2))
    assert rungs(judge(cell(CONCEPT, beside=worse), FRAME))[6].status == "failed"


def test_a_cell_with_enough_seeds_and_references_needs_no_replications():
    values = log_rms(concept=8.0, seeds=3, references=2)
    found = judge(cell(values, beside=sources(tables=BOTH)), FRAME)
    assert found.rung == 6
    measured = Measured.of(activations(values), groups(), ANALYSIS)
    cells = replicas(measured, PLAN, RULES)
    assert {(one.seed, one.reference) for one in cells} == {(s, f"image_{r}") for s in range(3) for r in range(2)}
    sides = np.split(values[:, :, 1, 2].mean(axis=0), 2)
    strata = [label for label in TARGET.strata if label]
    p = max(template_test(*sides).simes_p, template_test(*sides, strata=strata).simes_p)
    assert next(one.p for one in cells if (one.seed, one.reference) == (2, "image_1")) == pytest.approx(p)


@pytest.mark.parametrize("version", ["CAPTURE_VERSION", "EMBEDDING_VERSION"])
def test_a_table_of_another_capture_version_does_not_serve(monkeypatch, version):
    shared = sources().shared
    monkeypatch.setattr(f"plantain.records.study_keys.{version}", 99)
    assert sources().shared["capture"] != shared["capture"]


def test_the_rules_of_replications_are_those_of_the_verdict():
    made = replication_settings(sources().shared, lock(), ReferenceParams(), RULES)
    for changed in (
        RULES.model_copy(update={"seeds": 4}),
        RULES.model_copy(update={"permutations": 501}),
        RULES.model_copy(update={"references": 3}),
    ):
        assert replication_settings(sources().shared, lock(), ReferenceParams(), changed)["rules"] != made["rules"]
    other = replication_settings(sources().shared, lock(weights="other"), ReferenceParams(), RULES)
    assert other["weights"] != made["weights"]


def test_six_seeds_of_one_image_do_not_hide_the_study():
    values = log_rms(concept=8.0, seeds=6)
    found = judge(cell(values, beside=sources(tables=BOTH, replications=replications())), FRAME)
    assert found.rung == 6
    alone = judge(cell(values, beside=sources(tables=BOTH)), FRAME)
    assert "3 noise seeds x 2 reference images are needed" in rungs(alone)[6].reason


def test_signs_are_flipped_by_block_on_the_ladder_as_well():
    """Six blocks of two items have 2^5 sign patterns up to a common sign, so that no p can be below 1 / 32."""
    blocks = tuple(f"block {k // 2}" for k in range(12))
    known = replace(TARGET, flip_blocks=blocks)
    given = cell(CONCEPT)
    given = replace(given, contrasts=replace(given.contrasts, contrasts=(known,)))
    made = rungs(judge(given, FRAME))
    assert made[1].floor == pytest.approx(1 / 32)
    assert (made[2].floor, made[2].status) == (pytest.approx(1 / 32), "reported")
    assert rungs(judge(cell(CONCEPT), FRAME))[1].floor < 0.01


def test_the_token_count_is_held_constant_in_the_trend():
    tokens = np.arange(12) % 3
    rank = np.arange(1, 13)
    expected = 1 / (1 - stats.pearsonr(rank, tokens).statistic ** 2)
    trend = judge(cell(CONCEPT), FRAME).trend
    assert trend.inflation == pytest.approx(expected, rel=1e-5)
    assert expected > 1.001


def test_items_are_spread_evenly():
    names = [f"{k}" for k in range(30)]
    assert sampled_items(names, 4) == ("0", "10", "19", "29")
    assert sampled_items(names[:3], 10) == ("0", "1", "2")
    assert len(sampled_items(names, 10)) == 10
    few = ExpandedContrast("few", TARGET.a[:2], TARGET.b[:2], Role.control, (None,) * 4, None)
    assert {one.condition for one in sampled_records(records(), [few], RULES)} == set()


def test_strata_are_held_against_the_tokens_of_the_model():
    assert unequal_strata(activations(log_rms()), TARGET) == ""
    found = activations(log_rms())
    found.token_count[4, 7, 0, 0] += 1
    said = unequal_strata(found, TARGET)
    assert said == "stratum 'short' holds 7 to 8 tokens for item 'item-4' with this model's tokenizer"


def test_the_target_is_what_a_verdict_rests_on():
    published = replace(CONTROL, name="published", role=Role.published)
    everything = contrasts(published, CONTROL)
    assert confirmatory(everything).name == "target"
    assert confirmatory(replace(everything, contrasts=(CONTROL, published))).name == "published"
    assert confirmatory(replace(everything, contrasts=(CONTROL,))).name == "control"


def test_information_of_text_untrained_and_model_stand_side_by_side():
    embeddings = np.exp(np.random.default_rng(0).normal(size=(12, 12, 9)))
    found = judge(cell(CONCEPT, beside=sources(tables=BOTH), embeddings=embeddings), FRAME)
    level = 0.5 * np.log(embeddings).mean(axis=0)
    t = stats.ttest_ind(level[:6], level[6:]).statistic
    assert found.metrics["concept_information_text"] == pytest.approx(np.log1p(t**2 / 10).mean(), rel=1e-5)
    drawn_values = BOTH[0].contrasts["target"].concept_information
    assert found.metrics["concept_information_untrained"] == pytest.approx(np.mean(drawn_values), rel=1e-5)
    assert found.metrics["concept_information_shuffled"] > 0
    assert found.metrics["concept_information"] > 3 * found.metrics["concept_information_untrained"]
    assert found.information.untrained_items == ITEMS


def test_a_change_of_the_rules_shows():
    assert rules_digest(RULES) == rules_digest(RULES.model_copy())
    assert rules_digest(RULES) != rules_digest(RULES.model_copy(update={"threshold": 2.9}))
    assert judge(cell(CONCEPT), FRAME).rules_sha256 == rules_digest(RULES)


def test_tables_survive_the_disk_and_others_are_refused(tmp_path):
    path = tmp_path / "probe.json"
    path.write_bytes(BOTH[0].to_bytes())
    assert read_null(path) == BOTH[0]
    with pytest.raises(InputError, match="run --study"):
        read_replications(path)
    path.write_bytes(replications().to_bytes())
    assert read_replications(path) == replications()


def test_silent_heads_are_left_out():
    values = log_rms(concept=8.0)
    values[3, 2, :, :, 7] = -np.inf
    found = judge(cell(values, beside=sources(tables=BOTH)), FRAME)
    assert "of 59 heads" in rungs(found)[1].guarantee


def test_the_verdict_of_a_ranked_probe_has_its_trend():
    values = log_rms(items=24, noise=0.1)
    flat = judge(cell(values), FRAME)
    values[:, :6, :, :, :30] += 0.01 * np.arange(24)[:, None, None, None, None]
    steep = judge(cell(values), FRAME)
    assert flat.metrics["trend_p"] > 0.05
    assert steep.metrics["trend_heads"] >= 25
    assert steep.metrics["trend_p"] < 0.05
    assert steep.trend.nuisance == "text tokens of the prompt"


FRAMES = tuple(f"frame {k}" for k in range(6)) * 2


def test_frames_of_one_length_need_no_strata():
    framed = replace(TARGET, frames=FRAMES, strata=(None,) * 12)
    plan = plan_of(framed, (framed,), RULES)
    assert plan.scheme == "frames"
    assert lengths(plan, activations(log_rms())) == Lengths(equal=True)
    found = activations(log_rms())
    found.token_count[4, 7, 0, 0] += 1
    said = "frame 'frame 1' holds 7 to 8 tokens for item 'item-4' with this model's tokenizer"
    assert lengths(plan, found) == Lengths(problem=said)
    assert lengths(plan_of(replace(TARGET, frames=FRAMES), (), RULES), found).problem.startswith("stratum 'short'")


def test_a_cluster_of_two_strata_is_not_tested_at_rung_five():
    torn = replace(TARGET, clusters=(0, 1, 2, 2, 3, 4, *range(5, 11)), strata=("six",) * 3 + ("seven",) * 9)
    problem = lengths(plan_of(torn, (torn,), RULES), activations(log_rms())).problem
    assert problem == "'a_2' and 'a_3' are one piece of evidence, and of the strata 'six' and 'seven'"
    bare = replace(TARGET, strata=(None, *TARGET.strata[1:]))
    assert "not every template has a stratum" in lengths(plan_of(bare, (bare,), RULES), activations(log_rms())).problem


def test_the_design_is_on_record_before_any_number():
    values = log_rms(concept=8.0)
    known = replace(TARGET, frames=FRAMES)
    given = cell(values)
    framed = judge(replace(given, contrasts=replace(given.contrasts, contrasts=(known,))), FRAME)
    assert (framed.design.scheme, framed.design.rows, framed.design.floor) == ("frames", [6, 6], 2 / 64)
    assert framed.rungs[2].floor == framed.design.floor
    free = judge(given, FRAME).design
    assert (free.scheme, free.rows, free.wordings) == ("clusters", [6, 6], [6, 6])
    assert free.floor == pytest.approx(1 / 462, rel=1e-5)
    tied = replace(TARGET, clusters=(0,) * 6 + tuple(range(1, 7)), ties=(Tie(Reason.word, TARGET.a, "T"),))
    found = judge(replace(given, contrasts=replace(given.contrasts, contrasts=(tied,))), FRAME)
    assert (found.rung, found.design.floor, found.design.rows) == (1, None, [1, 6])
    assert found.design.ties[0].shared == "T"
    assert found.design.problem == found.rungs[2].reason
    assert "delta" not in found.metrics


def test_a_control_that_uses_wordings_of_the_target_decides_nothing():
    values = log_rms(concept=8.0, items=6)
    halves = [replace(TARGET, name=name, a=TARGET.a[at : at + 4], b=TARGET.b[at : at + 4], strata=TARGET.strata[:8],
                      clusters=tuple(range(8)), frames=tuple(f"{name} {k}" for k in range(4)) * 2)
              for name, at in (("target", 0), ("decoy", 2))]  # fmt: skip
    own = replace(halves[1], role=Role.control, decides=Decides.words)
    given = cell(values)
    summary = given.summary.model_copy(update={"contrasts": given.summary.contrasts | {"decoy": {"heads": analysed()}}})
    given = replace(given, summary=summary, contrasts=replace(given.contrasts, contrasts=(halves[0], own)))
    record = judge(given, FRAME).controls[0]
    assert (record.outcome, record.reason) == ("not tested", "words not excluded: 'a_2' is a wording of both")


def test_frames_are_subtracted_within_themselves():
    values = log_rms()
    measured = Measured.of(activations(values), groups(), ANALYSIS)
    framed = replace(TARGET, frames=("x", "x", "y", "z", "v", "w", "w", "z", "y", "x", "v", "v"))
    rows = differences(measured, framed).mean(axis=1)
    means = values.mean(axis=(0, 2, 3))
    expected = [means[:2].mean(axis=0) - means[9], means[2] - means[8], means[3] - means[7],
                means[4] - means[10:].mean(axis=0), means[5] - means[6]]  # fmt: skip
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    copies = replace(framed, ties=(Tie(Reason.copy, ("a_2", "a_3"), ""),))
    joined = differences(measured, copies).mean(axis=1)
    assert len(joined) == 4
    np.testing.assert_allclose(joined[1], (means[2] + means[3] - means[7] - means[8]) / 2, atol=1e-6)
