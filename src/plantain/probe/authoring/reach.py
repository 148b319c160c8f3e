"""How far up the ladder a probe can get, whatever model it is put to: its design decides that before any pass."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from plantain.base.params import VerdictParams
from plantain.probe.authoring.floors import floor_in_strata, floor_of, torn
from plantain.probe.clusters import Design, design_of
from plantain.probe.halves import causal_design
from plantain.probe.records import ExpandedContrast, Expansion, items_of
from plantain.probe.speaking import speaking
from plantain.probe.spec import Decides
from plantain.probe.tokens import StratumTokens

TOP: Final = 7
"""The highest rung."""


@dataclass(frozen=True)
class Reach:
    """The highest rung that a probe can reach, with the token counts of one model."""

    model: str | None
    """Whose tokens; None where none were counted."""
    contrast: str
    """The contrast that the verdict rests on."""
    rung: int
    because: str
    """What keeps it from the next rung."""
    decided_by: str | None = None
    """The control that has to fail, where the target alone cannot tell the idea from its words."""


@dataclass(frozen=True)
class _Asked:
    """What the rungs ask of."""

    expansion: Expansion
    contrast: ExpandedContrast
    design: Design
    strata: tuple[StratumTokens, ...] | None
    rules: VerdictParams


def reaches(
    expansion: Expansion, tokens: Mapping[str, tuple[StratumTokens, ...]], rules: VerdictParams
) -> tuple[Reach, ...]:
    """How far the speaking contrast can get with each of ``tokens``, by model; one entry where nothing was counted."""
    by_name = {contrast.name: contrast for contrast in expansion.contrasts}
    contrast = by_name[str(speaking(by_name))]
    models: Iterable[str | None] = tokens or (None,)
    return tuple(
        _reach(model, _Asked(expansion, contrast, design_of(contrast), tokens.get(model or ""), rules))
        for model in models
    )


def _reach(model: str | None, asked: _Asked) -> Reach:
    """The first rung that the design rules out, which ends the climb."""
    decided = _deciding(asked) if _too_little(asked) else None
    for rung, limit in ((0, _items), (1, _wordings), (4, _lengths), (5, _images), (6, _halves)):
        if because := limit(asked):
            return Reach(model, asked.contrast.name, rung, because, decided if rung > 2 else None)
    because = "that is the highest"
    return Reach(model, asked.contrast.name, TOP, because, decided)


def _items(asked: _Asked) -> str:
    blocks = asked.contrast.flip_blocks
    signs = len(set(blocks or items_of(asked.expansion.records)))
    smallest = 0.5 ** (signs - 1)
    what = "items" if blocks is None else "flip blocks"
    return f"{signs} independent {what} give {_no_p(smallest, asked)}" if smallest > asked.rules.alpha else ""


def _no_p(smallest: float, asked: _Asked) -> str:
    return f"no p below {smallest:.2g}, and {asked.rules.alpha:g} is asked"


def _wordings(asked: _Asked) -> str:
    return "" if _deciding(asked) else _too_little(asked)


def _deciding(asked: _Asked) -> str | None:
    """The first control that can tell the idea from its words where the target by itself cannot."""
    return next((one.name for one in asked.expansion.contrasts if _decides(one, asked.rules)), None)


def _too_little(asked: _Asked) -> str:
    design, least = asked.design, asked.rules.min_templates
    if design.problem:
        return design.problem
    pieces = {"a": len(set(design.rows_a)), "b": len(set(design.rows_b))}
    side = min(pieces, key=lambda name: pieces[name])
    if pieces[side] < least:
        held = len(asked.contrast.a if side == "a" else asked.contrast.b)
        worded = f"the {held} wordings of side {side} are" if held > 1 else f"the one wording of side {side} is"
        evidence = "1 piece" if pieces[side] == 1 else f"{pieces[side]} pieces"
        return f"{worded} {evidence} of evidence, and {least} are needed"
    smallest = floor_of(design)
    return f"its wordings give {_no_p(smallest, asked)}" if smallest > asked.rules.alpha else ""


def _decides(contrast: ExpandedContrast, rules: VerdictParams) -> bool:
    """Whether ``contrast`` holds the target's words in enough frames of both sides."""
    design = design_of(contrast)
    enough = not design.problem and design.both_sided_frames >= rules.min_templates
    return contrast.decides is Decides.words and enough


def _lengths(asked: _Asked) -> str:
    contrast, design = asked.contrast, asked.design
    if None in contrast.strata:
        bare = (*contrast.a, *contrast.b)[contrast.strata.index(None)]
        return f"'{bare}' has no stratum, so that length cannot be told from the idea"
    if unequal := _unequal(asked):
        return unequal
    if places := torn(design, contrast.strata):
        names = [(*contrast.a, *contrast.b)[place] for place in places]
        return f"{_listed(names)} are one piece of evidence and lie in several strata"
    smallest = floor_in_strata(design, contrast.strata)
    assert smallest is not None
    return f"within strata its wordings give {_no_p(smallest, asked)}" if smallest > asked.rules.alpha else ""


def _unequal(asked: _Asked) -> str:
    for row in asked.strata or ():
        if row.contrast == asked.contrast.name and not row.equal:
            return f"the stratum '{row.stratum}' holds wordings of different token counts"
    return ""


def _images(asked: _Asked) -> str:
    """The study draws further images from their prompts, and none of a picture that comes from a file."""
    of_files = {image.name for image in asked.expansion.references if image.file is not None}
    sides = {*asked.contrast.a, *asked.contrast.b}
    for record in asked.expansion.records:
        fixed = [name for name in record.reference if name in of_files]
        if record.condition in sides and fixed and len(record.reference) < asked.rules.references:
            return f"'{fixed[0]}' is one picture from a file, and {asked.rules.references} alternatives are needed"
    return ""


def _halves(asked: _Asked) -> str:
    """Half of the wordings choose heads, the other half tests them."""
    expansion, rules = asked.expansion, asked.rules
    items = tuple(items_of(expansion.records))
    design = causal_design(asked.contrast, expansion.neutral, items, rules.swapped_items)
    return f"of rung 7: {design.problem}" if design.problem else ""


def _listed(names: list[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
