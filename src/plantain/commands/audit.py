"""``plantain audit``: which prompts produced a number, which numbers a prompt entered, and proof."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from plantain.base.config import read_params
from plantain.base.errors import CheckFailed, InputError
from plantain.base.params import Params
from plantain.base.places import typed_probe
from plantain.track import search
from plantain.track.address import Found, everything, find, parse
from plantain.track.asked import asked_sentence
from plantain.track.audit.audit import Audit, CellAudit, Level, total
from plantain.track.audit.audit import audit as follow
from plantain.track.lineage import Step, kind
from plantain.track.owned import damages, torn_journal
from plantain.track.search import Number

_SHOWN = 12
"""Numbers of one analysis that are listed; --json has all."""
_FILES = 4


def audit_lines(audit: Audit, *, detail: bool) -> Iterator[str]:
    """Each result with its prompts and its state, the chain where one was asked for, and the first broken link."""
    for cell in audit.cells:
        yield from _cell(cell, audit, detail)
    for broken in audit.broken:
        yield f"BROKEN  {broken}"
    for cell in audit.cells:
        yield from (f"NOTE    {cell.cell.name}: {one}" for one in cell.dropped)
    if audit.asked:
        yield f"NOTE    {asked_sentence(audit.asked)}"
    for change in audit.rules:
        yield f"NOTE    {change}"
    if not audit.rev and (torn := torn_journal()):
        yield f"NOTE    {torn}. `plantain doctor --fix` drops them."
    if audit.tracker:
        yield f"MLflow was not asked: {audit.tracker}"
    yield _conclusion(audit)


def _conclusion(audit: Audit) -> str:
    numbers = f"{total(audit.cells)} numbers of {len(audit.cells)} results"
    if audit.first is None:
        return f"Every link holds: {numbers}, {audit.links} links, level {audit.level}."
    first = audit.first
    rests = f" It undermines {first.numbers} numbers of {first.cell}." if first.numbers else ""
    return f"First broken link: {first.link} {first.path} of {first.cell}.{rests}"


def _cell(cell: CellAudit, audit: Audit, detail: bool) -> Iterator[str]:
    prompts = cell.cell.prompts
    at = f" at {audit.rev[:10]}" if audit.rev else ""
    asked = f"prompts {prompts.set_sha256[:12]} ({len(prompts.records)} records)" if prompts else "prompts unknown"
    analyses = sum(len(found) for found in cell.metrics.values())
    yield f"{'ok    ' if cell.ok else 'BROKEN'}  {cell.cell.name}{at}  {asked}, {analyses} analyses"
    code = [broken.path for broken in cell.broken if broken.link == "code"]
    for broken in cell.broken:
        if broken.link != "code" or detail:
            yield f"        {broken.link} {broken.path}: {broken.problem}"
    if code and not detail:
        yield f"        code: {len(code)} modules are not those that ran, first {code[0]}. Run `dvc repro`."
    if code and cell.recomputed:
        yield "        The code that is here gives the same numbers from the same activations."
    if detail:
        yield from _numbers(cell)
        for step in reversed(cell.steps):
            yield from _step(step)


def _numbers(cell: CellAudit) -> Iterator[str]:
    for contrast, analyses in cell.metrics.items():
        for analysis, metrics in analyses.items():
            shown = ", ".join(f"{name} {value:g}" for name, value in sorted(metrics.items())[:_SHOWN])
            yield f"  {contrast}.{analysis}: {shown}{', …' if len(metrics) > _SHOWN else ''}"


def _step(step: Step) -> Iterator[str]:
    yield f"  {step.stage}  receipt {step.held.sha256[:12]}  {_ran(step)}"
    reads = step.held.receipt.reads
    for record in reads[:_FILES]:
        yield f"    <- {kind(record.path)} {record.path}  {record.sha256[:12]}"
    if len(reads) > _FILES:
        yield f"    <- and {len(reads) - _FILES} more files"


def _ran(step: Step) -> str:
    line = step.execution
    if line is None:
        return "ran in another checkout"
    moment = datetime.fromtimestamp(line.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    commit = f"commit {line.commit[:10]}{' with changes' if line.dirty else ''}" if line.commit else "outside git"
    return f"ran {moment}, {line.ended - line.started:.1f} s, {commit}"


def number_lines(title: str, numbers: list[Number]) -> Iterator[str]:
    """Numbers under the place, probe, model, contrast and analysis that they belong to."""
    yield f"{title}: {len(numbers)} numbers." if numbers else f"{title}: no number of this repository's history."
    key = lambda one: (one.where, one.probe, one.model, one.contrast, one.analysis, one.prompts_sha256 or "")  # noqa: E731
    for (where, probe, model, contrast, analysis, sha256), group in groupby(sorted(numbers, key=key), key):
        found = list(group)
        place = where[:10] if len(where) == 40 else where
        asked = f"prompts {sha256[:12]}" if sha256 else "the card does not publish its prompt set"
        yield f"  {probe}@{model} {contrast}.{analysis}  [{place}]  {asked}"
        if found[0].records:
            yield f"    as {', '.join(found[0].records)}"
        yield "    " + ", ".join(f"{one.metric} {one.value:g}" for one in found)


ResultArgument = Annotated[str | None, typer.Argument(help="PROBE@MODEL[@REV][:CONTRAST] or a run id; else all.")]
HowFar = Annotated[Level, typer.Option(help="hashes: bytes; stats: also metrics again; capture: also passes.")]
Passes = Annotated[int, typer.Option(help="Passes of each cell that the level capture runs again.", min=1)]
Prompts = Annotated[str | None, typer.Option(help="Numbers that a prompt set entered: prompts/NAME.yaml[@REV].")]
Prompt = Annotated[str | None, typer.Option(help="Numbers that one prompt entered: its text, item or digest.")]
Metric = Annotated[str | None, typer.Option(help="Results that report a number: NAME=VALUE.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def audit(
    result: ResultArgument = None,
    *,
    level: HowFar = Level.stats,
    passes: Passes = 2,
    prompts: Prompts = None,
    prompt: Prompt = None,
    metric: Metric = None,
    as_json: Json = False,
) -> None:
    """Follow every number to its prompts and check each link; exit 1 if one does not hold."""
    _refuse_damaged(Path())
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


def _refuse_damaged(root: Path) -> None:
    damage = next(damages(root), None)
    if damage is None:
        return
    if damage.setting:
        raise damage.error
    raise CheckFailed(f"First broken link: {damage.error}")


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
        sha256, numbers = search.by_set(root, typed_probe(prompts))
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
