"""The report page: one HTML file with everything in it, for one probe on one model."""

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from plantain.base.files import write_atomic
from plantain.report import by_measure, ladder, swaps
from plantain.report import words as wording
from plantain.report.figures import charts as draw_charts
from plantain.report.figures.levels import levels_chart
from plantain.report.figures.style import DARK_STOPS, LIGHT_STOPS, Caption, caption, plantain_style, themed_svg
from plantain.report.figures.swaps import swap_curve
from plantain.report.metric_rows import metric_rows
from plantain.report.page import image_pairs, lineage, links, sections, swapped, sweep
from plantain.report.payload import overlay, payload
from plantain.report.published import beside, untrained_names
from plantain.report.result import Analysis, Result
from plantain.report.swaps import curve_words


@dataclass(frozen=True)
class Chart:
    """A figure of the page; what it says above its axes is text beside it."""

    svg: Markup
    caption: Caption


def inline_chart(figure: Figure, label: str) -> Chart:
    """A figure that was drawn with its caption beside it; ``label`` is read out."""
    return Chart(Markup(themed_svg(figure, str(escape(label)))), caption(figure))


def write_page(result: Result, path: Path) -> None:
    """Render ``result`` into ``path``; needs no network to be read."""
    write_atomic(path, render(result).encode())


def render(result: Result) -> str:
    """The page as text."""
    cards = [result.card] if result.card and result.card.label != result.main.label else []
    data = payload(result) | image_pairs.for_script(result)
    text: str = template("page.html.j2", ("units.js", "page.js"), beside=True).render(
        result=result,
        main=result.main,
        analyses=[result.main, *cards],
        controls=result.controls,
        charts=_charts(result),
        beside=beside(result),
        untrained=untrained_names(result),
        given=image_pairs.first_pair(result),
        data=data | {"overlay": overlay(result), "stops": {"light": LIGHT_STOPS, "dark": DARK_STOPS}},
        metric_rows=metric_rows,
    )
    return text


def template(name: str, scripts: tuple[str, ...], *, beside: bool = False) -> Any:
    """A template with the stylesheet, its scripts, and a content policy that lets no other script run.

    With ``beside`` files of the same place may be loaded too.
    """
    environment = Environment(
        loader=PackageLoader("plantain.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = "\n".join(_text(script) for script in scripts)
    seal = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    others = " 'self' file:" if beside else ""
    policy = (
        f"default-src 'none'; script-src 'sha256-{seal}'{others}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    known = {
        "wording": wording,
        "measures": by_measure,
        "sections": sections,
        "ladder": ladder,
        "lineage": lineage,
        "links": links,
        "sweep": sweep,
        "swaps": swaps,
        "swapped": swapped,
    }
    environment.globals.update(known, policy=policy, style=Markup(_text("style.css")), script=Markup(script))
    environment.filters["breakable"] = breakable
    return environment.get_template(name)


def breakable(name: str) -> Markup:
    """A name that may be broken after its underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def _text(name: str) -> str:
    return (resources.files("plantain.report") / "templates" / name).read_text(encoding="utf-8")


def _charts(result: Result) -> dict[str, Chart]:
    main = result.main
    with plantain_style(captions_beside=True):
        figures: dict[str, tuple[Figure | None, str]] = {
            "null": (draw_charts.null_distribution(result, main), wording.count_sentence(main)),
            "split_half": (draw_charts.split_half_chart(result, main), wording.split_sentence(main)),
            "blocks": (draw_charts.blocks(result, main), _blocks_sentence(main)),
            "rank": (draw_charts.rank_chart(result, main), "Share of the common difference per item, by rank."),
            "swaps": (swap_curve(result), curve_words(result)),
            "levels": (levels_chart(result), sweep.curve_sentence(result)),
            "top": (draw_charts.top_heads(result, main), "Pair differences of the heads with the largest t."),
        }
        return {name: inline_chart(figure, label) for name, (figure, label) in figures.items() if figure is not None}


def _blocks_sentence(analysis: Analysis) -> str:
    best = max(analysis.summary.blocks, key=lambda row: row.over_t3 / max(1, row.units), default=None)
    if best is None:
        return "No block profile."
    return f"Most in {best.block_kind} block {best.block}: {best.over_t3} of {best.units} over 3."
