"""Where runs are kept: SQLite under ``mlflow/``, or a server. MLflow is imported only where it is needed."""

import contextlib
import http.client
import logging
import os
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from filelock import FileLock

from plantain.base.files import write_atomic
from plantain.base.importing import importing
from plantain.base.params import TrackingParams
from plantain.base.places import home, mlflow_dir, state_dir
from plantain.base.secrets import redacted, redacted_address
from plantain.track.mlflow.faults import Fault, StoreError, diagnosed, store_error

if TYPE_CHECKING:
    from mlflow import MlflowClient

Returned = TypeVar("Returned")

HIDDEN: Final = "plantain.hidden"
"""Marks a superseded run that plantain put among MLflow's deleted runs, once: who restores it there keeps it."""
_LOCK_SECONDS: Final = 120.0
_SQLITE: Final = "sqlite:///"
_IS: Final = "alembic_version"
"""The table by which an MLflow database is told."""


@dataclass(frozen=True)
class TrackingStore:
    """A tracking store."""

    uri: str
    database: Path | None
    """The SQLite file; None for a server."""

    @property
    def place(self) -> str:
        """What people call it: the file, or the address without user and password."""
        return str(self.database or redacted_address(self.uri))

    @property
    def is_server(self) -> bool:
        """Whether an MLflow server answers there, with pages of its own."""
        return self.uri.startswith(("http://", "https://"))

    @property
    def is_database(self) -> bool:
        """Whether it is a database that MLflow opens from here: a file, or one with a server of its own."""
        return self.uri.partition("://")[0].partition("+")[0] in ("sqlite", "postgresql", "mysql", "mssql")

    @property
    def artifacts(self) -> Path | None:
        """Where artifacts are kept: beside a file, in ``mlflow/`` for another database; a server decides for itself."""
        if self.database is not None:
            return self.database.parent / "artifacts"
        return mlflow_dir() / "artifacts" if self.is_database else None


def locate(tracking: TrackingParams) -> TrackingStore:
    """The store that ``tracking.uri`` names; a relative SQLite path counts from the repository root."""
    if tracking.uri is None:
        return _local(mlflow_dir() / "mlflow.db")
    if tracking.uri.startswith(_SQLITE):
        return _local(home() / tracking.uri.removeprefix(_SQLITE))
    return TrackingStore(tracking.uri, None)


def pending_path() -> Path:
    """The mark that something waits to be published."""
    return state_dir() / "pending"


def leave_pending(reason: str) -> None:
    """Note that something waits, and why."""
    write_atomic(pending_path(), f"{reason}\n".encode())


def set_environment(timeout: float) -> None:
    """Settings that MLflow reads: no telemetry, no silent truncation, no long retries, no line a run."""
    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true",
        DO_NOT_TRACK="true",
        MLFLOW_TRUNCATE_LONG_VALUES="false",
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        MLFLOW_HTTP_REQUEST_TIMEOUT=str(max(1, int(timeout))),
        GIT_PYTHON_REFRESH="quiet",
    )


@contextlib.contextmanager
def connected(store: TrackingStore, timeout: float) -> Iterator["MlflowClient"]:
    """A client on ``store``, made where it does not exist, with this machine's other writers kept out.

    Raises:
        StoreError: the store does not answer in ``timeout`` seconds, or cannot be used; says why, and the way out.
    """
    set_environment(timeout)
    try:
        _check_answer(store, timeout)
        with importing():
            import mlflow.tracking  # noqa: F401  before the lock: it takes seconds

        # What goes wrong is raised, and told in a sentence; MLflow would print it with a traceback before.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        lock = (store.database.parent if store.database else state_dir() / "locks") / "publish.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=_LOCK_SECONDS), _fast_sqlite():
            if store.database is not None:
                _create_or_check(store.database, timeout)
            yield _client(store)
    except Exception as error:  # whatever MLflow, SQLAlchemy, SQLite, the network or the caller's calls of them raise
        known = diagnosed(store.place, error)
        if known is error:
            raise
        raise known from error


