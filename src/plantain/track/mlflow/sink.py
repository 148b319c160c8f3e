"""Make the tracker hold what the projection says: runs found by tag, made once, finished, superseded or closed."""

import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException

from plantain.base.params import TrackingParams
from plantain.track.mlflow import artifacts, store
from plantain.track.mlflow.profiles import SECTION, series_sha256
from plantain.track.mlflow.projection import COLOR, DatasetSpec, RunSpec
from plantain.track.mlflow.registry import Registry
from plantain.track.mlflow.store import HIDDEN

IDENTITY: Final = "plantain.identity"
PLACE: Final = "plantain.place"
SUPERSEDED: Final = "superseded"
DISCARDED: Final = "plantain.discarded"
"""Marks what plantain deleted because another run stands for it."""
SERIES: Final = "plantain.series"
"""Digest of the profiles that a run holds: of a profile itself MLflow's search returns the last point only."""
_PARENT: Final = "mlflow.parentRunId"
_PAGE: Final = 1000
_ATTEMPTS: Final = 4
_BATCH: Final = 90
_DIGEST_LENGTH: Final = 32
"""MLflow takes at most 36 characters of dataset digest."""
_MUTABLE_ABSENT: Final = ("cached_from", "git_diff_sha256", "experiment", HIDDEN)
"""Tags that are taken away again where the projection no longer has them."""


@dataclass
class Applied:
    """What an application of the projection changed."""

    created: int = 0
    updated: int = 0
    superseded: int = 0
    killed: int = 0
    merged: int = 0
    run_ids: dict[str, str] = field(default_factory=dict)
    """Identity to run id."""

    @property
    def changed(self) -> int:
        """How many runs were touched."""
        return self.created + self.updated + self.superseded + self.killed + self.merged


