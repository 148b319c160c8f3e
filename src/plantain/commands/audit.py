"""``plantain audit``: which prompts produced a number, which numbers a prompt entered, and proof."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from plantain.base.config import read_params
from plantain.base.errors import CheckFailed, InputError
from plantain.base.params import Params
from plantain.base.places import typed_probe
from plantain.report.columns import GLUE, wrapped
from plantain.track.address import Found, everything, find, parse
from plantain.track.asked import asked_sentence
from plantain.track.audit.audit import Audit, CellAudit, Level, total
from plantain.track.audit.audit import audit as follow
from plantain.track.lineage import Step, kind
from plantain.track.owned import damages, torn_journal
from plantain.track.search.lines import entered_lines, value_lines
from plantain.track.search.prompts import by_prompt, by_set
from plantain.track.search.typed import FIX, as_typed
from plantain.track.search.values import by_value

_SHOWN = 12
"""Numbers of one analysis that are listed; --json has all."""
_FILES = 4


def audit_lines(audit: Audit, *, detail: bool) -> Iterator[str]:
    """Each result with its prompts and its state, the chain where one was asked for, and the first broken link."""
    for cell in audit.cells:
        yield from _cell(cell, audit, detail)
    for broken in audit.broken:
        yield from wrapped(str(broken), first="BROKEN  ", then="        ")
    for note in _notes(audit):
        yield from wrapped(note, first="NOTE    ", then="        ")
    if audit.tracker:
        yield f"MLflow was not asked: {audit.tracker}"
    yield from wrapped(_conclusion(audit), then="  ")


def _notes(audit: Audit) -> Iterator[str]:
    """What breaks no link and is to be known; what is so of several results stands once."""
    of: dict[str, list[str]] = {}
    for cell in audit.cells:
        for one in map(str, cell.dropped):
            of.setdefault(one, []).append(cell.cell.name)
    yield from (f"{', '.join(names)}: {one}" for one, names in of.items())
    if audit.asked:
        yield asked_sentence(audit.asked)
    yield from map(str, audit.rules)
    if not audit.rev and (torn := torn_journal()):
        yield f"{torn}. `plantain doctor --fix` drops them."


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
            yield from wrapped(f"{broken.link} {broken.path}: {broken.problem}", first="        ", then="          ")
    if code and not detail:
        said = f"code: {len(code)} modules are not those that ran, first {code[0]}. Run `dvc repro`."
        yield from wrapped(said, first="        ", then="          ")
    if code and cell.recomputed:
        yield "        The code that is here gives the same numbers from the same activations."
    if detail:
        yield from _numbers(cell)
        for step in reversed(cell.steps):
            yield from _step(step)


def _numbers(cell: CellAudit) -> Iterator[str]:
    for contrast, analyses in cell.metrics.items():
        for analysis, metrics in analyses.items():
            shown = ", ".join(f"{name}{GLUE}{value:g}" for name, value in sorted(metrics.items())[:_SHOWN])
            more = ", …" if len(metrics) > _SHOWN else ""
            yield from wrapped(f"{contrast}.{analysis}: {shown}{more}", first="  ", then="      ")


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


Question = Annotated[
    list[str] | None,
    typer.Argument(
        help="A result, PROBE@MODEL[@REV][:CONTRAST] or a run id; or a number that was read somewhere, "
        "such as 0.94, 94%, 12091, 63/75, 63 of 75 or split_half_r=0.94; else all results."
    ),
]
HowFar = Annotated[Level, typer.Option(help="hashes: bytes; stats: also metrics again; capture: also passes.")]
Passes = Annotated[int, typer.Option(help="Passes of each cell that the level capture runs again.", min=1)]
Prompts = Annotated[str | None, typer.Option(help="Numbers that a prompt set entered: prompts/NAME.yaml[@REV].")]
Prompt = Annotated[
    str | None, typer.Option(help="Numbers of contrasts with this prompt: ITEM/CONDITION, ITEM, its text or digest.")
]
Metric = Annotated[str | None, typer.Option(help="Results that report a number: NAME=VALUE.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def audit(
    question: Question = None,
    *,
    level: HowFar = Level.stats,
    passes: Passes = 2,
    prompts: Prompts = None,
    prompt: Prompt = None,
    metric: Metric = None,
    as_json: Json = False,
) -> None:
    """Follow every number to its prompts and check each link, or find a number again.

    The exit code is 1 where a link is broken or nothing is found. A typed number matches whatever rounds to it at the
    precision typed; a whole number matches itself alone, a percentage the shares and probabilities that round to it.
    """
    _refuse_damaged(Path())
    asked = " ".join(question or []).strip() or None
    if sum(one is not None for one in (asked, prompts, prompt, metric)) > 1:
        fix = "give a result, a number, --prompts, --prompt or --metric."
        raise InputError("more than one question at once.", fix=fix)
    result = asked if asked is None or _is_result(asked) else None
    if prompts or prompt:
        _entered(prompts, prompt, as_json)
    elif metric or result != asked:
        _value(metric, asked, as_json)
    else:
        _audit(result, level, passes, as_json)


def _audit(result: str | None, level: Level, passes: int, as_json: bool) -> None:
    root, params = Path(), read_params()
    found = _found(root, result, params)
    if not found.cells:
        raise InputError("there are no results yet.", fix="run `dvc repro`, or `dvc pull` where a remote holds them.")
    outcome = follow(root, found, params, level, passes=passes)
    print(json.dumps(outcome.to_json(), indent=2) if as_json else "\n".join(audit_lines(outcome, detail=bool(result))))
    if outcome.first:
        raise typer.Exit(CheckFailed.exit_code)


def _is_result(asked: str) -> bool:
    return "@" in asked or re.fullmatch("[0-9a-f]{32}", asked) is not None


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


def _entered(prompts: str | None, prompt: str | None, as_json: bool) -> None:
    root = Path()
    found = by_set(root, typed_probe(prompts)) if prompts else by_prompt(root, str(prompt))
    _answer(found.to_json(str(Path.cwd())), entered_lines(found, str(Path.cwd())), as_json)


def _value(metric: str | None, asked: str | None, as_json: bool) -> None:
    if metric is not None and "=" not in metric:
        fix = "write for example --metric heads_over_t3=12091, or the number alone: plantain audit 12091."
        raise InputError(f"'{metric}' is not a metric and its value.", fix=fix)
    if asked is not None and "=" not in asked:
        _expect_number(asked)
    found = by_value(Path(), str(metric or asked))
    _answer(found.to_json(str(Path.cwd())), value_lines(found, str(Path.cwd())), as_json)


def _expect_number(asked: str) -> None:
    try:
        as_typed(asked)
    except InputError:
        if re.match(r"[\d.+-]", asked):
            raise
        fix = f"write PROBE@MODEL, or {FIX.removeprefix('write ')}"
        raise InputError(f"'{asked}' is neither a result nor a number.", fix=fix) from None


def _answer(told: dict[str, Any], lines: Iterator[str], as_json: bool) -> None:
    print(json.dumps(told, indent=2) if as_json else "\n".join(lines))
    if not told["numbers"]:
        raise typer.Exit(CheckFailed.exit_code)