def _client(store: TrackingStore) -> "MlflowClient":
    """A client, before which the experiment that every MLflow database begins with has artifacts beside ours.

    MLflow would put the working folder into that experiment's SQL as it is written, where a quote or a colon breaks
    it; an address has neither.
    """
    from mlflow import MlflowClient
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    if store.artifacts:
        SqlAlchemyStore(store.uri, store.artifacts.as_uri())  # type: ignore[no-untyped-call]
    return MlflowClient(store.uri)


_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Makes the UI open on the table of runs instead of its pages for language models."""


def experiment_id(client: "MlflowClient", store: TrackingStore, name: str) -> str:
    """The experiment's id, made or taken back where it is not there, its artifacts beside the database."""
    location = store.artifacts.as_uri() if store.artifacts else None
    found = client.get_experiment_by_name(name)
    if found is None:
        return _created(client, name, location)
    if store.database and location and found.artifact_location != location:
        _rehome(store.database, found.artifact_location, location)
    if found.lifecycle_stage == "deleted":
        _restore(client, str(found.experiment_id))
    return str(found.experiment_id)


def _restore(client: "MlflowClient", number: str) -> None:
    """Take an experiment back; MLflow takes every run back with it, those too that newer ones had replaced."""
    client.restore_experiment(number)
    while page := client.search_runs([number], f"tags.`{HIDDEN}` = 'true'"):
        for run in page:
            client.delete_run(run.info.run_id)


def find_experiment(client: "MlflowClient", name: str) -> str | None:
    """The experiment's id where it stands; a look changes nothing, so that a deleted one stays deleted."""
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id) if found and found.lifecycle_stage == "active" else None


def _created(client: "MlflowClient", name: str, location: str | None) -> str:
    try:
        return str(client.create_experiment(name, artifact_location=location, tags=_KIND))
    except Exception:  # two machines that publish to one server share no lock: the other one was first
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)


def schema_state(store: TrackingStore, timeout: float) -> str:
    """``absent``, ``current``, ``outdated``, or ``answers`` for a server, whose schema is its own affair.

    Raises:
        StoreError: it cannot be used, for another reason than an older schema.
    """
    if store.database is not None and not store.database.exists():
        return "absent"
    try:
        if store.database is not None:
            _create_or_check(store.database, timeout)
        else:
            _check_answer(store, timeout)
    except StoreError as error:
        if error.fault is not Fault.outdated:
            raise
        return "outdated"
    return "current" if store.is_database else "answers"


def upgrade_schema(store: TrackingStore, timeout: float) -> None:
    """Bring the store's schema up to the installed MLflow; nothing where there is no store, or it is a server's."""
    if schema_state(store, timeout) == "outdated":
        from mlflow.store.db import utils

        _on_engine(store.uri, utils._upgrade_db)


def _on_engine(uri: str, call: Callable[[Any], Returned]) -> Returned:
    set_environment(_LOCK_SECONDS)
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    try:
        return call(engine)
    finally:
        engine.dispose()


