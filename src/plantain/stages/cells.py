"""``cells``: the cells of this run, and the removal of what belongs to a model that left it.

``verdict``, ``compare`` and ``publish`` can only depend on whole folders, which would keep the results of a model that
was taken out of ``run.models``. This stage deletes exactly the outs that DVC's locks name for such models: they are in
the cache, and come back when the model does. It never deletes by listing a folder. A probe that leaves ``run.probes``
loses its pipeline, and its results with it, by ``plantain run`` or ``plantain probe rm``.
"""

from pathlib import Path

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.files import remove, write_atomic
from plantain.base.params import RunParams
from plantain.records.cells import cells_of
from plantain.stages.frame import guard, run
from plantain.stages.pipelines import outs_of, piped


def main() -> None:
    """``python -m plantain.stages.cells``."""
    guard("cells")
    chosen = read_params().run
    _check_pipelines(chosen)
    for path in stale_outs(chosen):
        remove(path)
    write_atomic(places.CELLS, cells_of(chosen.probes, chosen.models).to_bytes())


def stale_outs(chosen: RunParams) -> list[Path]:
    """Outs that the locks name for models that are not ``chosen``."""

    def left(stage: str) -> bool:
        return "@" in stage and stage.partition("@")[2] not in chosen.models

    locks = (places.LOCK, *map(places.pipeline_lock, piped()))
    return [path for lock in locks for path in outs_of(lock, left)]


def _check_pipelines(chosen: RunParams) -> None:
    for place, probe in enumerate(chosen.probes):
        if not places.pipeline(probe).exists():
            fix = f"start it with `plantain run {probe}`, which writes them."
            problem = f"'{probe}' has no stages in {places.pipeline(probe)}."
            raise InputError(problem, file=places.PARAMS, field=f"run.probes.{place}", fix=fix)


if __name__ == "__main__":
    run(main)
