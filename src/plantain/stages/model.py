"""``model``: resolve a model to its lock and its table of groups."""

import sys

from plantain.base import places
from plantain.base.importing import importing
from plantain.stages.frame import run, stage

with importing():
    from plantain.model.resolve import resolve


def main() -> None:
    """``python -m plantain.stages.model MODEL``."""
    name = sys.argv[1]
    with stage("model", section="capture", model=name) as current:
        current.use("models", "capture.group_width")
        lock, units = resolve(name, current.params)
        current.out(places.model_lock(name)).write_bytes(lock.to_bytes())
        units.write_parquet(current.out(places.units(name)))
        current.model_lock_sha256 = lock.sha256
        current.seeds = {"draws": list(lock.seeds)}
        current.device, current.dtype = lock.device, lock.dtype


if __name__ == "__main__":
    run(main)
