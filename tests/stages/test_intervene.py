"""Heads swapped as a stage: its tests beside swaps made by hand, families, what cannot be tested, and stale tables."""

import shutil
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from helpers.capture_model import listed
from helpers.workspace import ROOT, forget_outer_checkout
from PIL import Image
from ruamel.yaml import YAML

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.files import sha256_bytes
from plantain.causal.described import set_of
from plantain.causal.gallery import draw_gallery
from plantain.causal.mediation import mediation
from plantain.causal.sets import random_alike
from plantain.causal.swaps import Head, HeadSet, Swap, TokenRoute
from plantain.causal.theatre import Theatre
from plantain.commands.forecast import print_swaps as swaps
from plantain.commands.forecast import swap_forecast as forecast_cost
from plantain.ladder.judge import confirmatory
from plantain.probe.halves import causal_design
from plantain.probe.store import read_contrasts, read_records
from plantain.records.causal import CausalTable, ChosenHead, read_causal, read_causal_draws
from plantain.records.keys import passes, reference_images
from plantain.records.lock import read_lock
from plantain.records.receipt import read_receipt
from plantain.stages import capture as capture_stage
from plantain.stages import intervene as intervene_stage
from plantain.stages import model as model_stage
from plantain.stages import prompts as prompts_stage
from plantain.stages.study import jobs
from plantain.track.audit.swaps import check_swaps, from_table
from plantain.track.results import Cell, FolderReader

COUNTED = Counter()
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
DECOY = {"c": ("Rain on {creature}", "Snow at {creature}"), "d": ("Sun over {creature}", "Fog round {creature}")}
ITEMS = ("dog", "bee", "ant", "cat")


def probe(wordings=8, neutral=True):
    conditions = {f"a_{at}": {"prompt": text, "reference": "kitchen"} for at, text in enumerate(VIEW[:wordings])}
    conditions |= {f"b_{at}": {"prompt": text, "reference": "kitchen"} for at, text in enumerate(ROOM[:wordings])}
    sides = {side: [f"{side}_{at}" for at in range(wordings)] for side in "ab"}
    for side, texts in DECOY.items():
        conditions |= {f"{side}_{at}": {"prompt": text, "reference": "kitchen"} for at, text in enumerate(texts)}
    if neutral:
        conditions["plain"] = {"prompt": "Day of {creature}", "reference": "kitchen", "role": "neutral"}
    return {
        "probe": "looks", "title": "A probe whose heads are swapped", "hypothesis": "None.",
        "references": {"kitchen": {"prompt": "A kitchen"}}, "conditions": conditions,
        "contrasts": {
            "target": sides | {"role": "target"},
            "weather": {"a": ["c_0", "c_1"], "b": ["d_0", "d_1"], "role": "control"},
        },
        "items": [{"id": name, "creature": f"a {name}"} for name in ITEMS],
    }  # fmt: skip


def design_of(name, params):
    known = read_contrasts(places.contrasts(name))
    most, records = params.verdict.swapped_items, read_records(places.records(name))
    return causal_design(
        confirmatory(known), known.neutral, known.items, most, contrasts=known.contrasts, records=records
    )


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
        data["run"] = {"probes": ["looks", "older", "other"], "models": ["mine"]}
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
        listed(places.images("mine", "looks"))
        ran(capture_stage, "looks", "mine")
        beside(places.causal("mine", "other"), read_lock(places.model_lock("mine")))
        beside(places.causal("mine", "older"), None)
        patch.setenv("PLANTAIN_WORKERS", "1")
        with counted(patch) as count:
            ran(intervene_stage, "looks", "mine")
            COUNTED.update(count)
        ran(intervene_stage, "looks", "family")
    return root


