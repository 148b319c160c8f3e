"""Make MLflow agree with the receipts, whatever happened to it: lost, dead, killed in the middle, doubled."""

import time
from dataclasses import dataclass
from pathlib import Path

from plantain.base.errors import InputError
from plantain.base.params import Params
from plantain.records import journal
from plantain.track.asked import Asked, asked
from plantain.track.history import RevisionReader, revisions
from plantain.track.mlflow import store
from plantain.track.mlflow.faults import StoreError
from plantain.track.mlflow.projection import RunSpec, project
from plantain.track.mlflow.publish import describe_failure, sink
from plantain.track.results import RESULTS, FolderReader, read_results


@dataclass(frozen=True)
class SyncReport:
    """What a synchronisation did."""

    revisions: int
    """Revisions with results of their own that were read, the workspace not counted."""
    runs: int
    created: int
    updated: int
    superseded: int
    killed: int
    merged: int
    skipped: tuple[str, ...]
    """Why some revisions brought nothing."""
    seconds: float
    remark: str = ""
    """Why prompt sets are not in MLflow's registry; empty where they are."""


def sync(root: Path, params: Params, *, history: bool = False) -> SyncReport:
    """Publish the results below ``root``; with ``history`` those of every commit and experiment too.

    Raises:
        StoreError: the tracker was not reached; nothing is lost.
    """
    started = time.monotonic()
    counts = asked(root)
    found, skipped, specs = _history(root, counts) if history else (0, [], [])
    reader = FolderReader(root)
    specs += project(read_results(reader), reader, journal.executions(), root, counts=counts)
    try:
        with sink(params.tracking) as opened:
            opened.apply(specs)
            opened.merge()
            tally, remark = opened.tally, opened.registry.remark
    except Exception as error:
        raise StoreError(describe_failure(error)) from error
    store.pending_path().unlink(missing_ok=True)
    return SyncReport(
        revisions=found,
        runs=len({spec.identity for spec in specs}),
        created=tally.created,
        updated=tally.updated,
        superseded=tally.superseded,
        killed=tally.killed,
        merged=tally.merged,
        skipped=tuple(skipped),
        seconds=time.monotonic() - started,
        remark=remark,
    )


def _history(root: Path, counts: dict[str, Asked]) -> tuple[int, list[str], list[RunSpec]]:
    lines = journal.executions()
    found, skipped, specs = 0, [], []
    for revision in revisions(root, *RESULTS):
        reader = RevisionReader(root, revision.sha)
        try:
            results = read_results(reader)
        except InputError as error:
            skipped.append(f"{revision.label}: {error}")
            continue
        if reader.missing:
            skipped.append(f"{revision.label}: {len(reader.missing)} receipts are neither in the cache nor on a remote")
        runs = project(results, reader, lines, root, revision, counts=counts)
        found += bool(runs)
        specs += runs
    return found, skipped, specs