class Sink:
    """One experiment of one store. The caller holds the store's lock."""

    def __init__(self, client: MlflowClient, experiment: str) -> None:
        self._client = client
        self._experiment = experiment
        self.tally = Applied()
        self._known: dict[str, list[Run]] = {}
        self._done: set[str] = set()
        """Runs that need nothing more: those that stand, and those that were deleted."""
        self._back: list[str] = []
        """Ids of runs that plantain deleted and that came back with their experiment."""
        self.registry = Registry(client, experiment)

    def apply(self, specs: list[RunSpec]) -> None:
        """Make every run of ``specs``, parents first. Of those that want one place, the last holds it."""
        _undisturbed(lambda: self._apply(specs))

    def _apply(self, specs: list[RunSpec]) -> None:
        runs = self.load()
        for run_id in self._back:
            self._client.delete_run(run_id)
        self.registry.open(specs)
        holders = {spec.place: spec.identity for spec in specs}
        gone: set[str | None] = set()
        for spec in {spec.identity: spec for spec in specs}.values():
            superseded = holders[spec.place] != spec.identity or spec.parent in gone
            gone |= {spec.identity} if superseded else set()
            self._ensure(spec, superseded=superseded)
        self._close_stale(runs)
        self._supersede(runs, set(holders))
        self.registry.link(specs, self.tally.run_ids)

    def load(self) -> list[Run]:
        """All runs of the experiment that plantain made: those that stand, and those that others replaced."""
        found = list(self._search())
        self._back = [str(run.info.run_id) for run in found if DISCARDED in run.data.tags and _is_active(run)]
        runs = [run for run in found if IDENTITY in run.data.tags and DISCARDED not in run.data.tags]
        # One that stands and that somebody deleted is made anew.
        runs = [run for run in runs if _is_active(run) or run.data.tags.get(SUPERSEDED) == "true"]
        self._known = {}
        for run in sorted(runs, key=lambda run: str(run.info.run_id)):
            self._known.setdefault(run.data.tags[IDENTITY], []).append(run)
        return runs

    def merge(self) -> None:
        """Delete all but the lowest run id of each identity: two machines on one server share no lock."""
        _undisturbed(self._merge)

    def _merge(self) -> None:
        self.load()
        for runs in self._known.values():
            for extra in runs[1:]:
                self._discard(extra)
                self.tally.merged += 1

    def _discard(self, run: Run) -> None:
        """Delete a run for good: MLflow takes back every run of an experiment that is deleted and restored."""
        self._unhide(run)
        self._client.set_tag(run.info.run_id, DISCARDED, "true")
        self._client.delete_run(run.info.run_id)
        self._done.add(run.info.run_id)

    def _search(self) -> Iterable[Run]:
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], run_view_type=ViewType.ALL, max_results=_PAGE, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _ensure(self, spec: RunSpec, *, superseded: bool) -> None:
        tags = {**spec.tags, **artifacts.tags(spec), **_standing(superseded=superseded)}
        tags |= {IDENTITY: spec.identity, PLACE: spec.place}
        tags |= {SERIES: series_sha256(spec.series)} if spec.series else {}
        if spec.parent:
            tags[_PARENT] = self.tally.run_ids[spec.parent]
        run = next(iter(self._known.get(spec.identity, [])), None)
        if run is not None and _contradicts(run, spec):
            self._discard(run)
            tags = _added_by_hand(run) | tags
            run = None
        if run is None:
            run = self._client.create_run(self._experiment, _milliseconds(spec.started), tags, spec.name)
            self.tally.run_ids[spec.identity] = run.info.run_id
            self._fill(run.info.run_id, spec)
            self.tally.created += 1
            if superseded:
                self._hide(run.info.run_id)
            return
        self.tally.run_ids[spec.identity] = run.info.run_id
        self._update(run, spec, tags)

    def _fill(self, run_id: str, spec: RunSpec) -> None:
        """Everything but the tags, and the end last: a run that a kill cut short stays RUNNING and is filled again."""
        moment = _milliseconds(spec.ended)
        metrics = [Metric(name, value, moment, 0) for name, value in spec.metrics.items()] + _points(spec)
        params = [Param(name, value) for name, value in spec.params.items()]
        self._client.log_batch(run_id, metrics=metrics[: _PAGE - _BATCH], params=params[:_BATCH])
        self._log_points(run_id, metrics[_PAGE - _BATCH :])
        for start in range(_BATCH, len(params), _BATCH):
            self._client.log_batch(run_id, params=params[start : start + _BATCH])
        if spec.datasets:
            self._client.log_inputs(run_id, [_dataset(one) for one in spec.datasets])
        self._log_artifacts(run_id, spec)
        self._client.set_terminated(run_id, "FINISHED", moment)

    def _update(self, run: Run, spec: RunSpec, tags: dict[str, str]) -> None:
        held, run_id = run.data.tags, run.info.run_id
        kept = {"host", "pid"} | ({COLOR} & held.keys())
        changed = {name: value for name, value in tags.items() if held.get(name) != value and name not in kept}
        gone = [name for name in _MUTABLE_ABSENT if name in held and name not in tags]
        metrics = {name: value for name, value in spec.metrics.items() if run.data.metrics.get(name) != value}
        unfinished = run.info.status != "FINISHED"
        if not (changed or gone or metrics or unfinished):
            return
        self._unhide(run)
        if SERIES in changed and not unfinished:
            self._log_points(run_id, _points(spec))
        if changed:
            self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in changed.items()])
        for name in gone:
            self._client.delete_tag(run_id, name)
        if metrics and not unfinished:
            moment = self._after(run, spec)
            self._client.log_batch(run_id, [Metric(name, value, moment, 0) for name, value in metrics.items()])
        if unfinished:
            self._fill(run_id, spec)
        elif "receipts_sha256" in changed or metrics:
            self._log_artifacts(run_id, spec)
        if HIDDEN in changed or (HIDDEN in tags and not _is_active(run)):
            self._hide(run_id)
        self.tally.updated += 1

    def _after(self, run: Run, spec: RunSpec) -> int:
        """A moment after all that ``run`` holds: of two values MLflow shows the later one."""
        names = [name for name in spec.metrics if name in run.data.metrics]
        points = [point for name in names for point in self._client.get_metric_history(run.info.run_id, name)]
        return max([_milliseconds(spec.ended), *(int(point.timestamp) + 1 for point in points)])

    def _hide(self, run_id: str) -> None:
        """Put a superseded run among MLflow's deleted runs, which its tables leave out unless they are asked for.

        Who may write to an experiment may not always delete there: then the tag alone tells.
        """
        try:
            self._client.delete_run(run_id)
        except MlflowException as error:
            if error.error_code != "PERMISSION_DENIED":
                raise

    def _unhide(self, run: Run) -> None:
        if not _is_active(run):
            self._client.restore_run(run.info.run_id)

    def _log_points(self, run_id: str, points: list[Metric]) -> None:
        for start in range(0, len(points), _PAGE):
            self._client.log_batch(run_id, metrics=points[start : start + _PAGE])

    def _log_artifacts(self, run_id: str, spec: RunSpec) -> None:
        with tempfile.TemporaryDirectory() as folder:
            if artifacts.lay_out(spec, Path(folder)):
                self._client.log_artifacts(run_id, folder)

    def _supersede(self, runs: list[Run], places: set[str]) -> None:
        """Tag the runs that stood where others stand now, and their children."""
        done = self._done | set(self.tally.run_ids.values())
        left = [run for run in runs if run.info.run_id not in done]
        gone = {run.info.run_id for run in left if run.data.tags[PLACE] in places}
        gone |= {run.info.run_id for run in left if run.data.tags.get(_PARENT) in gone}
        for run in left:
            if run.info.run_id in gone and HIDDEN not in run.data.tags:
                self._unhide(run)
                wanted = [RunTag(name, value) for name, value in _standing(superseded=True).items()]
                self._client.log_batch(run.info.run_id, tags=wanted)
                self._hide(run.info.run_id)
                self.tally.superseded += 1

    def _close_stale(self, runs: list[Run]) -> None:
        """Close what a killed writer of this machine left RUNNING; the runs still wanted were finished above."""
        done = self._done | set(self.tally.run_ids.values())
        for run in runs:
            if run.info.run_id not in done and is_stale(run):
                self._client.set_terminated(run.info.run_id, "KILLED")
                self.tally.killed += 1


