"""``cells``: the cells of this run, and the removal of what belongs to none of them.

``compare`` and ``publish`` can only depend on whole folders, which would keep the results of a probe or model that was
taken out of ``run``. This stage deletes exactly the outs that dvc.lock names for such cells: they are in the cache, and
come back when the cell does. It never deletes by listing a folder.
"""

import shutil
from pathlib import Path

from plantain.base.config import read_params
from plantain.base.files import write_atomic
from plantain.base.params import RunParams
from plantain.base.yaml import read_yaml
from plantain.records.cells import CELLS, cells_of
from plantain.stages.frame import run


def main() -> None:
    """``python -m plantain.stages.cells``."""
    chosen = read_params().run
    for path in stale_outs(Path("dvc.lock"), chosen):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    write_atomic(Path(CELLS), cells_of(chosen.probes, chosen.models).to_bytes())


def stale_outs(lock: Path, chosen: RunParams) -> list[Path]:
    """Outs that ``lock`` names for cells that are not ``chosen``, and that no chosen cell shares."""
    if not lock.exists():
        return []
    stages = read_yaml(lock).data.get("stages") or {}
    wanted = _names(chosen)
    kept = {out["path"] for name, entry in stages.items() if _is_wanted(name, wanted) for out in entry.get("outs", [])}
    stale = {out["path"] for name, entry in stages.items() if not _is_wanted(name, wanted) for out in entry["outs"]}
    return sorted(Path(path) for path in stale - kept)


def _names(chosen: RunParams) -> set[str]:
    cells = {f"{probe}-{model}" for probe in chosen.probes for model in chosen.models}
    return cells | set(chosen.probes) | set(chosen.models)


def _is_wanted(stage: str, wanted: set[str]) -> bool:
    _, _, item = stage.partition("@")
    return not item or item in wanted


if __name__ == "__main__":
    run(main)
