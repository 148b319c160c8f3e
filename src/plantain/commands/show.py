"""``plantain show`` and ``plantain headline``: one result in the terminal, or the last run in a few lines."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from plantain.base import places
from plantain.base.config import NAME
from plantain.base.errors import InputError
from plantain.commands.opening import opened
from plantain.report import text as terminal
from plantain.report import words as wording
from plantain.report.by_measure import MeasureShown, by_measure
from plantain.report.columns import WIDTH
from plantain.report.result import Result, load_cells
from plantain.report.swaps import swaps_of
from plantain.report.text import headlines

AddressArgument = Annotated[
    str | None,
    typer.Argument(
        help="PROBE@MODEL[@REV][:CONTRAST] or a run id; PROBE alone for the verdicts of its models; "
        "all results if left out."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def show(result: AddressArgument = None, as_json: Json = False) -> None:
    """Print verdict, headline numbers beside what they would be by chance, and a profile over blocks."""
    if result is None:
        _several(load_cells(Path()), headlines, as_json)
        return
    if NAME.fullmatch(result):
        _several(_of_probe(result), terminal.models, as_json)
        return
    with opened([result]) as (found,):
        if as_json:
            print(json.dumps(as_data(found), indent=2))
        else:
            room = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH
            Console(highlight=False, width=min(room, WIDTH)).print(terminal.show(found))


def _several(results: list[Result], told: Callable[[list[Result]], list[str]], as_json: bool) -> None:
    print(json.dumps([as_data(one) for one in results], indent=2) if as_json else "\n".join(told(results)))


def _of_probe(probe: str) -> list[Result]:
    """The results of one probe.

    Raises:
        InputError: the last run has none.
    """
    every = load_cells(Path())
    found = [one for one in every if one.probe == probe]
    if not found:
        known = ", ".join(one.address for one in every) or "none yet"
        raise InputError(f"there is no result of a probe '{probe}'.", fix=f"there is: {known}.")
    return found


def _verdict(result: Result) -> dict[str, Any] | None:
    """How far the contrast that stands first got; exploratory where the verdict rests on another."""
    climb = result.standing
    if climb is None:
        return None
    told = climb.model_dump(mode="json", include={"rung", "rungs"})
    told |= {"sentence": wording.claim(result), "metrics": result.numbers}
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
        "measures": {one.measure: _by(one) for one in by_measure(result)},
        "swaps": _swapped(result),
        "blocks": [row.model_dump() for row in main.summary.blocks],
    }


def _swapped(result: Result) -> dict[str, Any] | None:
    """What swapped heads did, every number by name; or why none was swapped. None before any verdict."""
    found = swaps_of(result)
    if found is None:
        return None
    ranks = {one.family: one.p for one in found.ranks}
    return {"problem": found.problem, "ranks": ranks, "metrics": found.table.numbers() if found.table else {}}


def _by(one: MeasureShown) -> dict[str, Any]:
    """What wordings show by one measure; no rung where its ladder was not climbed."""
    return {"role": one.role, "rung": one.climb.rung if one.climb else None, "metrics": dict(one.metrics)}


def headline() -> None:
    """Print the headline numbers of every cell and where to look."""
    path = places.CELLS
    if not path.exists():
        raise InputError("no run to show.", file=path, fix="run `make repro` or `dvc repro` first.")
    print("\n".join(headlines(load_cells(Path()))))
    print("\nLook at reports/index.html, or at one cell: reports/<model>/<probe>/index.html")
    print("Compare runs in MLflow: make ui")
