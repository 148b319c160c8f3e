"""What makes a study table what it is: everything that decided its numbers, contrast by contrast.

The inputs of a table are compared with those of the cell at hand; where one differs, the rung that needs the table is
not tested.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from plantain.base.files import digest
from plantain.base.params import AnalysisParams, CaptureParams, Method, ReferenceParams, VerdictParams
from plantain.probe.records import ExpandedContrast, Reason, Record
from plantain.records.keys import CAPTURE_VERSION, EMBEDDING_VERSION, path_of
from plantain.records.lock import ModelLock

Inputs = dict[str, Any]
"""What decided the numbers of one contrast, by name."""
SHUFFLED: Final = "shuffled_weights"
"""The input that only a shuffled family has: the trained weights that were shuffled."""


def contrast_inputs(
    contrast: ExpandedContrast,
    records: Iterable[Record],
    images: Mapping[str, str],
    settings: Inputs,
    *,
    scheme: str,
    control: ExpandedContrast | None = None,
) -> Inputs:
    """What decides the template-level numbers of a contrast.

    Args:
        contrast: the two sides.
        records: the sampled records of the probe.
        images: reference name to the SHA-256 of its image.
        settings: what all contrasts of the table share, see :func:`shared_inputs`.
        scheme: what is exchanged, see :class:`plantain.measure.plan.Scheme`.
        control: the contrast whose frames the own ones are held against, where it is.
    """
    held = [contrast] if control is None else [contrast, control]
    sides = {name for one in held for name in (*one.a, *one.b)}
    own = [record for record in records if record.condition in sides]
    names = sorted({name for record in own for name in record.reference})
    return {
        "a": list(contrast.a),
        "b": list(contrast.b),
        "design": digest([scheme, *map(_design, held)]),
        "prompts": digest(sorted(record.sha256 for record in own)),
        "references": digest({name: images[name] for name in names}),
        **settings,
    }


def _design(contrast: ExpandedContrast) -> dict[str, Any]:
    """What is exchanged with what in one contrast."""
    copies = [list(tie.wordings) for tie in contrast.ties if tie.reason is Reason.copy]
    return {
        "a": list(contrast.a),
        "b": list(contrast.b),
        "clusters": list(contrast.clusters),
        "copies": copies,
        "frames": list(contrast.frames),
        "strata": list(contrast.strata),
    }


def shared_inputs(
    lock: ModelLock, capture: CaptureParams, analysis: AnalysisParams, rules: VerdictParams, versions: Mapping[str, str]
) -> Inputs:
    """What all contrasts of a table share.

    Args:
        lock: the model with weights that was untrained; its transformer weights do not count.
        capture: the first of its noise seeds counts.
        analysis: unit, tokens and measure count.
        rules: the threshold counts.
        versions: declared versions of the packages that capture.
    """
    parts = {name: [part.class_name, part.config_sha256] for name, part in lock.components.items()}
    parts |= {
        name: [*parts[name], part.weights_sha256] for name, part in lock.components.items() if name != "transformer"
    }
    sizes = [lock.dtype, lock.device, lock.height, lock.width, lock.max_sequence_length, lock.text_encoder_out_layers]
    ways = [
        CAPTURE_VERSION,
        EMBEDDING_VERSION,
        str(path_of(lock, capture)),
        float(capture.sigma),
        capture.seeds[0],
        capture.batch_size,
        lock.group_width,
    ]
    ways += sorted(capture.kernels().items())
    return {
        "model": digest([parts, sizes]),
        "capture": digest(ways),
        "measure": [str(analysis.unit), str(analysis.tokens), str(analysis.measure), float(rules.threshold)],
        "versions": digest(dict(versions)),
    }


def null_settings(shared: Inputs, parent: ModelLock, method: Method) -> Inputs:
    """What decides the numbers of an untrained family; only a shuffled one has the trained weights in it."""
    shuffled = {SHUFFLED: parent.components["transformer"].weights_sha256}
    return shared | {"method": method.value} | (shuffled if method is Method.shuffle else {})


def replication_settings(shared: Inputs, lock: ModelLock, reference: ReferenceParams, rules: VerdictParams) -> Inputs:
    """What decides the p of further seeds and references."""
    return shared | {
        "weights": lock.components["transformer"].weights_sha256,
        "drawing": [reference.steps, float(reference.guidance_scale), reference.seed],
        "rules": [rules.seeds, rules.references, rules.seeds_alone, rules.permutations, str(rules.family), rules.shift],
    }


def sweep_settings(shared: Inputs, lock: ModelLock, rules: VerdictParams) -> Inputs:
    """What decides the numbers of every noise level; ``shared`` is that of pure noise, whatever the run's own level."""
    return shared | {
        "weights": lock.components["transformer"].weights_sha256,
        "rules": [float(rules.alpha), rules.permutations, str(rules.family), rules.shift, rules.seed],
    }


def mismatch(made: Inputs, wanted: Inputs) -> str:
    """Which inputs of a table are not those of the cell at hand; empty where all are."""
    names = [name for name in sorted({*made, *wanted}) if made.get(name) != wanted.get(name)]
    return ", ".join(name.replace("_", " ") for name in names)
