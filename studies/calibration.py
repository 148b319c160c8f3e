"""Where does the ladder of claims stop where the truth is known? The two tables of docs/verdict.md.

python -m studies.calibration simulated     cells drawn at the geometry of FLUX.2 Klein (15 minutes of one core)
python -m studies.calibration networks      the trained organism and untrained draws, after `plantain run --study`
"""

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS, read_params
from plantain.base.params import Params, VerdictParams
from plantain.ladder.climb import Ladder, climb
from plantain.ladder.evidence import Evidence, Family, Reliability
from plantain.ladder.judge import confirmatory
from plantain.measure.plan import lengths, plan_of
from plantain.measure.sides import Measured, sampled_records
from plantain.probe.store import read_contrasts, read_records
from plantain.records.study import NullTable, read_null
from plantain.stages.beside import families
from plantain.stats.splithalf import split_half
from studies.scoring import HARDER, TRUTHS, Truth, rung_five_alone, stop

CELLS = 500
PARENT = "tiny"


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m studies.calibration", description=__doc__, formatter_class=raw)
    parser.add_argument("table", choices=["simulated", "networks"])
    parser.add_argument("cells", nargs="?", type=int, default=CELLS, help="simulated cells a truth (%(default)s)")
    options = parser.parse_args()
    for line in simulated(options.cells) if options.table == "simulated" else networks():
        print(line, flush=True)


def simulated(cells: int) -> Iterator[str]:
    """A row a truth: where it should stop, where it stopped, and how often a rung was passed wrongly."""
    rules = VerdictParams(flips=500, permutations=500)
    yield "| truth | should stop at | stopped at 0, 1, 2, 3, 4, 5, 6 (%) | as it should | a rung passed wrongly |"
    yield "|---|---|---|---|---|"
    for index, truth in enumerate((*TRUTHS, HARDER)):
        reached = Counter(stop(truth, rules, 10_000 * index + seed).rung for seed in range(cells))
        yield _row(truth, reached, cells)
    wrong = sum(rung_five_alone(rules, 90_000 + seed) for seed in range(cells))
    yield f"\nRung 5 by itself, strata of unlike shares, only length matters: passed wrongly in {_share(wrong, cells)}"


def _row(truth: Truth, reached: Counter[int], cells: int) -> str:
    right = sum(reached[rung] for rung in truth.stops)
    wrong = sum(count for rung, count in reached.items() if rung > max(truth.stops))
    wanted = f"{min(truth.stops)} to {max(truth.stops)}" if len(truth.stops) > 1 else str(truth.stops[0])
    spread = ", ".join(f"{100 * reached[rung] / cells:.3g}" for rung in range(7))
    passed = _share(wrong, cells) if max(truth.stops) < 6 else "none can be"
    return f"| {truth.name}: {truth.says} | {wanted} | {spread} | {_share(right, cells)} | {passed} |"


def _share(count: int, cells: int) -> str:
    """A percentage with its binomial standard error."""
    share = count / cells
    return f"{100 * share:.1f}% (SE {100 * math.sqrt(share * (1 - share) / cells):.1f})"


def networks() -> Iterator[str]:
    """Verdicts of the models in the run, and of every re-initialised draw ranked among the others."""
    yield "| probe | network | contrast | rung |"
    yield "|---|---|---|---|"
    for path in sorted(places.VERDICT_FOLDER.glob("*/*.json")):
        found = json.loads(path.read_bytes())
        ladders = {found["contrast"]: found} | found["exploratory"]
        for contrast, ladder in ladders.items():
            yield f"| {found['probe']} | {found['model']} | {contrast} | {ladder['rung']} |"
    params = read_params()
    for probe in params.run.probes:
        reached = Counter(ladder.rung for ladder in draws(params, probe))
        low = sum(count for rung, count in reached.items() if rung <= 3)
        spread = ", ".join(f"{count} at {rung}" for rung, count in sorted(reached.items()))
        network = f"{reached.total()} re-initialised draws of {PARENT}"
        yield f"| {probe} | {network} | target | {spread}; {low} at 3 or below |"


def draws(params: Params, probe: str) -> Iterator[Ladder]:
    """Each re-initialised draw up the ladder, on the items of the study; the store holds its passes."""
    from plantain.capture.cell import capture_cell
    from plantain.model.resolve import resolve

    tables = [read_null(path) for name in families(params, PARENT) if (path := places.nulls(name, probe)).exists()]
    table = next(one for one in tables if one.method.value == "reinit")
    contrasts = read_contrasts(places.contrasts(probe))
    records = sampled_records(read_records(places.records(probe)), contrasts.contrasts, params.verdict)
    lock, groups = resolve(table.family, params)
    images = places.images(PARENT, probe)
    capture = params.capture.model_copy(update={"seeds": params.capture.seeds[:1]})
    activations = capture_cell(records, images, lock, capture).activations
    main = confirmatory(contrasts)
    plan = plan_of(main, contrasts.contrasts, params.verdict)
    length = lengths(plan, activations)
    for number in range(len(lock.draws)):
        measured = Measured.of(activations, groups, params.analyses[VERDICT_ANALYSIS], number)
        sides, rows = measured.sides(main), plan.rows(measured)
        split = split_half(sides.differences, flips=500)
        evidence = Evidence(
            differences=sides.differences,
            a=rows.a,
            b=rows.b,
            clusters=rows.clusters,
            frames=rows.frames,
            few=plan.problem,
            against=plan.control.name if plan.control else "",
            reliability=Reliability(split.spearman_brown, split.null_p, 1 / len(split.null_medians)),
            strata=length.strata,
            equal=length.equal,
            unequal=length.problem,
            families=tuple(_others(one, main.name, table, number, sides.a.shape[1]) for one in tables),
        )
        yield climb(evidence, params.verdict)


def _others(table: NullTable, contrast: str, own: NullTable, number: int, heads: int) -> Family:
    """The draws of a table beside one re-initialised draw, itself left out."""
    entry = table.contrasts[contrast]
    rest = [at for at in range(len(table.draws)) if table is not own or at != number]
    pivots, counts = tuple(entry.pivots[at] for at in rest), tuple(entry.counts[at] for at in rest)
    return Family(table.family, table.method, own.contrasts[contrast].pivots[number], pivots, heads, counts)


if __name__ == "__main__":
    main()