def beside(path, lock):
    """The table of another probe, with heads of its own; without a lock, of other weights."""
    weights = lock.components["transformer"].weights_sha256 if lock else "others"
    heads = [
        ChosenHead(block_kind="joint", block=1, head=1, score=2.0, mediation=0.0),
        ChosenHead(block_kind="single", block=2, head=0, score=1.0, mediation=0.0),
    ]
    table = CausalTable(
        model="mine", probe="other", contrast="target", inputs={"weights": weights}, measure="direction", chosen_by="",
        items={}, wordings={}, recipients=[], tests=[], heads=heads, identities={}, output_change=0, additivity=0,
        mediation_by_head=[], curve=[],
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(table.to_bytes())


@contextmanager
def counted(patch):
    """How many whole passes and swaps a theatre makes, and how many pictures."""
    count = Counter()
    clean, velocities, batches = Theatre.clean, Theatre.velocities, Theatre.swapped_batches

    def one(self, asked):
        count["clean"] += 1
        return clean(self, asked)

    def several(self, batch):
        count["clean"] += len(batch)
        return velocities(self, batch)

    def edited(self, recipient, edits):
        count["swapped"] += len(edits)
        return batches(self, recipient, edits)

    patch.setattr(Theatre, "clean", one)
    patch.setattr(Theatre, "velocities", several)
    patch.setattr(Theatre, "swapped_batches", edited)
    yield count
    for name, plain in (("clean", clean), ("velocities", velocities), ("swapped_batches", batches)):
        patch.setattr(Theatre, name, plain)


@pytest.fixture
def swapped(made, monkeypatch):
    forget_outer_checkout(monkeypatch)
    monkeypatch.chdir(made)
    return read_causal(places.causal("mine", "looks"))


@dataclass(frozen=True)
class Hand:
    """Swaps made by hand."""

    theatre: Theatre
    every: dict
    table: CausalTable

    def clean(self, condition, item):
        return self.theatre.clean(self.every[condition, item])

    def pairs(self):
        """Item to the clean passes of its pairs of wordings, a then b."""
        test = self.table.wordings["test"]
        wordings = list(zip(test[: len(test) // 2], test[len(test) // 2 :], strict=True))
        return {
            item: [(self.clean(a, item), self.clean(b, item)) for a, b in wordings[place % 2 :: 2]]
            for place, item in enumerate(self.table.items["test"])
        }

    def ways(self, heads, tokens=TokenRoute.image, *, first=False):
        """What a set mediates into a and into b, mean over pairs, then items."""
        by_item = []
        for pairs in self.pairs().values():
            rows = []
            for a, b in pairs[:1] if first else pairs:
                into_a, into_b = (
                    mediation(self.theatre.swapped(x, [Swap(y, heads, tokens)]), x, y).m[0] for x, y in ((a, b), (b, a))
                )
                rows.append((into_a, into_b))
            by_item.append(np.mean(rows, axis=0))
        return np.mean(by_item, axis=0)

    def outputs(self, conditions, heads=None):
        """Velocities of conditions, or of the neutral sentence with heads from these, all items side by side."""
        found = []
        for item in self.table.items["test"]:
            donors = [self.clean(name, item) for name in conditions]
            if heads is None:
                found.append(np.stack([one.velocity.double().numpy().ravel() for one in donors]))
                continue
            edits = [Swap(one, heads) for one in donors]
            patched = self.theatre.swapped(self.clean("plain", item), edits)
            found.append(patched.double().flatten(1).numpy())
        return np.concatenate(found, axis=1)

    @property
    def chosen(self):
        return set_of(self.table.heads, self.theatre.lock.geometry)


@pytest.fixture
def hand(swapped):
    records = read_records(places.records("looks"))
    every = {(one.condition, one.item): one for one in passes(records, [0])}
    images = reference_images(records, places.images("mine", "looks"))
    lock, capture = read_lock(places.model_lock("mine")), read_params().capture
    return Hand(Theatre.open(every.values(), images, lock, capture), every, swapped)


def pseudo_f(rows, labels):
    """Anderson's pseudo-F of rows with labels."""
    sides = [rows[labels == value] for value in (0, 1)]
    inside = sum(np.square(side - side.mean(axis=0)).sum() for side in sides)
    return (np.square(rows - rows.mean(axis=0)).sum() - inside) / inside


def exact_p(rows, labels, strata=None):
    """Share of all labellings of as many in every stratum whose pseudo-F reaches the observed one."""
    labels, strata = np.asarray(labels), np.zeros(len(labels)) if strata is None else np.asarray(strata)
    choices = []
    for one in np.unique(strata):
        own = np.flatnonzero(strata == one)
        choices.append([set(pick) for pick in combinations(own.tolist(), int(labels[own].sum()))])
    found = [pseudo_f(rows, np.isin(np.arange(len(rows)), list(set().union(*picks))).astype(int))
             for picks in product(*choices)]  # fmt: skip
    return np.mean(np.array(found) >= pseudo_f(rows, labels) * (1 - 1e-9))


def test_tests_are_exact_and_made_of_the_inner_products_that_the_table_keeps(swapped, hand):
    test = swapped.wordings["test"]
    labels = np.repeat([0, 1], len(test) // 2)
    for name, rows in (("gate", hand.outputs(test)), ("donors", hand.outputs(test, hand.chosen))):
        moved = rows - rows.mean(axis=0)
        np.testing.assert_allclose(
            swapped.products[name], moved @ moved.T, rtol=1e-6, atol=1e-9 * np.square(moved).sum()
        )
        assert swapped.test(name).p == pytest.approx(exact_p(rows, labels), rel=1e-5)


def test_other_donors_and_other_sets_have_their_own_exact_p(swapped, hand):
    assert [one.kind for one in swapped.donors] == ["direction", "magnitude", "paraphrase", "decoy"]
    whole = hand.outputs(swapped.wordings["test"], hand.chosen)
    gap = np.linalg.norm(whole[:4].mean(axis=0) - whole[4:].mean(axis=0))
    decoy = swapped.donors[-1]
    assert (decoy.contrast, decoy.wordings) == ("weather", ["c_0", "c_1", "d_0", "d_1"])
    rows = hand.outputs(decoy.wordings, hand.chosen)
    assert decoy.p == pytest.approx(exact_p(rows, decoy.groups), rel=1e-5)
    assert decoy.apart == pytest.approx(np.linalg.norm(rows[:2].mean(axis=0) - rows[2:].mean(axis=0)) / gap, rel=1e-4)
    same = swapped.donors[2]
    rows, sides = hand.outputs(same.wordings, hand.chosen), np.array(same.strata)
    assert [name[0] for name in same.wordings] == ["ab"[side] for side in sides]
    for side in (0, 1):
        rows[sides == side] -= rows[sides == side].mean(axis=0)
    assert same.p == pytest.approx(exact_p(rows, same.groups, sides), rel=1e-5)
    assert same.floor == pytest.approx(1 / 18, rel=1e-4)


def test_sets_are_swapped_both_ways_beside_matched_ones(swapped, hand):
    by = {one.how: one for one in swapped.sets}
    counts = Counter(one.how for one in swapped.sets)
    assert counts == {"chosen": 1, "kind": 3, "dose": 3, "direction": 1, "magnitude": 1, "probe": 1, "paraphrase": 1}
    other = HeadSet.of([(3 - 1, 1), (2 * 2 + 2, 0)])
    for row, heads in ((by["chosen"], hand.chosen), (by["probe"], other)):
        into_a, into_b = hand.ways(heads)
        assert (row.into_a, row.into_b) == pytest.approx((into_a, into_b), rel=1e-4, abs=1e-6)
        assert row.sufficiency == pytest.approx((into_a + into_b) / 2, rel=1e-4, abs=1e-6)
    rest = hand.theatre.heads().without(hand.chosen)
    assert by["chosen"].necessity == pytest.approx(1 - hand.ways(rest).mean(), rel=1e-4, abs=1e-6)
    assert by["chosen"].redundancy == pytest.approx(by["chosen"].sufficiency - by["chosen"].necessity, abs=1e-6)
    assert by["chosen"].dose == 1
    assert (by["probe"].of, by["probe"].heads) == ("other", 2)
    assert all(one.heads == len(swapped.heads) for one in swapped.sets if one.how != "probe")
    assert all(one.shared == 0 for one in swapped.sets if one.how == "dose")
    assert by["paraphrase"].off_axis > 0


def test_tokens_are_swapped_alone(swapped, hand):
    found = {one.tokens: one for one in swapped.routes}
    assert list(found) == ["image", "noise", "reference", "text"]
    assert found["image"].all_heads == pytest.approx(1, abs=1e-5)
    for tokens in (TokenRoute.noise, TokenRoute.text):
        expected = hand.ways(hand.theatre.heads(tokens), tokens, first=True).mean()
        assert found[tokens.value].all_heads == pytest.approx(expected, rel=1e-4, abs=1e-6)
    text = HeadSet(tuple(Head(p + 1 if p < 4 else p, h) for p, h in hand.chosen))
    expected = hand.ways(text, TokenRoute.text, first=True).mean()
    assert found["text"].chosen == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_areas_are_over_the_logarithm_of_the_number_of_heads(swapped):
    sizes, f = ([getattr(one, name) for one in swapped.curve] for name in ("heads", "sufficiency"))
    assert (sizes, f[-1]) == ([1, 2, 4, 8, 10], pytest.approx(1, abs=1e-5))
    at = np.log(sizes) / np.log(10)
    assert swapped.areas.cpr == pytest.approx(np.trapezoid(f, at), rel=1e-5)
    assert swapped.areas.cmd == pytest.approx(np.trapezoid(np.abs(1 - np.array(f)), at), rel=1e-5)


def test_the_audit_makes_again_what_a_table_rests_on(swapped, made):
    cell, reader = Cell("looks", "mine", {}), FolderReader(made)
    names = [name for name, said, again in from_table(swapped) if said == again]
    assert len(names) == len(list(from_table(swapped)))
    wanted = {"additivity", "cpr", "p of gate", "statistic of donors", "statistic of decoy (weather)"}
    assert wanted <= set(names)
    assert list(check_swaps(cell, reader)) == []


@pytest.mark.parametrize(
    ("found", "changed"),
    [
        ("additivity", lambda table: {"additivity": table.additivity + 0.001}),
        ("cmd", lambda table: {"areas": table.areas.model_copy(update={"cmd": 0.5})}),
        ("p of donors", lambda table: {"tests": edited(table.tests, 1, p=1 / 35 + 0.5)}),
        (
            "statistic of gate",
            lambda table: {"tests": edited(table.tests, 0, statistic=table.tests[0].statistic * 1.001)},
        ),
        ("statistic of selection", lambda table: {"tests": edited(table.tests, 2, statistic=0.999)}),
        ("distance of decoy", lambda table: {"donors": edited(table.donors, -1, apart=0.9)}),
        ("redundancy of chosen", lambda table: {"sets": edited(table.sets, 0, redundancy=0.9)}),
    ],
)
def test_a_number_that_was_changed_is_found(swapped, made, tmp_path, found, changed):
    root = shutil.copytree(made, tmp_path / "copy")
    path = root / places.causal("mine", "looks")
    path.write_bytes(swapped.model_copy(update=changed(swapped)).to_bytes())
    (problem,) = check_swaps(Cell("looks", "mine", {}), FolderReader(root))
    assert problem.problem.startswith(found)
    assert problem.path == "reports/study/causal/mine/looks.json"


def edited(records, at, **changes):
    found = list(records)
    found[at] = found[at].model_copy(update=changes)
    return found


def test_the_forecast_counts_every_pass(swapped, capsys):
    params = read_params()
    swaps(params, [("looks", "mine")])
    said = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("looks mine"))
    cost = forecast_cost(params, "looks", "mine")
    assert (cost.clean, cost.swapped) == (COUNTED["clean"], COUNTED["swapped"])
    assert f"{cost.swapped:,} swaps of heads" in said
    receipt = read_receipt(places.causal("mine", "looks").with_suffix(".receipt.json"))
    assert receipt.notes["passes"] == round(cost.forwards)


def test_pictures_show_that_all_heads_make_the_donors_picture(swapped, hand):
    path = places.causal_pictures("mine", "looks")
    content = path.read_bytes()
    kept = swapped.pictures
    assert sha256_bytes(content) == kept.sha256
    assert kept.columns == ["recipient", "donor", "the set swapped", "all heads swapped", "random heads"]
    assert len(kept.rows) == 2 * 2 + 2
    sheet = Image.open(path)

    def tile(row, column):
        return np.asarray(sheet.crop(kept.box(row, column))).astype(int)

    for row in range(len(kept.rows)):
        np.testing.assert_array_equal(tile(row, 1), tile(row, 3))
    assert any((tile(row, 0) != tile(row, 1)).any() for row in range(len(kept.rows)))
    again = draw_gallery(
        hand.theatre, design_of("looks", read_params()), lambda name, item: hand.every[name, item], hand.chosen,
        random_alike(hand.theatre.heads(), hand.chosen, hand.theatre.lock.geometry, 0),
    )  # fmt: skip
    assert again.content == content
    receipt = read_receipt(places.causal("mine", "looks").with_suffix(".receipt.json"))
    assert {record.path for record in receipt.writes} == {
        path.as_posix(), places.causal("mine", "looks").as_posix()
    }  # fmt: skip


def test_what_every_head_carries_is_that_of_swaps_made_by_hand(swapped, hand):
    found = [hand.ways(HeadSet((head,))).mean() for head in hand.theatre.heads()]
    assert swapped.mediation_by_head == pytest.approx(found, rel=1e-4, abs=1e-6)
    assert swapped.additivity == pytest.approx(sum(found), rel=1e-4)


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
