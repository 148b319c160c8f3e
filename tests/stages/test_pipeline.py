import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers.workspace import Workspace, copy_repository
from ruamel.yaml import YAML
from safetensors.numpy import load_file
from scipy import stats

from plantain.records.activations import read_activations, write_activations
from plantain.records.grams import read_grams
from plantain.stages.rooms import SETTINGS
from plantain.track.audit.recompute import check_capture
from plantain.track.results import FolderReader, read_cell

ROOT = Path(__file__).resolve().parents[2]
CELLS = [("mini", "tiny"), ("mini", "tiny-untrained")]
METRICS = {
    *("units", "alive_units", "pairs", "max_abs_t", "effect", "heads_over_d08", "heads_over_d08_fraction"),
    *("heads_over_t3", "heads_over_t3_fraction", "null_mean_t3", "null_p99_t3"),
    *("heads_over_t5", "heads_over_t5_fraction", "null_mean_t5", "null_p99_t5"),
    *("split_half_r", "split_half_r_q25", "split_half_r_q75"),
}


def kind(stage):
    return stage.partition(":")[2].partition("@")[0] or stage.partition("@")[0]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A repository in which the pipeline has run once, and the stages that ran."""
    workspace = copy_repository(tmp_path_factory.mktemp("pipeline"))
    stages = workspace.repro()
    workspace.commit("Results")
    return workspace, stages


def test_every_stage_of_every_cell_ran(done):
    _, stages = done
    cells = [
        f"{probe}:{name}@{model}" for name in ("reference", "capture", "analyze", "report") for probe, model in CELLS
    ]
    others = ["basis", "model@tiny", "model@tiny-untrained", "mini:prompts", "cells", "verdict", "compare", "publish"]
    assert sorted(stages) == sorted([*cells, *others])


def test_every_stage_uses_the_settings_that_dvc_knows_it_by(done):
    """What a stage reads stands in its receipt; what DVC credits it with, in its file of the stage `basis`."""
    workspace, _ = done
    receipts = [json.loads(path.read_text()) for path in (workspace.path / "receipts").rglob("*.json")]
    assert {one["stage"] for one in receipts} == {*SETTINGS} - {"cells", "publish"}
    for receipt in receipts:
        known = json.loads((workspace.path / "data/basis" / f"{receipt['stage']}.json").read_text())
        used = {name: value for name, value in receipt["params"].items() if not name.startswith("environment.")}
        assert (known["settings"], known["code"]) == (used, receipt["code"])
        assert {f"environment.{name}": value for name, value in known["versions"].items()}.items() <= (
            receipt["params"].items()
        )


@pytest.mark.parametrize("cell", CELLS)
def test_the_card_analysis_has_every_number_of_the_cards(done, cell):
    workspace, _ = done
    probe, model = cell
    metrics = json.loads((workspace.path / "reports" / model / probe / "metrics.json").read_text())["published"]
    assert set(metrics["card"]) >= METRICS
    assert set(metrics["heads"]) >= METRICS
    assert metrics["card"]["pairs"] == 5
    assert metrics["heads"]["units"] == 75
    assert metrics["card"]["units"] == 5 * 6 + 20 * 24


def test_the_t_map_of_the_card_is_what_scipy_makes_of_the_activations(done):
    workspace, _ = done
    tensors = load_file(workspace.path / "data/activations/tiny/mini.safetensors")
    groups = pl.read_parquet(workspace.path / "models/tiny/units.parquet")
    counts = tensors["token_count"][:, :, 0].astype(float)
    square = tensors["mean_square"][:, :, 0, 0].astype(float)
    seen = ~np.isnan(square)
    weight = seen * counts[..., None]
    pooled = (np.where(seen, square, 0) * weight).sum(2) / weight.sum(2)
    rms = np.sqrt(pooled[..., (groups["stream"] != "text").to_numpy()])
    table = pl.read_parquet(workspace.path / "data/stats/tiny/mini/published.card.parquet")
    conditions = ["viewpoint", "mention"]
    records = pl.read_parquet(workspace.path / "data/prompts/mini.parquet")
    order = [records["condition"].unique(maintain_order=True).to_list().index(name) for name in conditions]
    expected = stats.ttest_rel(rms[:, order[0]], rms[:, order[1]]).statistic
    np.testing.assert_allclose(table["t"].to_numpy(), expected, rtol=1e-9)
    metrics = json.loads((workspace.path / "reports/tiny/mini/metrics.json").read_text())["published"]["card"]
    assert metrics["heads_over_t3"] == (np.abs(expected) > 3).sum()
    assert metrics["heads_over_d08"] == (np.abs(expected) / np.sqrt(5) > 0.8).sum()


@pytest.mark.parametrize("cell", CELLS)
def test_gram_matrices_are_an_out_of_the_capture_and_no_vectors_are_left(done, cell):
    workspace, _ = done
    probe, model = cell
    found = read_grams(workspace.path / "data/grams" / model / f"{probe}.safetensors")
    held = read_activations(workspace.path / "data/activations" / model / f"{probe}.safetensors")
    items = held.items
    halves = {"odd": (items[0], items[2], items[4]), "even": (items[1], items[3])}
    assert found.subsets == {"all": items, **halves, "sampled": items}
    assert list(found.subsets) == ["all", "odd", "even", "sampled"]
    assert found.conditions == held.conditions
    assert found.header["capture_key"] == held.header["capture_key"]
    assert {name: len(rows) for name, rows in found.heads.items()} == dict.fromkeys(held.tokens, 75)
    assert all(np.isfinite(values).all() for values in (*found.mean.values(), *found.profile.values()))
    assert not list((workspace.path / ".plantain/vectors").rglob("*.safetensors"))


def test_a_verdict_sets_the_untrained_networks_numbers_beside_the_trained_ones(done):
    workspace, _ = done
    told = json.loads((workspace.path / "data/verdicts/tiny/mini.json").read_text())["untrained"]
    metrics = json.loads((workspace.path / "reports/tiny-untrained/mini/metrics.json").read_text())["published"]["card"]
    assert list(told) == ["tiny-untrained"]
    beside = {key: value for key, value in told["tiny-untrained"]["published"].items() if value is not None}
    assert beside == pytest.approx(metrics, rel=1e-5)
    assert json.loads((workspace.path / "data/verdicts/tiny-untrained/mini.json").read_text())["untrained"] == {}


def test_a_second_repro_does_nothing_and_says_so(done):
    workspace, _ = done
    assert "Data and pipelines are up to date." in workspace.dvc("repro")
    assert workspace.git("status", "--porcelain") == ""
    assert "up to date" in workspace.dvc("status")


def test_the_dvc_views_answer(done):
    workspace, _ = done
    assert "heads_over_t3" in workspace.dvc("metrics", "show")
    assert "capture" in workspace.dvc("dag", "--collapse-foreach-matrix", "--mermaid")


def test_dvc_plots_draws_the_declared_plots_of_a_cell_and_nothing_else(done):
    workspace, _ = done
    workspace.dvc("plots", "show", "--out", "plots_page")
    page = (workspace.path / "plots_page" / "index.html").read_text()
    declared = YAML(typ="safe").load((workspace.path / "dvc.yaml").read_text())["plots"]
    assert page.count("vegaEmbed(") == len(declared), "a chart for every declared plot, and none that DVC made up"
    for values in ('"share_over_t3": "0.', '"flips": "', '"block": "s19"', '"cell": "mini@tiny-untrained"'):
        assert values in page.replace("'", '"')
    workspace.run("rm", "-r", "plots_page")


def test_passes_run_again_are_those_of_the_activations_and_a_changed_one_is_named(done, monkeypatch):
    workspace, _ = done
    monkeypatch.chdir(workspace.path)
    reader = FolderReader(workspace.path)
    cell = read_cell(reader, "mini", "tiny")
    assert list(check_capture(cell, reader, passes=10)) == []
    path = workspace.path / "data/activations/tiny/mini.safetensors"
    stored = read_activations(path)
    changed = stored.mean_square.copy()
    changed[0, 2, 1, 0, 0, 2, 0] *= 1.001
    path.unlink()
    write_activations(path, replace(stored, mean_square=changed))
    (broken,) = check_capture(cell, reader, passes=10)
    workspace.dvc("checkout", "--force", str(path))
    item, condition = stored.items[2], stored.conditions[1]
    assert broken.link == "activations"
    assert f"item '{item}' in condition '{condition}'" in broken.problem


@pytest.fixture(scope="module")
def clone(done, tmp_path_factory):
    """A clone that pulled everything from a local remote."""
    workspace, _ = done
    remote = tmp_path_factory.mktemp("remote")
    workspace.dvc("remote", "add", "--local", "--default", "shelf", str(remote))
    workspace.dvc("push")
    path = tmp_path_factory.mktemp("clone") / "copy"
    workspace.git("clone", "--quiet", str(workspace.path), str(path))
    copy = Workspace(path)
    copy.dvc("remote", "add", "--local", "--default", "shelf", str(remote))
    copy.dvc("pull")
    return copy


def test_after_a_pull_only_publish_runs_and_the_tree_stays_clean(clone):
    assert clone.repro() == ["publish"]
    assert clone.git("status", "--porcelain") == ""
    assert (clone.path / "mlflow" / "mlflow.db").exists()


@pytest.fixture
def again(clone):
    """The clone with everything as it was committed."""
    clone.git("checkout", "--quiet", ".")
    clone.repro()
    return clone


@pytest.mark.long
def test_one_changed_prompt_reruns_what_reads_prompts_and_restored_captures_nothing(again):
    again.replace("prompts/mini.yaml", "a parrot", "a grey parrot")
    cells = [f"{probe}:{name}@{model}" for name in ("capture", "analyze", "report") for probe, model in CELLS]
    assert sorted(again.repro()) == sorted([*cells, "mini:prompts", "verdict", "compare", "publish"])
    again.git("checkout", "--quiet", ".")
    assert {kind(stage) for stage in again.repro()} <= {"analyze", "verdict", "publish"}
    assert again.git("status", "--porcelain") == "", "the same bytes"


@pytest.mark.long
def test_a_picture_changed_by_hand_is_seen_and_brought_back_and_nothing_runs(again):
    picture = again.path / "data/references/tiny/mini/kitchen.png"
    before = picture.read_bytes()
    picture.unlink()  # DVC's cache may hold the same file
    picture.write_bytes(before + b"more")
    assert "data/references/tiny/mini" in again.dvc("status")
    assert again.repro() == [], "DVC's run cache holds what `reference` made"
    assert picture.read_bytes() == before


@pytest.mark.long
def test_a_changed_threshold_reruns_no_capture(again):
    again.replace("params.yaml", "thresholds: [3.0, 5.0]", "thresholds: [3.0, 4.0]")
    assert "analyses.card.thresholds" in again.dvc("params", "diff")
    stages = again.repro()
    assert {kind(stage) for stage in stages} == {"basis", "analyze", "verdict", "report", "compare", "publish"}


@pytest.mark.long
def test_a_model_taken_out_and_put_back_is_restored_not_recomputed(again):
    again.replace("params.yaml", "models: [tiny, tiny-untrained]", "models: [tiny]")
    # The trained model's page loses the column of the untrained one.
    assert set(again.repro()) == {"basis", "cells", "verdict", "mini:report@tiny", "compare", "publish"}
    assert not (again.path / "data/stats/tiny-untrained/mini").exists()
    again.git("checkout", "--quiet", "params.yaml")
    restored = {kind(stage) for stage in again.repro()}
    assert restored <= {"basis", "cells", "verdict", "report", "compare", "publish"}
    assert (again.path / "data/stats/tiny-untrained/mini/summary.json").exists()
    assert again.git("status", "--porcelain") == ""


@pytest.mark.long
def test_a_temporary_experiment_leaves_the_workspace_alone(again):
    output = again.dvc(
        "exp", "run", "--temp", "--set-param", "run.models=[tiny]", "--set-param", "analyses.heads.seed=7"
    )
    assert "Ran experiment" in output
    assert again.git("status", "--porcelain") == ""
