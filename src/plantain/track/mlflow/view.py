"""How MLflow's page opens: the table of runs with the columns that plantain's readers compare.

MLflow keeps a shared view of an experiment as a tag, and opens it from an address that names the tag.
"""

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY: Final = "plantain"
_TAG: Final = f"mlflow.sharedViewState.{KEY}"
_COLUMNS: Final = {
    "metrics.`verdict_rung`": 110,
    "metrics.`selective_heads_lower_bound`": 210,
    "metrics.`delta`": 90,
    "metrics.`concept_information`": 160,
    "metrics.`heads_over_t3_fraction`": 180,
    "metrics.`card.heads_over_t3_fraction`": 210,
    "metrics.`split_half_r`": 110,
    "metrics.`effect`": 100,
    "attributes.`Dataset`": 220,
}
"""Widths in pixels, from left to right: what may be said, then what was counted, then of which prompts."""
_CURRENT: Final = "tags.superseded = 'false' AND tags.probe LIKE '%'"
"""Runs that nothing newer replaced; those of stages over all cells have no probe, and no numbers to compare."""


def view_state() -> str:
    """The state of MLflow's page, in the form in which the page itself shares it."""
    order = list(_COLUMNS)
    state = {"selectedColumns": order, "columnOrder": order, "columnWidths": _COLUMNS, "searchFilter": _CURRENT}
    return json.dumps(state, sort_keys=True)


def share_view(client: "MlflowClient", experiment_id: str) -> None:
    """Make the view known to the experiment; nothing where it is."""
    state = view_state()
    if client.get_experiment(experiment_id).tags.get(_TAG) != state:
        client.set_experiment_tag(experiment_id, _TAG, state)


def view_address(server: str, experiment_id: str) -> str:
    """Where the table of runs opens with its columns."""
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?viewStateShareKey={KEY}"
