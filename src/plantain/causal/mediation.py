"""How much of the change between two passes a swap brings about, and how small a change can be told from rounding."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import psutil
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from plantain.base.errors import InputError
from plantain.capture.encode import Embedding
from plantain.capture.forward import Conditioning
from plantain.capture.memory import free_bytes
from plantain.causal.clean import CleanPass
from plantain.causal.cost import floor_batch
from plantain.causal.theatre import Theatre
from plantain.records.keys import Pass

Floats = NDArray[np.float64]
Velocity = Tensor | CleanPass | ArrayLike
"""A velocity, or the clean pass that has it."""

MARGIN: Final = 10.0
"""How many times the rounding floor a change must be for its parts to mean anything."""


class Mediation(NamedTuple):
    """What swaps brought about."""

    m: Floats
    """(swaps,) share of the change from recipient to donor: 0 for none of it, 1 for all."""
    off_axis: Floats
    """(swaps,) size of the rest, in units of that change."""


def mediation(swapped: Velocity, recipient: Velocity, donor: Velocity) -> Mediation:
    """M = <v* - v_A, v_B - v_A> / |v_B - v_A|^2, and what of v* - v_A is not along v_B - v_A.

    Args:
        swapped: velocities v* of swapped passes, (swaps, positions, channels), or one without the first axis.
        recipient: velocity v_A of the pass that was changed, (positions, channels).
        donor: velocity v_B of the pass that gave the heads' outputs, (positions, channels).

    Raises:
        InputError: donor and recipient have the same velocity.
    """
    base, whole = _values(recipient).ravel(), _values(donor).ravel()
    change = whole - base
    # Sums and no products of matrices: a row's number cannot hang on the rows beside it.
    length = float((change * change).sum())
    if length == 0.0:
        fix = "use wordings that the model reads differently."
        raise InputError("donor and recipient have the same velocity, so nothing can be mediated.", fix=fix)
    moved = _values(swapped).reshape(-1, base.size) - base
    m = (moved * change).sum(axis=1) / length
    rest = moved - m[:, None] * change
    return Mediation(m, np.sqrt(np.square(rest).sum(axis=1) / length))


def relative_change(recipient: Velocity, donor: Velocity) -> float:
    """|v_B - v_A| / |v_A|."""
    base = _values(recipient)
    return float(np.linalg.norm(_values(donor) - base) / np.linalg.norm(base))


@dataclass(frozen=True)
class RoundingFloor:
    """The largest relative change of a velocity that is due to rounding alone."""

    model: str
    dtype: str
    batch: float
    """Between a pass alone and the same pass first and last in a batch."""
    precision: float | None
    """Between the model's dtype and float32; None where it is float32, or a float32 copy does not fit into memory."""

    @property
    def largest(self) -> float:
        """The floor."""
        return max(self.batch, self.precision or 0.0)

    def refuse(self, recipient: CleanPass, donor: CleanPass) -> None:
        """Refuse a pair whose change is too near to rounding.

        Raises:
            InputError: |v_B - v_A| is below :data:`MARGIN` times the floor.
        """
        self.refuse_change(recipient.asked, donor.asked, relative_change(recipient, donor))

    def refuse_change(self, recipient: Pass, donor: Pass, change: float) -> None:
        """The same of a change that is known, |v_B - v_A| / |v_A|.

        Raises:
            InputError: as :meth:`refuse`.
        """
        if change < MARGIN * self.largest:
            sides = f"from '{recipient.condition}' to '{donor.condition}' of '{recipient.item}'"
            what = f"'{self.model}' in {self.dtype}: {sides}"
            said = f"the velocity changes by {change:.2g} of its size, and by {self.largest:.2g} through rounding alone"
            fix = f"set dtype: float32 for the model (a change must be {MARGIN:g} times its rounding)."
            if self.dtype == "float32":
                fix = "use wordings that the model reads more differently."
            raise InputError(f"{what} {said}.", field=f"models.{self.model}.dtype", fix=fix)


def rounding_floor(theatre: Theatre, passes: Sequence[Pass]) -> RoundingFloor:
    """Measure what rounding does to the velocity.

    Args:
        theatre: the model.
        passes: two or more whose references have one size; the first two are also run in float32, where the model is
            in a lower precision and a copy fits into memory.

    Raises:
        InputError: fewer than two passes.
    """
    if len(passes) < 2:
        raise InputError("the rounding floor needs two passes to put into a batch.", fix="give two or more.")
    alone = [theatre.velocities([one])[0] for one in passes]
    size = floor_batch(theatre.batch_size)
    changes = []
    for index in range(len(passes)):
        rows = [(index + row) % len(passes) for row in range(size)]
        rows[-1] = index if size > 2 else rows[-1]
        found = theatre.velocities([passes[row] for row in rows])
        changes += [relative_change(alone[rows[at]], found[at]) for at in (0, size - 1)]
    return RoundingFloor(theatre.lock.name, theatre.lock.dtype, max(changes), _precision(theatre, passes[:2], alone))


def _precision(theatre: Theatre, passes: Sequence[Pass], alone: Sequence[Tensor]) -> float | None:
    if theatre.target.dtype == torch.float32 or not _fits(theatre):
        return None
    exact = in_float32(theatre)
    return max(relative_change(exact.velocities([one])[0], alone[at]) for at, one in enumerate(passes))


def in_float32(theatre: Theatre) -> Theatre:
    """The same theatre with a float32 copy of everything that a pass computes with."""
    scene = theatre.scene
    references = {
        name: Conditioning(one.latents.float(), one.ids, one.grid.float()) for name, one in scene.references.items()
    }
    return replace(
        theatre,
        transformer=copy.deepcopy(theatre.transformer).float(),
        scene=replace(scene, references=references),
        embeddings=_widened(theatre.embeddings),
    )


def _widened(embeddings: Callable[[str], Embedding]) -> Callable[[str], Embedding]:
    def widened(prompt: str) -> Embedding:
        found = embeddings(prompt)
        return replace(found, values=found.values.float())

    return widened


def _fits(theatre: Theatre) -> bool:
    free = free_bytes(str(theatre.target.device))
    free = int(psutil.virtual_memory().available) if free is None else free
    return 5 * theatre.lock.geometry.parameters < free  # four bytes each, and room for a pass


def _values(velocity: Velocity) -> Floats:
    found = velocity.velocity if isinstance(velocity, CleanPass) else velocity
    return np.asarray(found.cpu().numpy() if isinstance(found, Tensor) else found, dtype=np.float64)
