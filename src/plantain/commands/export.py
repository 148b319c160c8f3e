"""``plantain export``: a result as an archive."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.places import typed
from plantain.commands.opening import group, opened
from plantain.records import journal
from plantain.track.address import find, parse
from plantain.track.crate import export

app = group("A result as an archive.")

ResultArgument = Annotated[str, typer.Argument(help="PROBE@MODEL[@REV], or an MLflow run id.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="A new folder, or a .zip file.")]


@app.callback()
def _group() -> None:
    """A result as an archive."""


@app.command()
def crate(result: ResultArgument, out: Out = None) -> None:
    """Write a Workflow Run RO-Crate: what ran, on what, with which numbers; large tensors by digest.

    The model card of the result stands in it as README.md.
    """
    found = find(Path(), parse(result), read_params().tracking)
    cell = found.cells[0]
    if not {"capture", "analyze"} <= cell.held.keys():
        raise InputError(f"{cell.name} is not complete.", fix="run `dvc repro`, or `dvc pull`.")
    target = typed(out or Path(f"{cell.probe}-{cell.model}.crate.zip"))
    print(f"Wrote {export(found, journal.executions(), target, _card(result))}.")


def _card(result: str) -> str:
    """The model card of a result; empty, and said why, where a file that it is made of cannot be read."""
    from plantain.report.model_card import model_card

    try:
        with opened([result]) as (shown,):
            return model_card(shown)
    except InputError as error:
        print(f"The crate has no model card: {error}", file=sys.stderr)
        return ""
