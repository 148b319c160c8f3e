"""A probe of somebody's own, from prompts to publish, on local models of other families than FLUX.2 Klein."""

import json
import os
import re
import sys

import numpy as np
import polars as pl
import pytest
from helpers.families import SIZE, build
from helpers.workspace import Workspace
from ruamel.yaml import YAML
from safetensors.numpy import load_file
from scipy import stats

from plantain.stages.pipelines import pipeline_text

PROBE = """
probe: small
title: Red things versus blue things
hypothesis: None; it exercises the pipeline.
conditions:
  red_1: {prompt: "A photograph of {thing} painted scarlet"}
  red_2: {prompt: "Show {thing} with a crimson surface"}
  red_3: {prompt: "Draw {thing} under one coat of cherry varnish"}
  red_4: {prompt: "Render {thing} as if made from tomato glass"}
  blue_1: {prompt: "A photograph of {thing} painted cobalt"}
  blue_2: {prompt: "Show {thing} with a turquoise surface"}
  blue_3: {prompt: "Draw {thing} under one coat of azure varnish"}
  blue_4: {prompt: "Render {thing} as if made from navy glass"}
contrasts:
  target: {a: [red_1, red_2, red_3, red_4], b: [blue_1, blue_2, blue_3, blue_4], role: target}
items:
  - {id: apple, thing: an apple}
  - {id: bicycle, thing: a bicycle}
  - {id: bottle, thing: a bottle}
  - {id: chair, thing: a chair}
  - {id: house, thing: a house}
"""

HEADS = {
    "pixart-sigma": 2 * 2 + 3 * 2,
    "flux1-dev": 2 * 3 + 3 * 3,
    "qwen-image": 3 * 3,
    "z-image": 3 * 3,
    "sd35-medium": 3 * 2 + 2 * 2,
    "sana": 2 * 7 + 3 * 2,
    "auraflow": 2 * 3 + 3 * 3,
}
"""Heads that see image tokens and that text can reach: blocks times heads of each kind."""

DEAD = {"pixart-sigma": 2, "z-image": 2 * 3, "sana": 7}


def run(folder, families):
    """A new workspace with a local model of each family, and what `plantain run` said in it."""
    workspace = Workspace(folder)
    workspace.environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    workspace.run(sys.executable, "-m", "plantain.cli", "init", "mine")
    workspace.path = folder / "mine"
    path = workspace.path / "params.yaml"
    yaml = YAML()
    params = yaml.load(path.read_text())
    params["run"] = {"probes": ["small"], "models": list(families)}
    for name in families:
        where = {"source": "local", "path": str(build(name, folder / name)), "device": "cpu", "dtype": "float32"}
        params["models"][name] = where | {"height": SIZE, "width": SIZE, "max_sequence_length": 64}
    yaml.dump(params, path)
    (workspace.path / "prompts" / "small.yaml").write_text(PROBE)
    (workspace.path / "pipelines" / "small").mkdir()
    (workspace.path / "pipelines" / "small" / "dvc.yaml").write_bytes(pipeline_text("small", checkout=False))
    workspace.commit("A probe on models of other families")
    return workspace, workspace.run(sys.executable, "-m", "plantain.cli", "run", timeout=1500)


def check(workspace, said, name):
    """Every stage ran, and the numbers of the one analysis that is stood behind are SciPy's of the activations."""
    ran = re.findall(r"Running stage '(?:pipelines/small/dvc.yaml:)?([^']+)'", said)
    of_cell = {f"{stage}@{name}" for stage in ("model", "reference", "capture", "analyze", "report")}
    assert of_cell | {"prompts", "cells", "verdict", "compare", "publish"} <= set(ran)
    metrics = json.loads((workspace.path / "reports" / name / "small" / "metrics.json").read_text())["target"]
    assert metrics["heads"]["units"] == metrics["heads"]["alive_units"] == HEADS[name]
    found, expected = t_of(workspace, name)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert metrics["heads"]["heads_over_t3"] == (np.abs(expected) > 3).sum()
    page = (workspace.path / "reports" / name / "small" / "index.html").read_text()
    dead = re.search(r"(\d+) heads are dead by design", page)
    assert (int(dead[1]) if dead else 0) == DEAD.get(name, 0)
    ledger = json.loads((workspace.path / "reports" / "ledger.json").read_text())["numbers"]
    logged = [one["metrics"] for one in ledger if (one["model"], one["analysis"]) == (name, "heads")]
    assert [one["heads_over_t3"] for one in logged] == [metrics["heads"]["heads_over_t3"]]
    assert (workspace.path / "mlflow" / "published.json").exists()


def t_of(workspace, name):
    """t over items of every head: as the table has it, and by hand."""
    squares = load_file(workspace.path / f"data/activations/{name}/small.safetensors")["mean_square"]
    groups = pl.read_parquet(workspace.path / f"models/{name}/units.parquet").with_row_index("group")
    table = pl.read_parquet(workspace.path / f"data/stats/{name}/small/target.heads.parquet")
    expected = []
    for kind, block, stream, head in table.select("block_kind", "block", "stream", "head").iter_rows():
        same = {"block_kind": kind, "block": block, "stream": stream, "head": head, "part": "attention"}
        mine = groups.filter(*(pl.col(key) == value for key, value in same.items()))
        assert not mine["dead"].any()
        noise = squares[:, :, 0, 0, 2][:, :, mine["group"].to_numpy()].astype(float)
        level = 0.5 * np.log(noise.mean(-1))
        expected.append(stats.ttest_rel(level[:, :4].mean(1), level[:, 4:].mean(1)).statistic)
    return table["t"].to_numpy(), np.array(expected)


@pytest.mark.long
def test_a_probe_runs_on_a_local_model_of_another_family(tmp_path):
    workspace, said = run(tmp_path, ["pixart-sigma"])
    check(workspace, said, "pixart-sigma")


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_probe_runs_on_local_models_of_six_families_side_by_side(tmp_path):
    families = [name for name in HEADS if name != "pixart-sigma"]
    workspace, said = run(tmp_path, families)
    for name in families:
        check(workspace, said, name)
    everything = (workspace.path / "reports" / "index.html").read_text()
    assert all(name in everything for name in families)
    assert "up to date" in workspace.run(sys.executable, "-m", "plantain.cli", "run")
    assert "Every link holds" in workspace.run(sys.executable, "-m", "plantain.cli", "audit")
