"""Runs that a killed process left RUNNING."""

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from plantain.config import TrackingParams
from plantain.track import store

if TYPE_CHECKING:
    from mlflow.entities import Run


def writer_is_gone(tags: dict[str, str]) -> bool:
    """Whether the process that wrote a run's tags ran on this machine and is no more."""
    pid = int(tags.get("pid", "0"))
    if tags.get("host") != socket.gethostname() or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def stale_runs(root: Path, tracking: TrackingParams) -> list[str]:
    """Ids of runs left RUNNING by a process of this machine that is gone; none where there is no store yet."""
    return _visit(tracking, close=False)


def close_stale(root: Path, tracking: TrackingParams) -> int:
    """Close such runs as KILLED; how many."""
    return len(_visit(tracking, close=True))


def _visit(tracking: TrackingParams, *, close: bool) -> list[str]:
    place = store.locate(tracking)
    if place.database is not None and not place.database.exists():
        return []
    with store.opened(place, tracking.timeout) as client:
        from plantain.track.mlflow_sink import Sink

        sink = Sink(client, store.experiment_id(client, place, tracking.experiment))
        found: list[Run] = [run for run in sink.load() if is_stale(run)]
        for run in found if close else []:
            client.set_terminated(run.info.run_id, "KILLED")
    return [run.info.run_id for run in found]


def is_stale(run: "Run") -> bool:
    """Whether ``run`` is RUNNING and its writer is gone."""
    return run.info.status == "RUNNING" and writer_is_gone(run.data.tags)
