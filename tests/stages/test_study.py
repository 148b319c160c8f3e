"""What `plantain run --study` captures: further seeds and references, draws once for all cells, and prompt levels."""

import json

import numpy as np
import pytest
import torch
from helpers.capture_model import CREATURES, LENGTH, make_lock, prompted, record
from helpers.capture_model import records as capture_records
from PIL import Image

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.files import write_atomic
from plantain.base.params import CaptureParams, ReferenceParams, VerdictParams, WordingMeasure
from plantain.capture.encode import encode
from plantain.capture.levels import prompt_levels, write_prompt_levels
from plantain.capture.progress import Silent
from plantain.model.load import load_text_encoder, load_tokenizer
from plantain.records.verdict import Climb, Verdict
from plantain.stages.replicate import noise_seeds, redraw, with_alternatives
from plantain.stages.study import jobs, study, worth_studying

RULES = VerdictParams()


@pytest.fixture
def folder(small_model):
    return small_model


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "cache"))


def test_prompt_levels_are_mean_squares_of_the_pipelines_embeddings(folder):
    lock, put = make_lock(folder), capture_records()
    found = prompt_levels(put, lock, Silent())
    tokenizer, encoder = load_tokenizer(lock), load_text_encoder(lock, "cpu")
    assert found.shape == (len(CREATURES), 2, 3)
    for at, one in enumerate(put):
        values = encode(one.prompt, tokenizer, encoder, lock).values[0].double()
        chat = [{"role": "user", "content": one.prompt}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True, enable_thinking=False)
        real = torch.tensor(tokenizer(text, padding="max_length", max_length=LENGTH)["attention_mask"]).bool()
        expected = [values[real, start : start + 32].square().mean().item() for start in (0, 32, 64)]
        np.testing.assert_allclose(found[at // 2, at % 2], expected, rtol=1e-5)


def test_prompt_levels_give_equal_bytes_from_damaged_embeddings_too(folder, tmp_path):
    lock, put = make_lock(folder), capture_records()
    for name in ("one", "two"):
        write_prompt_levels(tmp_path / name, prompt_levels(put, lock, Silent()))
        stored = sorted((tmp_path / "cache/embeddings").glob("*/*"))
        for path in stored[:2]:
            path.write_bytes(path.read_bytes()[:-1])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_second_version_of_a_reference_is_another_image_of_the_same_prompt(folder, tmp_path):
    drawing = ReferenceParams(steps=2, guidance_scale=1.0, seed=4)
    versions = redraw((prompted("kitchen", "A kitchen"),), make_lock(folder), drawing, RULES, tmp_path)
    assert versions == {"kitchen": ("kitchen", "kitchen.2")}
    first, second = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in versions["kitchen"])
    assert not np.array_equal(first, second)
    notes = [json.loads((tmp_path / f"{name}.json").read_bytes()) for name in versions["kitchen"]]
    assert [(note["prompt"], note["seed"]) for note in notes] == [("A kitchen", 4), ("A kitchen", 5)]


def test_a_second_version_never_takes_the_place_of_a_declared_image(folder, tmp_path):
    declared = (prompted("kitchen", "A kitchen"), prompted("kitchen_2", "A hall"))
    versions = redraw(declared, make_lock(folder), ReferenceParams(steps=1, guidance_scale=1.0), RULES, tmp_path)
    names = [name for group in versions.values() for name in group]
    assert len(set(names)) == 4
    told = {name: json.loads((tmp_path / f"{name}.json").read_bytes())["prompt"] for name in names}
    assert {told[name] for name in versions["kitchen"]} == {"A kitchen"}
    assert {told[name] for name in versions["kitchen_2"]} == {"A hall"}


def test_records_get_every_version_as_an_alternative():
    versions = {"kitchen": ("kitchen", "kitchen.2"), "hall": ("hall", "hall.2"), "photo": ("photo",)}
    assert with_alternatives(record("i", "a", "x", "kitchen"), versions).reference == ("kitchen", "kitchen.2")
    assert with_alternatives(record("i", "a", "x", "photo"), versions).reference == ("photo",)
    assert with_alternatives(record("i", "a", "x"), versions).reference == ()
    crossed = with_alternatives(record("i", "a", "x", "kitchen", "hall"), versions).reference
    assert crossed == ("kitchen", "hall", "kitchen.2", "hall.2")


def test_noise_seeds_are_the_runs_own_and_the_smallest_others():
    shown, unshown = [record("i", "a", "x", "kitchen")], [record("i", "b", "y")]
    assert noise_seeds(CaptureParams(seeds=[0]), RULES, shown) == [0, 1, 2]
    assert noise_seeds(CaptureParams(seeds=[7, 1]), RULES, shown) == [7, 1, 0]
    assert noise_seeds(CaptureParams(seeds=[0]), RULES, unshown) == [0, 1, 2, 3, 4, 5]
    assert noise_seeds(CaptureParams(seeds=[4, 3, 2, 1]), RULES, shown) == [4, 3, 2, 1]
    # One contrast without a reference in a probe that has some needs its six.
    assert noise_seeds(CaptureParams(seeds=[0]), RULES, shown + unshown) == [0, 1, 2, 3, 4, 5]


def test_a_study_without_the_trained_model_says_what_it_lacks():
    params = read_params()
    params = params.model_copy(update={"run": params.run.model_copy(update={"models": ["tiny-untrained"]})})
    with pytest.raises(InputError, match=r"run\.models: the study of 'tiny-untrained' needs 'tiny' in the run"):
        list(jobs(params, [("otherview", "tiny-untrained")]))


def test_a_family_is_drawn_once_for_all_cells_of_its_model(monkeypatch):
    params = read_params()
    cells = [("otherview", "tiny"), ("otherview", "tiny-untrained"), ("otherview", "klein-random")]
    assert list(jobs(params, cells[:1])) == [
        ("nulls", "otherview", "tiny-reinit"),
        ("nulls", "otherview", "tiny-shuffle"),
        ("replicate", "otherview", "tiny"),
        ("intervene", "otherview", "tiny"),
        ("intervene", "otherview", "tiny-reinit"),
        ("sweep", "otherview", "tiny"),
    ]
    assert list(jobs(params, cells[2:])) == [
        ("replicate", "otherview", "klein-random"),
        ("intervene", "otherview", "klein-random"),
        ("sweep", "otherview", "klein-random"),
    ]
    ran = []

    class Done:
        returncode = 0

    monkeypatch.setattr("plantain.stages.study.subprocess.run", lambda command, **_: ran.append(command[2:]) or Done())
    assert study(params, cells) == 0
    assert len(ran) == 10
    assert ran[0] == ["plantain.stages.nulls", "otherview", "tiny-reinit"]
    Done.returncode = 2
    assert study(params, cells) == 2
    assert len(ran) == 11


def test_a_study_is_made_of_probes_whose_target_passes_rung_3(tmp_path, monkeypatch):
    """By hand: dense passes on one model, relation by profile alone, binding on none; moral was not run."""
    rungs = {"rungs": [], "sentence": "", "metrics": {}}
    named = {"probe": "p", "model": "m", "contrast": "target", "analysis": "heads", "rules_sha256": "0" * 64}
    rest = {"information": {}, "trend": None, "length": [], "exploratory": {}}
    passed, stopped = (Verdict(**rungs, **named, **rest, rung=rung) for rung in (3, 1))
    by_profile = stopped.model_copy(update={"measures": {WordingMeasure.profile: Climb(**rungs, rung=3)}})
    monkeypatch.chdir(tmp_path)
    for name, verdicts in {"dense": [passed, stopped], "relation": [by_profile], "binding": [stopped] * 2}.items():
        for at, verdict in enumerate(verdicts):
            write_atomic(places.verdict(f"m{at}", name), verdict.model_dump_json(by_alias=True).encode())
    cells = [(name, f"m{at}") for name in ("binding", "dense", "relation", "moral") for at in (0, 1)]
    worth, idle = worth_studying([cell for cell in cells if cell != ("relation", "m1")])
    assert idle == ["binding"]
    assert list(dict.fromkeys(name for name, _ in worth)) == ["dense", "relation", "moral"]
    assert ("dense", "m1") in worth
