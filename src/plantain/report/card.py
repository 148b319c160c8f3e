"""The run card: a result in one page of Markdown, for MLflow's description field and for pasting."""

from collections.abc import Iterator

from plantain.report import wording
from plantain.report.data import Analysis, Result
from plantain.report.numbers import metric_rows

_MARKUP = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]#|!~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": " "})


def run_card(result: Result) -> str:
    """Verdict, headline numbers, controls, what is not shown, and what it rests on."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: Result) -> Iterator[str]:
    yield from (f"# {_plain(result.title)}", "", f"`{result.address}`", "")
    yield from (f"**{_plain(wording.verdict_sentence(result))}**", "")
    note = wording.weights_note(result.lock)
    if note:
        yield from (f"> {_plain(note)}", "")
    said = f"{wording.count_sentence(result.main)} {wording.ITEM_LEVEL} {wording.beyond_wording(result.main)}"
    yield from (_plain(said.strip()), "")
    yield from _table(result.main)
    if result.card and result.card.label != result.main.label:
        yield from _table(result.card)
    yield from _controls(result)
    yield from ("## What this does not show", "")
    yield from (f"- {text}" for text in wording.not_shown(result))
    yield from ("", "## What it rests on", "")
    yield from (f"- {name}: `{value}`" for name, value in result.digests.items())


def _table(analysis: Analysis) -> Iterator[str]:
    said = f"{wording.contrast_phrase(analysis)}, {wording.measure_phrase(analysis)}."
    yield from (f"## {analysis.label}", "", _plain(said), "")
    yield from ("| metric | value | note |", "|---|---:|---|")
    for row in metric_rows(analysis):
        yield f"| {_plain(row.label)} | {row.value} | {_plain(row.note)} |"
    yield ""


def _controls(result: Result) -> Iterator[str]:
    controls = list(result.analyses(result.main.name, role="control"))
    if not controls:
        yield from ("No control contrast was measured: nothing here tells this difference from any other.", "")
        return
    yield from (
        "## Controls",
        "",
        "| contrast | over \\|t\\| 3 | share | beyond rewording | rung |",
        "|---|---:|---:|---:|---:|",
    )
    for analysis in (result.main, *controls):
        m = analysis.metrics
        share, bound = wording.percent(m.get("heads_over_t3_fraction")), m.get("selective_heads_lower_bound")
        rung = wording.rung_phrase(result.climb(analysis.contrast))
        over = wording.number(m.get("heads_over_t3"))
        yield f"| {_plain(analysis.contrast)} | {over} | {share} | {wording.bound_phrase(bound)} | {rung} |"
    yield ""


def _plain(text: str) -> str:
    return text.translate(_MARKUP)
