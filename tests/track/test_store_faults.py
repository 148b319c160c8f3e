"""A store that cannot be used says which of the reasons it is, and a database is moved away only where that helps."""

import errno
import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import typer
from helpers.track_helpers import make_results, parameters, runs

from plantain.track.mlflow import store
from plantain.track.mlflow.faults import Fault, StoreError, diagnosed
from plantain.track.mlflow.publish import publish
from plantain.track.mlflow.sink import DISCARDED, close_stale, stale_runs
from plantain.track.mlflow.sync import sync

AWAY = "move it away"


@pytest.fixture
def quick(tracking):
    return tracking.model_copy(update={"timeout": 0.2})


def state(tracking):
    return store.schema_state(store.locate(tracking), tracking.timeout)


def refused(tracking):
    with pytest.raises(StoreError) as caught:
        state(tracking)
    return caught.value


def database():
    return Path("mlflow/mlflow.db").resolve()


def test_a_database_in_use_is_left_where_it_is(tracked, quick):
    with closing(sqlite3.connect(database(), isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        error = refused(quick)
        assert error.fault is Fault.locked
        assert AWAY not in str(error)
        assert "another process" in str(error)
        report = publish(tracked, parameters(timeout=0.2))
        assert "in use" in report.warning
        assert AWAY not in report.warning
    assert state(quick) == "current"


@pytest.mark.parametrize(
    "content", [b"this is no database, and long enough to be looked at", random.Random(3).randbytes(9000)]
)
def test_what_is_no_database_is_foreign(tracked, quick, content):
    database().write_bytes(content)
    error = refused(quick)
    assert error.fault is Fault.foreign
    assert AWAY in error.fix
    assert "is no MLflow database" in publish(tracked, parameters()).warning


def test_a_database_of_another_program_is_foreign(tracked, quick):
    database().unlink()
    with closing(sqlite3.connect(database())) as other:
        other.execute("CREATE TABLE songs (name TEXT)")
    assert refused(quick).fault is Fault.foreign


def test_an_emptied_database_is_foreign(tracked, quick):
    database().write_bytes(b"")
    assert refused(quick).fault is Fault.foreign


def test_a_database_with_overwritten_pages_is_damaged(tracked, quick):
    content = bytearray(database().read_bytes())
    content[100 : len(content)] = random.Random(4).randbytes(len(content) - 100)
    database().write_bytes(bytes(content))
    error = refused(quick)
    assert error.fault is Fault.damaged
    assert AWAY in error.fix


PUBLISH = """
from pathlib import Path
from helpers.track_helpers import parameters
from plantain.track.mlflow.publish import publish
print(publish(Path(), parameters()).warning)
"""


def at_version(version):
    with closing(sqlite3.connect(database())) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))


def test_a_newer_schema_asks_for_the_mlflow_that_made_it(tracked, quick):
    at_version("f00df00df00d")
    error = refused(quick)
    assert error.fault is Fault.newer
    assert "install that MLflow" in error.fix
    assert "newer MLflow" in publish(tracked, parameters()).warning


def test_an_older_schema_is_upgraded_on_request(tracked, quick):
    place = store.locate(quick)
    database().unlink()
    store.set_environment(1)
    from alembic import command
    from mlflow.store.db import utils
    from mlflow.store.tracking.dbmodels.initial_models import Base

    def older(engine):
        Base.metadata.create_all(engine)
        config = utils._get_alembic_config(str(engine.url))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "451aebb31d03")

    store._on_engine(place.uri, older)
    assert state(quick) == "outdated"
    assert "doctor --fix" in publish(tracked, parameters()).warning
    store.upgrade_schema(place, quick.timeout)
    assert state(quick) == "current"


