"""``plantain prompts``: look at probes before anything is run."""

import json
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.errors import CheckFailed, InputError
from plantain.base.params import Params
from plantain.commands.opening import group
from plantain.probe.authoring.check import Design, OwnWord, ProbeCheck, TokenCheck, TokenReader, check_probe
from plantain.probe.authoring.diff import Edit, SetDiff, load_expansion, probe_path
from plantain.probe.authoring.diff import diff as compare
from plantain.probe.records import Record
from plantain.probe.tokens import StratumTokens, counter
from plantain.track.history import held_by_dvc

MOST_NOTES = 20
"""Notes that are printed of one probe."""

LEVEL = 0.05
"""The level at which most people test."""

app = group("Check, show and compare probes.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AddressArgument = Annotated[str, typer.Argument(help="A probe, a path, or either with @REVISION.")]


@app.command()
def check(
    probes: Annotated[list[str] | None, typer.Argument(help="Probes; all of run.probes where none is named.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Count tokens with this model's tokenizer.")] = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with probes and how much they can show; exit 1 if a prompt cannot be run as written."""
    from plantain.analysis.feasible import infeasible

    params = read_params()
    paths = [probe_path(name, Path()) for name in probes or params.run.probes]
    for path in paths:
        if not path.exists():
            raise InputError("no such probe.", file=path, fix="check the name, or begin it with `plantain probe new`.")
    readers, missing = _readers(params, model)
    checks = [check_probe(path, Path(), readers, partial(infeasible, params=params)) for path in paths]
    if as_json:
        print(json.dumps([asdict(found) | {"ok": found.ok} for found in checks], indent=2, ensure_ascii=False))
    else:
        print("\n\n".join("\n".join(_check_lines(found, params.verdict.min_templates)) for found in checks))
        for name in missing:
            print(f"\ntokens not counted with {name}: it has no lock yet. Fix: `dvc repro model@{name}`.")
    if not all(found.ok for found in checks):
        raise typer.Exit(CheckFailed.exit_code)


@app.command()
def show(probe: AddressArgument, as_json: Json = False) -> None:
    """Print every prompt of a probe as it will be run, with the digests."""
    expansion = load_expansion(probe, Path(), held_by_dvc(Path()))
    if as_json:
        print(json.dumps(asdict(expansion), indent=2, ensure_ascii=False))
        return
    for record in expansion.records:
        print(_line(record))
    for reference in expansion.references:
        print(f"reference {reference.name}  {reference.sha256[:12]}  {reference.prompt or reference.file}")
    print(f"{len(expansion.records)} records, prompt set {expansion.set_sha256}")


@app.command()
def diff(before: AddressArgument, after: AddressArgument, as_json: Json = False) -> None:
    """Compare two probe files, or one at two revisions, record by record."""
    bring = held_by_dvc(Path())
    found = compare(load_expansion(before, Path(), bring), load_expansion(after, Path(), bring))
    if as_json:
        print(json.dumps(asdict(found) | {"empty": found.empty}, indent=2, ensure_ascii=False))
        return
    print("\n".join(_diff_lines(found)))


def _readers(params: Params, model: str | None) -> tuple[tuple[TokenReader, ...], list[str]]:
    """The tokenizers to count with, one a model that others may share, and the models that have no lock yet."""
    if model is not None and model not in params.models:
        fix = f"use one of: {', '.join(params.models)}."
        raise InputError(f"model '{model}' is not declared.", file="params.yaml", fix=fix)
    names = [model] if model is not None else list(params.run.models)
    first = {params.models[name].of or name: name for name in reversed(names)}
    found = {name: _lock(name, params, build=model is not None) for name in reversed(first.values())}
    readers = tuple(_reader(name, lock) for name, lock in found.items() if lock is not None)
    return readers, [name for name, lock in found.items() if lock is None]


def _lock(name: str, params: Params, *, build: bool) -> Any:
    from plantain.records.lock import read_lock

    if places.model_lock(name).exists():
        return read_lock(places.model_lock(name))
    if not build:
        return None
    from plantain.model.resolve import resolve

    return resolve(name, params)[0]


def _reader(name: str, lock: Any) -> TokenReader:
    from plantain.model.load import load_tokenizer

    return TokenReader(name, counter(load_tokenizer(lock)), lock.max_sequence_length)


def _check_lines(found: ProbeCheck, least: int) -> list[str]:
    """What was found of one probe; ``least`` is the number of wordings that a side needs."""
    lines = [f"{found.probe}: {found.problems[0] if found.problems else 'fine as written'}"]
    lines += [f"{found.probe}: {problem}" for problem in found.problems[1:]]
    if not found.contrasts:
        return lines
    lines += [f"  note: {note}" for note in found.notes[:MOST_NOTES]]
    if len(found.notes) > MOST_NOTES:
        lines.append(f"  and {len(found.notes) - MOST_NOTES} more notes, which --json prints")
    lines.append(f"  {found.conditions} conditions x {found.items} items, prompt set {found.set_sha256}")
    if found.unused:
        lines.append(f"  in no contrast, so they cost passes and answer nothing: {', '.join(found.unused)}")
    lines += [line for contrast in found.contrasts for line in _design_lines(contrast, least)]
    return lines + [line for tokens in found.tokens for line in _token_lines(tokens)]


def _design_lines(found: Design, least: int) -> list[str]:
    strata = "not every template has a stratum" if found.floor_in_strata is None else _floor(found.floor_in_strata)
    lines = [
        f"  {found.name}: wordings {found.templates_a} against {found.templates_b}",
        f"    in every wording of a and in none of b: {_own(found.own_words_a, found.items)}",
        f"    in every wording of b and in none of a: {_own(found.own_words_b, found.items)}",
        f"    smallest p over wordings: {_floor(found.floor)}; within strata: {strata}",
    ]
    if found.floor_items > LEVEL:
        lines.append(f"    smallest p over items: {_floor(found.floor_items)}: no test over items can reach {LEVEL:g}")
    if min(found.templates_a, found.templates_b) < least:
        lines.append(f"    fewer than {least} wordings a side: speaks of these sentences, not of a concept")
    if found.changed_words is not None:
        changed = found.changed_words
        matched = "equally long" if changed.matched else "not equally long"
        lines.append(f"    words that change: {_span(changed.only_a)} against {_span(changed.only_b)} ({matched})")
    return lines


def _own(words: tuple[OwnWord, ...], items: int) -> str:
    named = [word.word if word.items == items else f"{word.word} ({word.items} of {items} items)" for word in words]
    return ", ".join(named) or "no word"


def _floor(value: float) -> str:
    fraction = Fraction(value).limit_denominator(10**9)
    return "1" if value == 1 else f"{value:.2g} ({fraction})"


def _span(span: tuple[int, int]) -> str:
    return str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"


def _token_lines(found: TokenCheck) -> list[str]:
    lines = [f"  tokens with {found.model}: at most {found.longest} of the {found.limit} that it reads"]
    lines += [f"    {problem}" for problem in found.problems]
    return lines + [f"    {_stratum_line(stratum)}" for stratum in found.strata]


def _stratum_line(found: StratumTokens) -> str:
    place = f"{found.contrast}, {found.stratum or 'no stratum'}"
    if found.equal:
        return f"{place}: {_span(next(iter(found.templates.values())))}, equal for every item"
    return f"{place}: NOT equal: " + ", ".join(f"{name} {_span(span)}" for name, span in found.templates.items())


def _diff_lines(found: SetDiff) -> list[str]:
    lines = [f"+ {_line(record)}" for record in found.added]
    lines += [f"- {_line(record)}" for record in found.removed]
    for edit in found.edited:
        lines += [f"~ {_line(edit.before)}", f"  {_line(edit.after)}", *_field_lines(edit)]
    lines += [f"contrast {name} changed; no pass runs again for it" for name in found.contrasts]
    counts = f"{len(found.added)} added, {len(found.removed)} removed, {len(found.edited)} edited"
    return [*lines, counts, f"prompt set {found.before_sha256[:12]} -> {found.after_sha256[:12]}"]


def _field_lines(edit: Edit) -> list[str]:
    """The fields that changed; some are in no prompt, and are part of the record all the same."""
    before, after = edit.before.fields, edit.after.fields
    names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    return [f"    {name}: {before.get(name)} -> {after.get(name)}" for name in names]


def _line(record: Record) -> str:
    prompt = record.prompt.replace("\n", "\\n")
    reference = f"  [{', '.join(record.reference)}]" if record.reference else ""
    return f"{record.sha256[:12]}  {record.item}  {record.condition}  {prompt}{reference}"
