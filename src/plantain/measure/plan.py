"""What is compared from rung 3 of the ladder on: which rows, and how labels are exchanged. Fixed before any number."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from plantain.base.params import VerdictParams
from plantain.measure.magnitude import wordings_by_item
from plantain.measure.sides import Measured, strata_of, text_tokens, unequal_strata
from plantain.measure.vectors import Looked, MeasuredVectors, known
from plantain.probe.clusters import Design, components_of, design_of
from plantain.probe.records import ExpandedContrast, Reason, Tie
from plantain.probe.spec import Decides, Role
from plantain.records.activations import Activations

Floats = NDArray[np.float64]
NAMED = 3
"""Ties that a reason names; of more it gives the number."""


class RowScheme(StrEnum):
    """What a row is, and what is exchanged."""

    frames = "frames"
    """The two sides within each component of frames and clusters."""
    clusters = "clusters"
    """Whole clusters of wordings, freely between the sides."""
    control = "control"
    """Frames of the contrast, side a minus side b, with frames of the control that has its words."""


@dataclass(frozen=True)
class Rows:
    """Two sets of rows of one model, and the labels by which they are exchanged."""

    a: Floats
    """``(rows, heads)``: wordings of side a, or signed differences of the contrast's frames. Of vectors
    ``(rows, heads, dimensions)``."""
    b: Floats
    """``(rows, heads)``: wordings of side b, or signed differences of the control's frames."""
    clusters: tuple[int, ...] | None = None
    """A label a row, of a then b."""
    frames: tuple[str | None, ...] | None = None


@dataclass(frozen=True)
class Comparison:
    """What one contrast is compared by."""

    contrast: ExpandedContrast
    scheme: RowScheme
    control: ExpandedContrast | None = None
    """The control that has the contrast's words, where the contrast's own clusters are too few."""
    problem: str = ""
    """Why nothing can be compared; empty where something can."""

    @property
    def contrasts(self) -> tuple[ExpandedContrast, ...]:
        """The contrasts whose wordings it needs."""
        return (self.contrast,) if self.control is None else (self.contrast, self.control)

    @property
    def design(self) -> Design:
        """Clusters, frames and ties of the contrast."""
        return design_of(self.contrast)

    @property
    def sizes(self) -> tuple[int, int]:
        """Rows of either set."""
        if self.control is None:
            return len(set(self.design.rows_a)), len(set(self.design.rows_b))
        return len(framed(self.contrast)), len(framed(self.control))

    def rows(self, looked: Looked) -> Rows:
        """The rows of a model; heads without a finite measure in any of them are left out."""
        if self.control is None:
            return wordings(looked, self.contrast)
        found = [shifts(looked, one) for one in self.contrasts]
        return _between(*(known(*found) if isinstance(looked, MeasuredVectors) else finite(*found)))

    @property
    def labels(self) -> Rows:
        """The rows without heads: what decides which p can be reached."""
        if self.control is None:
            a, b = (np.zeros((len(side), 0)) for side in (self.contrast.a, self.contrast.b))
            return Rows(a, b, self.contrast.clusters, frames_of(self.contrast))
        first, second = self.sizes
        return _between(np.zeros((first, 0)), np.zeros((second, 0)))

    def crossed(self, measured: Measured) -> Rows:
        """The same rows item by item, ``(rows, items, heads)``."""
        if self.control is None:
            values, conditions = measured.values, measured.activations.conditions
            sides = finite(*(wordings_by_item(values, conditions, one) for one in (self.contrast.a, self.contrast.b)))
            return replace(wordings(measured, self.contrast), a=sides[0], b=sides[1])
        return _between(*finite(*(differences(measured, one) for one in self.contrasts)))


def plan_of(contrast: ExpandedContrast, contrasts: Iterable[ExpandedContrast], rules: VerdictParams) -> Comparison:
    """How a contrast is compared: by its own clusters, or where these are too few against the control of its words.

    Args:
        contrast: the two sides.
        contrasts: all of the probe, among them the controls that decide.
        rules: the least number of rows a side.
    """
    design = design_of(contrast)
    scheme = RowScheme(str(design.scheme))
    problem = few(contrast, rules)
    if not problem or design.problem:
        return Comparison(contrast, scheme, problem=problem)
    for control in deciding(contrast, contrasts, Decides.words):
        if not against(contrast, control, rules):
            return Comparison(contrast, RowScheme.control, control)
    return Comparison(contrast, scheme, problem=problem)


