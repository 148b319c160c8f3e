"""Which contrast speaks for a cell: the verdict, the page, the terminal and MLflow follow one rule."""

from dataclasses import replace

import pytest
from helpers import track_helpers
from helpers.track_helpers import make_results, role_of
from helpers.verdict_cells import CONTROL, FRAME, cell, contrasts, log_rms

from plantain.ladder.judge import judge
from plantain.probe.spec import Role
from plantain.report.result import load_result
from plantain.track.mlflow.projection import project
from plantain.track.results import FolderReader, read_results

CASES = {
    "all": (("zebra", "published", "target"), "target", "published"),
    "no target": (("zebra", "published", "apple"), "published", "published"),
    "no published": (("apple", "target"), "target", "target"),
    "controls alone": (("zebra", "apple"), "apple", None),
}


def numbers(seed, names):
    """Others for every contrast and analysis."""
    return {
        name: {"heads": {"heads_over_t3": float(10 * at)}, "card": {"heads_over_t3": float(10 * at + 1)}}
        for at, name in enumerate(names, start=1)
    }


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture
def made(checkout, case, monkeypatch):
    monkeypatch.setattr(track_helpers, "metrics", numbers)
    make_results(checkout, probes=("otherview",), contrasts=case[0])
    return checkout


def test_the_verdict_rests_on_it(case):
    names, speaks, _ = case
    found = tuple(replace(CONTROL, name=name, role=Role(role_of(name))) for name in names)
    values = log_rms()
    one = cell(values, *found)
    record = judge(replace(one, contrasts=replace(contrasts(), contrasts=found)), FRAME)
    assert record.contrast == speaks
    assert set(record.exploratory) == {*names} - {speaks}


def test_the_page_and_the_terminal_begin_with_it(made, case):
    names, speaks, repeats = case
    result = load_result(made, "otherview", "tiny")
    assert result.main.label == f"{speaks}.heads"
    assert (result.card.contrast if result.card else None) == repeats
    assert [one.contrast for one in result.controls] == sorted({*names} - {speaks, "published", "target"})


def test_mlflow_carries_its_numbers_under_plain_names(made, case):
    _, speaks, repeats = case
    reader = FolderReader(made)
    results = read_results(reader)
    (parent,) = [run for run in project(results, reader, [], made) if run.kind == "cell"]
    metrics = results.cells[0].held["analyze"].receipt.metrics
    plain = {name: value for name, value in parent.metrics.items() if not name.startswith("card.")}
    card = {name.removeprefix("card."): value for name, value in parent.metrics.items() if name.startswith("card.")}
    assert plain == metrics[speaks]["heads"]
    assert card == (metrics[repeats]["card"] if repeats else {})
    assert parent.series, "its profile over blocks"
