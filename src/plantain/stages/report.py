"""``report``: figures and the page of a cell."""

import sys
from pathlib import Path

from plantain.base import places
from plantain.base.importing import importing
from plantain.report.figures.bare import without_help
from plantain.stages.frame import RINGS, run, stage

with importing(), without_help():
    from plantain.report.figures.write import write_figures
    from plantain.report.page.write import write_page
    from plantain.report.result import Result, load_result
    from plantain.report.swaps import swap_table


def inputs(probe: str, model: str) -> list[Path]:
    """Everything that the page of a cell is made of, beside the folders with a manifest."""
    return [
        places.verdict(model, probe),
        places.records(probe),
        places.references(probe),
        places.model_lock(model),
        places.probe_file(probe),
        places.PUBLISHED,
    ]


def pictures_of(result: Result) -> list[Path]:
    """The pictures of swapped heads, where the verdict holds the table that they belong to."""
    path, table = places.causal_pictures(result.model, result.probe), swap_table(result)
    return [path] if table is not None and table.pictures is not None and path.exists() else []


def main() -> None:
    """``python -m plantain.stages.report PROBE MODEL``."""
    probe, model = sys.argv[1:3]
    with stage("report", section="report", probe=probe, model=model) as current:
        current.use("report")
        for path in inputs(probe, model):
            current.read(path)
        for folder in (places.stats(model, probe), places.images(model, probe)):
            current.read_listed(folder)
        result = load_result(Path(), probe, model)
        for path in pictures_of(result):
            # No dependency of its own: the verdict, which is one, holds the digest of the pictures that are shown.
            current.read(path)
        figures = current.out(places.figures(model, probe))
        figures.mkdir()
        write_figures(result, figures, current.params.report.dpi)
        write_page(result, current.out(places.page(model, probe)))


if __name__ == "__main__":
    run(main, seldom=RINGS)
