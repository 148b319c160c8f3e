"""What the models draw for the probes of the shelf: the truth of every contrast, before any map is read.

python -m studies.drawn [PROBE ...]     a line a contrast and network (10 minutes of one core for all)
python -m studies.drawn --truth         the same as entries of src/plantain/model/tiny/truth.yaml

Each wording of a contrast draws some items in one step, decoded. A contrast is real where its sides draw other pictures
than rewording does, by labels exchanged over clusters of wordings, and the change can be seen; else its words change no
picture. Where a side has one cluster, nothing can be exchanged, and its change has to exceed that of rewording. Of an
untrained network nothing is true: it answers to other words at random. What is finished stays in `.plantain/drawn`.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.files import digest, readable_json, remembered, write_atomic
from plantain.base.params import Params
from plantain.capture.pictures.references import generate
from plantain.capture.progress import Silent
from plantain.causal.pictures import Darkroom
from plantain.causal.theatre import Theatre
from plantain.model.resolve import resolve
from plantain.probe.authoring.shelf import SHELF, shelved
from plantain.probe.expand import expand
from plantain.probe.records import ExpandedContrast, Expansion, Record
from plantain.probe.sampling import sampled_items
from plantain.probe.spec import read_probe
from plantain.records.keys import passes, reference_images
from plantain.records.lock import ModelLock
from plantain.stats.selection import donor_test

NETWORKS: Final = ("tiny", "tiny-mention", "tiny-untrained")
ITEMS: Final = 6
"""Items that are drawn, evenly spaced."""
ALPHA: Final = 0.05
VISIBLE: Final = 2.0
"""Grey levels of 255, root mean square over a picture, under which a change is not seen."""

Picture = NDArray[np.float32]
Rows = dict[str, Picture]
"""Wording to its pictures of all items, ``(items x height x width x 3)`` in grey levels."""


@dataclass(frozen=True)
class Drawn:
    """What one contrast does to the pictures of one network."""

    change: float
    """Root mean square difference between the sides' mean pictures, in grey levels."""
    rewording: float
    """The same between the wordings of a side, on average over neighbours; the target's where a side has one."""
    p: float | None
    """Of the sides' labels; None where there are too few clusters of wordings to exchange."""

    def truth(self, *, trained: bool) -> str:
        """As the truth table calls it."""
        if not trained:
            return "null"
        told = self.change > self.rewording if self.p is None else self.p <= ALPHA
        return "real" if told and self.change >= VISIBLE else "lexical"


def draw(probe: str, lock: ModelLock, params: Params) -> dict[str, Drawn]:
    """Every contrast of a probe on one network."""
    expansion = expand(read_probe(SHELF / f"{probe}.yaml"), SHELF)
    path = places.state_dir() / "drawn" / f"{digest([expansion.set_sha256, lock.sha256, ITEMS])}.json"
    if not remembered(path):
        rows = _pictures(expansion, lock, params)
        found = {one.name: asdict(_drawn(one, rows, params)) for one in expansion.contrasts}
        write_atomic(path, readable_json(found))
    drawn = {name: Drawn(**values) for name, values in remembered(path).items()}
    usual = drawn["target"].rewording
    return {name: one if one.rewording else replace(one, rewording=usual) for name, one in drawn.items()}


def _pictures(expansion: Expansion, lock: ModelLock, params: Params) -> Rows:
    items = sampled_items(list(dict.fromkeys(record.item for record in expansion.records)), ITEMS)
    sides = {name for one in expansion.contrasts for name in (*one.a, *one.b)}
    records = [one for one in expansion.records if one.item in items and one.condition in sides]
    asked = [one for one in passes(records, params.capture.seeds[:1]) if one.alternative == 0]
    images = reference_images(records, _references(expansion, records, lock, params))
    theatre = Theatre.open(asked, images, lock, params.capture, progress=Silent())
    darkroom = Darkroom.open(lock, str(theatre.target.device))
    found: dict[str, list[Picture]] = {}
    for one in asked:
        picture = darkroom.develop(theatre, one, theatre.velocities([one])[0])[0]
        found.setdefault(one.condition, []).append(picture.astype(np.float32).ravel())
    print(f"{expansion.probe} on {lock.name}: {len(asked)} pictures", file=sys.stderr, flush=True)
    return {name: np.concatenate(pictures) for name, pictures in found.items()}


def _references(expansion: Expansion, records: Sequence[Record], lock: ModelLock, params: Params) -> Path:
    """The folder of the reference images, as the model drew them that the network was made from."""
    parent, _ = resolve(lock.files_model, params)
    folder = places.state_dir() / "drawn" / "images" / parent.name / expansion.probe
    needed = {name for record in records for name in record.reference}
    generate([one for one in expansion.references if one.name in needed], parent, params.reference, folder, Silent())
    return folder


def _drawn(contrast: ExpandedContrast, rows: Rows, params: Params) -> Drawn:
    a, b = (np.stack([rows[name] for name in names]) for names in (contrast.a, contrast.b))
    steps = [_size(one - other) for side in (a, b) for one, other in pairwise(side)]
    p = None
    if min(_clusters(contrast)) > 1:
        p = donor_test(a, b, clusters=contrast.clusters, permutations=params.verdict.permutations, seed=0).p
    return Drawn(_size(a.mean(axis=0) - b.mean(axis=0)), float(np.mean(steps)) if steps else 0.0, p)


def _clusters(contrast: ExpandedContrast) -> tuple[int, int]:
    """How many clusters of wordings each side has."""
    labels, first = list(contrast.clusters), len(contrast.a)
    return len(set(labels[:first])), len(set(labels[first:]))


def _size(difference: Picture) -> float:
    return float(np.sqrt(np.square(difference, dtype=np.float64).mean()))


def table(probes: Sequence[str], params: Params) -> Iterator[tuple[str, str, str, Drawn]]:
    """Network, probe, contrast and what is drawn."""
    for network in NETWORKS:
        lock, _ = resolve(network, params)
        for probe in probes:
            for contrast, found in draw(probe, lock, params).items():
                yield network, probe, contrast, found


def _lines(found: Sequence[tuple[str, str, str, Drawn]]) -> Iterator[str]:
    yield "| network | probe | contrast | change | between wordings | p | truth |"
    yield "|---|---|---|---:|---:|---:|---|"
    for network, probe, contrast, one in found:
        p = "" if one.p is None else f"{one.p:.4f}"
        truth = one.truth(trained=network != "tiny-untrained")
        yield f"| {network} | {probe} | {contrast} | {one.change:.1f} | {one.rewording:.1f} | {p} | {truth} |"


def _entries(found: Sequence[tuple[str, str, str, Drawn]]) -> Iterator[str]:
    known: dict[str, dict[str, dict[str, Any]]] = {}
    for network, probe, contrast, one in found:
        truth = one.truth(trained=network != "tiny-untrained")
        known.setdefault(network, {}).setdefault(probe, {})[contrast] = '"null"' if truth == "null" else truth
    for network, probes in known.items():
        yield f"{network}:"
        for probe, contrasts in probes.items():
            yield f"  {probe}:"
            yield from (f"    {name}: {truth}" for name, truth in contrasts.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("probes", nargs="*", help="probes of the shelf; all where none is named")
    parser.add_argument("--truth", action="store_true", help="as entries of the truth table")
    options = parser.parse_args()
    found = list(table(options.probes or shelved(), read_params()))
    print("\n".join(_entries(found) if options.truth else _lines(found)))


if __name__ == "__main__":
    main()