def _age_of(version: str) -> Fault | None:
    """Whether a schema is older or newer than the installed MLflow's; None where it is neither."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils

    if version == utils._get_latest_schema_revision():  # type: ignore[no-untyped-call]
        return None
    scripts = ScriptDirectory.from_config(utils._get_alembic_config(""))  # type: ignore[no-untyped-call]
    known = {revision.revision for revision in scripts.walk_revisions()}
    return Fault.outdated if version in known else Fault.newer


def _local(database: Path) -> TrackingStore:
    return TrackingStore(f"{_SQLITE}{database}", database)


def _create_or_check(database: Path, timeout: float) -> None:
    """Make the database, or look whether it is one: MLflow would try to open it for two minutes.

    Raises:
        StoreError: it is in use, not writable, damaged, foreign, of another MLflow, or where no address leads.
    """
    _refuse_unnameable(database)
    if not database.exists():
        _create(database)
        return
    uri = f"{database.absolute().as_uri()}?mode=rw"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
            version = connection.execute("SELECT version_num FROM alembic_version").fetchall() if _IS in tables else []
            connection.execute("BEGIN IMMEDIATE")  # asks for the right to write, which a look alone does not
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise diagnosed(str(database), error) from None
    fault = _age_of(version[0][0]) if version else Fault.foreign
    if fault:
        raise store_error(str(database), fault)


def _refuse_unnameable(database: Path) -> None:
    """SQLAlchemy reads options behind a question mark, and %20 as a blank: another file would be written."""
    import sqlalchemy

    if sqlalchemy.make_url(f"{_SQLITE}{database}").database != str(database):
        problem = f"{database} has a question mark or a percent sign in its path, which no address of MLflow can hold."
        fix = "rename that folder, or let tracking.uri name a database elsewhere: `sqlite:////FOLDER/mlflow.db`."
        raise StoreError(problem, fix)


def _create(database: Path) -> None:
    """Build the schema under a temporary name, then rename: a kill leaves no half-made store."""
    from mlflow.store.db import utils

    logging.getLogger(utils.__name__).setLevel(logging.WARNING)
    unfinished = database.with_name(f".{database.name}.{os.getpid()}.tmp")
    unfinished.unlink(missing_ok=True)
    _on_engine(f"{_SQLITE}{unfinished}", utils._initialize_tables)
    unfinished.replace(database)


@contextlib.contextmanager
def _fast_sqlite() -> Iterator[None]:
    """Leave flushing to the operating system: after a power cut ``plantain sync`` makes the store anew."""
    import sqlalchemy

    def pragmas(connection: Any, _record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", pragmas)
    try:
        yield
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", pragmas)


def _rehome(database: Path, before: str, after: str) -> None:
    """MLflow stores absolute artifact paths; after the repository moved they are set to where it is now."""
    with contextlib.closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            # Not LIKE, to which the percent signs of an address and underscores stand for anything.
            statement = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
            connection.execute(statement, (after, len(before) + 1, len(before), before))


def _check_answer(store: TrackingStore, timeout: float) -> None:
    """Ask a server or a database of its own whether it is there: MLflow would try for minutes."""
    if store.is_server:
        _check_server(store.uri, timeout)
    elif store.is_database and store.database is None:
        _check_database(store.uri, timeout)


def _check_server(uri: str, timeout: float) -> None:
    """Ask once, in a thread, since name resolution knows no time limit."""
    failures: list[str | Fault] = ["no answer"]
    address = f"{redacted_address(uri).rstrip('/')}/health"

    def ask() -> None:
        try:
            with urllib.request.urlopen(address, timeout=timeout):
                failures.clear()
        except urllib.error.HTTPError as error:
            # It is there; MLflow's own calls bring the login that the variables of the environment hold.
            failures[:] = [Fault.login] if error.code in (401, 403) and not _has_login() else []
        except (OSError, http.client.HTTPException, ValueError) as error:
            failures[:] = [str(getattr(error, "reason", error))]

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    if failures and isinstance(failures[0], Fault):
        raise store_error(redacted_address(uri), failures[0])
    if failures:
        raise StoreError(f"the MLflow server does not answer within {timeout:g} s ({failures[0]}).")


def _has_login() -> bool:
    return any(os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "TOKEN"))


def _check_database(uri: str, timeout: float) -> None:
    """Connect once, in a limited time where the driver knows one, and look at the schema; MLflow fills an empty one.

    Raises:
        StoreError: it does not answer, refuses the login, or is of another MLflow.
    """
    import sqlalchemy

    try:
        backend = sqlalchemy.make_url(uri).get_backend_name()
        limit = {"connect_timeout": max(1, int(timeout))} if backend in ("postgresql", "mysql", "mariadb") else {}
        engine = sqlalchemy.create_engine(uri, connect_args=limit, poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            table = sqlalchemy.inspect(connection).has_table(_IS)
            version = connection.scalar(sqlalchemy.text(f"SELECT version_num FROM {_IS}")) if table else None
    except Exception as error:  # each driver has errors of its own
        known = diagnosed(redacted_address(uri), error)
        if isinstance(known, StoreError):
            raise known from None
        reason = redacted(str(getattr(error, "orig", None) or error)).strip().splitlines()[0].rstrip(".")
        raise StoreError(f"{redacted_address(uri)} does not answer ({reason}).") from None
    fault = _age_of(str(version)) if version else None
    if fault:
        raise store_error(redacted_address(uri), fault)
