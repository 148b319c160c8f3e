"""A result in the terminal: verdict, headline numbers and a profile over blocks. Plain text when piped."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from plantain.report import wording
from plantain.report.data import Analysis, Result
from plantain.report.maps import block_label
from plantain.report.numbers import metric_rows

BAR = 32
_KEPT = {
    "pairs", "heads_over_t3", "heads_over_t5", "null_p99_t3", "heads_over_d08", "max_abs_t", "effect", "split_half_r",
    "heads_differ_lower_bound", "selective_heads_lower_bound", "delta", "concept_information",
}  # fmt: skip


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
    parts += [Text(), Text(said), Text(wording.ITEM_LEVEL, style="dim"), Text(), _numbers(chosen), Text()]
    parts += [_profile(chosen)]
    controls = list(result.analyses(chosen.name, role="control"))
    if controls:
        parts += [Text(), _controls(result, [chosen, *controls])]
    return Group(*parts)


def _numbers(analysis: Analysis) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for row in metric_rows(analysis):
        if row.name in _KEPT:
            table.add_row(row.label, Text(row.value, style="bold cyan", justify="right"), Text(row.note, style="dim"))
    return table


def _profile(analysis: Analysis) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("block")
    table.add_column("share with |t| over 3")
    table.add_column("over 3", justify="right")
    table.add_column("at least", justify="right")
    table.add_column("median |d|", justify="right")
    for row in sorted(analysis.summary.blocks, key=lambda row: (row.block_kind, row.block, row.part)):
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
        table.add_column(name, justify="left" if name in ("contrast", "role") else "right")
    for row in rows:
        m = row.metrics
        share, over = wording.percent(m.get("heads_over_t3_fraction")), wording.number(m.get("heads_over_t3"))
        bound = wording.bound_phrase(m.get("selective_heads_lower_bound"))
        table.add_row(
            row.contrast, row.summary.role, over, share, bound, wording.rung_phrase(result.climb(row.contrast))
        )
    return table
