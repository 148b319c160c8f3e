"""``capture``: every (item, condition, seed) of a probe through a model, reduced to mean squares and Gram matrices."""

import sys

from plantain.base import places
from plantain.base.importing import importing
from plantain.probe.sampling import item_subsets
from plantain.probe.store import read_records
from plantain.records.activations import write_activations
from plantain.records.grams import write_grams
from plantain.records.lock import read_lock
from plantain.records.receipt import prompt_set
from plantain.stages.frame import run, stage

with importing():
    from plantain.capture.cell import capture_cell
    from plantain.capture.levels import prompt_levels, write_prompt_levels


def main() -> None:
    """``python -m plantain.stages.capture PROBE MODEL``."""
    probe, model = sys.argv[1:3]
    with stage("capture", section="capture", probe=probe, model=model) as current:
        current.use("capture", "verdict.items")
        records = read_records(current.read(places.records(probe)))
        references = current.read_listed(places.images(model, probe))
        lock = read_lock(current.read(places.model_lock(model)))
        items = list(dict.fromkeys(record.item for record in records))
        subsets = item_subsets(items, current.params.verdict.items)
        result = capture_cell(records, references, lock, current.params.capture, subsets=subsets)
        write_activations(current.out(places.activations(model, probe)), result.activations)
        write_grams(current.out(places.grams(model, probe)), result.grams)
        levels = prompt_levels(records, lock)
        write_prompt_levels(current.out(places.embeddings(model, probe)), levels)
        current.prompts = prompt_set(probe, records)
        current.model_lock_sha256 = lock.sha256
        current.capture_key = str(result.activations.header["capture_key"])
        current.seeds = {"noise": list(current.params.capture.seeds), "draws": list(lock.seeds)}
        current.device, current.dtype = result.device, lock.dtype
        current.notes = result.notes


if __name__ == "__main__":
    run(main)
