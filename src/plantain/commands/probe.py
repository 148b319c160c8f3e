"""``plantain probe``: begin a probe of one's own, or take one out of the run."""

from pathlib import Path
from typing import Annotated

import typer

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.files import write_atomic
from plantain.base.places import typed
from plantain.commands.opening import group
from plantain.probe.authoring.listing import without_probe
from plantain.probe.authoring.new import new_probe
from plantain.probe.authoring.rows import Columns
from plantain.stages.pipelines import add_pipeline, piped, remove_pipeline

app = group("Begin a probe of your own, or take one out.")

Name = Annotated[str, typer.Argument(help="Lower-case letters, digits and underscores.")]
FromFile = Annotated[
    Path | None,
    typer.Option("--from", help="A table: CSV, TSV, JSON lines, or a list in .txt. Columns a, b and, if wanted, id."),
]
SideA = Annotated[str | None, typer.Option("--a", help="The column that holds side a.")]
SideB = Annotated[str | None, typer.Option("--b", help="The column that holds side b.")]
Items = Annotated[str | None, typer.Option("--items", help="The one column that holds items, put under templates.")]


@app.callback()
def _group() -> None:
    """Begin a probe of your own, or take one out."""


@app.command()
def new(name: Name, source: FromFile = None, a: SideA = None, b: SideB = None, items: Items = None) -> None:
    """Create prompts/NAME.yaml and add NAME to run.probes in params.yaml."""
    columns = Columns(a, b, items)
    if source is None and columns != Columns():
        raise InputError("--a, --b and --items name columns of a table.", fix="give the table: `--from FILE`.")
    path = new_probe(name, Path(), typed(source) if source else None, columns, tell=print)
    add_pipeline(name)
    print(f"{path} is ready, and {name} stands in run.probes of params.yaml.")
    print(f"Next: edit it, then `plantain prompts check {name}` and `plantain run {name}`.")


@app.command()
def rm(name: Name) -> None:
    """Take NAME out of run.probes, with its stages and results; prompts/NAME.yaml stays."""
    run = read_params().run
    if name not in {*run.probes, *piped()}:
        fix = f"use one of: {', '.join(run.probes)}."
        raise InputError(f"'{name}' is not listed.", file=places.PARAMS, field="run.probes", fix=fix)
    if run.probes == [name]:
        fix = "add another probe first: a run needs one."
        raise InputError(f"'{name}' is the only probe.", file=places.PARAMS, field="run.probes", fix=fix)
    remove_pipeline(name)
    if name in run.probes:
        write_atomic(places.PARAMS, without_probe(places.PARAMS, name))
    print(f"{name} is out of run.probes, and its pipeline and results are removed; {places.probe_file(name)} stays.")
