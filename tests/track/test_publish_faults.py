import json
import os
import shutil
import signal
import socket
import time
from contextlib import closing

import pytest
from helpers.servers import free_port, mlflow_server
from helpers.track_helpers import make_cell, make_results, parameters, runs

from plantain.track.mlflow.faults import StoreError
from plantain.track.mlflow.publish import publish
from plantain.track.mlflow.sink import stale_runs
from plantain.track.mlflow.sync import sync

PUBLISH = """
import sys
from pathlib import Path
from helpers.track_helpers import parameters
from plantain.track.mlflow.faults import StoreError
from plantain.track.mlflow.publish import publish
report = publish(Path(), parameters(), Path("mlflow/published.json"))
sys.exit(report.warning)
"""

KILLED = """
import os, signal
from mlflow import MlflowClient
log, left = MlflowClient.log_batch, [5]
def log_batch(self, *arguments, **named):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return log(self, *arguments, **named)
MlflowClient.log_batch = log_batch
"""


FOUR = """
import multiprocessing, sys
from pathlib import Path
from mlflow.store.tracking import sqlalchemy_store  # once for all of them: it takes seconds
from helpers.track_helpers import parameters
from plantain.track.mlflow.publish import publish

def write():
    sys.exit(publish(Path(), parameters(), Path("mlflow/published.json")).warning)

writers = [multiprocessing.get_context("fork").Process(target=write) for _ in range(4)]
for writer in writers:
    writer.start()
for writer in writers:
    writer.join()
sys.exit(str([writer.exitcode for writer in writers]))
"""


def test_four_writers_on_a_fresh_store_make_every_run_once(checkout, python):
    make_results(checkout)
    output = python(FOUR, checkout).communicate(timeout=240)[0]
    assert output.splitlines()[-1] == "[0, 0, 0, 0]", output
    found = runs(checkout)
    assert len(found) == 21
    assert {run.info.status for run in found} == {"FINISHED"}
    assert not list(checkout.glob("mlflow/.*tmp*"))


@pytest.fixture(scope="module")
def left_by_a_kill(migrated_store, python, tmp_path_factory):
    """A checkout whose publication was killed in the middle."""
    root = tmp_path_factory.mktemp("killed")
    (root / "mlflow").mkdir()
    shutil.copy2(migrated_store, root / "mlflow" / "mlflow.db")
    make_results(root)
    writer = python(KILLED + PUBLISH, root)
    writer.communicate(timeout=60)
    assert writer.returncode == -signal.SIGKILL
    return root


@pytest.fixture
def killed(checkout, left_by_a_kill):
    return shutil.copytree(left_by_a_kill, checkout, dirs_exist_ok=True)


def test_a_kill_in_mid_publish_leaves_a_run_that_the_next_one_finishes(killed):
    left = [run for run in runs(killed) if run.info.status == "RUNNING"]
    assert len(left) == 1
    assert stale_runs(killed, parameters().tracking) == [left[0].info.run_id]
    publish(killed, parameters())
    found = runs(killed)
    assert len(found) == 21
    assert {run.info.status for run in found} == {"FINISHED"}
    assert all(run.data.metrics for run in found)


def test_a_run_left_running_that_nobody_wants_any_more_is_closed_as_killed(killed):
    left = next(run for run in runs(killed) if run.info.status == "RUNNING")
    for probe in ("otherview", "dense"):
        make_cell(killed, probe, "tiny", seed=3.0, texts={"adult": "something else"})
    (killed / "receipts/model/tiny.json").unlink()
    publish(killed, parameters())
    states = {run.info.run_id: run.info.status for run in runs(killed)}
    assert states.pop(left.info.run_id) == "KILLED"
    assert set(states.values()) == {"FINISHED"}


def check_that_nothing_is_lost(root, report, seconds):
    assert "plantain sync" in report.warning
    assert seconds < 30, "MLflow's own retries would take minutes"
    assert (root / ".plantain/pending").read_text().strip() == report.warning
    assert (root / "mlflow/published.json").exists()
    assert json.loads((root / "reports/ledger.json").read_text())["numbers"]


def test_a_server_that_refuses_costs_a_warning_and_nothing_else(checkout):
    make_results(checkout)
    params = parameters(uri=f"http://user:secret@127.0.0.1:{free_port()}")
    started = time.monotonic()
    report = publish(checkout, params, checkout / "mlflow/published.json")
    check_that_nothing_is_lost(checkout, report, time.monotonic() - started)
    assert "secret" not in report.warning
    with pytest.raises(StoreError, match="plantain sync"):
        sync(checkout, params)


def test_a_server_that_accepts_and_says_nothing_costs_its_timeout(checkout):
    make_results(checkout)
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        params = parameters(uri=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=2.0)
        started = time.monotonic()
        report = publish(checkout, params, checkout / "mlflow/published.json")
        check_that_nothing_is_lost(checkout, report, time.monotonic() - started)


def test_a_store_that_is_no_database_costs_a_warning(checkout):
    make_results(checkout)
    (checkout / "mlflow").mkdir()
    (checkout / "mlflow/mlflow.db").write_bytes(b"this is no database, and it is long enough to be looked at")
    report = publish(checkout, parameters(), checkout / "mlflow/published.json")
    assert "plantain sync" in report.warning
    assert (checkout / "mlflow/published.json").exists()


@pytest.fixture(scope="module")
def server(migrated_store, tmp_path_factory):
    """A real MLflow server on loopback: its address and its process."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy2(migrated_store, folder / "mlflow.db")
    with mlflow_server(folder, f"sqlite:///{folder}/mlflow.db") as started:
        yield started


def test_what_waited_reaches_the_server_when_it_is_back(checkout, server):
    make_results(checkout, probes=("dense",))
    publish(checkout, parameters(uri=f"http://127.0.0.1:{free_port()}"))
    assert (checkout / ".plantain/pending").exists()
    report = sync(checkout, parameters(uri=server[0]))
    assert report.created == 11
    assert not (checkout / ".plantain/pending").exists()
    found = runs(checkout, uri=server[0])
    assert len(found) == 11
    parent = next(run for run in found if run.info.run_name == "dense@tiny")
    assert parent.info.artifact_uri.startswith("mlflow-artifacts:")
    assert sync(checkout, parameters(uri=server[0])).created == 0


def test_a_server_stopped_in_mid_publish_costs_a_warning(checkout, server, monkeypatch):
    from mlflow import MlflowClient

    address, process = server
    make_results(checkout, probes=("third",))
    log, left = MlflowClient.log_batch, [3]

    def stop(self, *arguments, **named):
        left[0] -= 1
        if not left[0]:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return log(self, *arguments, **named)

    monkeypatch.setattr(MlflowClient, "log_batch", stop)
    started = time.monotonic()
    report = publish(checkout, parameters(uri=address), checkout / "mlflow/published.json")
    assert left[0] <= 0
    check_that_nothing_is_lost(checkout, report, time.monotonic() - started)
