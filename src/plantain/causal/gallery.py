"""The pictures of a table of interventions: what swapped heads make of one step, beside what they were taken from."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from plantain.base.files import sha256_bytes
from plantain.causal.clean import CleanPass
from plantain.causal.cost import SHOWN_ITEMS
from plantain.causal.examine import PassOf
from plantain.causal.heads import HeadSet
from plantain.causal.pictures import Darkroom, contact_sheet, fitted
from plantain.causal.swaps import Swap
from plantain.causal.theatre import Theatre
from plantain.probe.halves import CausalDesign
from plantain.records.causal import CausalPictures

COLUMNS: Final = ("recipient", "donor", "the set swapped", "all heads swapped", "random heads")
SMALL, LARGE = 128, 192
"""Pixels: to what small pictures are magnified, in whole steps; and to what large ones are reduced."""
Pictured = dict[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class Gallery:
    """A contact sheet as a file, and what is on it."""

    content: bytes
    """PNG; equal pictures give equal bytes."""
    record: CausalPictures


def draw_gallery(theatre: Theatre, design: CausalDesign, pass_of: PassOf, chosen: HeadSet, random: HeadSet) -> Gallery:
    """Draw what swaps do to some items of the test half, both ways, and to a neutral sentence from either side.

    Args:
        theatre: the model; its VAE is loaded and given back.
        design: the test half, and the first recipient.
        pass_of: the passes of the probe.
        chosen: the set.
        random: as many random heads of its block kinds.
    """
    darkroom = Darkroom.open(theatre.lock, str(theatre.target.device))
    try:
        cases = [
            (said, _row(theatre, darkroom, recipient, donor, (chosen, theatre.heads(), random)))
            for said, recipient, donor in _cases(theatre, design, pass_of)
        ]
    finally:
        darkroom.close()
    return _gallery([said for said, _ in cases], [row for _, row in cases])


def _cases(theatre: Theatre, design: CausalDesign, pass_of: PassOf) -> Iterator[tuple[str, CleanPass, CleanPass]]:
    """What is said of a row, the recipient and the donor."""
    items = design.test.items[:: max(1, len(design.test.items) // SHOWN_ITEMS)][:SHOWN_ITEMS]
    for place, item in enumerate(items):
        names = [side[place % len(side)] for side in (design.test.a, design.test.b)]
        a, b = (theatre.clean(pass_of(name, item)) for name in names)
        yield f"{item}: heads of {names[1]} in {names[0]}", a, b
        yield f"{item}: heads of {names[0]} in {names[1]}", b, a
        if place == 0:
            neutral = theatre.clean(pass_of(design.recipients[0], item))
            for name, donor in zip(names, (a, b), strict=True):
                yield f"{item}: heads of {name} in {design.recipients[0]}", neutral, donor


def _row(
    theatre: Theatre, darkroom: Darkroom, recipient: CleanPass, donor: CleanPass, sets: Sequence[HeadSet]
) -> Pictured:
    swapped = theatre.swapped(recipient, [Swap(donor, heads) for heads in sets])
    velocities = torch.cat([recipient.velocity[None], donor.velocity[None], swapped])
    pictures = darkroom.develop(theatre, recipient.asked, velocities)
    return dict(zip(COLUMNS, (fitted(picture, LARGE) for picture in pictures), strict=True))


def _gallery(labels: Sequence[str], rows: Sequence[Pictured]) -> Gallery:
    height, width = rows[0][COLUMNS[0]].shape[:2]
    scale = max(1, SMALL // max(height, width))
    stream = io.BytesIO()
    contact_sheet(rows, scale=scale, labels=labels).save(stream, "PNG", optimize=True)
    content = stream.getvalue()
    drawn = {"width": scale * width, "height": scale * height}
    record = CausalPictures(sha256=sha256_bytes(content), columns=list(COLUMNS), rows=list(labels), **drawn)
    return Gallery(content, record)
