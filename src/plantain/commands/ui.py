"""``plantain ui``: the MLflow UI on loopback."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from plantain.base.config import read_params
from plantain.base.params import TrackingParams
from plantain.base.secrets import redacted
from plantain.track.mlflow.faults import StoreError
from plantain.track.mlflow.store import (
    TrackingStore,
    connected,
    experiment_id,
    locate,
    pending_path,
    set_environment,
)
from plantain.track.mlflow.sync import sync
from plantain.track.mlflow.view import share_view, view_address

Port = Annotated[int, typer.Option(help="Port on 127.0.0.1.")]


def ui(port: Port = 5000) -> None:
    """Open the MLflow UI on this machine's loopback address; publishes first what still waits."""
    params = read_params()
    place = locate(params.tracking)
    if pending_path().exists() or (place.database is not None and not place.database.exists()):
        try:
            sync(Path(), params)
        except StoreError as error:
            print(f"plantain: {redacted(str(error))}", file=sys.stderr)
    if not place.is_database:
        print(f"The runs are on the server: {_shared(place, params.tracking, place.place)}")
        return
    set_environment(params.tracking.timeout)
    address = _shared(place, params.tracking, f"http://127.0.0.1:{port}")
    print(f"The table of runs: {address}\nStop with Ctrl-C.", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    options = ["--default-artifact-root", place.artifacts.as_uri()] if place.artifacts else []
    # The address is not on the command line, which every user of the machine can read. Jobs judge traces of language
    # models: nine more processes and a gigabyte, for nothing that is shown here.
    environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": place.uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    try:
        raise typer.Exit(subprocess.run([*command, *options], check=False, env=environment).returncode)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _shared(place: TrackingStore, tracking: TrackingParams, server: str) -> str:
    """Where the table of runs opens, its columns chosen; the bare address where the store does not answer."""
    try:
        with connected(place, tracking.timeout) as client:
            number = experiment_id(client, place, tracking.experiment)
            share_view(client, number)
            return view_address(server, number)
    except Exception as error:  # a tracker may fail in any way, and its pages may open all the same
        print(f"plantain: {redacted(str(error))}", file=sys.stderr)
        return server
