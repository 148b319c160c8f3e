"""Heads swapped as a stage: its tests beside swaps made by hand, families, what cannot be tested, and stale tables."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.workspace import ROOT, forget_outer_checkout
from ruamel.yaml import YAML

from plantain.base import places
from plantain.base.config import read_params
from plantain.causal.heads_map import SwapPair
from plantain.causal.mediation import mediation
from plantain.causal.swaps import HeadSet, Swap
from plantain.causal.theatre import Theatre
from plantain.probe.store import read_records
from plantain.records.causal import read_causal, read_causal_draws
from plantain.records.keys import passes, reference_images
from plantain.records.lock import read_lock
from plantain.records.receipt import read_receipt
from plantain.stages import capture as capture_stage
from plantain.stages import intervene as intervene_stage
from plantain.stages import model as model_stage
from plantain.stages import prompts as prompts_stage
from plantain.stages.study import jobs

VIEW = (
    "Seen by {creature}",
    "{creature} looks round",
    "What {creature} notices",
    "Eyes of {creature}",
    "Gaze from {creature}",
    "Vantage where {creature} peers",
    "Through lenses {creature} wears",
    "Sight {creature} gets",
)
ROOM = (
    "Rug under {creature}",
    "{creature} stands here",
    "There {creature} rests",
    "Beside {creature}",
    "Chair near {creature}",
    "Wall behind {creature}",
    "Lamp above {creature}",
    "Floor {creature} crossed",
)
ITEMS = ("dog", "bee", "ant", "cat")


def probe(wordings=8, neutral=True):
    conditions = {f"a_{at}": {"prompt": text, "reference": "kitchen"} for at, text in enumerate(VIEW[:wordings])}
    conditions |= {f"b_{at}": {"prompt": text, "reference": "kitchen"} for at, text in enumerate(ROOM[:wordings])}
    sides = {side: [f"{side}_{at}" for at in range(wordings)] for side in "ab"}
    if neutral:
        conditions["plain"] = {"prompt": "Day of {creature}", "reference": "kitchen", "role": "neutral"}
    return {
        "probe": "looks", "title": "A probe whose heads are swapped", "hypothesis": "None.",
        "references": {"kitchen": {"prompt": "A kitchen"}}, "conditions": conditions,
        "contrasts": {"target": sides | {"role": "target"}},
        "items": [{"id": name, "creature": f"a {name}"} for name in ITEMS],
    }  # fmt: skip


def write(data, path):
    YAML().dump(data, Path(path))


def ran(module, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["stage", *arguments])
        module.main()


@pytest.fixture(scope="module")
def made(tmp_path_factory, small_model):
    """A workspace in which heads of a small model and of two untrained draws of it were swapped."""
    root = tmp_path_factory.mktemp("swapped")
    with pytest.MonkeyPatch.context() as patch:
        forget_outer_checkout(patch)
        patch.chdir(root)
        data = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
        path = str(small_model / "pipeline")
        small = dict(data["models"]["tiny"], source="local", path=path, text_encoder_out_layers=[1, 2, 3])
        data["models"] = {
            "mine": small,
            "family": {"source": "untrained", "of": "mine", "method": "reinit", "seeds": 2},
        }
        data["run"] = {"probes": ["looks"], "models": ["mine"]}
        data["verdict"] |= {"swapped_items": 2, "swapped": 0.3}
        write(data, "params.yaml")
        shutil.copy(ROOT / "environment.yaml", root)
        Path("prompts").mkdir()
        write(probe(), places.probe_file("looks"))
        ran(prompts_stage, "looks")
        ran(model_stage, "mine")
        shutil.copytree(small_model / "images", places.images("mine", "looks"))
        for image in places.images("mine", "looks").iterdir():
            if image.name != "kitchen.png":
                image.unlink()
        ran(capture_stage, "looks", "mine")
        for model in ("mine", "family"):
            ran(intervene_stage, "looks", model)
    return root


@pytest.fixture
def swapped(made, monkeypatch):
    forget_outer_checkout(monkeypatch)
    monkeypatch.chdir(made)
    return read_causal(places.causal("mine", "looks"))


def test_what_every_head_carries_is_that_of_swaps_made_by_hand(swapped):
    records = read_records(places.records("looks"))
    every = {(one.condition, one.item): one for one in passes(records, [0])}
    images = reference_images(records, places.images("mine", "looks"))
    lock, capture = read_lock(places.model_lock("mine")), read_params().capture
    theatre = Theatre.open(every.values(), images, lock, capture)
    test, count = swapped.wordings["test"], len(swapped.wordings["test"]) // 2
    wordings = list(zip(test[:count], test[count:], strict=True))
    by_item = []
    for place, item in enumerate(swapped.items["test"]):
        pairs = [SwapPair(every[a, item], every[b, item]) for a, b in wordings[place % 2 :: 2]]
        ways = [(theatre.clean(x), theatre.clean(y)) for pair in pairs for x, y in (pair, pair[::-1])]
        rows = []
        for recipient, donor in ways:
            alone = [Swap(donor, HeadSet((head,))) for head in theatre.heads()]
            rows.append(mediation(theatre.swapped(recipient, alone), recipient, donor).m)
        by_item.append(np.mean(rows, axis=0))
    assert swapped.mediation_by_head == pytest.approx(np.mean(by_item, axis=0), rel=1e-4, abs=1e-6)


def test_halves_share_nothing_and_the_run_checked_itself(swapped):
    for kind in (swapped.items, swapped.wordings):
        assert set(kind["selection"]).isdisjoint(kind["test"])
    assert swapped.recipients == ["plain"]
    assert swapped.identities["self_swap"] == 0
    assert swapped.identities["all_heads"] == pytest.approx(1, abs=1e-5)
    assert [one.name for one in swapped.tests] == ["gate", "donors", "selection"]
    assert all(one.floor == pytest.approx(1 / 35, rel=1e-4) for one in swapped.tests)
    assert swapped.measure == "direction"
    receipt = read_receipt(places.causal("mine", "looks").with_suffix(".receipt.json"))
    assert receipt.stage == "intervene"
    assert receipt.notes["passes"] > 0


def test_a_family_has_a_number_a_draw(swapped):
    found = read_causal_draws(places.causal("family", "looks"))
    assert len(found.draws) == len(found.statistics) == 2
    assert found.statistics[0] != found.statistics[1]


@pytest.mark.parametrize(
    ("changes", "said"), [({"wordings": 6}, "8 independent"), ({"neutral": False}, "role: neutral")]
)
def test_a_probe_that_cannot_be_tested_says_so_and_leaves_nothing(made, tmp_path, monkeypatch, capsys, changes, said):
    forget_outer_checkout(monkeypatch)
    monkeypatch.chdir(shutil.copytree(made, tmp_path / "copy"))
    shutil.rmtree(places.causal("mine", "looks").parent)
    write(probe(**changes), places.probe_file("looks"))
    ran(prompts_stage, "looks")
    ran(intervene_stage, "looks", "mine")
    assert said in capsys.readouterr().out
    assert not places.causal("mine", "looks").exists()


def test_the_study_swaps_the_model_and_its_reinitialised_family(swapped):
    planned = [job for job in jobs(read_params(), [("looks", "mine")]) if job[0] == "intervene"]
    assert planned == [("intervene", "looks", "mine"), ("intervene", "looks", "family")]
