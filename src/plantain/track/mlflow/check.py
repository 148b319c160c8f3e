"""The tracker, checked: every number of MLflow against the receipt that it came from."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from plantain.base.errors import InputError
from plantain.base.params import TrackingParams
from plantain.track.audit.checks import Broken
from plantain.track.mlflow import store
from plantain.track.mlflow.projection import RunSpec

if TYPE_CHECKING:
    from mlflow.entities import Run


def check_runs(specs: Iterable[RunSpec], tracking: TrackingParams) -> tuple[list[Broken], str | None]:
    """Numbers of MLflow that the receipts do not say, and why MLflow could not be asked (None where it was).

    A run that is not there is no broken link: MLflow is a view, and ``plantain sync`` makes it whole.
    """
    place = store.locate(tracking)
    if place.database is not None and not place.database.exists():
        return [], "there is no store yet; `plantain sync` makes it."
    try:
        with store.connected(place, tracking.timeout) as client:
            from plantain.track.mlflow.sink import IDENTITY, Sink

            runs = Sink(client, store.experiment_id(client, place, tracking.experiment)).load()
    except Exception as error:  # a tracker may fail in any way; the audit goes on and says so
        return [], " ".join(str(error).split())[:300]
    held = {run.data.tags[IDENTITY]: run for run in runs}
    return [found for spec in specs if spec.identity in held for found in _run(spec, held[spec.identity])], None


def _run(spec: RunSpec, run: "Run") -> Iterator[Broken]:
    cell = "@".join(spec.tags[name] for name in ("probe", "model") if name in spec.tags) or spec.name
    last = {name: points[-1][1] for name, points in spec.series.items()}
    for name, value in (spec.metrics | last).items():
        found = run.data.metrics.get(name)
        if found != value:
            problem = f"{name} of {spec.name} is {found}, and the receipt says {value}. Run `plantain sync`."
            yield Broken("MLflow", f"run {run.info.run_id}", problem, cell, 1)
    for name, text in spec.tags.items():
        if name.endswith("_sha256") and run.data.tags.get(name) != text:
            problem = f"tag {name} of {spec.name} is not what the receipts say. Run `plantain sync`."
            yield Broken("MLflow", f"run {run.info.run_id}", problem, cell, len(spec.metrics))


def run_tags(run_id: str, tracking: TrackingParams) -> dict[str, str]:
    """Tags of a run.

    Raises:
        InputError: the store has no such run, or it is none of plantain's.
    """
    place = store.locate(tracking)
    if place.database is not None and not place.database.exists():
        raise InputError(f"there is no MLflow store to look for run {run_id}.", fix="run `plantain sync`.")
    with store.connected(place, tracking.timeout) as client:
        from mlflow.exceptions import MlflowException

        try:
            tags: dict[str, str] = client.get_run(run_id).data.tags
        except MlflowException:
            fix = "copy the id from the run's page in `plantain ui`."
            raise InputError(f"MLflow has no run {run_id}.", fix=fix) from None
    if "probe" not in tags or "model" not in tags:
        fix = "choose a run of one probe on one model."
        raise InputError(f"run {run_id} stands for no single result.", fix=fix)
    return tags
