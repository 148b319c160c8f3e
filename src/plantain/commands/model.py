"""``plantain model``: what a model consists of, and fetching its weights."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.params import Source
from plantain.commands.opening import group
from plantain.model import fetching, hub
from plantain.model.declared import declared
from plantain.model.layout import read_index

if TYPE_CHECKING:
    from plantain.model.describe import Description

app = group("Show the geometry of a model, or fetch its weights.")

_PARAMS = places.PARAMS
_ROWS = {
    "projections": "projections measured",
    "heads": "attention heads (image or all tokens)",
    "head_streams": "attention heads, text stream counted apart",
    "mlp_slices": "MLP slices as wide as a head",
    "groups": "groups without the text stream",
    "groups_with_text_stream": "groups stored",
    "attention_groups": "groups that hold attention output",
    "mlp_groups": "groups that hold MLP channels",
}


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A model of params.yaml, or a published FLUX.2 repository.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what of a model is measured: blocks, heads and groups. Needs no weights."""
    from plantain.model.describe import describe  # with torch, which fetching does without

    found = describe(name, read_params(_PARAMS))
    if as_json:
        record = {"name": found.name, "source": found.source, "configuration": found.configuration}
        typer.echo(json.dumps(record | {"geometry": found.geometry.model_dump(), "counts": found.counts}, indent=2))
    else:
        _print(found)


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="A hub model of params.yaml.")]) -> None:
    """Download the weights of a hub model and pin the commit in params.yaml. Files that are there are kept."""
    params = read_params(_PARAMS)
    entry = declared(name, params)
    name = entry.of or name
    entry = declared(name, params)
    if entry.source is not Source.hub:
        fix = "nothing: it needs no download." if entry.source is Source.embedded else "put its folder in place."
        raise InputError(f"{name} is {entry.source}, not a hub model.", fix=fix)
    wanted = hub.Hub(name, str(entry.repo), str(entry.revision))
    commit = fetching.fetch(wanted)
    fetched = hub.Hub(name, wanted.repo, commit)
    folder = hub.folder(fetched)
    read_index(folder)
    size = sum(part.bytes for part in hub.inspect(fetched, folder).values())
    typer.echo(f"{name}: {wanted.repo} at {commit}, {size / 1e9:.1f} GB of weights in {folder}.")
    if hub.pin(_PARAMS, name, commit):
        typer.echo(f"params.yaml: models.{name}.revision is now this commit (was {wanted.revision}).")
    typer.echo(f"Next: put {name} under run.models in params.yaml, then `dvc repro`.")


def _print(found: "Description") -> None:
    shape = found.geometry
    size = f"{shape.parameters:,} parameters in the transformer"
    table = Table("what", "count", title=f"{found.name} ({found.source})", caption=f"Read from: {found.configuration}")
    table.columns[1].justify = "right"
    table.add_row("joint blocks", f"{shape.joint_blocks:,}")
    table.add_row("single blocks", f"{shape.single_blocks:,}")
    table.add_row(f"heads per block, of {shape.head_width} channels", f"{shape.heads:,}")
    table.add_row("MLP channels per single block", f"{shape.mlp_width:,}", end_section=True)
    for key, label in _ROWS.items():
        table.add_row(label, f"{found.counts[key]:,}")
    console = Console()
    console.print(table)
    console.print(size, highlight=False)
