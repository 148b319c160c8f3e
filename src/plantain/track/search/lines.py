"""Answers of the searches as text for a terminal of a hundred columns."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from typing import TypeVar

from plantain.report.columns import GLUE, shortened, wrapped
from plantain.track.search.numbers import WORKSPACE, Number
from plantain.track.search.prompts import Entered
from plantain.track.search.typed import is_count
from plantain.track.search.values import Located

_SHOWN = 40
"""Numbers of one section that are listed; --json has all."""
_RECORDS = 3
_PATH = 60
_Key = TypeVar("_Key")


def value_lines(answer: Located, workspace: str) -> Iterator[str]:
    """What reports a number: where it stands now, on which cards, and where it stood."""
    where = f"the workspace {shortened(workspace, _PATH)}"
    if not answer.numbers:
        yield from wrapped(f"{answer.question}: no number of {where} or of its history; {_closest(answer)}")
        return
    cards = f", {len(answer.cards)} of published cards" if answer.cards else ""
    counts = f"{_several(len(answer.now))} now{cards}, {len(answer.earlier)} earlier"
    yield from wrapped(f"{answer.question} in {where}: {counts}.")
    yield from _section("", answer.now)
    yield from _section("Published cards", answer.cards)
    yield from _section("Earlier, and in the workspace no more", answer.earlier)
    if answer.rounds_to_it:
        yield ""
        lead = f"Not counted, since they have decimals that round to {answer.question.rpartition('=')[2]}: "
        yield from wrapped(lead + _listed(answer.rounds_to_it, _RECORDS))


def entered_lines(found: Entered, workspace: str) -> Iterator[str]:
    """What a prompt or a prompt set entered."""
    where = f"the workspace {shortened(workspace, _PATH)}"
    if not found.numbers:
        why = "it was asked, and its wording is in no contrast." if found.asked else "nothing like it was asked."
        yield from wrapped(f"{found.question}: no number of {where} or of its history; {why}")
        return
    yield from wrapped(f"{found.question} in {where}: {_several(len(found.now))} now, {len(found.earlier)} earlier.")
    for result, of_result in _groups(found.now, lambda one: (one.result, one.prompts_sha256 or "")):
        yield ""
        yield f"{result[0]}  prompts {result[1][:12]}"
        for _, numbers in _groups(of_result, _analysis):
            yield from _analysis_lines(list(numbers))
    if found.earlier:
        yield from ("", "Earlier, and in the workspace no more")
        yield from _earlier(found.earlier)
    if not all(one.contrast_known for one in found.numbers):
        yield ""
        yield from wrapped("(?) No probe file gives that prompt set any more, so that all its contrasts are listed.")


def _section(title: str, numbers: tuple[Number, ...]) -> Iterator[str]:
    if not numbers:
        return
    yield ""
    if title:
        yield title
    shown = sorted(islice(numbers, _SHOWN), key=lambda one: (_rank(one, numbers), _analysis(one)))
    wide = max(len(one.metric) for one in shown)
    for _, group in groupby(shown, lambda one: (one.result, _analysis(one))):
        found = list(group)
        yield from wrapped(_heading(found[0]), then="    ")
        for one in found:
            yield from wrapped(f"{one.metric:<{wide}}  {_value(one)}{_when(one)}", first="    ", then=" " * 8)
    if len(numbers) > _SHOWN:
        yield f"    and {len(numbers) - _SHOWN} more (--json lists all)"


def _rank(one: Number, numbers: Iterable[Number]) -> int:
    """The order of results is that of the run."""
    return list(dict.fromkeys(other.result for other in numbers)).index(one.result)


def _analysis(one: Number) -> str:
    return f"{one.contrast}.{one.analysis}"


def _heading(one: Number) -> str:
    lead = f"{one.result}  {_analysis(one)}"
    if one.prompts_sha256 and one.where == WORKSPACE:
        return f"{lead}  prompts {one.prompts_sha256[:12]}"
    return f"{lead}  [{one.where}]" if " " in one.where else lead


def _value(one: Number) -> str:
    said = plain(one.value)
    return f"{said} of {plain(one.of)}" if one.of and is_count(one.metric) else said


def _when(one: Number) -> str:
    """The first commit whose ledger has it, and whether later states do too."""
    if one.since is None:
        return ""
    more = f", in {one.states} states of the ledger" if one.states > 1 else ""
    return f"  since {one.where[:10]} of {one.since}{more}"


def plain(value: float) -> str:
    """A number as files hold it: whole ones in full, others with 6 significant digits."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:g}"


def _closest(answer: Located) -> str:
    if not answer.nearest:
        return "there is none to compare it with."
    return f"the nearest are {_listed(answer.nearest, len(answer.nearest))}."


def _listed(numbers: tuple[Number, ...], most: int) -> str:
    told = [f"{_value(one)} ({_told(one)})" for one in numbers[:most]]
    return ", ".join(told) + (f" and {len(numbers) - most} more" if len(numbers) > most else "")


def _told(one: Number) -> str:
    place = f"{one.result} {_analysis(one)} {one.metric}"
    return place if one.where == WORKSPACE else f"{place}, {one.where if ' ' in one.where else one.where[:10]}"


def _analysis_lines(numbers: list[Number]) -> Iterator[str]:
    first = numbers[0]
    doubt = "" if first.contrast_known else " (?)"
    asked = f"  as {_records(first.records)}" if first.records else ""
    yield from wrapped(f"{_analysis(first)}{doubt}  {_several(len(numbers))}{asked}", first="  ", then="      ")
    glued = ", ".join(f"{one.metric}{GLUE}{plain(one.value)}" for one in numbers)
    yield from wrapped(glued, first="    ", then="    ")


def _records(records: tuple[str, ...]) -> str:
    if len(records) <= _RECORDS:
        return ", ".join(records)
    return f"{len(records)} wordings: {', '.join(records[:_RECORDS])}, …"


def _earlier(numbers: tuple[Number, ...]) -> Iterator[str]:
    """One entry a result, prompt set and commit; the numbers themselves are for programs."""
    for (result, sha256, commit, day), group in _groups(
        numbers, lambda one: (one.result, one.prompts_sha256 or "", one.where, one.since or "")
    ):
        found = list(group)
        names = ", ".join(dict.fromkeys(_analysis(one) + ("" if one.contrast_known else " (?)") for one in found))
        yield from wrapped(f"{result}  prompts {sha256[:12]}  since {commit[:10]} of {day}", first="  ", then="      ")
        yield from wrapped(f"{_several(len(found))} of {names}", first="    ", then="    ")


def _groups(numbers: Iterable[Number], key: Callable[[Number], _Key]) -> Iterable[tuple[_Key, list[Number]]]:
    """Numbers by ``key``, in the order in which the keys are first met."""
    found: dict[_Key, list[Number]] = {}
    for one in numbers:
        found.setdefault(key(one), []).append(one)
    return found.items()


def _several(count: int) -> str:
    return f"{count} number{'' if count == 1 else 's'}"
