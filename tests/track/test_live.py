from helpers.track_helpers import make_results, parameters, runs

from plantain.track.mlflow.live import log_stage
from plantain.track.mlflow.publish import publish


def test_each_stage_is_logged_as_it_ends_and_publish_finds_it_done(tracked):
    make_results(tracked, probes=("dense",))
    tracking = parameters().tracking
    assert log_stage(tracked, tracking, "prompts", "dense", None) is None
    assert log_stage(tracked, tracking, "reference", "dense", "tiny") is None
    assert log_stage(tracked, tracking, "capture", "dense", "tiny") is None
    names = {run.info.run_name for run in runs(tracked)}
    assert names == {"dense@tiny", "model", "prompts", "reference", "capture"}
    log_stage(tracked, tracking, "analyze", "dense", "tiny")
    assert "target.heads" in {run.info.run_name for run in runs(tracked)}
    ids = {run.info.run_id for run in runs(tracked)}
    report = publish(tracked, parameters())
    assert report.created == 2, "report and compare"
    assert ids < {run.info.run_id for run in runs(tracked)}


def test_a_dead_tracker_warns_and_fails_no_stage(checkout):
    make_results(checkout, probes=("dense",))
    warning = log_stage(checkout, parameters(uri="http://127.0.0.1:9").tracking, "capture", "dense", "tiny")
    assert "plantain sync" in warning