def test_a_full_disk_is_told_as_such(tracked, python, capfd):
    import sqlalchemy

    make_results(tracked)
    with closing(sqlite3.connect(database())) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()

    def limit(connection, _record):
        connection.execute(f"PRAGMA max_page_count={pages + 1}")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", limit)
    try:
        warning = publish(tracked, parameters()).warning
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", limit)
    assert "no space left" in warning
    assert AWAY not in warning
    assert "Traceback" not in "".join(capfd.readouterr())
    later = python(PUBLISH, tracked)  # of a process with no limit
    assert later.communicate(timeout=120)[0].strip().endswith("None"), "the database is as good as before"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Fault.full),
        (PermissionError(errno.EACCES, "Permission denied", "/w/mlflow/publish.lock"), Fault.readonly),
        (OSError(errno.EROFS, "Read-only file system", "/w/mlflow/artifacts/1"), Fault.readonly),
        (PermissionError(errno.EACCES, "Permission denied", "/elsewhere/picture.png"), None),
        (RuntimeError('FATAL:  password authentication failed for user "u"'), Fault.login),
        (RuntimeError("API request to endpoint /api failed with error code 401 != 200"), Fault.login),
        (ModuleNotFoundError("No module named 'psycopg2'"), Fault.driver),
        (RuntimeError("500: (sqlite3.OperationalError) database is locked"), Fault.locked),
        (RuntimeError("something else"), None),
    ],
)
def test_each_reason_has_a_sentence_of_its_own(error, fault):
    wrapped = RuntimeError("MLflow failed")
    wrapped.__cause__ = error
    for raised in (error, wrapped):
        found = diagnosed("/w/mlflow/mlflow.db", raised)
        assert getattr(found, "fault", None) is fault
        assert (found is raised) == (fault is None)


AS_NOBODY = """
import os
from pathlib import Path
from helpers.track_helpers import parameters
from plantain.base.errors import PlantainError
from plantain.track.mlflow.publish import publish
from plantain.track.mlflow.sink import stale_runs
publish(Path(), parameters())
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(publish(Path(), parameters()).warning)
try:
    print(stale_runs(Path(), parameters().tracking))
except PlantainError as error:
    print(error)
"""


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("whose", ["folder", "database", "lock"])
def test_a_store_that_another_user_owns_is_named_with_who_may_write(tracked, python, whose):
    make_results(tracked)
    # Not below pytest's folder, which every session of pytest closes to others as it begins.
    with tempfile.TemporaryDirectory(prefix="workspace-") as name:
        root = Path(shutil.copytree(tracked, name, dirs_exist_ok=True))
        for path in (root, *root.rglob("*")):
            path.chmod(0o777)
        (root / "mlflow").chmod(0o755 if whose == "folder" else 0o777)
        (root / "mlflow/mlflow.db").chmod(0o644 if whose == "database" else 0o666)
        (root / "mlflow/publish.lock").touch(0o644 if whose == "lock" else 0o666)
        printed = python(AS_NOBODY, root).communicate(timeout=120)[0]
    warning, stale = printed.strip().splitlines()[-2:]
    for said in (warning, stale):
        assert "cannot be written by this user" in said, printed
        assert "mlflow" in said
    assert "Traceback" not in printed


def client_of(root):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{root}/mlflow/mlflow.db")


def test_a_look_leaves_a_deleted_experiment_deleted_and_a_publication_takes_it_back(tracked, tracking):
    make_results(tracked)
    publish(tracked, parameters())
    client = client_of(tracked)
    number = client.get_experiment_by_name("plantain").experiment_id
    client.delete_experiment(number)
    assert stale_runs(tracked, tracking) == []
    assert close_stale(tracked, tracking) == 0
    assert client.get_experiment(number).lifecycle_stage == "deleted"
    assert publish(tracked, parameters()).warning is None
    assert client.get_experiment(number).lifecycle_stage == "active"
    assert len(runs(tracked)) == 21


def test_a_look_makes_no_experiment(tracked, tracking):
    assert stale_runs(tracked, tracking) == []
    assert client_of(tracked).get_experiment_by_name("plantain") is None


def test_what_plantain_deleted_does_not_come_back_with_a_restored_experiment(tracked):
    make_results(tracked)
    publish(tracked, parameters())
    client = client_of(tracked)
    first = next(run for run in runs(tracked) if run.info.run_name == "otherview@tiny")
    twin = client.create_run(first.info.experiment_id, tags=first.data.tags)
    assert sync(tracked, parameters()).merged == 1
    kept = {run.info.run_id for run in runs(tracked)}
    client.delete_experiment(first.info.experiment_id)
    publish(tracked, parameters())
    assert {run.info.run_id for run in runs(tracked)} == kept
    assert len(kept & {first.info.run_id, twin.info.run_id}) == 1


