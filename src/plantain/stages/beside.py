"""What the verdict and the study share: which families stand beside a model, and what decides their numbers."""

from collections.abc import Iterable

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS
from plantain.base.environment import declared_versions
from plantain.base.files import sha256_file
from plantain.base.params import Params, Source
from plantain.ladder.beside import inputs_of
from plantain.measure.plan import plans
from plantain.probe.records import ExpandedContrast, Record
from plantain.records.lock import ModelLock
from plantain.records.study_keys import Inputs, shared_inputs, sweep_settings
from plantain.stages.frame import Stage


def families(params: Params, parent: str) -> list[str]:
    """The declared families of untrained draws of a model."""
    return [
        name
        for name, model in params.models.items()
        if model.source is Source.untrained and model.of == parent and model.seeds is not None
    ]


def reference_digests(current: Stage, model: str, probe: str) -> dict[str, str]:
    """Reference name to the SHA-256 of its image."""
    folder = places.images(model, probe)
    return {path.stem: sha256_file(current.read(path)) for path in sorted(folder.glob("*.png"))}


def shared(params: Params, parent: ModelLock) -> Inputs:
    """What decides the numbers of every table beside a model."""
    analysis, versions = params.analyses[VERDICT_ANALYSIS], declared_versions()["capture"]
    return shared_inputs(parent, params.capture, analysis, params.verdict, versions)


def sweep_inputs(params: Params, lock: ModelLock) -> Inputs:
    """What decides the numbers of a sweep beside the noise level: that stands in the table, level by level."""
    pure = params.model_copy(update={"capture": params.capture.model_copy(update={"sigma": 1.0})})
    return sweep_settings(shared(pure, lock), lock, params.verdict)


def inputs_by_contrast(
    contrasts: Iterable[ExpandedContrast],
    records: Iterable[Record],
    images: dict[str, str],
    settings: Inputs,
    params: Params,
) -> dict[str, Inputs]:
    """What decided the numbers of each contrast that a table holds."""
    chosen, rows = plans(list(contrasts), params.verdict), tuple(records)
    return {plan.contrast.name: inputs_of(plan, rows, images, settings) for plan in chosen}
