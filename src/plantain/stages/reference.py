"""``reference``: the conditioning images of a probe, made by a model (an untrained one takes its parent's)."""

import sys

from plantain.base import places
from plantain.base.files import readable_json
from plantain.probe.store import read_references
from plantain.records.lock import read_lock
from plantain.stages.frame import run, stage


def main() -> None:
    """``python -m plantain.stages.reference PROBE MODEL``."""
    probe, model = sys.argv[1:3]
    with stage("reference", section="capture", probe=probe, model=model) as current:
        current.use("reference")
        records = read_references(current.read(places.references(probe)))
        lock = read_lock(current.read(places.model_lock(model)))
        current.model_lock_sha256 = lock.sha256
        folder = current.folder(places.images(model, probe))
        # Also names what a probe without references has: DVC warns of empty folders.
        names = sorted(record.name for record in records)
        (folder / "index.json").write_bytes(readable_json({"references": names}))
        if not records:
            return
        # A probe without references must not pay for importing torch.
        from plantain.capture.pictures.references import generate

        current.device = generate(records, lock, current.params.reference, folder)
        current.dtype = lock.dtype
        current.seeds = {"reference": [current.params.reference.seed]}


if __name__ == "__main__":
    run(main)
