"""``plantain sync``: make MLflow agree with the receipts."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from plantain.base.config import read_params
from plantain.track.mlflow.sync import SyncReport
from plantain.track.mlflow.sync import sync as synchronise

All = Annotated[bool, typer.Option("--all", help="Also the results of every commit and experiment.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


def sync(everything: All = False, as_json: Json = False) -> None:
    """Make MLflow agree with the receipts: after a lost store, a dead server, a kill, a pull."""
    report = synchronise(Path(), read_params(), history=everything)
    print(json.dumps(asdict(report), indent=2) if as_json else _told(report))


def _told(report: SyncReport) -> str:
    steps = (
        (report.created, "made"),
        (report.updated, "brought up to date"),
        (report.superseded, "tagged as superseded"),
        (report.killed, "closed as KILLED"),
        (report.merged, "merged into their twins"),
    )
    done = ", ".join(f"{count} {word}" for count, word in steps if count) or "nothing to do"
    lines = [f"{report.runs} MLflow runs stand for the results ({done}), after {report.seconds:.1f} s."]
    lines += [f"{report.revisions} revisions were read."] if report.revisions else []
    lines += [report.remark] if report.remark else []
    return "\n".join([*lines, *(f"Left out: {reason}" for reason in report.skipped)])
