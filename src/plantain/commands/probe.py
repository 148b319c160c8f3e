"""``plantain probe``: begin a probe of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from plantain.commands.opening import group
from plantain.probe.authoring.new import new_probe

app = group("Begin a probe of your own.")

Name = Annotated[str, typer.Argument(help="Lower-case letters, digits and underscores.")]
Pairs = Annotated[Path | None, typer.Option("--from", help="A CSV file with columns a, b and, if wanted, id.")]


@app.callback()
def _group() -> None:
    """Begin a probe of your own."""


@app.command()
def new(name: Name, pairs: Pairs = None) -> None:
    """Create prompts/NAME.yaml and add NAME to run.probes in params.yaml."""
    path = new_probe(name, Path(), pairs)
    print(f"{path} is ready, and {name} stands in run.probes of params.yaml.")
    print(f"Next: edit it, then `plantain prompts check {name}` and `plantain run {name}`.")
