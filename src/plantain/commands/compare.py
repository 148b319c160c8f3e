"""``plantain compare``: a page with results side by side."""

import json
from pathlib import Path
from typing import Annotated

import typer

from plantain.base.errors import InputError
from plantain.base.places import state_dir, typed
from plantain.commands.opening import opened
from plantain.commands.show import as_data
from plantain.report.compare import contents as comparing
from plantain.report.compare.write import write_compare

Addresses = Annotated[list[str], typer.Argument(help="Two or more of PROBE@MODEL[@REV][:CONTRAST], or run ids.")]
Out = Annotated[Path | None, typer.Option("--out", help="Where the page goes; .plantain/compare.html if left out.")]
Open = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]
Json = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON instead of writing a page.")]


def compare(results: Addresses, out: Out = None, browse: Open = False, as_json: Json = False) -> None:
    """Compare results on one scale, and say what makes the comparison unfair."""
    if len(results) < 2:
        raise InputError("one result has nothing to be compared with.", fix="name two or more, as PROBE@MODEL.")
    twice = next((address for address in results if results.count(address) > 1), None)
    if twice:
        raise InputError(f"{twice} is named twice.", fix="name different results, revisions or contrasts.")
    path = typed(out) if out else state_dir() / "compare.html"
    if path.is_dir():
        raise InputError("this is a folder.", file=path, fix="give --out the name of an HTML file.")
    with opened(results) as found:
        reasons = comparing.unfair(found)
        if as_json:
            print(json.dumps({"unfair": reasons, "results": [as_data(one) for one in found]}, indent=2))
            return
        write_compare(found, path)
    for reason in reasons:
        print(f"Not a fair comparison: {reason}")
    print(f"Wrote {path}")
    if browse:
        typer.launch(path.resolve().as_uri())
