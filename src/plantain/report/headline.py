"""The lines that a run ends with: what each cell says, in words that it supports."""

from collections.abc import Iterator, Sequence

from plantain.report import wording
from plantain.report.data import Analysis, Result


def headlines(results: Sequence[Result]) -> list[str]:
    """A short paragraph per result, a blank line between, a remark on untrained models at the end."""
    lines: list[str] = []
    for result in results:
        lines += [*_cell(result), ""]
    if results and all(wording.is_untrained(result.lock) for result in results):
        lines += ["No model of this run was trained: these counts are what networks that know nothing score."]
    else:
        lines += ["Counts say that sentences differ. Read them against the controls and the untrained model."]
    return lines


def _cell(result: Result) -> Iterator[str]:
    remark = "  (random weights, never trained)" if wording.is_untrained(result.lock) else ""
    yield f"{result.address}{remark}"
    shown = [result.main] + ([result.card] if result.card and result.card.label != result.main.label else [])
    width = max(len(analysis.label) for analysis in shown)
    for analysis in shown:
        yield f"  {analysis.label:<{width}}  {_numbers(analysis)}"
    beyond = wording.beyond_wording(result.main)
    if beyond:
        yield f"  {'':<{width}}  {beyond}"
    if result.standing is not None:
        yield f"  {'verdict':<{width}}  {wording.verdict_sentence(result)}"


def _numbers(analysis: Analysis) -> str:
    m = analysis.metrics
    parts = [
        f"{wording.number(m.get('heads_over_t3'))} of {wording.number(m.get('alive_units'))} "
        f"{wording.units_noun(analysis)} over |t| 3 ({wording.percent(m.get('heads_over_t3_fraction'))})",
        f"over 5: {wording.number(m.get('heads_over_t5'))}",
        f"null p99 {wording.p99_phrase(analysis, 't3') or wording.DASH}",
        f"split-half r {wording.fixed(m.get('split_half_r'))}",
        f"max |t| {wording.fixed(m.get('max_abs_t'), 1)}",
    ]
    return "; ".join(parts)
