"""What every run of interventions checks on itself: what must hold in any network, whatever it was taught."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import torch

from plantain.base.errors import CheckFailed
from plantain.causal.clean import CleanPass
from plantain.causal.cost import alone_and_together
from plantain.causal.heads import HeadSet, TokenRoute
from plantain.causal.mediation import Mediation, mediation, relative_change
from plantain.causal.swaps import Swap
from plantain.causal.theatre import Theatre

TOLERANCE: Final[Mapping[str, float]] = {"float32": 1e-5, "bfloat16": 2e-2, "float16": 2e-3}
"""How far an identity may be off: a few times what rounding does in each dtype."""


@dataclass(frozen=True)
class Identities:
    """What was found; all of it held where it had to."""

    self_swap: float
    """Largest change of a velocity by swapping all heads with the pass's own: 0."""
    all_heads: tuple[float, float]
    """m of all heads at image tokens, donor into recipient and recipient into donor: 1 where text reaches the noise
    tokens through attention alone."""
    off_axis: tuple[float, float]
    """The rest of these two: 0 there."""
    modulation_share: float
    """1 less the smaller m: what reaches the noise tokens by another way, as pooled text in the modulation."""
    batch: float
    """Largest relative difference of a velocity between swaps made together and alone."""
    swaps: int
    """How many were made, each seen once by every projection that it changes."""


def check_identities(
    theatre: Theatre,
    recipient: CleanPass,
    donor: CleanPass,
    *,
    attention_alone: bool = True,
    tolerance: float | None = None,
) -> Identities:
    """Make the swaps whose outcome is known.

    Args:
        theatre: the model.
        recipient: one pass.
        donor: the same item in another wording.
        attention_alone: whether text reaches the noise tokens through attention alone, as in FLUX.2. Where pooled text
            enters the modulation, the share that is missing is reported and not refused.
        tolerance: how far m may be from 1, and a batch from single swaps; None for that of the dtype.

    Raises:
        CheckFailed: an identity is broken, or a swap was not made.
        InputError: both passes have the same velocity.
    """
    off = TOLERANCE[theatre.lock.dtype] if tolerance is None else tolerance
    single = replace(theatre, batch_size=1)
    whole = theatre.heads(TokenRoute.image)
    own = max(_self_swap(single, one, tokens) for one in (recipient, donor) for tokens in _routes(theatre))
    there, back = _all(single, recipient, donor, whole), _all(single, donor, recipient, whole)
    batch, count = _batch(theatre, recipient, donor, whole)
    found = Identities(
        self_swap=own,
        all_heads=(float(there.m[0]), float(back.m[0])),
        off_axis=(float(there.off_axis[0]), float(back.off_axis[0])),
        modulation_share=1.0 - float(min(there.m[0], back.m[0])),
        batch=batch,
        swaps=2 * len(_routes(theatre)) + 2 + 2 * count,
    )
    _refuse(theatre, found, off, attention_alone)
    return found


def _routes(theatre: Theatre) -> tuple[TokenRoute, ...]:
    return tuple(tokens for tokens in (TokenRoute.image, TokenRoute.text) if tokens in theatre.routes)


def _self_swap(theatre: Theatre, one: CleanPass, tokens: TokenRoute) -> float:
    found = theatre.swapped(one, [Swap(one, theatre.heads(tokens), tokens)])[0]
    return 0.0 if torch.equal(found, one.velocity) else float((found - one.velocity).abs().max())


def _all(theatre: Theatre, recipient: CleanPass, donor: CleanPass, heads: HeadSet) -> Mediation:
    return mediation(theatre.swapped(recipient, [Swap(donor, heads)]), recipient, donor)


def _batch(theatre: Theatre, recipient: CleanPass, donor: CleanPass, whole: HeadSet) -> tuple[float, int]:
    edits = [Swap(donor, heads) for heads in alone_and_together(whole)]
    together = replace(theatre, batch_size=len(edits)).swapped(recipient, edits)
    alone = replace(theatre, batch_size=1).swapped(recipient, edits)
    return max(relative_change(one, other) for one, other in zip(alone, together, strict=True)), len(edits)


def _refuse(theatre: Theatre, found: Identities, off: float, attention_alone: bool) -> None:
    name, dtype = theatre.lock.name, theatre.lock.dtype
    broken = []
    if found.self_swap != 0.0:
        broken.append(f"swapping all heads with a pass's own changes its velocity by {found.self_swap:.2g}")
    worst = max(abs(m - 1.0) for m in found.all_heads)
    if attention_alone and worst > off:
        broken.append(f"all heads at image tokens mediate {found.all_heads[0]:.6g} and {found.all_heads[1]:.6g}, not 1")
    if found.batch > off:
        broken.append(f"a swap in a batch differs from the same swap alone by {found.batch:.2g}")
    if broken:
        fix = "Fix: report it with the versions that `plantain doctor` prints; no number of these swaps can be trusted."
        raise CheckFailed(f"'{name}' ({dtype}): {'; '.join(broken)}. {fix}")