def test_an_experiment_that_another_machine_makes_meanwhile_is_taken(tracked, tracking, monkeypatch):
    from mlflow import MlflowClient

    make = MlflowClient.create_experiment

    def overtaken(self, *arguments, **named):
        make(self, *arguments, **named)
        return make(self, *arguments, **named)

    monkeypatch.setattr(MlflowClient, "create_experiment", overtaken)
    make_results(tracked)
    assert publish(tracked, parameters()).warning is None
    assert len(runs(tracked)) == 21


def test_a_run_that_another_machine_merges_meanwhile_costs_no_publication(tracked, monkeypatch):
    from mlflow import MlflowClient

    make_results(tracked)
    publish(tracked, parameters())
    client = client_of(tracked)
    first = runs(tracked)[0]
    client.create_run(first.info.experiment_id, tags=first.data.tags)
    set_tag, taken = MlflowClient.set_tag, []

    def overtaken(self, run_id, name, value):
        if name == DISCARDED and not taken:
            taken.append(run_id)
            self.delete_run(run_id)
        return set_tag(self, run_id, name, value)

    monkeypatch.setattr(MlflowClient, "set_tag", overtaken)
    sync(tracked, parameters())
    assert len(taken) == 1
    assert len(runs(tracked)) == 21


def test_artifacts_of_a_database_server_lie_where_git_does_not_look(checkout):
    place = store.locate(parameters(uri="postgresql://someone@host/db").tracking)
    assert place.artifacts == checkout / "mlflow/artifacts"
    assert place.place == "postgresql://host/db"
    assert store.locate(parameters(uri="http://host:5000").tracking).artifacts is None


@pytest.mark.parametrize("uri", ["postgresql://someone:hunter2token@127.0.0.1:1/db", None])
def test_the_pages_of_a_database_open_without_its_password_on_a_command_line(tracked, monkeypatch, capfd, uri):
    from plantain.commands import ui

    called = {}

    def server(command, *, check, env):
        called.update(command=" ".join(map(str, command)), uri=env["MLFLOW_BACKEND_STORE_URI"])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(ui, "read_params", lambda: parameters(uri=uri, timeout=1.0))
    monkeypatch.setattr(subprocess, "run", server)
    with pytest.raises(typer.Exit):
        ui.ui(port=5001)
    assert called["uri"] == (uri or f"sqlite:///{database()}")
    assert "hunter2token" not in called["command"] + "".join(capfd.readouterr())


class Guarded(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(401)

    def log_message(self, *arguments):
        pass


def test_a_server_that_asks_for_a_login_names_the_variables(checkout, monkeypatch):
    make_results(checkout, probes=("dense",))
    with HTTPServer(("127.0.0.1", 0), Guarded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        tracking = parameters(uri=address.replace("//", "//someone:hunter2token@")).tracking
        error = refused(tracking)
        assert error.fault is Fault.login
        assert "MLFLOW_TRACKING_PASSWORD" in error.fix
        assert "hunter2token" not in str(error)
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
        assert state(tracking) == "answers"
        warning = publish(checkout, parameters(uri=address)).warning
        server.shutdown()
    assert "asks for another login" in warning


@pytest.mark.parametrize(
    "uri", ["postgresql://someone@127.0.0.1:1/db", "postgresql://someone:hunter2token@127.0.0.1:1/db", "nosuch://x/y"]
)
def test_a_database_server_that_is_not_there_costs_no_minutes_and_no_password(checkout, uri, capfd):
    make_results(checkout, probes=("dense",))
    report = publish(checkout, parameters(uri=uri, timeout=1.0), checkout / "mlflow/published.json")
    assert "plantain sync" in report.warning
    assert "hunter2token" not in report.warning + "".join(capfd.readouterr())
    assert "\n" not in report.warning
