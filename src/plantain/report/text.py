"""A result as text: in the terminal, and in the lines that a run ends with."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from plantain.report import words as wording
from plantain.report.by_measure import alone, by_measure, lines
from plantain.report.chance import chance
from plantain.report.columns import GLUE, wrapped
from plantain.report.figures.grid import block_label, in_depth
from plantain.report.metric_rows import metric_rows
from plantain.report.result import Analysis, Result
from plantain.report.swaps import swaps_lines

BAR = 32
_KEPT = {
    "pairs", "heads_over_t3", "heads_over_t5", "heads_over_d08", "max_abs_t", "effect", "split_half_r",
    "heads_differ_lower_bound", "selective_heads_lower_bound", "delta", "concept_information",
}  # fmt: skip
_LABEL = 24
"""Columns of a label that others stand beside; a longer one has a line of its own."""


def show(result: Result) -> RenderableType:
    """What ``plantain show`` prints of a result's main contrast."""
    chosen = result.main
    parts: list[RenderableType] = [
        Text(f"{result.title}  ({result.address})", style="bold"),
        Text(wording.verdict_sentence(result), style="bold yellow" if result.standing is None else "bold"),
    ]
    note = wording.weights_note(result.lock)
    if note:
        parts.append(Text(note, style="magenta"))
    said = f"{chosen.label}: {wording.contrast_phrase(chosen)}, {wording.measure_phrase(chosen)}"
    parts += [Text(), Text(said), Text(wording.ITEM_LEVEL, style="dim"), Text(), _numbers(chosen, result), Text()]
    parts += [*_measures(result), *_swapped(result), _profile(chosen)]
    controls = result.controls
    if controls:
        parts += [Text(), _controls(result, [chosen, *controls])]
    return Group(*parts)


def _numbers(analysis: Analysis, result: Result) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", max_width=40)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("")
    table.add_column("by chance")
    for row in metric_rows(analysis):
        if row.name in _KEPT:
            by_chance = chance(row.name, analysis, result).replace(GLUE, " ")
            table.add_row(row.label, Text(row.value, style="bold cyan"), Text(row.note, "dim"), Text(by_chance))
    return table


def _measures(result: Result) -> Iterator[RenderableType]:
    """What wordings show by each measure; one sentence where there is magnitude alone."""
    if alone(result):
        yield from (Text(alone(result), style="dim"), Text())
    shown = by_measure(result)
    if len(shown) < 2:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("over wordings, by", "heads beyond rewording", "p", "median δ", "nats a head", "verdict", ""):
        table.add_column(name, justify="right" if name not in ("over wordings, by", "") else "left")
    for one in shown:
        table.add_row(one.name, Text(one.heads, "bold cyan"), one.p, one.delta, one.information, one.rung, one.role)
    yield from (table, Text())


def _swapped(result: Result) -> Iterator[RenderableType]:
    """What swapped heads did, in a line or two; nothing where another contrast stands first."""
    if result.verdict is not None and not result.exploratory:
        yield from (*map(Text, swaps_lines(result)), Text())


def _profile(analysis: Analysis) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("block")
    table.add_column("share with |t| over 3")
    table.add_column("over 3", justify="right")
    table.add_column("at least", justify="right")
    table.add_column("median |d|", justify="right")
    for row in sorted(analysis.summary.blocks, key=lambda row: (*in_depth(row.block_kind, row.block), row.part)):
        share = row.over_t3 / row.units if row.units else 0.0
        filled = round(share * BAR)
        bar = Text("█" * filled, style="green" if row.block_kind == "joint" else "blue") + Text(
            "·" * (BAR - filled), "dim"
        )
        name = block_label(row.block_kind, row.block) + (" MLP" if row.part == "mlp" else "")
        bound = wording.DASH if row.lower_bound is None else str(row.lower_bound)
        table.add_row(name, bar, f"{row.over_t3}/{row.units}", bound, wording.fixed(row.median_abs_d))
    return table


