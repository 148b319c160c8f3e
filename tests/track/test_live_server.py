"""``tracking.live`` with a real server that is killed in the middle of a run, and what catches up with it."""

import json
import shutil

import pytest
from helpers.servers import free_port, mlflow_server
from helpers.track_helpers import runs
from helpers.track_repo import make_repository, plantain
from helpers.workspace import forget_outer_checkout

KILL = '''
import signal
import socket


def kill_server():
    """End the server that the environment names, and return when nobody answers."""
    os.killpg(int(os.environ["SERVER"]), signal.SIGKILL)
    address = ("127.0.0.1", int(os.environ["PORT"]))
    while True:
        try:
            socket.create_connection(address).close()
        except OSError:
            return


'''


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A repository that logs live to a server, which its stage `report` ends."""
    forget_outer_checkout(monkeypatch)
    made = make_repository(tmp_path / "repository")
    made.port = free_port()
    made.replace("params.yaml", "uri: null", f"uri: http://127.0.0.1:{made.port}")
    made.replace("params.yaml", "live: false", "live: true")
    made.replace(
        "stand_in.py", "def report(probe, name):\n", f"{KILL.lstrip()}def report(probe, name):\n    kill_server()\n"
    )
    made.commit("A server")
    return made


@pytest.mark.long
def test_a_server_killed_in_mid_run_costs_a_sentence_a_stage_and_sync_brings_the_rest(
    workspace, migrated_store, tmp_path
):
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy2(migrated_store, folder / "mlflow.db")
    backend = f"sqlite:///{folder}/mlflow.db"
    with mlflow_server(folder, backend, workspace.port) as (address, process):
        workspace.environment |= {"SERVER": str(process.pid), "PORT": str(workspace.port)}
        printed = workspace.dvc("repro")
        assert process.wait() < 0
    said = [line for line in printed.splitlines() if "MLflow was not updated" in line]
    assert sorted(line.partition(":")[0] for line in said) == ["plantain", "publish"], (
        "the stage of its end, and publish"
    )
    assert all("No result is lost; run `plantain sync` when it answers." in line for line in said)
    assert "Traceback" not in printed
    numbers = json.loads((workspace.path / "reports/tiny/mini/metrics.json").read_text())["published"]
    assert json.loads((workspace.path / "reports/ledger.json").read_text())["numbers"]
    assert "up to date" in workspace.dvc("status")
    live = {run.info.run_name: run.info.run_id for run in runs(workspace.path, uri=backend)}
    children = {"prompts", "model", "reference", "capture", "published.heads", "published.card"}
    assert live.keys() == {"mini@tiny", *children}, "every stage that ended before the server did"
    with mlflow_server(folder, backend, workspace.port) as (address, _):
        assert "2 made" in plantain(workspace, "sync"), "report and compare"
        found = runs(workspace.path, uri=address)
        assert {run.info.run_name for run in found} == {*live, "report", "compare"}
        assert len(found) == len(live) + 2, "none twice"
        assert {run.info.run_id for run in found} > set(live.values())
        assert {run.info.status for run in found} == {"FINISHED"}
        parent = next(run for run in found if run.info.run_name == "mini@tiny")
        assert parent.data.metrics["pairs"] == pytest.approx(numbers["heads"]["pairs"])
        assert not (workspace.path / ".plantain/pending").exists()
        answer = json.loads(plantain(workspace, "audit", "--json"))
        assert (answer["ok"], answer["mlflow"]) == (True, "checked"), answer["first_broken"]
