"""The sweep: its numbers beside plain captures at every noise level, what is refused, and which cell a table serves."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.capture_model import listed
from helpers.workspace import ROOT, forget_outer_checkout
from ruamel.yaml import YAML

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.params import StudyParams, WordingMeasure
from plantain.capture.cell import capture_cell
from plantain.capture.progress import Silent
from plantain.measure.sides import Measured
from plantain.measure.vectors import MeasuredVectors
from plantain.probe.store import read_contrasts, read_records
from plantain.records.lock import read_lock
from plantain.records.receipt import read_receipt
from plantain.records.sweep import SweepTable, read_sweep
from plantain.records.units import read_units
from plantain.stages import model as model_stage
from plantain.stages import prompts as prompts_stage
from plantain.stages import sweep as sweep_stage
from plantain.stages.frame import stage
from plantain.stages.study import jobs
from plantain.stages.verdict import levels, twins_of
from plantain.stats.template import template_test

PROBE = """
probe: looks
title: A probe for the sweep
hypothesis: None; it exercises the sweep.
references:
  kitchen: {prompt: A kitchen}
  hall: {prompt: A hall}
conditions:
  a: {prompt: "Seen by {creature}", reference: [kitchen, hall]}
  a_2: {prompt: "{creature} looks round", reference: [kitchen, hall]}
  a_3: {prompt: "What {creature} notices", reference: [kitchen, hall]}
  a_4: {prompt: "Eyes of {creature}", reference: [kitchen, hall]}
  b: {prompt: "Room with {creature}", reference: [kitchen, hall]}
  b_2: {prompt: "{creature} stands here", reference: [kitchen, hall]}
  b_3: {prompt: "There {creature} rests", reference: [kitchen, hall]}
  b_4: {prompt: "Beside {creature}", reference: [kitchen, hall]}
contrasts:
  target: {a: [a, a_2, a_3, a_4], b: [b, b_2, b_3, b_4], role: target}
  few: {a: [a, a_2], b: [b, b_2], role: control}
items:
  - {id: dog, creature: a dog}
  - {id: bee, creature: a bee}
  - {id: ant, creature: an ant}
