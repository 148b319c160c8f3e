"""Results in Python, and every line of code of its page and its notebook."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers.report_fixture import Cell, group_units, item_ids, write_cell, write_verdict

import plantain
from plantain.base.errors import InputError
from plantain.base.params import Measure, Tokens, UnitKind
from plantain.measure.magnitude import measure
from plantain.records.activations import Activations, write_activations
from plantain.records.grams import EVERYTHING, Grams, write_grams
from plantain.records.units import SCHEMA

ROOT = Path(__file__).resolve().parents[1]
CONDITIONS = ("viewpoint", "viewpoint_2", "mention", "mention_2")
HEAVY = {"torch", "diffusers", "transformers", "mlflow", "dvc", "matplotlib", "polars", "numpy", "pydantic"}
FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def write_activation_file(root, cell):
    """Mean squares that tell items, conditions, tokens and groups apart; joint blocks see no text."""
    groups = group_units(cell.geometry).select(pl.exclude("unit", "index_in_block")).with_columns(dead=False)
    groups.cast(dict(SCHEMA)).select(list(SCHEMA)).write_parquet(root / "models" / cell.model / "units.parquet")
    rng = np.random.default_rng(1)
    values = rng.gamma(4.0, size=(1, cell.items, len(CONDITIONS), 1, 2, 4, groups.height)).astype(np.float32)
    values[..., 0, (groups["block_kind"] == "joint").to_numpy()] = np.nan
    values[..., 1, :] = np.nan
    counts = np.tile(np.array([9, 0, 16, 8], np.int32), (cell.items, len(CONDITIONS), 1, 1))
    path = root / "data" / "activations" / cell.model / f"{cell.probe}.safetensors"
    made = Activations(values, counts, tuple(item_ids(cell)), CONDITIONS, ("kitchen",), (0, 1), (0,))
    write_activations(path, made)
    return made, groups


def write_gram_file(root, cell):
    """Gram matrices of vectors over noise tokens; the vectors."""
    vectors = np.random.default_rng(2).normal(size=(len(CONDITIONS), 5, 8))
    centred = vectors - vectors.mean(axis=0)
    first, second = np.triu_indices(len(CONDITIONS))
    products = np.einsum("chw,dhw->hcd", centred, centred)[:, first, second].astype(np.float32)
    subsets = {"odd": ("i",), "all": ("i", "j")}
    mean = {"noise": np.stack([np.zeros_like(products), products])[None, None]}
    made = Grams(mean, {}, {"noise": tuple(range(5))}, CONDITIONS, subsets, (EVERYTHING,), (0,))
    write_grams(root / "data/grams" / cell.model / f"{cell.probe}.safetensors", made)
    return vectors


HOLM = {"probes": 2, "p": 0.04, "p_holm": 0.08, "survives": False, "rung": 0, "sentence": "Rung 6 of 7, fails Holm."}


@pytest.fixture(scope="module")
def vectors(made):
    return write_gram_file(made[0], Cell())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace with one result, and what its activations were made from."""
    root = tmp_path_factory.mktemp("workspace")
    for mark in ("dvc.yaml", "params.yaml", "environment.yaml"):
        (root / mark).write_bytes((ROOT / mark).read_bytes())
    cell = Cell(vectors=True)
    write_cell(root, cell)
    write_verdict(root, holm=HOLM)
    return root, *write_activation_file(root, cell)


@pytest.fixture
def root(made, monkeypatch):
    monkeypatch.chdir(made[0])
    return made[0]


@pytest.fixture
def result(root):
    return plantain.load("otherview@tiny")


