"""The compare page: results side by side on one scale, and what makes a comparison unfair."""

from collections.abc import Sequence
from pathlib import Path

from plantain.files import write_atomic
from plantain.report.data import Result
from plantain.report.page import template


def write_compare(results: Sequence[Result], path: Path) -> None:
    """Render ``results`` into ``path``; needs no network to be read."""
    write_atomic(path, template("compare.html.j2", ()).render(results=results).encode())
