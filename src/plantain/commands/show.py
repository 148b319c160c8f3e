"""``plantain show`` and ``plantain headline``: one result in the terminal, or the last run in a few lines."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from plantain.base import places
from plantain.base.errors import InputError
from plantain.commands.opening import opened
from plantain.report import text as terminal
from plantain.report import words as wording
from plantain.report.result import Result, load_cells
from plantain.report.text import headlines

AddressArgument = Annotated[
    str | None, typer.Argument(help="PROBE@MODEL[@REV][:CONTRAST] or a run id; every headline if left out.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


PIPED_WIDTH = 120
"""Columns where there is no terminal to ask."""


def show(result: AddressArgument = None, as_json: Json = False) -> None:
    """Print verdict, headline numbers and a profile over blocks."""
    if result is None:
        _all(as_json)
        return
    with opened([result]) as (found,):
        if as_json:
            print(json.dumps(as_data(found), indent=2))
        else:
            wide = None if sys.stdout.isatty() else PIPED_WIDTH
            Console(highlight=False, width=wide).print(terminal.show(found))


def _all(as_json: bool) -> None:
    results = load_cells(Path())
    lines = [json.dumps([as_data(one) for one in results], indent=2)] if as_json else headlines(results)
    print("\n".join(lines))


def _verdict(result: Result) -> dict[str, Any] | None:
    """How far the contrast that stands first got; exploratory where the verdict rests on another."""
    climb = result.standing
    if climb is None:
        return None
    told = climb.model_dump(mode="json", include={"rung", "rungs", "sentence", "metrics"})
    return {"contrast": result.main.contrast, "exploratory": result.exploratory, **told}


def as_data(result: Result) -> dict[str, Any]:
    """A result for programs: its verdict, and the metrics and blocks of its main analysis."""
    main = result.main
    return {
        "result": result.address,
        "prompts_sha256": result.prompts_sha256,
        "untrained": wording.is_untrained(result.lock),
        "verdict": _verdict(result),
        "analysis": main.label,
        "exploratory": main.summary.exploratory,
        "metrics": main.metrics,
        "blocks": [row.model_dump() for row in main.summary.blocks],
    }


def headline() -> None:
    """Print the headline numbers of every cell and where to look."""
    path = places.CELLS
    if not path.exists():
        raise InputError("no run to show.", file=path, fix="run `make repro` or `dvc repro` first.")
    print("\n".join(headlines(load_cells(Path()))))
    print("\nLook at reports/index.html, or at one cell: reports/<model>/<probe>/index.html")
    print("Compare runs in MLflow: make ui")