"""
TABLE, RECEIPT = places.sweep("mine", "looks"), places.sweep("mine", "looks").with_suffix(".receipt.json")
LEVELS = [1.0, 0.7, 0.25]
CELLS = [("looks", "mine"), ("looks", "twin")]


def write_params(**changes):
    """params.yaml with a small model, its twin and a family; ``changes`` of sections."""
    data = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    small = dict(data["models"]["tiny"], source="local", path=changes.pop("path"), text_encoder_out_layers=[1, 2, 3])
    untrained = {"source": "untrained", "of": "mine", "method": "reinit"}
    data["models"] = {"mine": small, "twin": untrained | {"seed": 1}, "family": untrained | {"seeds": 2}}
    data["run"] = {"probes": ["looks"], "models": ["mine", "twin"]}
    data["verdict"]["items"] = 2
    data["capture"]["seeds"] = [3, 1]
    for section, values in {"study": {"sigmas": [0.7, 0.25]}, **changes}.items():
        data[section] |= values
    YAML().dump(data, Path("params.yaml"))


def ran(module, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["stage", *arguments])
        module.main()


@pytest.fixture(scope="module")
def made(tmp_path_factory, small_model):
    """A workspace that was swept, its twin too."""
    root = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        forget_outer_checkout(patch)
        patch.chdir(root)
        write_params(path=str(small_model / "pipeline"))
        shutil.copy(ROOT / "environment.yaml", root)
        Path("prompts").mkdir()
        places.probe_file("looks").write_text(PROBE)
        ran(prompts_stage, "looks")
        for name in ("mine", "twin"):
            ran(model_stage, name)
            shutil.copytree(small_model / "images", places.images(name, "looks"))
            (places.images(name, "looks") / "wide.png").unlink()
            listed(places.images(name, "looks"))
            ran(sweep_stage, "looks", name)
    return root


@pytest.fixture
def swept(made, tmp_path, monkeypatch):
    """A copy of it to work in."""
    forget_outer_checkout(monkeypatch)
    monkeypatch.chdir(shutil.copytree(made, tmp_path / "copy"))


def plain(sigma):
    """The model at one level by a plain capture: of two items, the first seed and the first picture."""
    params = read_params()
    records = read_records(places.records("looks"))
    chosen = [replace(one, reference=("kitchen",)) for one in records if one.item in read_sweep(TABLE).items]
    capture = params.capture.model_copy(update={"sigma": sigma, "seeds": [3]})
    lock = read_lock(places.model_lock("mine"))
    found = capture_cell(chosen, places.images("mine", "looks"), lock, capture, Silent())
    groups = read_units(places.units("mine"))
    return {
        WordingMeasure.log_rms: Measured.of(found.activations, groups, params.analyses["heads"]),
        WordingMeasure.direction: MeasuredVectors(found.grams, found.activations, WordingMeasure.direction),
        WordingMeasure.profile: MeasuredVectors(found.grams, found.activations, WordingMeasure.profile),
    }


def test_every_level_is_what_a_plain_capture_at_it_gives(swept):
    table, rules = read_sweep(TABLE), read_params().verdict
    contrast = next(one for one in read_contrasts(places.contrasts("looks")).contrasts if one.name == "target")
    assert (table.sigmas, table.seed, table.items) == (LEVELS, 3, ["dog", "ant"])
    assert set(table.contrasts) == {"target"}, "two wordings a side cannot be compared"
    settings = {"permutations": rules.permutations, "confidence": 0.95, "seed": rules.seed}
    found = table.contrasts["target"].measures
    assert set(found) == {"log_rms", "direction", "profile"}
    numbers = set()
    for at, sigma in enumerate(LEVELS):
        for measure, looked in plain(sigma).items():
            test = template_test(*looked.rows(contrast), clusters=contrast.clusters, **settings)
            level = found[measure][at]
            delta = np.median(np.abs(test.delta[np.isfinite(test.delta)]))
            assert (level.sigma, level.heads_lower_bound, level.alive) == (sigma, test.lower_bound, test.alive.sum())
            expected = [test.simes_p, test.floor_p, delta, test.concept_information]
            np.testing.assert_allclose([level.p, level.floor, level.delta, level.concept_information], expected, 1e-5)
            numbers.add((measure, level.concept_information))
    assert len(numbers) == 9, "no level is another one"


def test_the_receipt_says_what_was_read_and_how_many_passes_were_made(swept):
    receipt = read_receipt(RECEIPT)
    assert receipt.stage == "sweep"
    assert receipt.params["study"] == {"sigmas": [0.7, 0.25]}
    assert receipt.notes["passes"] == 3 * 2 * 8
    assert [one["effective"] for one in receipt.notes["sigmas"]] == [0.7, 0.25]
    assert [one.path for one in receipt.writes] == [TABLE.as_posix()]
    assert places.images("mine", "looks") / "kitchen.png" in [Path(one.path) for one in receipt.reads]


def test_equal_inputs_give_equal_bytes(swept):
    before = TABLE.read_bytes(), RECEIPT.read_bytes()
    ran(sweep_stage, "looks", "mine")
    assert (TABLE.read_bytes(), RECEIPT.read_bytes()) == before


def test_a_level_that_cannot_be_is_refused_before_any_pass(swept, small_model, monkeypatch):
    shutil.copy(small_model / "images" / "wide.png", places.images("mine", "looks") / "kitchen.png")
    before = TABLE.read_bytes()
    monkeypatch.setattr(sweep_stage, "capture_cell", lambda *_: pytest.fail("a pass was made"))
    with pytest.raises(InputError, match="'kitchen' has another size than the image to be denoised") as caught:
        ran(sweep_stage, "looks", "mine")
    assert caught.value.fix
    assert caught.value.exit_code == 2
    assert TABLE.read_bytes() == before


def test_an_empty_list_is_no_sweep(swept, small_model):
    write_params(path=str(small_model / "pipeline"), study={"sigmas": []})
    params = read_params()
    assert [job for job in jobs(params, CELLS) if job[0] == "sweep"] == []
    with pytest.raises(InputError, match=r"study\.sigmas: there is no noise level to sweep over"):
        ran(sweep_stage, "looks", "mine")


def test_every_cell_is_swept_twins_too_and_a_family_is_not(swept):
    found = [job for job in jobs(read_params(), [*CELLS, ("looks", "family")]) if job[0] == "sweep"]
    assert found == [("sweep", "looks", "mine"), ("sweep", "looks", "twin")]
    ran(model_stage, "family")
    with pytest.raises(InputError, match=r"models\.family: 'family' is a family of draws"):
        ran(sweep_stage, "looks", "family")


def test_the_runs_own_level_is_added_once():
    assert StudyParams(sigmas=[0.2, 0.6]).levels(1.0) == (1.0, 0.6, 0.2)
    assert StudyParams(sigmas=[0.2, 0.6]).levels(0.6) == (0.6, 0.2)
    assert StudyParams().levels(1.0) == ()


def beside():
    """What the verdict stage takes of the tables that are here."""
    with stage("verdict", section="analyze") as current:
        found = levels(current, "looks", "mine", twins_of(current, CELLS)["looks", "mine"])
        assert not TABLE.exists() or TABLE in current.reads
    return found


def test_a_table_that_fits_stands_beside_the_verdict_with_the_twins(swept):
    found = beside()
    assert found.problems == {}
    assert found.contrasts["target"] == read_sweep(TABLE).contrasts["target"].measures
    assert found.twins == {"twin": {"target": read_sweep(places.sweep("twin", "looks")).contrasts["target"].measures}}
    assert (found.own, found.items) == (1.0, 2)


def test_a_level_of_its_own_makes_no_table_stale(swept, small_model):
    write_params(path=str(small_model / "pipeline"), capture={"sigma": 0.7}, study={"sigmas": [0.25]})
    found = beside()
    assert (found.problems, found.own) == ({}, 0.7)


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"verdict": {"alpha": 0.1}}, "rules"),
        ({"verdict": {"items": 3}}, "prompts"),
        ({"capture": {"seeds": [1, 3]}}, "capture"),
        ({"verdict": {"threshold": 4.0}}, "measure"),
    ],
)
def test_a_table_from_other_settings_is_not_shown_and_says_what_differs(swept, small_model, changes, differs):
    write_params(path=str(small_model / "pipeline"), **changes)
    found = beside()
    assert found.contrasts == found.twins == {}
    assert found.problems == {"target": f"the study's sweep was made from other inputs ({differs})"}


def test_a_table_of_another_picture_is_not_shown_and_one_of_the_second_does_not_matter(swept):
    folder = places.images("mine", "looks")
    shutil.copy(folder / "kitchen.png", folder / "hall.png")
    listed(folder)
    assert beside().problems == {}
    shutil.copy(places.images("twin", "looks") / "hall.png", folder / "kitchen.png")
    listed(folder)
    assert beside().problems == {"target": "the study's sweep was made from other inputs (references)"}


def test_a_table_of_other_wordings_is_not_shown(swept):
    places.probe_file("looks").write_text(re.sub("Eyes of", "Sight of", PROBE))
    ran(prompts_stage, "looks")
    assert "(prompts)" in beside().problems["target"]


def test_without_a_table_nothing_stands_there(swept):
    TABLE.unlink()
    assert beside() is None


def test_a_damaged_table_is_an_error_that_names_it(swept):
    whole = read_sweep(TABLE)
    for text, said in (
        (b"{", "Invalid JSON"),
        (whole.to_bytes().replace(b'"sigma": 0.7', b'"sigma": 0.6', 1), "noise levels"),
    ):
        TABLE.write_bytes(text)
        with pytest.raises(InputError, match=said) as caught:
            beside()
        assert caught.value.file == TABLE
        assert "git checkout" in caught.value.fix


def test_a_table_whose_levels_are_out_of_order_is_none(swept):
    table = read_sweep(TABLE).model_dump(by_alias=True)
    with pytest.raises(ValueError, match="not in descending order, or one stands twice"):
        SweepTable.model_validate(table | {"sigmas": [1.0, 1.0, 0.25]})
