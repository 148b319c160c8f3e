"""``plantain run``: a thin call of ``dvc repro`` for some probes and models, ending with ``publish``."""

import subprocess
import sys
from typing import Annotated

import typer

from plantain.config import Params, read_params
from plantain.errors import InputError

Probes = Annotated[list[str] | None, typer.Argument(help="Probes to run; all of run.probes where none is named.")]
Models = Annotated[list[str] | None, typer.Option("--model", help="Only this model (may be repeated).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Predict passes, hours, disk and memory; run nothing.")]


def run(probes: Probes = None, model: Models = None, dry_run: DryRun = False) -> None:
    """Run the pipeline: everything, or the stages of some probes and models and then publish."""
    params = read_params()
    if dry_run:
        from plantain.commands.forecast import print_forecast

        print_forecast(params, _chosen(params, probes, model))
        return
    if not probes and not model:
        raise typer.Exit(_dvc("repro"))
    reports = [f"report@{probe}-{name}" for probe, name in _chosen(params, probes, model)]
    code = _dvc("repro", *reports)
    raise typer.Exit(code or _dvc("repro", "--single-item", "cells", "compare", "publish"))


def _chosen(params: Params, probes: list[str] | None, models: list[str] | None) -> list[tuple[str, str]]:
    for key, wanted, known in (("probes", probes, params.run.probes), ("models", models, params.run.models)):
        for name in wanted or []:
            if name not in known:
                fix = f"add it to run.{key}, or use one of: {', '.join(known)}."
                raise InputError(f"'{name}' is not in run.{key}.", file="params.yaml", fix=fix)
    return [(probe, model) for probe in probes or params.run.probes for model in models or params.run.models]


def _dvc(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], check=False).returncode
