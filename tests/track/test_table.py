import colorsys
import json
import shutil

import pytest
from helpers.track_helpers import judge, make_cell, metrics, parameters, runs, shown
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from plantain.track.mlflow.headline import NUMBERS, chosen, figures_of_row, run_color
from plantain.track.mlflow.publish import publish
from plantain.track.mlflow.sync import sync

QUERY = "attributes.run_name = 'dense@tiny'"


def client_of(root):
    return MlflowClient(f"sqlite:///{root}/mlflow/mlflow.db")


def hls(color):
    assert len(color) == 7
    return colorsys.rgb_to_hls(*(int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)))


def test_a_row_has_the_numbers_that_matter_in_that_order_and_its_children_have_all(judged):
    row, *rest = shown(judged, QUERY)
    assert not rest
    held = client_of(judged).get_run(row.info.run_id).data.metrics
    expected = ["verdict_rung", "concept_information", "heads_over_t3", "pairs", "card.heads_over_t3"]
    assert [name for name in held if not name.startswith("blocks/")] == expected
    child = next(run for run in shown(judged, "tags.probe = 'dense'") if run.info.run_name == "target.heads")
    assert metrics(0.0)["target"]["heads"].items() <= child.data.metrics.items()
    assert "max_abs_t" not in held


def test_no_number_of_a_row_is_lost_or_made_up():
    numbers = dict.fromkeys(["max_abs_t", *reversed(NUMBERS)], 1.0)
    assert list(chosen(numbers)) == list(NUMBERS)
    assert len(NUMBERS) <= 13


def test_a_row_has_three_figures_of_the_contrast_that_speaks_and_as_many_as_there_are():
    names = ("heatmap", "controls.heads", "target.heads.null", "published.heads.null", "target.heads.top")
    paths = [f"figures/{name}.png" for name in names]
    assert list(figures_of_row(paths, "target").values()) == [paths[0], paths[1], paths[2]]
    assert list(figures_of_row(paths, "published").values()) == [paths[0], paths[1], paths[3]]
    assert figures_of_row(paths[:1], None) == {"heatmap": paths[0]}


def test_a_probe_has_a_hue_and_its_untrained_twin_the_same_one_pale():
    trained, twin = run_color("dense", "tiny", untrained=False), run_color("dense", "tiny-untrained", untrained=True)
    assert hls(trained)[0] == pytest.approx(hls(twin)[0], abs=0.02)
    assert hls(twin)[1] > hls(trained)[1] + 0.2
    assert run_color("dense", "other", untrained=False) != trained
    assert abs(hls(run_color("otherview", "tiny", untrained=False))[0] - hls(trained)[0]) > 0.05


def test_a_colour_that_somebody_picked_stays(published):
    row = shown(published, QUERY)[0]
    assert row.data.tags["mlflow.runColor"] == run_color("dense", "tiny", untrained=False)
    client_of(published).set_tag(row.info.run_id, "mlflow.runColor", "#123456")
    assert publish(published, parameters()).updated == 0
    assert shown(published, QUERY)[0].data.tags["mlflow.runColor"] == "#123456"


def test_the_times_of_a_row_are_its_captures_whatever_happens_later_and_in_a_store_made_anew(tracked):
    make_cell(tracked, "dense", "tiny", at=1_700_000_000.0)
    (tracked / "reports/cells.json").write_text(json.dumps({"cells": [{"probe": "dense", "model": "tiny"}]}))
    publish(tracked, parameters())
    make_cell(tracked, "dense", "tiny", seed=1.0, at=1_700_000_500.0)
    assert publish(tracked, parameters()).updated
    times = [(run.info.start_time, run.info.end_time) for run in runs(tracked, QUERY)]
    assert times == [(1_700_000_000_000, 1_700_000_002_500)]
    assert shown(tracked, QUERY)[0].data.metrics["heads_over_t3"] == 11.0
    shutil.rmtree(tracked / "mlflow")
    sync(tracked, parameters())
    assert [(run.info.start_time, run.info.end_time) for run in runs(tracked, QUERY)] == times


def replace(root):
    """Other settings: another row takes the place of dense@tiny."""
    make_cell(root, "dense", "tiny", seed=5.0, threshold=4.0, at=1_700_000_100.0)
    publish(root, parameters())


def test_what_others_replaced_is_among_the_deleted_runs_and_comes_back_when_it_stands_again(published):
    before = {run.info.run_id for run in shown(published)}
    replace(published)
    visible = shown(published)
    assert len(visible) == len(before)
    assert {run.data.tags["superseded"] for run in visible} == {"false"}
    assert {run.data.tags["superseded"] for run in runs(published)} == {"true", "false"}
    make_cell(published, "dense", "tiny", executed=False)
    publish(published, parameters())
    assert {run.info.run_id for run in shown(published)} == before
    assert not [run for run in shown(published) if "plantain.hidden" in run.data.tags]


def test_a_superseded_run_that_somebody_restored_stays_to_be_compared(published):
    replace(published)
    old = next(run for run in runs(published, QUERY) if run.data.tags["superseded"] == "true")
    client_of(published).restore_run(old.info.run_id)
    publish(published, parameters())
    assert len(shown(published, QUERY)) == 2


def test_an_experiment_that_comes_back_brings_nothing_superseded(published):
    replace(published)
    client = client_of(published)
    client.delete_experiment(client.get_experiment_by_name("plantain").experiment_id)
    publish(published, parameters())
    assert {run.data.tags["superseded"] for run in shown(published)} == {"false"}
    assert len(shown(published, QUERY)) == 1


def test_who_may_not_delete_publishes_all_the_same(published, monkeypatch):
    def refuse(self, run_id):
        raise MlflowException("no", error_code=PERMISSION_DENIED)

    monkeypatch.setattr(MlflowClient, "delete_run", refuse)
    make_cell(published, "dense", "tiny", seed=5.0, threshold=4.0, at=1_700_000_100.0)
    assert publish(published, parameters()).warning is None
    assert sorted(run.data.tags["superseded"] for run in shown(published, QUERY)) == ["false", "true"]


def test_the_experiment_leads_to_its_table_and_a_description_by_hand_stays(judged):
    client = client_of(judged)
    found = client.get_experiment_by_name("plantain")
    view = json.loads(found.tags["mlflow.sharedViewState.plantain"])
    assert len(found.tags["mlflow.sharedViewState.plantain"]) < 5000, "MLflow's limit on a tag of an experiment"
    assert json.loads(view["state"])["searchFilter"].startswith("tags.superseded = 'false'")
    assert f"#/experiments/{found.experiment_id}/runs?viewStateShareKey=plantain" in found.tags["mlflow.note.content"]
    client.set_experiment_tag(found.experiment_id, "mlflow.note.content", "ours, since 2025")
    judge(judged, rung=2.0)
    publish(judged, parameters())
    assert client.get_experiment_by_name("plantain").tags["mlflow.note.content"] == "ours, since 2025"
