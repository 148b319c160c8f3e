"""The report page: one HTML file with everything in it, for one probe on one model."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from plantain.files import write_atomic
from plantain.report import wording
from plantain.report.data import Result


def write_page(result: Result, path: Path) -> None:
    """Render ``result`` into ``path``; needs no network to be read."""
    write_atomic(path, render(result).encode())


def environment() -> Environment:
    """Templates with every value escaped, and an error for every name that does not exist."""
    found = Environment(
        loader=PackageLoader("plantain.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["wording"] = wording
    return found


def render(result: Result) -> str:
    """The page as text."""
    return environment().get_template("page.html.j2").render(result=result)
