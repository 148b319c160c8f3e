"""``plantain selftest``: do the tests keep the error rates that they promise?"""

import json as json_text
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from plantain.base.errors import CheckFailed
from plantain.stats.simulated.scenarios import Scenario
from plantain.stats.simulated.selftest import EVERY, Row, run_selftest

Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def selftest(json: Json = False) -> None:
    """Simulate data whose truth is known and compare error rates with their promises; about three minutes."""
    progress = Console(stderr=True)

    def done(scenario: Scenario) -> None:
        progress.print(f"simulated: {scenario.name} ({scenario.datasets:,} data sets)", style="dim")

    rows = run_selftest(scenarios=EVERY, done=done)
    if json:
        typer.echo(json_text.dumps([asdict(row) for row in rows], indent=2))
    else:
        Console().print(table(rows))
    failed = [f"{row.scenario}, {row.check}" for row in rows if not row.passed]
    if failed:
        raise CheckFailed(f"{len(failed)} rates miss their rule: {'; '.join(failed)}.")


def table(rows: tuple[Row, ...]) -> Table:
    """The rates as a table for people."""
    text = Table(title="Nominal against observed rates (standard errors in brackets)")
    for column in ("data", "share of data sets with", "rule", "observed", "data sets", ""):
        text.add_column(column, justify="right" if column in ("observed", "data sets") else "left")
    for row in rows:
        rule = f"{row.rule} {row.nominal:.0%}" + (" (a known limit)" if row.rule == "above" else "")
        rate = f"{row.observed:.2%} ({row.standard_error:.2%})"
        text.add_row(row.scenario, row.check, rule, rate, f"{row.datasets:,}", "holds" if row.passed else "MISSED")
    return text
