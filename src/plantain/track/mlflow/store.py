"""Where runs are kept: SQLite under ``mlflow/``, or a server. MLflow is imported only where it is needed."""

import contextlib
import logging
import os
import sqlite3
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from filelock import FileLock

from plantain.base.errors import PlantainError
from plantain.base.files import write_atomic
from plantain.base.params import TrackingParams
from plantain.base.places import home, mlflow_dir, state_dir

if TYPE_CHECKING:
    from mlflow import MlflowClient

Returned = TypeVar("Returned")

_LOCK_SECONDS: Final = 120.0
_SQLITE: Final = "sqlite:///"


class StoreError(PlantainError):
    """The store does not answer, or cannot be used."""


@dataclass(frozen=True)
class TrackingStore:
    """A tracking store."""

    uri: str
    database: Path | None
    """The SQLite file; None for a server."""

    @property
    def artifacts(self) -> Path | None:
        """Where a local store keeps artifacts; a server decides for itself."""
        return self.database.parent / "artifacts" if self.database else None


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
    """Settings that MLflow reads at import or at call: no telemetry, no silent truncation, no long retries."""
    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true",
        DO_NOT_TRACK="true",
        MLFLOW_TRUNCATE_LONG_VALUES="false",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        MLFLOW_HTTP_REQUEST_TIMEOUT=str(max(1, int(timeout))),
        GIT_PYTHON_REFRESH="quiet",
    )


@contextlib.contextmanager
def connected(store: TrackingStore, timeout: float) -> Iterator["MlflowClient"]:
    """A client on ``store``, made where it does not exist, with this machine's other writers kept out.

    Raises:
        StoreError: the server does not answer in ``timeout`` seconds.
    """
    set_environment(timeout)
    if store.database is None:
        _check_server(store.uri, timeout)
    from mlflow import MlflowClient  # before the lock: it takes seconds

    lock = (store.database.parent if store.database else state_dir() / "locks") / "publish.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock, timeout=_LOCK_SECONDS), _fast_sqlite():
        if store.database is not None:
            _create_or_check(store.database)
        yield MlflowClient(store.uri)


_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Makes the UI open on the table of runs instead of its pages for language models."""


def experiment_id(client: "MlflowClient", store: TrackingStore, name: str) -> str:
    """The experiment's id, made where it does not exist, its artifacts beside the database."""
    location = store.artifacts.as_uri() if store.artifacts else None
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, artifact_location=location, tags=_KIND))
    if store.database and location and found.artifact_location != location:
        _rehome(store.database, found.artifact_location, location)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def schema_state(root: Path) -> str:
    """``absent``, ``current`` or ``outdated``: the schema of the local store below ``root``."""
    database = _local(root / "mlflow" / "mlflow.db").database
    if database is None or not database.exists():
        return "absent"
    return "current" if _on_engine(database, _is_current) else "outdated"


def upgrade_schema(root: Path) -> None:
    """Bring the local store's schema up to the installed MLflow; nothing where there is no store."""
    if schema_state(root) == "outdated":
        from mlflow.store.db import utils

        _on_engine(root / "mlflow" / "mlflow.db", utils._upgrade_db)


def _on_engine(database: Path, call: Callable[[Any], Returned]) -> Returned:
    set_environment(_LOCK_SECONDS)
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"{_SQLITE}{database}")
    try:
        return call(engine)
    finally:
        engine.dispose()


def _is_current(engine: Any) -> bool:
    from mlflow.store.db import utils

    return bool(utils._get_schema_version(engine) == utils._get_latest_schema_revision())  # type: ignore[no-untyped-call]


def _local(database: Path) -> TrackingStore:
    return TrackingStore(f"{_SQLITE}{database}", database)


def _create_or_check(database: Path) -> None:
    """Make the database, or look whether it is one: MLflow would try to open it for two minutes."""
    if not database.exists():
        _create(database)
        return
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=20)) as connection:
            connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.DatabaseError as error:
        problem = f"{database} is no MLflow store ({error})."
        raise StoreError(f"{problem} Move it away; `plantain sync` makes it anew") from None


def _create(database: Path) -> None:
    """Build the schema under a temporary name, then rename: a kill leaves no half-made store."""
    from mlflow.store.db import utils

    logging.getLogger(utils.__name__).setLevel(logging.WARNING)
    unfinished = database.with_name(f".{database.name}.{os.getpid()}.tmp")
    unfinished.unlink(missing_ok=True)
    _on_engine(unfinished, utils._initialize_tables)
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
            statement = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} LIKE ? || '%'"
            connection.execute(statement, (after, len(before) + 1, before))


def _check_server(uri: str, timeout: float) -> None:
    """Ask once, in a thread, since name resolution knows no time limit."""
    failures: list[str] = ["no answer"]

    def ask() -> None:
        try:
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=timeout):
                failures.clear()
        except OSError as error:
            failures[:] = [str(getattr(error, "reason", error))]

    if not uri.startswith(("http://", "https://")):
        return
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    if failures:
        raise StoreError(f"the MLflow server does not answer within {timeout:g} s ({failures[0]}).")
