"""``plantain audit``: which prompts produced a number, which numbers a prompt entered, and proof."""

import json
from pathlib import Path
from typing import Annotated

import typer

from plantain.commands.audit_text import audit_lines, number_lines
from plantain.config import Params, read_params
from plantain.errors import CheckFailed, InputError
from plantain.track import search
from plantain.track.address import parse
from plantain.track.audit import Level
from plantain.track.audit import audit as follow
from plantain.track.find import Found, everything, find

Result = Annotated[str | None, typer.Argument(help="PROBE@MODEL[@REV][:CONTRAST] or a run id; else all.")]
HowFar = Annotated[Level, typer.Option(help="hashes: bytes; stats: also metrics again; capture: also passes.")]
Passes = Annotated[int, typer.Option(help="Passes of each cell that the level capture runs again.", min=1)]
Prompts = Annotated[str | None, typer.Option(help="Numbers that a prompt set entered: prompts/NAME.yaml[@REV].")]
Prompt = Annotated[str | None, typer.Option(help="Numbers that one prompt entered: its text, item or digest.")]
Metric = Annotated[str | None, typer.Option(help="Results that report a number: NAME=VALUE.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def audit(
    result: Result = None,
    *,
    level: HowFar = Level.stats,
    passes: Passes = 2,
    prompts: Prompts = None,
    prompt: Prompt = None,
    metric: Metric = None,
    as_json: Json = False,
) -> None:
    """Follow every number to its prompts and check each link; exit 1 if one does not hold."""
    if sum(question is not None for question in (result, prompts, prompt, metric)) > 1:
        raise InputError("more than one question at once.", fix="give a result, --prompts, --prompt or --metric.")
    if prompts or prompt or metric:
        _search(prompts, prompt, metric, as_json)
        return
    root, params = Path(), read_params()
    found = _found(root, result, params)
    if not found.cells:
        raise InputError("there are no results yet.", fix="run `dvc repro`, or `dvc pull` where a remote holds them.")
    outcome = follow(root, found, params, level, passes=passes)
    print(json.dumps(outcome.to_json(), indent=2) if as_json else "\n".join(audit_lines(outcome, detail=bool(result))))
    if outcome.first:
        raise typer.Exit(CheckFailed.exit_code)


def _found(root: Path, result: str | None, params: Params) -> Found:
    try:
        return find(root, parse(result), params.tracking) if result else everything(root)
    except InputError as error:
        if str(error.file or "").startswith("receipts"):
            raise CheckFailed(f"First broken link: receipt {error}") from None
        raise


def _search(prompts: str | None, prompt: str | None, metric: str | None, as_json: bool) -> None:
    root, title = Path(), ""
    if prompts:
        sha256, numbers = search.by_set(root, prompts)
        title = f"Prompt set {prompts}, digest {sha256}"
    elif prompt:
        numbers, title = search.by_prompt(root, prompt), f"Prompt '{prompt}'"
    else:
        numbers, title = search.by_value(root, str(metric)), f"{metric}"
    if as_json:
        print(json.dumps({"question": title, "numbers": [one.to_json() for one in numbers]}, indent=2))
    else:
        print("\n".join(number_lines(title, numbers)))
    if not numbers:
        raise typer.Exit(CheckFailed.exit_code)