def plans(contrasts: Sequence[ExpandedContrast], rules: VerdictParams) -> list[Comparison]:
    """The plans of the contrasts that can be compared."""
    found = [plan_of(one, contrasts, rules) for one in contrasts]
    return [plan for plan in found if not plan.problem]


def deciding(
    contrast: ExpandedContrast, contrasts: Iterable[ExpandedContrast], kind: Decides
) -> list[ExpandedContrast]:
    """The controls that decide about a contrast; they decide about the target alone."""
    return [one for one in contrasts if one.decides is kind] if contrast.role is Role.target else []


def few(contrast: ExpandedContrast, rules: VerdictParams) -> str:
    """Why the clusters of a contrast cannot be exchanged, with what ties them and what would help."""
    design = design_of(contrast)
    least, wordings = rules.min_templates, min(len(contrast.a), len(contrast.b))
    if wordings < least:
        return f"{least} templates a side are needed, the smaller side has {wordings}"
    if design.problem:
        return design.problem
    if design.fewest >= least:
        return ""
    side = contrast.a if len(set(design.rows_a)) == design.fewest else contrast.b
    ties = [said(tie) for tie in design.ties if tie.wordings[0] in side]
    more = f" and {len(ties) - NAMED} ties more" if len(ties) > NAMED else ""
    return (
        f"{least} independent wordings a side are needed, of {len(side)} on one side {design.fewest} remain: "
        f"{'; '.join(ties[:NAMED])}{more}. Wordings without what they share would help, or a control with the same "
        "words that says `decides: words`"
    )


def said(tie: Tie) -> str:
    """Which wordings a tie holds together, and by what."""
    names = f"{', '.join(tie.wordings[:-1])} and {tie.wordings[-1]}"
    if tie.reason is Reason.copy:
        return f"{names} are nearly the same sentence"
    if tie.reason is Reason.frame:
        return f"{names} are of one frame, '{tie.shared}'"
    return f"{names} share '{tie.shared}'"


def against(contrast: ExpandedContrast, control: ExpandedContrast, rules: VerdictParams) -> str:
    """Why the frames of a contrast cannot be held against those of a control; empty where they can."""
    shared = {*contrast.a, *contrast.b} & {*control.a, *control.b}
    if shared:
        return f"'{min(shared)}' is a wording of both"
    for one in (contrast, control):
        problem = unframed(one)
        if problem:
            return problem
        if len(framed(one)) < rules.min_templates:
            return f"{rules.min_templates} frames are needed, {one.name} has {len(framed(one))}"
    return ""


def unframed(contrast: ExpandedContrast) -> str:
    """Why the frames of a contrast give no differences; empty where every one is complete."""
    names = (*contrast.a, *contrast.b)
    for name, frame in zip(names, contrast.frames, strict=True):
        if frame is None:
            return f"'{name}' of {contrast.name} has no frame"
    cut = len(contrast.a)
    alone = {*contrast.frames[:cut]} ^ {*contrast.frames[cut:]}
    return f"frame '{min(map(str, alone))}' of {contrast.name} has wordings on one side only" if alone else ""


def framed(contrast: ExpandedContrast) -> list[tuple[int, ...]]:
    """The places of the wordings, of a then b, that make one difference.

    Frames, and frames that hold near copies of each other together. A word that only one side uses ties none here: it
    is in the frames of the control as well, and what it does is in both sets of differences.
    """
    names = (*contrast.a, *contrast.b)
    places = {name: place for place, name in enumerate(names)}
    groups = [_having(contrast.frames, frame) for frame in dict.fromkeys(contrast.frames)]
    groups += [[places[name] for name in tie.wordings] for tie in contrast.ties if tie.reason is Reason.copy]
    labels = components_of(len(names), groups)
    return [tuple(_having(labels, label)) for label in dict.fromkeys(labels)]


def _having(labels: Sequence[Hashable], label: Hashable) -> list[int]:
    return [at for at, own in enumerate(labels) if own == label]


def differences(measured: Measured, contrast: ExpandedContrast) -> Floats:
    """Side a minus side b of every frame, ``(frames, items, heads)``, over references and seeds."""
    table = wordings_by_item(measured.values, measured.activations.conditions, (*contrast.a, *contrast.b))
    cut = len(contrast.a)
    rows = []
    for places in framed(contrast):
        a, b = [at for at in places if at < cut], [at for at in places if at >= cut]
        with np.errstate(invalid="ignore"):
            # Silent on both sides: the difference of two minus infinities is NaN, which is meant.
            rows.append(table[a].mean(axis=0) - table[b].mean(axis=0))
    return np.stack(rows)


