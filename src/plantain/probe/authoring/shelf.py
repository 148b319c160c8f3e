"""The shelf: probes that the package ships, as files to be copied into a workspace.

They are data of the package and belong to no room: an edited wording makes no stage of any workspace run anew.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Final

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.files import write_atomic
from plantain.probe.authoring.listing import with_probes

SHELF: Final = Path(str(files("plantain").joinpath("shelf")))
"""A file a probe."""


def shelved() -> list[str]:
    """The names of all probes on the shelf, in order."""
    return sorted(path.stem for path in SHELF.glob("*.yaml"))


def shelf_file(name: str) -> Path:
    """The file of a probe on the shelf.

    Raises:
        InputError: there is no such probe; names those that are called nearly so.
    """
    names = shelved()
    if name not in names:
        near = get_close_matches(name, names, n=3) or names
        raise InputError(f"there is no probe '{name}' on the shelf.", fix=f"use one of: {', '.join(near)}.")
    return SHELF / f"{name}.yaml"


def source_of(name: str) -> Path:
    """The workspace's file of a probe, or that of the shelf where the workspace has none."""
    path = places.probe_file(name)
    return SHELF / path.name if not path.exists() and name in shelved() else path


def take(names: Sequence[str], root: Path) -> list[Path]:
    """Copy probes from the shelf into the workspace at ``root``, and add them to ``run.probes``.

    A file that is there already and says the same stays, so that a probe that was taken out of the run comes back.

    Raises:
        InputError: a name that is not on the shelf, is in the run, or whose file says something else. Nothing is
            written then.
    """
    params = root / places.PARAMS
    wanted = {name: shelf_file(name) for name in dict.fromkeys(names)}
    for name, source in wanted.items():
        _check_free(name, source, root)
    changed = with_probes(params, *wanted)
    made = [root / places.probe_file(name) for name in wanted if not (root / places.probe_file(name)).exists()]
    try:
        for target in made:
            write_atomic(target, wanted[target.stem].read_bytes())
        write_atomic(params, changed)
    except BaseException:
        for target in made:
            target.unlink(missing_ok=True)
        raise
    return [root / places.probe_file(name) for name in wanted]


def _check_free(name: str, source: Path, root: Path) -> None:
    target, params = root / places.probe_file(name), root / places.PARAMS
    if name in read_params(params).run.probes:
        fix = f"run it with `plantain run {name}`."
        raise InputError(f"'{name}' is in the run already.", file=params, field="run.probes", fix=fix)
    if target.exists() and target.read_bytes() != source.read_bytes():
        fix = f"add '{name}' to run.probes to run that file, or give it another name; it is never overwritten."
        raise InputError("this file is not the probe on the shelf.", file=target, fix=fix)
