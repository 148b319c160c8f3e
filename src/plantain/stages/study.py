"""The study: what a default run leaves out. Untrained draws for rung 4, further noise seeds and images for rung 6.

Other noise levels are swept over as well, which decides nothing. The study takes what `dvc repro` has made, writes
tables into ``reports/study``, and leaves them to be committed; the next `dvc repro` uses them.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.params import Method, Params, Source
from plantain.records.verdict import REPORTED, read_verdict
from plantain.stages.beside import families
from plantain.stages.pipelines import is_checkout
from plantain.stages.rooms import SOURCE

CellAddress = tuple[str, str]
"""Probe and model."""

StudyJob = tuple[str, str, str]
"""Stage module, probe, and family or model."""


def study(params: Params, cells: Iterable[tuple[str, str]]) -> int:
    """Draw the untrained families of every cell's model, replicate the models with weights, and sweep all of them.

    Args:
        params: of the run.
        cells: pairs of probe and model.

    Returns:
        The exit code of the first job that failed, or 0.
    """
    planned = list(dict.fromkeys(jobs(params, cells)))
    for number, (stage, probe, model) in enumerate(planned, start=1):
        print(f"study {number} of {len(planned)}: {stage} {probe} {model}", flush=True)
        command = [sys.executable, "-m", f"plantain.stages.{stage}", probe, model]
        code = subprocess.run(command, env=_surroundings(), check=False).returncode
        if code:
            return code
    return 0


def worth_studying(cells: Sequence[CellAddress]) -> tuple[list[CellAddress], list[str]]:
    """The cells of probes whose target passes rung 3 on a model, by some measure, and the names of all other probes.

    Rungs are climbed in order, so that where rung 3 failed no table of a study can raise one. A probe without a verdict
    is left among the cells.
    """
    idle = {probe for probe, _ in cells} - {probe for probe, model in cells if _passes_wordings(model, probe)}
    return [cell for cell in cells if cell[0] not in idle], sorted(idle)


def _passes_wordings(model: str, probe: str) -> bool:
    path = places.verdict(model, probe)
    if not path.exists():
        return True
    found = read_verdict(path)
    return any(climb.rung > REPORTED for climb in (found, *found.measures.values()))


def _surroundings() -> dict[str, str]:
    """The environment of a stage: a checkout runs its own code, as dvc.yaml says."""
    return os.environ | ({"PYTHONPATH": SOURCE.parts[0]} if is_checkout() else {})


def jobs(params: Params, cells: Iterable[tuple[str, str]]) -> Iterator[StudyJob]:
    """What has to be computed for these cells; a family once for all cells of its model.

    Raises:
        InputError: a model with weights is not in the run, whose lock and images its untrained draws need.
    """
    for probe, model in cells:
        declared = params.models[model]
        untrained = declared.source is Source.untrained
        if untrained and declared.of not in params.run.models:
            problem = f"the study of '{model}' needs '{declared.of}' in the run: its lock and its reference images."
            raise InputError(problem, file="params.yaml", field="run.models", fix=f"add '{declared.of}' there.")
        for family in families(params, str(declared.of) if untrained else model):
            yield "nulls", probe, family
        if not untrained:
            yield "replicate", probe, model
            yield from (("intervene", probe, name) for name in (model, *_ranked(params, model)))
        if params.study.sigmas and declared.seeds is None:
            # An untrained twin too: what a model that knows nothing gives is what its curve is read beside.
            yield "sweep", probe, model


def _ranked(params: Params, model: str) -> list[str]:
    """The families whose heads are swapped as well: re-initialised ones, each draw with a set of its own."""
    return [name for name in families(params, model) if params.models[name].method is Method.reinit]