def test_what_is_there_is_listed_and_opens_from_any_folder(root, monkeypatch):
    assert plantain.results() == ["otherview@tiny"]
    monkeypatch.chdir(root / "prompts")
    assert plantain.load("otherview@tiny").verdict.rung == 6
    monkeypatch.chdir(root.parent)
    assert plantain.results(root / "data") == ["otherview@tiny"]
    assert plantain.load("otherview@tiny", root=root).verdict.sentence == "Rung 6 of 7, fails Holm."
    assert plantain.load("otherview@tiny", root=root).verdict.metrics == {
        "delta": 15.3,
        "claim_p": 0.04,
        "p_holm": 0.08,
    }


def test_outside_of_a_workspace_the_way_in_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"in no workspace.*plantain init DIR"):
        plantain.results()


@pytest.mark.parametrize(
    ("address", "said"),
    [("otherview", "names no result"), ("nothing@tiny", "no probe 'nothing'"), ("0" * 32, "a run of MLflow")],
)
def test_an_address_that_names_nothing_says_why(root, address, said):
    with pytest.raises(InputError, match=said):
        plantain.load(address)


def test_numbers_and_tables_are_those_of_the_files(result, root):
    summary = json.loads((root / "data/stats/otherview/summary.json".replace("stats/", "stats/tiny/")).read_text())
    for contrast, analyses in summary["contrasts"].items():
        for analysis, told in analyses.items():
            assert result.metrics[contrast][analysis] == pytest.approx(told["metrics"])
    for contrast, measures in summary["vectors"].items():
        for name, told in measures.items():
            assert result.metrics[contrast][name] == pytest.approx(told["metrics"])
    table = pl.read_parquet(root / "data/stats/tiny/otherview/target.heads.parquet")
    assert result.units()["t"].to_list() == table["t"].fill_nan(None).to_list()
    card = pl.read_parquet(root / "data/stats/tiny/otherview/published.card.parquet")
    assert len(result.units("published", "card")) == len(card)
    assert result.prompts.equals(pl.read_parquet(root / "data/prompts/otherview.parquet"))


@pytest.mark.parametrize("measure", ["direction", "profile", "text_direction"])
def test_a_vector_measure_has_the_table_of_its_file(result, root, measure):
    table = pl.read_parquet(root / f"data/stats/tiny/otherview/target.{measure}.parquet")
    found = result.units("target", measure)
    assert found.drop("column").equals(table)
    assert result.units(analysis=measure).equals(found)
    assert measure not in result.metrics["paraphrase"]
    with pytest.raises(InputError, match=f"no analysis '{measure}'.*use one of: card, heads"):
        result.units("paraphrase", measure)
    with pytest.raises(InputError, match=f"no analysis '{measure}'"):
        result.heatmap("target", measure)


def test_another_contrast_can_stand_first(root):
    result = plantain.load("otherview@tiny:paraphrase")
    assert result.verdict.rung == 1
    assert result.units().equals(plantain.load("otherview@tiny").units("paraphrase", "heads"))


def test_a_contrast_or_an_analysis_that_is_not_there_is_refused(result):
    with pytest.raises(InputError, match="no contrast 'targets'"):
        result.units("targets")
    with pytest.raises(InputError, match=r"no analysis 'hands'.*card, heads, direction, profile, text_direction"):
        result.units("target", "hands")


def test_axes_of_the_activations_have_names_and_labels(result, made):
    _, activations, groups = made
    assert list(result.activations.axes) == ["draw", "item", "condition", "reference", "seed", "tokens", "group"]
    part = result.activations.select(draw=0, item="cat", condition="mention", tokens="noise")
    item, condition = activations.items.index("cat"), activations.conditions.index("mention")
    np.testing.assert_array_equal(np.asarray(part), activations.mean_square[0, item, condition, :, :, 2])
    assert part.shape == {"reference": 1, "seed": 2, "group": groups.height}
    assert result.token_count.select(tokens="reference").values.tolist() == activations.token_count[..., 3].tolist()
    assert result.groups.equals(groups.cast(dict(SCHEMA)).select(list(SCHEMA)))
    with pytest.raises(InputError, match="no axis 'head'"):
        part.select(head=0)
    with pytest.raises(InputError, match="no label 'dog'"):
        result.activations.select(item="dog")


