"""``compare``: every cell of the run side by side."""

from pathlib import Path

from plantain.base import places
from plantain.base.importing import importing
from plantain.report.figures.bare import without_help
from plantain.stages.frame import RINGS, cells_with_results, run, stage

with importing(), without_help():
    from plantain.report.compare.plots import write_plots
    from plantain.report.compare.table import write_table
    from plantain.report.compare.write import claims_beside, write_compare
    from plantain.report.family import write_family
    from plantain.report.result import load_result


def shown(probe: str, model: str) -> tuple[Path, ...]:
    """What the page over all cells shows of one, beside its statistics."""
    return (
        places.verdict(model, probe),
        places.records(probe),
        places.references(probe),
        places.model_lock(model),
        places.probe_file(probe),
        places.PUBLISHED,
    )


def main() -> None:
    """``python -m plantain.stages.compare``."""
    with stage("compare", section="report") as current:
        current.use("run")
        cells = cells_with_results(current)
        for path in dict.fromkeys(path for probe, model in cells for path in shown(probe, model)):
            current.read(path)
        for probe, model in cells:
            current.read_listed(places.stats(model, probe))
        current.read(places.HOLM)
        results = [load_result(Path(), probe, model) for probe, model in cells]
        claims = claims_beside(results, places.INDEX)
        write_compare(results, current.out(places.INDEX), claims=claims)
        write_table(claims, results, current.out(places.TABLE_CSV), current.out(places.TABLE_JSON))
        write_family(results, current.out(places.HOLM_SCRIPT))
        write_plots(results, current.out(places.PLOTS))


if __name__ == "__main__":
    run(main, seldom=RINGS)
