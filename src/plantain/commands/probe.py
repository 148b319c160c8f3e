"""``plantain probe``: begin a probe of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from plantain.base.errors import InputError
from plantain.commands.opening import group
from plantain.probe.authoring.new import new_probe
from plantain.probe.authoring.rows import Columns

app = group("Begin a probe of your own.")

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
    """Begin a probe of your own."""


@app.command()
def new(name: Name, source: FromFile = None, a: SideA = None, b: SideB = None, items: Items = None) -> None:
    """Create prompts/NAME.yaml and add NAME to run.probes in params.yaml."""
    columns = Columns(a, b, items)
    if source is None and columns != Columns():
        raise InputError("--a, --b and --items name columns of a table.", fix="give the table: `--from FILE`.")
    path = new_probe(name, Path(), source, columns, tell=print)
    print(f"{path} is ready, and {name} stands in run.probes of params.yaml.")
    print(f"Next: edit it, then `plantain prompts check {name}` and `plantain run {name}`.")
