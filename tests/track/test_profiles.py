import pytest
from helpers.track_helpers import judge, make_cell, make_results, parameters, runs
from mlflow import MlflowClient

from plantain.track.mlflow.check import check_runs
from plantain.track.mlflow.projection import project
from plantain.track.mlflow.publish import publish
from plantain.track.mlflow.sync import sync
from plantain.track.results import FolderReader, read_results

SUMMARY = "data/stats/tiny/dense/summary.json"


@pytest.fixture
def published(judged):
    return judged


def current(root, name):
    found = runs(root, "tags.superseded = 'false' and tags.probe = 'dense'")
    return next(run for run in found if run.info.run_name == name)


def history(root, run, metric):
    client = MlflowClient(f"sqlite:///{root}/mlflow/mlflow.db")
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric)]


def test_a_profile_has_one_step_a_block_joint_blocks_first(published):
    for name in ("dense@tiny", "target.heads", "published.card"):
        run = current(published, name)
        assert history(published, run, "blocks/effect") == [(0, 3.0), (1, 2.0), (2, 1.0)]
        parts = [] if name == "dense@tiny" else [(2, 0.0)]
        assert history(published, run, "blocks/mlp.effect") == parts, "a row of the table has the heads' profile alone"
        assert history(published, run, "blocks/heads_over_t3_fraction") == [(0, 0.75), (1, 0.5), (2, 0.25)]
        assert history(published, run, "blocks/heads_differ_lower_bound") == [], "a bound that was not computed"


def test_the_parent_carries_the_verdict_beside_the_confirmatory_numbers(published):
    numbers = current(published, "dense@tiny").data.metrics
    assert (numbers["verdict_rung"], numbers["concept_information"], numbers["heads_over_t3"]) == (3.0, 0.25, 10.0)


def test_a_verdict_on_another_analysis_is_not_shown(published):
    make_cell(published, "dense", "tiny", seed=2.0)
    publish(published, parameters())
    assert "verdict_rung" not in current(published, "dense@tiny").data.metrics
    judge(published, rung=1.0)
    publish(published, parameters())
    assert current(published, "dense@tiny").data.metrics["verdict_rung"] == 1.0


def test_another_profile_leaves_no_point_of_the_old_one_and_keeps_what_was_tagged_by_hand(published):
    client = MlflowClient(f"sqlite:///{published}/mlflow/mlflow.db")
    client.set_tag(current(published, "dense@tiny").info.run_id, "seen", "by Ada")
    make_cell(published, "dense", "tiny", seed=2.0)
    judge(published)
    publish(published, parameters())
    parent = current(published, "dense@tiny")
    assert history(published, parent, "blocks/effect") == [(0, 5.0), (1, 4.0), (2, 3.0)]
    assert parent.data.tags["seen"] == "by Ada"
    children = runs(published, f"tags.mlflow.parentRunId = '{parent.info.run_id}' and tags.superseded = 'false'")
    assert len(children) == 9


def test_a_summary_that_is_not_the_receipts_gives_no_profile_and_a_restored_one_does(tracked):
    make_results(tracked)
    path = tracked / SUMMARY
    good = path.read_bytes()
    path.write_text(good.decode().replace("4.0", "5.0"))
    sync(tracked, parameters())
    assert history(tracked, current(tracked, "target.heads"), "blocks/max_abs_t") == []
    path.write_bytes(good)
    assert sync(tracked, parameters()).updated == 5, "the parent and the four analyses"
    assert len(history(tracked, current(tracked, "target.heads"), "blocks/max_abs_t")) == 3
    assert sync(tracked, parameters()).updated == 0


def test_a_profile_that_mlflow_holds_otherwise_is_found(published):
    client = MlflowClient(f"sqlite:///{published}/mlflow/mlflow.db")
    client.log_metric(current(published, "target.heads").info.run_id, "blocks/effect", 9.0, step=2)
    reader = FolderReader(published)
    specs = project(read_results(reader), reader, [], published)
    broken, why = check_runs(specs, parameters().tracking)
    assert why is None
    assert [found.problem.split(",")[0] for found in broken] == ["blocks/effect of target.heads is 9.0"]


def test_the_runs_of_an_older_capture_are_superseded_with_their_children(published):
    make_cell(published, "dense", "tiny", texts={"adult": "other words"})
    judge(published)
    publish(published, parameters())
    standing = runs(published, "tags.superseded = 'false' and tags.probe = 'dense'")
    assert len(standing) == 10
    assert len({run.data.tags["capture_key"] for run in standing}) == 1
    make_cell(published, "dense", "tiny")
    judge(published)
    publish(published, parameters())
    back = runs(published, "tags.superseded = 'false' and tags.probe = 'dense'")
    assert len(back) == 10
    assert {run.data.tags["capture_key"] for run in back}.isdisjoint({run.data.tags["capture_key"] for run in standing})