def _is_active(run: Run) -> bool:
    return bool(run.info.lifecycle_stage == "active")


def _standing(*, superseded: bool) -> dict[str, str]:
    """Tags that say whether another run holds a run's place."""
    return {SUPERSEDED: "true", HIDDEN: "true"} if superseded else {SUPERSEDED: "false"}


def _undisturbed(work: Callable[[], None]) -> None:
    """Do ``work`` from the start again where another machine deleted a run under it, which merging twins does."""
    for _ in range(_ATTEMPTS):
        try:
            work()
        except MlflowException as error:
            if "must be in the 'active' state" not in str(error):
                raise
        else:
            return
    work()


def _contradicts(run: Run, spec: RunSpec) -> bool:
    """Whether ``run`` holds what MLflow cannot take back: another parameter value or profile, a number too many.

    A second profile would be drawn over the first. A parent's numbers may change with the analysis; those of any
    other run follow from its receipt, so that a different value there was not written by plantain.
    """
    params = any(spec.params.get(name) != value for name, value in run.data.params.items())
    drawn = {name for name in run.data.metrics if name.startswith(SECTION) or name in spec.series}
    numbers = {name: value for name, value in run.data.metrics.items() if name not in drawn}
    extra = any(name not in spec.metrics for name in numbers)
    profile = SERIES in run.data.tags and bool(spec.series) and run.data.tags[SERIES] != series_sha256(spec.series)
    fixed = spec.kind != "cell"
    altered = any(spec.metrics.get(name) != value for name, value in numbers.items())
    return params or extra or profile or (fixed and altered)


def _points(spec: RunSpec) -> list[Metric]:
    moment = _milliseconds(spec.ended)
    return [Metric(name, value, moment, step) for name, found in spec.series.items() for step, value in found]


def _added_by_hand(run: Run) -> dict[str, str]:
    """Tags that somebody gave a run: they go over to the run that takes its place."""
    ours = {SUPERSEDED, *_MUTABLE_ABSENT}
    own = {name for name in run.data.tags if name in ours or name.startswith(("mlflow.", "plantain."))}
    return {name: text for name, text in run.data.tags.items() if name not in own}


def _dataset(spec: DatasetSpec) -> DatasetInput:
    source = json.dumps({"uri": spec.source})
    profile = json.dumps({"records": spec.rows})
    dataset = Dataset(spec.name, spec.sha256[:_DIGEST_LENGTH], "local", source, profile=profile)
    tags = [InputTag("mlflow.data.context", "prompts"), InputTag("sha256", spec.sha256)]
    return DatasetInput(dataset, tags)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


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
    with store.connected(place, tracking.timeout) as client:
        experiment = store.find_experiment(client, tracking.experiment)
        if experiment is None:
            return []
        sink = Sink(client, experiment)
        found: list[Run] = [run for run in sink.load() if is_stale(run)]
        for run in found if close else []:
            client.set_terminated(run.info.run_id, "KILLED")
    return [run.info.run_id for run in found]


def is_stale(run: "Run") -> bool:
    """Whether ``run`` is RUNNING, not deleted, and its writer is gone."""
    return run.info.status == "RUNNING" and _is_active(run) and writer_is_gone(run.data.tags)