def shifts(looked: Looked, contrast: ExpandedContrast) -> Floats:
    """Side a minus side b of every frame, ``(frames, heads)`` or of vectors, over items, references and seeds."""
    if isinstance(looked, Measured):
        return np.asarray(differences(looked, contrast).mean(axis=1))
    table, cut = looked.wordings((*contrast.a, *contrast.b)), len(contrast.a)
    sides = [([at for at in places if at < cut], [at for at in places if at >= cut]) for places in framed(contrast)]
    return np.stack([table[a].mean(axis=0) - table[b].mean(axis=0) for a, b in sides])


def wordings(looked: Looked, contrast: ExpandedContrast) -> Rows:
    """The wordings of both sides with their own clusters and frames."""
    return Rows(*looked.rows(contrast), contrast.clusters, frames_of(contrast))


def frames_of(contrast: ExpandedContrast) -> tuple[str | None, ...] | None:
    """The frames of the wordings; None where none has one."""
    return contrast.frames if any(frame is not None for frame in contrast.frames) else None


def finite(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Two sets of rows without the heads, the last axis, that have no finite measure in some row."""
    known = np.isfinite(np.concatenate([a, b])).all(axis=tuple(range(a.ndim - 1)))
    return a[..., known], b[..., known]


def _between(a: Floats, b: Floats) -> Rows:
    """Rows that are each their own; said so, since rows of unequal number are then studentised."""
    return Rows(a, b, tuple(range(len(a) + len(b))))


@dataclass(frozen=True)
class Lengths:
    """How the token counts of the rows are held equal, at rung 5."""

    strata: tuple[str, ...] | None = None
    """A label a wording, of a then b, within which clusters are exchanged; None where the frames hold them equal."""
    equal: bool = False
    """Whether what is exchanged holds sentences of equal token count anyway, for every item."""
    problem: str = field(default="")
    """Why token count cannot be held equal; empty where it can."""


def lengths(plan: Comparison, activations: Activations) -> Lengths:
    """How rung 5 holds the token count equal, with the model's own tokenizer."""
    if plan.problem:
        return Lengths(problem=plan.problem)
    if plan.scheme is RowScheme.clusters:
        return _stratified(plan.contrast, activations)
    found = [uneven_frames(activations, contrast, _groups(plan, contrast)) for contrast in plan.contrasts]
    problem = next((one for one in found if one), "")
    if problem and plan.scheme is RowScheme.frames and strata_of(plan.contrast) is not None:
        return _stratified(plan.contrast, activations)
    return Lengths(equal=not problem, problem=problem)


def _groups(plan: Comparison, contrast: ExpandedContrast) -> list[tuple[int, ...]]:
    """The places of the wordings of ``contrast`` that are exchanged within themselves, or subtracted."""
    if plan.scheme is RowScheme.control:
        return framed(contrast)
    labels = (*plan.design.components_a, *plan.design.components_b)
    return [tuple(_having(labels, label)) for label in dict.fromkeys(labels)]


def _stratified(contrast: ExpandedContrast, activations: Activations) -> Lengths:
    strata = strata_of(contrast)
    if strata is None:
        return Lengths(problem="not every template has a stratum of equal token count")
    names = (*contrast.a, *contrast.b)
    for cluster in dict.fromkeys(contrast.clusters):
        own = _having(contrast.clusters, cluster)
        held = list(dict.fromkeys(strata[at] for at in own))
        if len(held) > 1:
            first, other = (next(names[at] for at in own if strata[at] == label) for label in held[:2])
            why = f"'{first}' and '{other}' are one piece of evidence, and of the strata '{held[0]}' and '{held[1]}'"
            return Lengths(problem=why)
    problem = unequal_strata(activations, contrast)
    return Lengths(problem=problem) if problem else Lengths(strata)


def uneven_frames(activations: Activations, contrast: ExpandedContrast, groups: Sequence[tuple[int, ...]]) -> str:
    """Which frame holds prompts of different token counts for one item; empty where none does."""
    counts = text_tokens(activations, (*contrast.a, *contrast.b))
    for places in groups:
        chosen = counts[:, list(places)]
        uneven = np.flatnonzero(chosen.min(axis=1) != chosen.max(axis=1))
        if uneven.size:
            item, low, high = activations.items[uneven[0]], chosen[uneven[0]].min(), chosen[uneven[0]].max()
            frame = contrast.frames[places[0]]
            return f"frame '{frame}' holds {low} to {high} tokens for item '{item}' with this model's tokenizer"
    return ""
