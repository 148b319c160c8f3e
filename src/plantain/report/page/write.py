"""The report page: one HTML file with everything in it, for one probe on one model."""

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from plantain.base.files import write_atomic
from plantain.report import ladder
from plantain.report import words as wording
from plantain.report.figures import charts as draw_charts
from plantain.report.figures.style import DARK_STOPS, LIGHT_STOPS, plantain_style, themed_svg
from plantain.report.metric_rows import metric_rows
from plantain.report.page import lineage, sections
from plantain.report.payload import payload
from plantain.report.published import beside, untrained_names
from plantain.report.result import Analysis, Result


def write_page(result: Result, path: Path) -> None:
    """Render ``result`` into ``path``; needs no network to be read."""
    write_atomic(path, render(result).encode())


def render(result: Result) -> str:
    """The page as text."""
    cards = [result.card] if result.card and result.card.label != result.main.label else []
    text: str = template("page.html.j2", ("units.js", "page.js")).render(
        result=result,
        main=result.main,
        analyses=[result.main, *cards],
        controls=result.controls,
        charts=_charts(result),
        beside=beside(result),
        untrained=untrained_names(result),
        data=payload(result) | {"stops": {"light": LIGHT_STOPS, "dark": DARK_STOPS}},
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
    known = {"wording": wording, "sections": sections, "ladder": ladder, "lineage": lineage, "policy": policy}
    environment.globals.update(known, style=Markup(_text("style.css")), script=Markup(script))
    environment.filters["breakable"] = breakable
    return environment.get_template(name)


def breakable(name: str) -> Markup:
    """A name that may be broken after its underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def _text(name: str) -> str:
    return (resources.files("plantain.report") / "templates" / name).read_text(encoding="utf-8")


def _charts(result: Result) -> dict[str, Markup]:
    main = result.main
    drawn: dict[str, tuple[Figure | None, str]] = {}
    with plantain_style():
        drawn["null"] = (draw_charts.null_distribution(result, main), wording.count_sentence(main))
        drawn["split_half"] = (draw_charts.split_half_chart(result, main), wording.split_sentence(main))
        drawn["blocks"] = (draw_charts.blocks(result, main), _blocks_sentence(main))
        drawn["rank"] = (draw_charts.rank_chart(result, main), "Share of the common difference per item, by rank.")
        drawn["top"] = (draw_charts.top_heads(result, main), "Pair differences of the heads with the largest t.")
        return {
            name: Markup(themed_svg(figure, str(escape(label))))
            for name, (figure, label) in drawn.items()
            if figure is not None
        }


def _blocks_sentence(analysis: Analysis) -> str:
    best = max(analysis.summary.blocks, key=lambda row: row.over_t3 / max(1, row.units), default=None)
    if best is None:
        return "No block profile."
    return f"Most in {best.block_kind} block {best.block}: {best.over_t3} of {best.units} over 3."
