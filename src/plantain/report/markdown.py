"""A result in Markdown: the run card that MLflow shows, and the parts that a model card is made of too."""

from collections.abc import Iterator

from plantain.report import words as wording
from plantain.report.by_measure import alone, by_measure
from plantain.report.metric_rows import metric_rows
from plantain.report.result import Analysis, Result

_MARKUP = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]#|!~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": " "})


def run_card(result: Result) -> str:
    """Verdict, headline numbers, controls, what is not shown, and what it rests on."""
    return "\n".join(_run_lines(result)) + "\n"


def _run_lines(result: Result) -> Iterator[str]:
    yield from (f"# {bare(result.title)}", "", f"`{result.address}`", "")
    yield from (f"**{bare(wording.verdict_sentence(result))}**", "")
    note = wording.weights_note(result.lock)
    if note:
        yield from (f"> {bare(note)}", "")
    said = f"{wording.count_sentence(result.main)} {wording.ITEM_LEVEL} {wording.beyond_wording(result.main)}"
    yield from (bare(said.strip()), "")
    yield from measure_rows(result)
    yield from _table(result.main)
    if result.card and result.card.label != result.main.label:
        yield from _table(result.card)
    yield from control_rows(result)
    yield from ("## What this does not show", "")
    yield from (f"- {text}" for text in wording.not_shown(result))
    yield from ("", "## What it rests on", "")
    yield from (f"- {name}: `{value}`" for name, value in result.digests.items())


def _table(analysis: Analysis) -> Iterator[str]:
    said = f"{wording.contrast_phrase(analysis)}, {wording.measure_phrase(analysis)}."
    yield from (f"## {analysis.label}", "", bare(said), "")
    yield from ("| metric | value | note |", "|---|---:|---|")
    for row in metric_rows(analysis):
        yield f"| {bare(row.label)} | {row.value} | {bare(row.note)} |"
    yield ""


def measure_rows(result: Result) -> Iterator[str]:
    """A table of what wordings show by each measure; one sentence where there is magnitude alone."""
    if alone(result):
        yield from (bare(alone(result)), "")
    shown = by_measure(result)
    if len(shown) < 2:
        return
    yield from (
        "| over wordings, by | heads beyond rewording | p | δ | nats a head | rung | |",
        "|---|---:|---:|---:|---:|---|---|",
    )
    for one in shown:
        yield f"| {one.name} | {one.heads} | {one.p} | {one.delta} | {one.information} | {one.rung} | {one.role} |"
    yield ""


def control_rows(result: Result) -> Iterator[str]:
    """A table of what stands first beside every control."""
    controls = result.controls
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
        yield f"| {bare(analysis.contrast)} | {over} | {share} | {wording.bound_phrase(bound)} | {rung} |"
    yield ""


def bare(text: str) -> str:
    """``text`` without what Markdown or HTML would read as markup."""
    return text.translate(_MARKUP)
