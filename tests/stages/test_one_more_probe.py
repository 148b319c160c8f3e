"""One probe more costs what it is itself: real git and real dvc, a probe that Holm's correction counts, and another."""

import json
import zipfile

import pytest
from helpers.command_line import plantain
from helpers.workspace import copy_repository, forget_outer_checkout

from plantain.base import places
from plantain.base.files import write_atomic
from plantain.records.cells import cells_of
from plantain.stages import compare, verdict
from plantain.stages.pipelines import pipeline_text
from plantain.stages.workspace.make import make_workspace
from plantain.track.audit.family import check_family
from plantain.track.results import FolderReader, read_results

PROBE = """
probe: {name}
title: Enough wordings to be counted
hypothesis: None; it exercises the pipeline.
conditions:
  look_1: {{prompt: "Render {place} from the viewpoint of {{creature}}"}}
  look_2: {{prompt: "Show {place} as {{creature}} sees it"}}
  look_3: {{prompt: "Draw what {{creature}} would perceive in {place}"}}
  look_4: {{prompt: "Become {{creature}} looking at {place}"}}
  with_1: {{prompt: "Render {place} with {{creature}} in it"}}
  with_2: {{prompt: "Show {place} that contains {{creature}} somewhere"}}
  with_3: {{prompt: "Draw {{creature}} standing around near {place}"}}
  with_4: {{prompt: "Paint {place} and beside it {{creature}}"}}
contrasts:
  target: {{role: target, a: [look_1, look_2, look_3, look_4], b: [with_1, with_2, with_3, with_4]}}
items:
  - {{id: cat, creature: a cat}}
  - {{id: dog, creature: a small dog}}
  - {{id: parrot, creature: a parrot}}
  - {{id: snake, creature: a snake}}
"""
OWN = {f"yard:{stage}" for stage in ("prompts", "reference@tiny", "capture@tiny", "analyze@tiny", "report@tiny")}


def add(workspace, name, place):
    (workspace.path / places.probe_file(name)).write_text(PROBE.format(name=name, place=place))
    target = workspace.path / places.pipeline(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(pipeline_text(name, checkout=True))


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """The workspace with one probe run, then with two; the stages of the second run, and the page of before."""
    workspace = copy_repository(tmp_path_factory.mktemp("grown"))
    add(workspace, "mini", "this kitchen")
    workspace.replace("params.yaml", "models: [tiny, tiny-untrained]", "models: [tiny]")
    workspace.repro()
    before = {path: (workspace.path / path).read_bytes() for path in kept_files()}
    table = holm(workspace)
    add(workspace, "yard", "the old courtyard")
    workspace.replace("params.yaml", "probes: [mini]", "probes: [mini, yard]")
    return workspace, workspace.repro(), before, table


def kept_files():
    return (
        places.page("tiny", "mini"),
        places.verdict("tiny", "mini"),
        places.receipt("report", model="tiny", probe="mini"),
    )


def holm(workspace):
    return json.loads((workspace.path / places.HOLM).read_text())["models"]["tiny"]


@pytest.mark.long
def test_it_runs_its_own_stages_and_those_over_all_cells(grown):
    workspace, stages, before, alone = grown
    assert set(stages) == OWN | {"basis", "cells", "verdict", "compare", "publish"}
    assert {path: (workspace.path / path).read_bytes() for path in before} == before
    now = holm(workspace)
    assert (alone["mini"]["probes"], now["mini"]["probes"], now["yard"]["probes"]) == (1, 2, 2)
    assert now["mini"]["p"] == alone["mini"]["p"]
    assert workspace.repro() == []


@pytest.mark.long
def test_a_cell_that_did_not_change_is_not_judged_anew(grown):
    workspace, *_ = grown
    assert len(list((workspace.path / ".plantain/verdicts").glob("*/*.json"))) == 2, "a note a cell, made once"


@pytest.mark.long
def test_every_reader_gets_the_numbers_of_the_family_that_now_is(grown, monkeypatch, tmp_path):
    workspace, *_ = grown
    monkeypatch.chdir(workspace.path)
    wanted = holm(workspace)["mini"]
    table = json.loads((workspace.path / places.VERDICTS).read_text())["mini"]["tiny"]
    assert (table["p_holm"], table["claim_p"]) == (wanted["p_holm"], wanted["p"])
    told = json.loads(plantain("show", "mini@tiny", "--json").output)["verdict"]
    assert (told["metrics"]["p_holm"], told["sentence"]) == (wanted["p_holm"], wanted["sentence"])
    card = plantain("card", "mini@tiny").output
    assert "Of 2 probes put to this model" in card
    assert plantain("export", "crate", "mini@tiny", "--out", str(tmp_path / "one.zip")).code == 0
    assert zipfile.ZipFile(tmp_path / "one.zip").read("README.md").decode() == card
    assert "Of 2 probes put to this model" in (workspace.path / places.HOLM_SCRIPT).read_text()
    row = json.loads((workspace.path / places.TABLE_JSON).read_text())["rows"][0]
    assert (row["holm"]["probes"], row["holm"]["p_holm"]) == (2, wanted["p_holm"])


@pytest.mark.long
def test_an_audit_makes_them_again_from_the_verdicts(grown):
    workspace, *_ = grown
    reader = FolderReader(workspace.path)
    assert list(check_family(read_results(reader), reader)) == []
    edits = ((places.HOLM, '"probes": 2', '"probes": 1'), (places.VERDICTS, '"claim_p": ', '"claim_p": 1'))
    for path, old, new in edits:
        content = (workspace.path / path).read_text()
        (workspace.path / path).write_text(content.replace(old, new, 1))
        (broken,) = check_family(read_results(reader), FolderReader(workspace.path))
        assert (broken.path, broken.cell) == (path.as_posix(), "mini@tiny")
        (workspace.path / path).write_text(content)


def test_a_run_without_any_result_gives_empty_tables(tmp_path, monkeypatch):
    """As after `plantain run` of a probe whose cells were all dropped: no cell is judged, and every out is there."""
    forget_outer_checkout(monkeypatch)
    monkeypatch.chdir(make_workspace(tmp_path / "mine").path)
    write_atomic(places.CELLS, cells_of(["mine"], ["tiny"]).to_bytes())
    verdict.main()
    compare.main()
    assert json.loads(places.HOLM.read_text())["models"] == {}
    assert (places.VERDICTS.read_text(), places.HOLM_SCRIPT.read_text()) == ("{}\n", "const HOLM = {};\n")
    assert json.loads(places.TABLE_JSON.read_text())["rows"] == []
