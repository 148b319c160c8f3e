import json
import shutil
from dataclasses import replace

import pytest
import typer
from helpers.command_line import plantain
from helpers.report_fixture import Cell, write_cell, write_verdict
from helpers.track_helpers import write_ledger
from helpers.workspace import ROOT
from typer.testing import CliRunner

from plantain.base.errors import InputError
from plantain.commands.compare import compare
from plantain.commands.show import show
from plantain.report.chance import chance
from plantain.report.columns import GLUE
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


PARAMS = ROOT / "params.yaml"


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


@pytest.fixture
def judged(repository):
    path = write_verdict(repository, rung=6, sentence="Rung 6 of 7: " + "at least one more word, " * 12)
    yield json.loads(path.read_text())
    path.unlink()


def flat(text):
    return " ".join(text.split())


def summary_of(repository, contrast, analysis, model="tiny"):
    path = repository / "data" / "stats" / model / "otherview" / "summary.json"
    return json.loads(path.read_text())["contrasts"][contrast][analysis]


@pytest.mark.parametrize("words", [["show"], ["show", "otherview"], ["show", "otherview@tiny"]])
def test_every_view_fits_a_hundred_columns(call, judged, words):
    assert max(map(len, call(*words).splitlines())) <= 100


def test_chance_stands_beside_the_numbers_that_have_one(call, repository, judged):
    """Read from the records by other code than that which prints."""
    heads = summary_of(repository, "target", "heads")
    null = heads["null"]
    for said in (flat(call("show")), flat(call("show", "otherview@tiny"))):
        assert f"null mean {null['mean']['t3']:.2g}" in said
    said = flat(call("show"))
    low, high = null["p99_interval"]["t3"]
    assert f"null p99 {null['p99']['t3']:g} [95%: {low:g} to {high:g}]" in said
    assert f"p of sign flips {heads['split_half']['null_p']:.2g}" in said


def changed(result, **changes):
    return replace(result.main, summary=result.main.summary.model_copy(update=changes))


def test_concept_information_stands_beside_that_of_untrained_draws(repository, judged):
    result = load_result(repository, "otherview", "tiny")
    told = judged["information"]
    said = chance("concept_information", changed(result, metrics={"concept_information": 4.45}), result)
    assert said.replace(GLUE, " ") == (
        f"re-initialised draws {told['reinit']}, shuffled draws {told['shuffle']}, prompts alone {told['text']}"
    )
    assert chance("concept_information", result.contrast("paraphrase"), result) == "", "the draws are the target's"


def test_no_chance_value_is_made_up(repository):
    result = load_result(repository, "otherview", "tiny")
    assert result.verdict is None
    halves = result.main.summary.split_half.model_copy(update={"null_p": None})
    null = result.main.summary.null.model_copy(update={"mean": {}, "p99": {}, "p99_interval": {}})
    bare = changed(result, metrics={"heads_over_t3": 3.0, "split_half_r": 0.5}, split_half=halves, null=null)
    names = (
        "heads_over_t3",
        "split_half_r",
        "selective_heads_lower_bound",
        "concept_information",
        "max_abs_t",
        "pairs",
    )
    assert {chance(name, bare, result) for name in names} == {""}


def test_untrained_twins_stand_beside_the_published_protocol(call, repository):
    metrics = {"heads_over_t3": 452, "heads_over_t3_fraction": 0.886275}
    path = write_verdict(repository, untrained={"tiny-untrained": {"published": metrics}})
    try:
        assert "tiny-untrained 452 (89%)" in flat(call("show"))
    finally:
        path.unlink()


def test_a_probe_alone_lists_its_models_with_their_verdicts(call, judged):
    said = flat(call("show", "otherview"))
    assert flat(judged["sentence"]) in said
    assert "tiny-untrained (random weights, never trained) Verdict: not tested." in said
    assert "plantain show otherview@tiny" in said
    found = json.loads(call("show", "otherview", "--json"))
    assert [one["result"] for one in found] == ["otherview@tiny", "otherview@tiny-untrained"]


def test_a_probe_without_results_is_told_what_there_is(call):
    with pytest.raises(InputError, match=r"no result of a probe 'dusk'.*there is: otherview@tiny, otherview@tiny-un"):
        call("show", "dusk")


@pytest.mark.skipif(not (ROOT / "data/stats/tiny/otherview").exists(), reason="the results are not pulled")
@pytest.mark.parametrize(
    "words",
    [("show",), ("show", "otherview"), ("show", "otherview@tiny"), ("show", "dense@tiny-untrained"), ("headline",),
     ("show", "otherview@tiny:titles"), ("published", "check")],
)  # fmt: skip
def test_the_recorded_results_fit_a_hundred_columns(words):
    answer = plantain(*words, folder=ROOT)
    assert answer.errors == ""
    assert max(map(len, answer.output.splitlines())) <= 100


@pytest.mark.skipif(not (ROOT / "data/verdicts/tiny/otherview.json").exists(), reason="the results are not pulled")
def test_the_recorded_results_name_what_untrained_draws_score():
    told = json.loads((ROOT / "data/verdicts/tiny/otherview.json").read_text())["information"]
    said = flat(plantain("show", "otherview@tiny", folder=ROOT).output)
    draws = f"re-initialised draws {told['reinit']:.3g}, shuffled draws {told['shuffle']:.3g}"
    assert f"{draws}, prompts alone {told['text']:.3g}" in flat(plantain("show", folder=ROOT).output)
    assert f"re-initialised draws {told['reinit']:.3g}," in said
