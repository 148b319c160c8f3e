"""``plantain prompts``: look at probes before anything is run."""

import json
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.errors import CheckFailed, InputError
from plantain.base.params import Params
from plantain.base.places import typed_probe
from plantain.commands.opening import group
from plantain.probe.authoring.check import TokenReader, check_probe
from plantain.probe.authoring.diff import Edit, SetDiff, load_expansion, probe_path
from plantain.probe.authoring.diff import diff as compare
from plantain.probe.authoring.lines import check_lines
from plantain.probe.records import Record
from plantain.probe.tokens import counter, plain_counter
from plantain.records.lock import KLEIN_PIPELINE
from plantain.track.history import held_by_dvc

app = group("Check, show and compare probes.")


class Tokenizer(StrEnum):
    """Tokenizers that need no weights."""

    tiny = "tiny"
    klein = "klein"


_MODEL_OF: Final = {Tokenizer.tiny: "tiny", Tokenizer.klein: "klein-base-4b"}
"""The model of params.yaml that says how many tokens are read."""

_LONGEST: Final = 512
"""Tokens that are read where params.yaml does not declare that model."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AddressArgument = Annotated[str, typer.Argument(help="A probe, a path, or either with @REVISION.")]


@app.command()
def check(
    probes: Annotated[list[str] | None, typer.Argument(help="Probes; all of run.probes where none is named.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Count tokens with this model's tokenizer.")] = None,
    tokenizer: Annotated[
        Tokenizer | None, typer.Option("--tokenizer", help="Count tokens with this tokenizer, which needs no weights.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with probes and how much they can show; exit 1 if a prompt cannot be run as written."""
    from plantain.analysis.feasible import infeasible

    params = read_params()
    paths = [probe_path(typed_probe(name), Path()) for name in probes or params.run.probes]
    for path in paths:
        if not path.exists():
            raise InputError("no such probe.", file=path, fix="check the name, or begin it with `plantain probe new`.")
    if model is not None and tokenizer is not None:
        raise InputError("--model and --tokenizer both name a tokenizer.", fix="give one of them.")
    readers, missing = ((_weightless(tokenizer, params),), []) if tokenizer else _readers(params, model)
    settings = partial(infeasible, params=params)
    checks = [check_probe(path, Path(), readers, settings, params.verdict) for path in paths]
    if as_json:
        print(json.dumps([asdict(found) | {"ok": found.ok} for found in checks], indent=2, ensure_ascii=False))
    else:
        print("\n\n".join("\n".join(check_lines(found, params.verdict)) for found in checks))
        for name in missing:
            print(f"\ntokens not counted with {name}: it has no lock yet. Fix: `dvc repro model@{name}`.")
    if not all(found.ok for found in checks):
        raise typer.Exit(CheckFailed.exit_code)


@app.command()
def show(probe: AddressArgument, as_json: Json = False) -> None:
    """Print every prompt of a probe as it will be run, with the digests."""
    expansion = load_expansion(typed_probe(probe), Path(), held_by_dvc(Path()))
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
    found = compare(*(load_expansion(typed_probe(side), Path(), bring) for side in (before, after)))
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


def _weightless(tokenizer: Tokenizer, params: Params) -> TokenReader:
    """A tokenizer by itself, with the length that its model reads by ``params``."""
    declared = params.models.get(_MODEL_OF[tokenizer])
    limit = (declared.max_sequence_length if declared else None) or _LONGEST
    if tokenizer is Tokenizer.klein:
        from plantain.model.klein_tokens import klein_counter

        return TokenReader(tokenizer.value, klein_counter(), limit)
    from plantain.model.tiny.tokenizer import build_tokenizer

    return TokenReader(tokenizer.value, counter(build_tokenizer()), limit)


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

    if lock.pipeline == KLEIN_PIPELINE:
        return TokenReader(name, counter(load_tokenizer(lock)), lock.max_sequence_length)
    from plantain.model.load import text_tokenizer

    return TokenReader(name, plain_counter(text_tokenizer(lock)), lock.max_sequence_length)


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
