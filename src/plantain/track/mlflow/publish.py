"""Publish the current results: the ledger first, then MLflow. A tracker that fails loses no result."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plantain.base.files import write_atomic
from plantain.base.params import Params, TrackingParams
from plantain.base.secrets import redacted
from plantain.records import journal
from plantain.records.ledger import Marker
from plantain.track import asked as asking
from plantain.track import ledger
from plantain.track.asked import Asked
from plantain.track.mlflow import store
from plantain.track.mlflow.projection import project
from plantain.track.results import FolderReader, Reader, Results, read_results

if TYPE_CHECKING:
    from plantain.track.mlflow.sink import Sink


@dataclass(frozen=True)
class PublishReport:
    """What a publication did."""

    ledger: Path
    receipts_sha256: str
    runs: int
    """Runs that the results call for."""
    created: int
    updated: int
    seconds: float
    warning: str | None = None
    """Why the tracker was not reached; None where it was."""
    remark: str = ""
    """Why prompt sets are not in MLflow's registry; empty where they are."""
    asked: str = ""
    """How often the models of these results were asked, and what follows."""

    def sentence(self) -> str:
        """A line for the terminal, one on what the registry lacks, and one on what was asked."""
        return "\n".join([self._done(), *(f"publish: {line}" for line in (self.remark, self.asked) if line)])

    def _done(self) -> str:
        if self.warning:
            return f"publish: wrote {self.ledger}. Warning: {self.warning}"
        done = f"{self.created} made, {self.updated} brought up to date"
        return f"publish: wrote {self.ledger}; {self.runs} MLflow runs stand ({done}) after {self.seconds:.1f} s."


def publish(root: Path, params: Params, marker: Path | None = None) -> PublishReport:
    """Write the ledger of the results below ``root``, make MLflow agree, and write the marker.

    A tracker that fails is a warning and leaves ``.plantain/pending``; the next publication drains it.

    Raises:
        InputError: a receipt or the list of cells is not what it should be.
    """
    started = time.monotonic()
    reader = FolderReader(root)
    results = read_results(reader)
    path = ledger.write(root, results)
    counts = asking.asked(root)
    asking.write(root, counts)
    done = _track(root, params.tracking, results, reader, counts)
    if marker is not None:
        write_atomic(marker, Marker(receipts_sha256=results.sha256).to_bytes())
    said = asking.asked_sentence([counts[model] for model in counts if model in {cell.model for cell in results.cells}])
    return PublishReport(path, results.sha256, **done, seconds=time.monotonic() - started, asked=said)


@contextmanager
def sink(tracking: TrackingParams) -> Iterator["Sink"]:
    """The experiment of ``params.tracking``, locked for writing.

    Raises:
        Exception: whatever MLflow, SQLite or the network raise.
    """
    place = store.locate(tracking)
    with store.connected(place, tracking.timeout) as client:
        from plantain.track.mlflow.sink import Sink
        from plantain.track.mlflow.view import share_view

        experiment = store.experiment_id(client, place, tracking.experiment)
        share_view(client, experiment)
        yield Sink(client, experiment)


def describe_failure(error: Exception) -> str:
    """One line on why the tracker was not reached, and the way out; never a credential."""
    reason = redacted(" ".join(str(error).split()))[:400].rstrip(".") or type(error).__name__
    return f"MLflow was not updated: {reason}. No result is lost; run `plantain sync` when it answers."


def _track(
    root: Path, tracking: TrackingParams, results: Results, reader: Reader, counts: Mapping[str, Asked]
) -> dict[str, Any]:
    """What the tracker did, by the names of a report."""
    try:
        specs = project(results, reader, journal.executions(), root, counts=counts)
        with sink(tracking) as opened:
            opened.apply(specs)
            tally, remark = opened.tally, opened.registry.remark
    except Exception as error:
        warning = describe_failure(error)
        store.leave_pending(warning)
        return {"runs": 0, "created": 0, "updated": 0, "warning": warning}
    store.pending_path().unlink(missing_ok=True)
    changed = tally.changed - tally.created
    return {"runs": len(specs), "created": tally.created, "updated": changed, "remark": remark}
