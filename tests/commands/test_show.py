import json
import shutil
from pathlib import Path

import pytest
import typer
from helpers.report_fixture import Cell, write_cell, write_verdict
from helpers.track_helpers import write_ledger
from typer.testing import CliRunner

from plantain.base.errors import InputError
from plantain.commands.compare import compare
from plantain.commands.show import show
from plantain.report.compare import contents as comparing
from plantain.report.compare.write import write_compare
from plantain.report.result import load_result
from plantain.track.reopen import bring_result
from plantain.track.results import FolderReader


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = write_cell(tmp_path_factory.mktemp("repository"), Cell())
    write_cell(root, Cell(model="tiny-untrained", of="tiny", seed=1))
    (root / "reports").mkdir()
    cells = [{"probe": "otherview", "model": model} for model in ("tiny", "tiny-untrained")]
    (root / "reports" / "cells.json").write_text(json.dumps({"cells": cells}))
    return root


@pytest.fixture
def call(repository, monkeypatch):
    monkeypatch.chdir(repository)
    monkeypatch.delenv("PLANTAIN_CACHE", raising=False)
    app = typer.Typer()
    app.command()(show)
    app.command()(compare)

    def run(*arguments):
        outcome = CliRunner().invoke(app, list(arguments))
        if outcome.exception and not isinstance(outcome.exception, SystemExit):
            raise outcome.exception
        return outcome.output

    return run


def test_show_prints_one_result_and_its_json(call, repository):
    path = repository / "data" / "stats" / "tiny" / "otherview" / "summary.json"
    metrics = json.loads(path.read_text())["contrasts"]["target"]["heads"]["metrics"]
    said = call("show", "otherview@tiny")
    assert "Verdict: not tested" in said
    assert f"{metrics['max_abs_t']:.1f}" in said
    found = json.loads(call("show", "otherview@tiny", "--json"))
    assert found["metrics"] == pytest.approx(metrics)
    assert (found["analysis"], found["untrained"], found["verdict"]) == ("target.heads", False, None)


def test_show_takes_a_contrast(call):
    assert "paraphrase.heads" in call("show", "otherview@tiny:paraphrase")
    with pytest.raises(InputError, match="no contrast 'nothing'"):
        call("show", "otherview@tiny:nothing")


def test_show_without_a_name_prints_every_headline(call):
    said = call("show")
    assert "otherview@tiny\n" in said
    assert "otherview@tiny-untrained  (random weights" in said


def test_compare_writes_a_page_and_warns(call, repository):
    said = call("compare", "otherview@tiny", "otherview@tiny-untrained")
    page = repository / ".plantain" / "compare.html"
    assert f"Wrote {page}" in said
    assert "Not a fair" not in said
    assert "otherview@tiny beside otherview@tiny-untrained" in page.read_text(encoding="utf-8")


def test_compare_answers_programs(call):
    found = json.loads(call("compare", "otherview@tiny", "otherview@tiny-untrained:published", "--json"))
    assert [one["analysis"] for one in found["results"]] == ["target.heads", "published.heads"]
    assert [one["untrained"] for one in found["results"]] == [False, True]


def test_compare_says_how_often_each_model_was_asked(call, repository):
    write_ledger(repository, ("otherview", "tiny", "1" * 64), ("dense", "tiny", "2" * 64))
    said = call("compare", "otherview@tiny", "otherview@tiny-untrained")
    counts = (
        "tiny was asked at least 2 probes in 3 prompt sets; tiny-untrained was asked at least 1 probe in 1 prompt set"
    )
    assert f"{counts}; where there is nothing to find, up to one prompt set in twenty" in said
    assert counts in (repository / ".plantain" / "compare.html").read_text(encoding="utf-8")
    assert "tiny was asked at least 2 probes in 3 prompt sets" in (repository / "reports" / "asked.js").read_text()
    found = json.loads(call("compare", "otherview@tiny", "otherview@tiny-untrained", "--json"))["asked"]
    assert found["tiny"] == {"model": "tiny", "probes": 2, "prompt_sets": 3, "whole": False}
    (repository / "reports" / "ledger.json").unlink()


def test_compare_needs_two(call):
    with pytest.raises(InputError, match="nothing to be compared with"):
        call("compare", "otherview@tiny")


def test_a_result_of_a_revision_reads_like_one_of_the_workspace(repository, tmp_path):
    bring_result(FolderReader(repository), "otherview", "tiny", tmp_path)
    brought, here = load_result(tmp_path, "otherview", "tiny", "v1.0"), load_result(repository, "otherview", "tiny")
    assert brought.address == "otherview@tiny@v1.0"
    assert brought.main.metrics == here.main.metrics
    assert comparing.unfair([brought, here]) == []
    assert comparing.prompt_diff(brought, here).changed == []
    write_compare([brought, here], tmp_path / "compare.html")
    assert "otherview@tiny@v1.0 beside otherview@tiny" in (tmp_path / "compare.html").read_text(encoding="utf-8")


def test_compare_refuses_one_result_twice_and_a_folder_as_its_page(call, tmp_path):
    with pytest.raises(InputError, match="otherview@tiny is named twice"):
        call("compare", "otherview@tiny", "otherview@tiny")
    with pytest.raises(InputError, match="this is a folder"):
        call("compare", "otherview@tiny", "otherview@tiny-untrained", "--out", str(tmp_path))


PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nope@tiny", "there is no probe 'nope'.*use one of: otherview"),
        ("otherview@nope", "there is no model 'nope'.*use one of: .*tiny-reinit"),
        ("otherview@tiny-reinit", "family of untrained draws.*show otherview@tiny"),
        (
            "otherview@tiny-mention",
            r"run\.models: 'tiny-mention' is not run.*plantain run otherview --model tiny-mention",
        ),
    ],
)
def test_a_name_without_a_result_is_explained(call, repository, address, said):
    shutil.copy(PARAMS, repository / "params.yaml")
    with pytest.raises(InputError, match=said):
        call("show", address)


def test_every_contrast_is_shown_with_its_own_verdict(call, repository):
    path = write_verdict(repository, rung=6)
    try:
        assert "Rung 6 of 7. Target." in call("show", "otherview@tiny")
        said = call("show", "otherview@tiny:paraphrase")
        assert "paraphrase, exploratory: Rung 1 of 7: paraphrase." in said
        assert "Rung 6" not in said
        found = json.loads(call("show", "otherview@tiny:paraphrase", "--json"))["verdict"]
        assert (found["rung"], found["contrast"], found["exploratory"]) == (1, "paraphrase", True)
        found = json.loads(call("show", "otherview@tiny:length", "--json"))["verdict"]
        assert found is None
    finally:
        path.unlink()
