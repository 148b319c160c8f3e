"""How MLflow's page opens: the table of runs with the columns that plantain's readers compare.

MLflow keeps a view of an experiment as a tag, lists it under "Views", and opens it from an address that names the tag.
Without it the page shows no numbers, and the rows of ``verdict`` and ``compare`` besides; nothing superseded either.
"""

import json
from typing import TYPE_CHECKING, Any, Final

from plantain.track.mlflow.artifacts import IMAGES
from plantain.track.mlflow.headline import FIGURES
from plantain.track.mlflow.profiles import SECTION

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY: Final = "plantain"
_TAG: Final = f"mlflow.sharedViewState.{KEY}"
_NOTE: Final = "mlflow.note.content"
_OPENED: Final = f"viewStateShareKey={KEY}"
"""What an address of the view holds, and by that a description of ours."""
_COLUMNS: Final = {
    "metrics.`verdict_rung`": 110,
    "metrics.`selective_heads_lower_bound`": 210,
    "metrics.`delta`": 90,
    "metrics.`concept_information`": 160,
    "metrics.`effect`": 100,
    "metrics.`split_half_r`": 110,
    "metrics.`heads_over_t3_fraction`": 180,
    "metrics.`card.heads_over_t3_fraction`": 210,
    "attributes.`Dataset`": 220,
}
"""Widths in pixels, from left to right: what may be said, then what was counted, then of which prompts."""
_MAPS: Final = {"uuid": "plantain-figures", "name": IMAGES, "display": True, "columns": 1, "cardHeight": 400}
_SECTIONS: Final = (
    {"uuid": "plantain-blocks", "name": SECTION.rstrip("/"), "display": True, "columns": 2, "cardHeight": 300},
    _MAPS,
    {"uuid": "plantain-numbers", "name": "Model metrics", "display": True},
)
"""Sections of the charts: profiles over blocks, then one figure across with every visible run's own beside the others',
then a bar chart a number, which MLflow adds itself."""
_CURRENT: Final = "tags.superseded = 'false' AND tags.probe LIKE '%'"
"""Runs that nothing newer replaced, also where the writer may not delete; those of stages over all cells have no probe,
and no numbers to compare. No order: MLflow nests the runs of a row below it in its own order alone."""
_SAVED: Final = 1
"""Moment at which the view was made, to MLflow; one and the same, so that every machine writes the same bytes."""


def view_state() -> str:
    """The view, in the form in which MLflow's page itself keeps one."""
    order = list(_COLUMNS)
    state: dict[str, Any] = {"selectedColumns": order, "columnOrder": order, "columnWidths": _COLUMNS}
    state |= {"compareRunSections": _SECTIONS, "compareRunCharts": [_map(name) for name in FIGURES]}
    state |= {"searchFilter": _CURRENT}
    envelope = {"name": KEY, "createdAt": _SAVED, "updatedAt": _SAVED, "state": json.dumps(state, sort_keys=True)}
    return json.dumps(envelope, sort_keys=True)


def _map(name: str) -> dict[str, Any]:
    """A figure of all visible runs side by side; left to itself MLflow writes every parameter of a run above it."""
    key = f"{IMAGES}/{name}"
    card = {"type": "IMAGE", "uuid": f"plantain-{name}", "imageKeys": [key], "showRunParams": False, "step": 0}
    return {**card, "metricSectionId": _MAPS["uuid"], "isGenerated": True, "deleted": False, "runsCountToCompare": 10}


def share_view(client: "MlflowClient", experiment_id: str) -> None:
    """Make the view known to the experiment, with a link to it above its runs; nothing where it is.

    A description that somebody wrote by hand stays.
    """
    held = client.get_experiment(experiment_id).tags
    wanted = {_TAG: view_state(), _NOTE: _note(experiment_id)}
    if _OPENED not in held.get(_NOTE, _OPENED):
        del wanted[_NOTE]
    for name, text in wanted.items():
        if held.get(name) != text:
            client.set_experiment_tag(experiment_id, name, text)


def _note(experiment_id: str) -> str:
    """The description: the front page of MLflow shows how it begins, the page of the experiment all of it."""
    table = f"[the table with its numbers]({_place(experiment_id)})"
    return f"Probes x models: {table}, also under Views. What newer results replaced is in State: Deleted."


def view_address(server: str, experiment_id: str) -> str:
    """Where the table of runs opens with its columns."""
    return f"{server.rstrip('/')}/{_place(experiment_id)}"


def _place(experiment_id: str) -> str:
    """The part of an address that MLflow's pages read; it also names the half of MLflow that trains models."""
    return f"#/experiments/{experiment_id}/runs?{_OPENED}&workflowType=machine_learning"
