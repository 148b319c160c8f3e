"""Servers on loopback that tests start and stop."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str, process: subprocess.Popen, seconds: float = 240) -> None:
    """Return when ``address`` answers; fail where the process ends before or the time is over."""
    deadline = time.monotonic() + seconds
    while not _answers(address):
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, f"the server did not answer within {seconds:g} s"
        time.sleep(0.2)


def _answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=2).status == 200
    except OSError:
        return False


@contextmanager
def mlflow_server(folder: Path, backend: str, port: int | None = None) -> Iterator[tuple[str, subprocess.Popen]]:
    """A real MLflow server on loopback that keeps its artifacts in ``folder``: its address and its process."""
    port = port or free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    store = ["--backend-store-uri", backend, "--artifacts-destination", str(folder / "artifacts")]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("ab") as log:
        options = {"cwd": folder, "stdout": log, "stderr": log, "start_new_session": True}
        process = subprocess.Popen([*command, *store], env=os.environ | quiet, **options)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Postgres(NamedTuple):
    """A cluster of PostgreSQL on loopback."""

    port: int
    password: str

    def uri(self, database: str) -> str:
        """The address of a database, for a process that has the password in ``PGPASSWORD``."""
        return f"postgresql+psycopg2://plantain@127.0.0.1:{self.port}/{database}"


def postgres_binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, or None where PostgreSQL is not installed."""
    found = [Path(one).parent for one in (shutil.which("initdb"), shutil.which("pg_ctl")) if one]
    return next((one for one in [*found, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))] if _has_both(one)), None)


def _has_both(folder: Path) -> bool:
    return all((folder / name).exists() for name in ("initdb", "pg_ctl"))


@contextmanager
def postgres(binaries: Path) -> Iterator[Postgres]:
    """A cluster that ends with this context; PostgreSQL refuses to run as root, so that it then runs as nobody."""
    # Not below pytest's folder, which is closed to others.
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder, port, password = Path(name), free_port(), "hunter2database"
        (folder / "password").write_text(password)
        user: dict[str, object] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for path in (folder, folder / "password"):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)

        def run(command: str, *arguments: str) -> None:
            where = ["-D", str(folder / "cluster")]
            quiet = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
            subprocess.run(
                [binaries / command, *where, *arguments], cwd=folder, check=True, timeout=120, **quiet, **user
            )

        pwfile = f"--pwfile={folder / 'password'}"
        run("initdb", "--username=plantain", pwfile, "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync")
        run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", f"-F -p {port} -h 127.0.0.1 -k {folder}")
        try:
            yield Postgres(port, password)
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")
