"""What ``plantain prompts check`` says of a probe, line by line."""

from collections.abc import Iterator
from fractions import Fraction

from plantain.base.params import VerdictParams
from plantain.probe.authoring.check import ContrastCheck, OwnWord, ProbeCheck, TokenCheck
from plantain.probe.authoring.lengths import EqualLengths
from plantain.probe.authoring.reach import TOP, Reach
from plantain.probe.clusters import SURPLUS, Scheme
from plantain.probe.records import Reason, Tie
from plantain.probe.tokens import StratumTokens

MOST_NOTES = 20
"""Notes that are printed of one probe."""

LEVEL = 0.05
"""The level at which most people test."""

_STUDY = "`plantain run --study`"
_HELP = (
    "to part them: take a word out of as many wordings as are too many, or put it into as many of the other side; "
    "reword what is nearly a copy"
)


def check_lines(found: ProbeCheck, rules: VerdictParams) -> list[str]:
    """What was found of one probe, how far it can get first."""
    lines = [f"{found.probe}: {found.problems[0] if found.problems else 'fine as written'}"]
    lines += [f"{found.probe}: {problem}" for problem in found.problems[1:]]
    if not found.contrasts:
        return lines
    lines += _reach_lines(found.reach)
    lines += [f"  note: {note}" for note in found.notes[:MOST_NOTES]]
    if len(found.notes) > MOST_NOTES:
        lines.append(f"  and {len(found.notes) - MOST_NOTES} more notes, which --json prints")
    lines.append(f"  {found.conditions} conditions x {found.items} items, prompt set {found.set_sha256}")
    if found.unused:
        lines.append(f"  in no contrast, held out or forgotten, at a pass an item each: {', '.join(found.unused)}")
    if found.neutral:
        lines.append(f"  neutral, on no side: {', '.join(found.neutral)}")
    lines += [line for contrast in found.contrasts for line in _design_lines(contrast, rules.min_templates)]
    if any(contrast.ties for contrast in found.contrasts):
        lines.append(f"  {_HELP}")
    lines += [line for tokens in found.tokens for line in _token_lines(tokens)]
    return lines + [line for lengths in found.equal_lengths for line in _length_lines(lengths)]


def _reach_lines(found: tuple[Reach, ...]) -> Iterator[str]:
    """One line where all tokenizers agree."""
    one = len({(reach.rung, reach.because) for reach in found}) == 1
    for reach in found[:1] if one else found:
        model = "" if one else f"with {reach.model}'s tokens "
        study = f", with {_STUDY}" if reach.rung >= 4 else ""
        uncounted = ", and if its strata are equally long in tokens" if reach.model is None and reach.rung > 4 else ""
        yield f"  {model}can reach at most rung {reach.rung} of {TOP}{study}{uncounted}, because {reach.because}"
        if reach.decided_by:
            yield f"  rung 3 rests on '{reach.decided_by}', which has to fail: {reach.contrast} alone says too little"


def _design_lines(found: ContrastCheck, least: int) -> list[str]:
    missing = "one piece of evidence lies in several" if found.has_strata else "not every wording has a stratum"
    strata = missing if found.floor_in_strata is None else _floor(found.floor_in_strata)
    lines = [
        f"  {found.name}: wordings {found.templates_a} against {found.templates_b}",
        f"    in every wording of a and in none of b: {_own(found.own_words_a, found.items)}",
        f"    in every wording of b and in none of a: {_own(found.own_words_b, found.items)}",
        *_piece_lines(found),
        f"    smallest p over wordings: {_floor(found.floor)}; within strata: {strata}",
    ]
    if found.floor_items > LEVEL:
        lines.append(f"    smallest p over items: {_floor(found.floor_items)}: no test over items can reach {LEVEL:g}")
    if min(found.templates_a, found.templates_b) < least:
        lines.append(f"    fewer than {least} wordings a side: speaks of these sentences, not of a concept")
    if found.changed_words is not None:
        changed = found.changed_words
        matched = "equally long" if changed.matched else "not equally long"
        lines.append(f"    words that change: {_span(changed.only_a)} against {_span(changed.only_b)} ({matched})")
    return lines


def _piece_lines(found: ContrastCheck) -> Iterator[str]:
    """How many pieces of evidence the wordings are, and what ties those that are one."""
    if found.design_problem:
        yield f"    not tested: {found.design_problem}"
    if max(found.templates_a, found.templates_b) == 1:
        return
    how = "frames, each exchanged within itself" if found.scheme is Scheme.frames else "exchanged freely"
    yield f"    pieces of evidence: {len(found.pieces_a)} against {len(found.pieces_b)} ({how})"
    for side, pieces in (("a", found.pieces_a), ("b", found.pieces_b)):
        for piece in pieces:
            if reasons := [said for tie in found.ties if {*tie.wordings} <= {*piece} for said in _why(tie, found)]:
                yield f"    one piece of {side}: {', '.join(piece)}; {', '.join(dict.fromkeys(reasons))}"


def _why(tie: Tie, found: ContrastCheck) -> Iterator[str]:
    if tie.reason is Reason.word:
        yield f'"{tie.shared}" in {len(tie.wordings)} against {tie.opposite} ({_too_many(tie, found)} too many)'
    elif tie.reason is Reason.copy:
        yield f"{' and '.join(tie.wordings)} nearly copies"
    else:
        yield f"one frame '{tie.shared}'"


def _too_many(tie: Tie, found: ContrastCheck) -> int:
    """From how many of its wordings the word has to go."""
    of_a = any(name in piece for piece in found.pieces_a for name in tie.wordings)
    own, other = (found.templates_a, found.templates_b) if of_a else (found.templates_b, found.templates_a)
    return int(len(tie.wordings) - SURPLUS - tie.opposite * own / other) + 1


def _length_lines(found: EqualLengths) -> Iterator[str]:
    """Strata that would hold, as they can be written into the file."""
    value = "one piece of evidence lies in several" if found.floor is None else f"smallest p {_floor(found.floor)}"
    yield f"  {found.contrast}, strata of equal token count ({value}):"
    for names, tokens in zip(found.groups, found.tokens, strict=True):
        yield f"    {' / '.join(map(_span, tokens))}: {', '.join(names)}"


def _own(words: tuple[OwnWord, ...], items: int) -> str:
    named = [word.word if word.items == items else f"{word.word} ({word.items} of {items} items)" for word in words]
    return ", ".join(named) or "no word"


def _floor(value: float) -> str:
    fraction = Fraction(value).limit_denominator(10**9)
    return "1" if value == 1 else f"{value:.2g} ({fraction})"


def _span(span: tuple[int, int]) -> str:
    return str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"


def _token_lines(found: TokenCheck) -> list[str]:
    lines = [f"  tokens with {found.model}: at most {found.longest} of the {found.limit} that it reads"]
    lines += [f"    {problem}" for problem in found.problems]
    return lines + [f"    {_stratum_line(stratum)}" for stratum in found.strata]


def _stratum_line(found: StratumTokens) -> str:
    place = f"{found.contrast}, {found.stratum or 'no stratum'}"
    if found.equal:
        return f"{place}: {_span(next(iter(found.templates.values())))}, equal for every item"
    return f"{place}: NOT equal: " + ", ".join(f"{name} {_span(span)}" for name, span in found.templates.items())