def test_the_heatmap_shows_every_unit(result):
    figure = result.heatmap("published", "card")
    drawn = [image.get_array() for axes in figure.axes for image in axes.images]
    shown = np.concatenate([np.ma.filled(array, np.nan).ravel() for array in drawn])
    wanted = result.units("published", "card")["t"].drop_nulls().to_numpy()
    np.testing.assert_allclose(np.sort(shown[np.isfinite(shown)]), np.sort(wanted))


def test_a_result_of_a_revision_is_the_old_one(made, tmp_path):
    root = tmp_path / "history"
    for mark in ("dvc.yaml", "params.yaml", "environment.yaml"):
        root.mkdir(exist_ok=True)
        (root / mark).write_bytes((ROOT / mark).read_bytes())
    write_cell(root, Cell())
    write_activation_file(root, Cell())
    (root / "reports").mkdir()
    receipts = {"cells": [{"probe": "otherview", "model": "tiny"}]}
    (root / "reports/cells.json").write_text(json.dumps(receipts))
    git = lambda *words: subprocess.run(  # noqa: E731
        ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words], cwd=root, check=True, capture_output=True
    )
    git("init", "--quiet")
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("")
    git("add", "--all")
    git("commit", "--quiet", "--message", "Old")
    git("tag", "old")
    before = plantain.load("otherview@tiny", root)
    t, square = before.units()["t"].to_list(), before.activations.values
    write_cell(root, Cell(seed=5))
    (root / "data/activations/tiny/otherview.safetensors").unlink()
    old = plantain.load("otherview@tiny@old", root)
    assert old.units()["t"].to_list() == t != plantain.load("otherview@tiny", root).units()["t"].to_list()
    np.testing.assert_array_equal(old.activations.values, square)


def loaded_by(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_plantain_imports_nothing_heavy():
    assert loaded_by("import sys, plantain; print(*{name.split('.')[0] for name in sys.modules})") & HEAVY == set()


def test_statistics_and_results_import_no_torch():
    program = "import sys, plantain.stats; plantain.load; print(*{name.split('.')[0] for name in sys.modules})"
    assert loaded_by(program) & {"torch", "diffusers", "transformers", "mlflow", "dvc", "matplotlib"} == set()


def test_the_package_says_what_it_offers():
    assert {"load", "results"} <= set(dir(plantain))
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        plantain.laod  # noqa: B018


def test_every_call_of_the_page_runs(root, made, vectors):
    space = {}
    blocks = FENCE.findall((ROOT / "docs/api.md").read_text())
    for block in blocks:
        exec(compile(block, "docs/api.md", "exec"), space)
    assert (root / "heatmap.png").stat().st_size > 10_000
    _, activations, groups = made
    wanted = measure(activations, groups.cast(dict(SCHEMA)), UnitKind.group16, Tokens.image, Measure.rms)
    np.testing.assert_allclose(space["rms"], wanted, rtol=1e-12)
    viewpoint, mention = vectors[0], vectors[2]
    np.testing.assert_allclose(space["distance"], np.linalg.norm(viewpoint - mention, axis=-1), rtol=1e-5)


def test_code_that_needs_no_plantain_imports_none(root, vectors):
    blocks = [block for block in FENCE.findall((ROOT / "docs/api.md").read_text()) if "safe_open" in block]
    assert len(blocks) == 2
    program = "\n".join([*blocks, "import sys", "print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert "plantain" not in done.stdout.split()


def test_the_notebook_runs_and_holds_no_outputs(root):
    notebook = json.loads((ROOT / "docs/api.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"]]
    space = {}
    for cell in code:
        exec(compile("".join(cell["source"]), "docs/api.ipynb", "exec"), space)
    assert np.isfinite(space["change"]).all()
    assert space["result"].address == "otherview@tiny"
