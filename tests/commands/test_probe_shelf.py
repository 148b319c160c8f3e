"""The shelf of probes: what is on it, how one comes into a workspace, and how all of them are run."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.command_line import plantain
from helpers.workspace import ROOT

from plantain.base.config import read_params
from plantain.commands import run
from plantain.model.klein_tokens import klein_counter
from plantain.probe.authoring import shelf
from plantain.probe.authoring.check import TokenReader, check_probe
from plantain.stages.pipelines import pipeline_text
from plantain.stages.workspace.template import ON_SHELF

SHELF = ROOT / "src" / "plantain" / "shelf"
SHIPPED = sorted(path.stem for path in SHELF.glob("*.yaml"))


@pytest.fixture
def workspace(checkout):
    """A workspace whose run has one of the shipped probes, and a model alone."""
    for name in ("params.yaml", "environment.yaml", "dvc.yaml", "prompts/otherview.yaml"):
        (checkout / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, checkout / name)
    text = (checkout / "params.yaml").read_text().replace("probes: [otherview, dense]", "probes: [otherview]")
    (checkout / "params.yaml").write_text(text)
    return checkout


def state(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def listed(*arguments):
    answer = plantain("probe", "list", *arguments)
    assert answer.code == 0, answer.errors
    return answer.output


@pytest.mark.parametrize("name", ON_SHELF)
def test_the_default_probes_stand_on_the_shelf_as_they_are_run(name):
    assert (SHELF / name).read_bytes() == (ROOT / ON_SHELF[name]).read_bytes(), "run the module `keep`"


def test_the_list_names_every_probe_once_with_what_a_check_says_of_it(workspace):
    shutil.copy2(SHELF / "dense.yaml", workspace / "prompts" / "dense.yaml")
    with (workspace / "prompts" / "otherview.yaml").open("a") as stream:
        stream.write("# mine\n")
    (workspace / "prompts" / "broken.yaml").write_text("probe: broken\n")
    rows = {row["name"]: row for row in json.loads(listed("--json"))}
    assert sorted(rows) == sorted([*SHIPPED, "broken"])
    kept = {"otherview": "run", "dense": "prompts", "broken": "prompts"}
    assert {name: row["kept"] for name, row in rows.items()} == {name: kept.get(name, "shelf") for name in rows}
    assert [name for name, row in rows.items() if row["edited"]] == ["otherview"]
    assert (rows["broken"]["reach"], "broken.yaml" in rows["broken"]["problem"]) == (None, True)
    reader = TokenReader("klein", klein_counter(), 512)
    for name in SHIPPED:
        told = check_probe(SHELF / f"{name}.yaml", Path(), (reader,), lambda _: (), read_params().verdict)
        assert rows[name]["reach"] == told.reach[0].rung
    assert rows["dense"]["deciding"] == {"archive": "words", "a_pose": "picture"}


def test_the_list_says_in_one_line_each_where_a_probe_is_and_what_decides(workspace):
    line = next(line for line in listed().splitlines() if line.startswith("otherview"))
    assert line.split()[1] == "run"
    assert "Perspective-taking versus mention" in line
    assert "words: titles" in line
    assert all(len(line) <= 100 for line in listed().splitlines())


def test_a_probe_from_the_shelf_is_the_shipped_file_with_stages_and_in_the_run(workspace):
    answer = plantain("probe", "add", "dense")
    assert (answer.code, answer.errors) == (0, "")
    assert Path("prompts/dense.yaml").read_bytes() == (SHELF / "dense.yaml").read_bytes()
    assert read_params().run.probes == ["otherview", "dense"]
    assert Path("pipelines/dense/dvc.yaml").read_bytes() == pipeline_text("dense")
    unlike = [line for line in Path("params.yaml").read_text().splitlines() if "probes: [" not in line]
    assert unlike == [line for line in (ROOT / "params.yaml").read_text().splitlines() if "probes: [" not in line]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["dence"], "use one of: dense."),
        (["qqqq"], "dense, "),
        (["otherview"], "in the run already"),
        (["dense", "otherview"], "in the run already"),
        (["dense", "dence"], "use one of: dense."),
    ],
)
def test_what_cannot_be_added_changes_nothing_and_the_fix_is_told(workspace, names, said):
    before = state(workspace)
    answer = plantain("probe", "add", *names)
    assert answer.code == 2
    assert said in answer.errors
    assert state(workspace) == before


def test_a_file_that_says_something_else_is_never_overwritten(workspace):
    (workspace / "prompts" / "dense.yaml").write_text("precious")
    before = state(workspace)
    answer = plantain("probe", "add", "dense")
    assert (answer.code, "never overwritten" in answer.errors) == (2, True)
    assert state(workspace) == before


def test_a_probe_that_was_taken_out_comes_back(workspace):
    assert plantain("probe", "add", "dense").code == 0
    before = state(workspace)
    assert plantain("probe", "rm", "dense").code == 0
    assert plantain("probe", "add", "dense").code == 0
    assert state(workspace) == before


def test_nothing_is_half_added_when_the_settings_cannot_be_written(workspace, monkeypatch):
    write = shelf.write_atomic

    def fail_on_params(path, data):
        if path.name == "params.yaml":
            raise OSError("disk full")
        write(path, data)

    before = state(workspace)
    monkeypatch.setattr(shelf, "write_atomic", fail_on_params)
    with pytest.raises(OSError, match="disk full"):
        shelf.take(["dense"], Path())
    assert state(workspace) == before


@pytest.fixture
def asked_of_dvc(monkeypatch):
    """What DVC was called with."""
    calls = []
    monkeypatch.setattr(run, "_dvc", lambda *arguments: calls.append(arguments) or 0)
    return calls


def test_the_suite_takes_every_probe_and_runs_all_of_them_at_once(workspace, asked_of_dvc):
    answer = plantain("run", "--suite")
    assert (answer.code, answer.errors) == (0, "")
    assert sorted(read_params().run.probes) == SHIPPED
    assert asked_of_dvc == [("repro",)]
    for name in SHIPPED:
        assert Path(f"prompts/{name}.yaml").read_bytes() == (SHELF / f"{name}.yaml").read_bytes()
        assert Path(f"pipelines/{name}/dvc.yaml").read_bytes() == pipeline_text(name)
    before = state(workspace)
    assert plantain("run", "--suite").code == 0
    assert state(workspace) == before
    assert asked_of_dvc == [("repro",)] * 2


def test_the_suite_beside_a_probe_of_ones_own_leaves_that_alone(workspace, asked_of_dvc):
    assert plantain("probe", "new", "mine").code == 0
    assert plantain("run", "--suite", "--model", "tiny").code == 0
    first, second = asked_of_dvc
    stages = {f"pipelines/{name}/dvc.yaml:analyze@tiny" for name in SHIPPED}
    assert (first[:2], set(first[2:])) == (("repro", "cells"), stages)
    assert {name for name in second if ":" in name} == {name.replace("analyze", "report") for name in stages}


def test_the_suite_is_forecast_without_a_change(workspace, monkeypatch, asked_of_dvc):
    told = []
    monkeypatch.setattr("plantain.commands.forecast.print_forecast", lambda params, cells, studied: told.extend(cells))
    before = state(workspace)
    assert plantain("run", "--suite", "--dry-run").code == 0
    assert sorted(told) == sorted((name, model) for name in SHIPPED for model in read_params().run.models)
    told.clear()
    assert plantain("run", "dense", "--dry-run", "--model", "tiny").code == 0
    assert (told, state(workspace), asked_of_dvc) == ([("dense", "tiny")], before, [])


def test_a_forecast_reads_what_is_not_in_the_workspace_from_the_shelf(workspace):
    answer = plantain("run", "dense", "otherview", "--model", "tiny", "--dry-run")
    assert answer.code == 0, answer.errors
    rows = {line.split()[0]: line.split() for line in answer.output.splitlines() if " tiny " in line}
    assert set(rows) == {"dense", "otherview"}
    assert not (workspace / "prompts" / "dense.yaml").exists()


def test_a_probe_that_is_only_on_the_shelf_is_not_run_by_its_name(workspace, asked_of_dvc):
    answer = plantain("run", "dense")
    assert (answer.code, asked_of_dvc) == (2, [])
    assert "`plantain probe add dense`" in answer.errors


def test_names_and_suite_are_two_choices(workspace, asked_of_dvc):
    answer = plantain("run", "otherview", "--suite")
    assert (answer.code, asked_of_dvc) == (2, [])
    assert "leave out the names" in answer.errors
