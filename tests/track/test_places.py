"""Workspaces whose path holds what addresses and SQL give a meaning to, and that move."""

import pytest
from helpers.track_helpers import make_results, parameters, runs

from plantain.track.mlflow.publish import publish

ODD = ['mes résultats d\'été "絵"', "a:b#c;d&e=f", "back\\slash", "/".join(["long" * 12] * 4)]


def artifacts(root):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root}/mlflow/mlflow.db")
    parent = next(run for run in runs(root) if run.info.run_name == "dense@tiny")
    return {file.path for file in client.list_artifacts(parent.info.run_id)}


@pytest.mark.parametrize("name", ODD)
def test_runs_are_kept_under_any_path_and_found_again_after_a_move_to_any(tracked, monkeypatch, name):
    odd, moved = tracked / name, tracked / f"moved 100% {name[:4]}'_"
    for path in (odd, moved):
        path.parent.mkdir(parents=True, exist_ok=True)
    make_results(odd, probes=("dense",))
    (odd / "mlflow").mkdir()
    (tracked / "mlflow/mlflow.db").rename(odd / "mlflow/mlflow.db")
    monkeypatch.chdir(odd)
    assert publish(odd, parameters()).warning is None
    kept = artifacts(odd)
    assert kept
    odd.rename(moved)
    monkeypatch.chdir(moved)
    assert publish(moved, parameters()).warning is None
    assert artifacts(moved) == kept


@pytest.mark.parametrize("name", ["what?", "my%20data"])
def test_a_path_that_no_address_can_hold_is_refused_before_another_file_is_written(checkout, monkeypatch, name):
    odd = checkout / name
    make_results(odd, probes=("dense",))
    monkeypatch.chdir(odd)
    warning = publish(odd, parameters()).warning
    assert f"{odd}/mlflow/mlflow.db has a question mark or a percent sign in its path" in warning
    assert "rename that folder" in warning
    assert [path.name for path in checkout.iterdir()] == [name]
    assert not list(odd.rglob("mlflow.db*"))


def test_the_default_experiment_of_a_database_keeps_its_artifacts_beside_ours(tracked):
    publish(tracked, parameters())
    from mlflow import MlflowClient

    default = MlflowClient(f"sqlite:///{tracked}/mlflow/mlflow.db").get_experiment("0")
    assert default.artifact_location == f"{(tracked / 'mlflow/artifacts').as_uri()}/0"
