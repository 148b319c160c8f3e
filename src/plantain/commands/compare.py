"""``plantain compare``: a page with results side by side."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.places import state_dir, typed
from plantain.commands.opening import opened
from plantain.commands.show import as_data
from plantain.records.cells import read_cells
from plantain.report.compare import contents as comparing
from plantain.report.compare.table import table_csv, table_data, write_table
from plantain.report.compare.write import claims_beside, write_compare
from plantain.report.result import Result
from plantain.track import asked as asking

Addresses = Annotated[
    list[str] | None,
    typer.Argument(help="Two or more of PROBE@MODEL[@REV][:CONTRAST], or run ids; all of the last run if left out."),
]
Out = Annotated[Path | None, typer.Option("--out", help="Where the page goes; .plantain/compare.html if left out.")]
Open = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]
Json = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON instead of writing a page.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print the table as CSV, a row a result, instead of writing a page.")]


def compare(
    results: Addresses = None, out: Out = None, browse: Open = False, as_json: Json = False, as_csv: Csv = False
) -> None:
    """Compare results on one scale, and say what makes the comparison unfair.

    The page opens with a table of probes and models: rung, heads, effect at equal N with its interval, what the
    deciding controls did, Holm's correction over the probes of a model, and the untrained twin. The same stands beside
    it as CSV and JSON.

    Says too how often each model was ever asked: how many probes, in how many prompt sets. The count comes from every
    ledger that git holds, of all branches and experiments, and from the workspace's. Each verdict is made at a level of
    5% as if it were the only one, so whoever asks often passes by chance. The count is written to reports/asked.js for
    reports/index.html to show.
    """
    if as_json and as_csv:
        raise InputError("--json and --csv are two answers.", fix="give one of them.")
    results = results if results else [f"{probe}@{model}" for probe, model in _last_run()]
    if len(results) < 2:
        raise InputError("one result has nothing to be compared with.", fix="name two or more, as PROBE@MODEL.")
    twice = next((address for address in results if results.count(address) > 1), None)
    if twice:
        raise InputError(f"{twice} is named twice.", fix="name different results, revisions or contrasts.")
    path = typed(out) if out else state_dir() / "compare.html"
    if path.is_dir():
        raise InputError("this is a folder.", file=path, fix="give --out the name of an HTML file.")
    with opened(results) as found:
        reasons, counts = comparing.unfair(found), _asked(found)
        claims = claims_beside(found, path)
        if as_csv:
            print(table_csv(claims).decode(), end="")
            return
        if as_json:
            asked = {one.model: one.to_json() for one in counts}
            table = table_data(claims, found)
            told = {"unfair": reasons, "asked": asked, "table": table, "results": [as_data(one) for one in found]}
            print(json.dumps(told, indent=2))
            return
        write_compare(found, path, asking.asked_sentence(counts), claims)
        write_table(claims, found, path.with_suffix(".csv"), path.with_suffix(".json"))
    for reason in reasons:
        print(f"Not a fair comparison: {reason}")
    print(asking.asked_sentence(counts))
    print(f"Wrote {path}, and its table beside it as .csv and .json")
    if browse:
        typer.launch(path.resolve().as_uri())


def _last_run() -> list[tuple[str, str]]:
    """(probe, model) of every cell of the last run.

    Raises:
        InputError: there was none.
    """
    if not places.CELLS.exists():
        raise InputError("no run to show.", file=places.CELLS, fix="run `plantain run` first, or name two results.")
    return read_cells(places.CELLS).names


def _asked(results: Sequence[Result]) -> list[asking.Asked]:
    """What the models of ``results`` were asked; what all models were is written for the index page."""
    own = [asking.AskedSet(one.model, one.probe, one.prompts_sha256) for one in results]
    counts = asking.asked(Path(), own)
    asking.write(Path(), counts)
    return [counts[model] for model in dict.fromkeys(one.model for one in own)]