def _controls(result: Result, rows: list[Analysis]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("contrast", "role", "over |t| 3", "share", "beyond rewording", "verdict"):
        table.add_column(name, justify="left" if name in ("contrast", "role") else "right", overflow="fold")
    for row in rows:
        m = row.metrics
        share, over = wording.percent(m.get("heads_over_t3_fraction")), wording.number(m.get("heads_over_t3"))
        bound = wording.bound_phrase(m.get("selective_heads_lower_bound"))
        table.add_row(
            row.contrast, row.summary.role, over, share, bound, wording.rung_phrase(result.climb(row.contrast))
        )
    return table


def headlines(results: Sequence[Result]) -> list[str]:
    """A short paragraph per result, a blank line between, a remark on untrained models at the end."""
    said: list[str] = []
    for result in results:
        said += [*_cell(result), ""]
    if results and all(wording.is_untrained(result.lock) for result in results):
        remark = "No model of this run was trained: these counts are what networks that know nothing score."
    else:
        remark = "Counts say that sentences differ. Read them against the controls and the untrained model."
    return said + wrapped(remark)


def models(results: Sequence[Result]) -> list[str]:
    """The results of one probe: each model with its verdict."""
    said = wrapped(f"{results[0].probe}: {results[0].title}")
    wide = _wide([result.model for result in results])
    for result in results:
        remark = "(random weights, never trained) " if wording.is_untrained(result.lock) else ""
        said += _beside(result.model, [remark + wording.verdict_sentence(result), *lines(result)], wide)
    return [*said, "", f"More of one: plantain show {results[0].address}"]


def _cell(result: Result) -> Iterator[str]:
    remark = "  (random weights, never trained)" if wording.is_untrained(result.lock) else ""
    yield from wrapped(f"{result.address}{remark}")
    shown = [result.main] + ([result.card] if result.card and result.card.label != result.main.label else [])
    wide = _wide([analysis.label for analysis in shown])
    yield from _beside("verdict", [wording.verdict_sentence(result)], wide)
    for analysis in shown:
        yield from _beside(analysis.label, list(_sentences(analysis, result)), wide)


def _wide(labels: Sequence[str]) -> int:
    return max((len(label) for label in (*labels, "verdict") if len(label) <= _LABEL), default=0)


def _beside(label: str, said: Sequence[str], wide: int) -> Iterator[str]:
    """Sentences beside a label, every line of them in the same column."""
    margin = " " * (wide + 4)
    if len(label) > wide:
        yield f"  {label}"
        label = ""
    for text in said:
        yield from wrapped(text, first=f"  {label:<{wide}}  ", then=margin)
        label = ""


def _sentences(analysis: Analysis, result: Result) -> Iterator[str]:
    """The numbers that stand first, each with what it would be by chance."""
    m = analysis.metrics
    counted, alive = (wording.number(m.get(name)) for name in ("heads_over_t3", "alive_units"))
    share = wording.percent(m.get("heads_over_t3_fraction"))
    rows = {
        "heads_over_t3": f"{counted} of {alive} {wording.units_noun(analysis)} over |t| 3 ({share})",
        "heads_over_t5": f"{wording.number(m.get('heads_over_t5'))} over |t| 5",
        "split_half_r": f"split-half r {wording.fixed(m.get('split_half_r'))}",
        "max_abs_t": f"largest |t| {wording.fixed(m.get('max_abs_t'), 1)}",
        "concept_information": f"concept information {wording.number(m.get('concept_information'), 2)} nats a head",
    }
    for name, said in rows.items():
        if name in m:
            by_chance = chance(name, analysis, result)
            yield said + (f"; by chance: {by_chance}" if by_chance else "")
    beyond = wording.beyond_wording(analysis)
    if beyond:
        yield beyond
    if analysis.label == result.main.label:
        yield from lines(result)
