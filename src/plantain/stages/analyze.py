"""``analyze``: what the numbers of a cell say, for every contrast and analysis."""

import sys

from plantain.analysis.cell import analyse_cell
from plantain.base import places
from plantain.base.files import readable_json
from plantain.probe.store import read_contrasts, read_records
from plantain.records.activations import read_activations
from plantain.records.grams import read_grams
from plantain.records.receipt import prompt_set
from plantain.records.summary import Summary
from plantain.records.units import read_units
from plantain.stages.frame import run, stage


def main() -> None:
    """``python -m plantain.stages.analyze PROBE MODEL``."""
    probe, model = sys.argv[1:3]
    with stage("analyze", section="analyze", probe=probe, model=model) as current:
        current.use("analyses")
        activations = read_activations(current.read(places.activations(model, probe)))
        units = read_units(current.read(places.units(model)))
        contrasts = read_contrasts(current.read(places.contrasts(probe)))
        records = read_records(current.read(places.records(probe)))
        grams = read_grams(current.read(places.grams(model, probe)))
        result = analyse_cell(activations, units, contrasts, current.params.analyses, grams)
        folder = current.folder(places.stats(model, probe))
        for name, table in result.tables.items():
            table.write_parquet(folder / f"{name}.parquet")
        summary = Summary(probe=probe, model=model, contrasts=result.summaries, vectors=result.vectors)
        (folder / "summary.json").write_bytes(summary.to_bytes())
        metrics = current.out(places.metrics(model, probe))
        metrics.write_bytes(readable_json(result.metrics))
        current.metrics = result.metrics
        current.prompts = prompt_set(probe, records)
        current.model_lock_sha256 = str(activations.header["model_lock_sha256"])
        current.capture_key = str(activations.header["capture_key"])
        current.seeds = {name: [analysis.seed] for name, analysis in current.params.analyses.items()}


if __name__ == "__main__":
    run(main)
