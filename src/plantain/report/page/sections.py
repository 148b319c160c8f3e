"""The parts of the page that are words and small tables: tiles, what was asked, the ladder, methods, lineage."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
from PIL import Image

from plantain.base.least import LEAST_WORDINGS
from plantain.probe.pictures import cached
from plantain.probe.records import ReferenceRecord
from plantain.records.lock import ModelLock
from plantain.records.verdict import Status
from plantain.report import ladder
from plantain.report import words as wording
from plantain.report.by_measure import rests_on
from plantain.report.result import Analysis, Result

SHOWN_IMAGES = 12
TOP_ROWS = 20


@dataclass(frozen=True)
class Tile:
    """One headline number."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Thumbnail:
    """A conditioning image, ready to be shown."""

    reference: ReferenceRecord
    data: str
    """``data:`` address; empty where the image is not at hand."""


CONTENTS: Final = (
    ("verdict-section", "Behind the verdict"), ("asked", "What was asked"), ("map-section", "The map"),
    ("ladder", "The ladder"), ("swaps", "What the heads do"), ("sure", "How sure"),
    ("noise-levels", "Other noise levels"), ("controls", "Controls"),
    ("not-shown", "What it does not show"), ("prompts", "Prompts"), ("methods", "Methods"),
    ("lineage", "Where it comes from"), ("files", "Files"),
)  # fmt: skip
"""The sections of the page, (anchor, name) each."""


def verdict_detail(result: Result) -> list[str]:
    """What stands behind the verdict, in sentences: the rung reached, what ended the climb, the deciding controls."""
    climb = result.standing
    if climb is None:
        return []
    reached = next((one for one in climb.rungs if one.rung == climb.rung and one.guarantee), None)
    ended = next((one for one in climb.rungs if one.rung > climb.rung and one.status is not Status.reported), None)
    found = [f"Rung {reached.rung}, {reached.name}: {reached.guarantee}"] if reached else []
    if ended is not None and (ended.reason or ended.guarantee):
        found.append(f"Rung {ended.rung}, {ended.name}, {ended.status}: {ended.reason or ended.guarantee}")
    return [_ended(text) for text in (*found, *ladder.controls(climb))]


def _ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def tiles(result: Result) -> list[Tile]:
    """The numbers that the page opens with."""
    main, card = result.main, result.card
    m = main.metrics
    share = wording.percent(m.get("heads_over_t3_fraction"))
    quartiles = f"quartiles {wording.fixed(m.get('split_half_r_q25'))} to {wording.fixed(m.get('split_half_r_q75'))}"
    if "split_half_r" not in m:
        quartiles = "not tested: each half needs at least 2 items"
    found = [
        _beyond_wording(result),
        *_concept(result),
        Tile(
            f"{wording.number(m.get('heads_over_t3'))} of {wording.number(m.get('alive_units'))}",
            f"{wording.units_noun(main)} with |t| over 3 over items",
            f"{share}; 99 of 100 sign flips reach no more than {wording.p99_phrase(main, 't3') or wording.DASH}",
        ),
        _loudest_control(result),
        Tile(wording.fixed(m.get("split_half_r")), "agreement of two halves of the items (r)", quartiles),
    ]
    if card and card.label != main.label:
        c = card.metrics
        found.append(
            Tile(
                wording.number(c.get("heads_over_t3")),
                "16-channel groups over |t| 3, by the published protocol",
                f"of {wording.number(c.get('alive_units'))}; the cards call these groups heads",
            )
        )
    return found


def _beyond_wording(result: Result) -> Tile:
    shown = rests_on(result)
    label = "heads shown to separate the sides more than rewording does"
    if shown is None:
        return Tile(wording.DASH, label, f"not tested: it needs {LEAST_WORDINGS} or more wordings a side")
    bound = shown.metrics["selective_heads_lower_bound"]
    label = f"{label}, by {shown.name}"
    note = f"95% lower bound over wordings, p = {shown.p}"
    return Tile(f"\N{GREATER-THAN OR EQUAL TO} {wording.number(bound)}" if bound else "none", label, note)


def _loudest_control(result: Result) -> Tile:
    controls = result.controls
    if not controls:
        return Tile("none", "control contrasts", "nothing tells this difference from any other")
    loudest = max(controls, key=lambda row: row.metrics.get("heads_over_t3_fraction", 0.0))
    share = wording.percent(loudest.metrics.get("heads_over_t3_fraction"))
    said = ladder.reached(result, loudest.contrast)
    return Tile(share, f"of heads over 3 over items in the loudest control, {loudest.contrast}", said)


def _concept(result: Result) -> list[Tile]:
    """The shift between the ideas in units of the spread between wordings; nothing where it was not measured."""
    m = result.standing.metrics if result.standing else {}
    if "delta" not in m:
        return []
    label = "\N{GREEK SMALL LETTER DELTA}: median shift of a head between the ideas, in SD between wordings"
    return [Tile(wording.fixed(m["delta"]), label, "large also where the wordings of a side are much alike")]


def examples(result: Result, analysis: Analysis, side: str) -> list[tuple[str, str]]:
    """(condition, prompt) of the first item for every wording of a side, ``a`` or ``b``."""
    item = result.records["item"][0]
    prompts = dict(result.records.filter(item=item).select("condition", "prompt").iter_rows())
    names = analysis.summary.a if side == "a" else analysis.summary.b
    return [(name, prompts.get(name, "")) for name in names]


def pictures(result: Result) -> list[Thumbnail]:
    """The conditioning images, small enough to travel with the page."""
    shown = result.references[:SHOWN_IMAGES]
    size = 640 if len(shown) <= 3 else 240
    return [Thumbnail(reference, thumbnail(result.reference_image(reference.name), size)) for reference in shown]


def thumbnail(path: Path, size: int) -> str:
    """A picture as a ``data:`` address, its longer side ``size`` pixels at most; empty where it is not at hand."""
    if not path.exists():
        return ""
    small = cached(path)
    small.thumbnail((size, size), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def top_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """The units of largest |t| with their numbers as text, for readers without the map."""
    best = analysis.table.drop_nulls("t").sort(pl.col("t").abs(), "unit", descending=[True, False]).head(TOP_ROWS)
    return [
        {
            "name": wording.unit_name(row),
            "effect": wording.number(row["mean_difference"]),
            "t": wording.fixed(row["t"]),
            "d": wording.fixed(row["d_z"]),
            "p": wording.number(row["p"], 2),
            "q": wording.number(row["q_bh"], 2),
        }
        for row in best.iter_rows(named=True)
    ]


_ROWS = {
    "joint": "j joint (image stream; with a t, as in j0t, their text stream)",
    "single": "s single (text and image)",
    "cross": "c cross (image tokens that look at the text)",
    "image": "i image tokens alone",
    "text": "r text tokens alone",
}

_SEES = {"joint": "joint blocks show their image stream", "single": "single blocks text and image"}


def _seen_by(lock: ModelLock) -> str:
    kinds = {one.block_kind for one in lock.geometry.kinds}
    said = ", ".join(said for kind, said in _SEES.items() if kind in kinds) or "blocks show their image tokens"
    return f"{said[0].upper()}{said[1:]}."


def row_legend(lock: ModelLock) -> str:
    """What the letters of a map's rows mean."""
    kinds = {one.block_kind for one in lock.geometry.kinds}
    return ", ".join(said for kind, said in _ROWS.items() if kind in kinds)


def methods(result: Result, analysis: Analysis) -> list[str]:
    """How the numbers came about, in sentences."""
    lock, summary = result.lock, analysis.summary
    unit = "attention head" if summary.unit == "head" else "16-channel group"
    null = summary.null
    kind = "every sign pattern" if null and null.exact else f"{wording.null_flips(analysis)} random sign patterns"
    return [
        f"Every prompt is put to {lock.name} for one denoising step, on the same noise, with the reference image where "
        "the condition has one. Nothing is drawn to the end; the picture itself is not judged.",
        f"The input of each attention output projection is reduced to one magnitude per {unit}: "
        f"{wording.measure_phrase(analysis)}. {_seen_by(result.lock)}",
        f"Per item the two sides are subtracted ({wording.contrast_phrase(analysis)}), after averaging over the "
        "wordings of a side, over references and over noise seeds. That gives one difference per pair and unit.",
        "t is the mean difference over its standard error; d is the mean difference over the standard deviation of the "
        "differences. p comes from flipping the signs of whole pairs, and q adjusts it for looking at many units "
        "(Benjamini and Hochberg).",
        f"The null is drawn from {kind} of whole pairs, so units stay as correlated as they are. It asks whether these "
        "sentences differ at all, nothing more.",
        "The split-half r correlates the t maps of two disjoint halves of the items, over many random halvings.",
        "From rung 3 of the ladder on, a row is a cluster of wordings, averaged over the items. The sides are "
        "exchanged within frames where there are enough, else clusters freely; at rung 5 only among wordings of equal "
        "token count. A simultaneous 95% bound (Blanchard, Neuvial and Roquain 2020) says how many heads at least "
        "separate the two sets. Rung 4 ranks the largest pivot of the model's heads (how far their t stand out, at "
        "whichever number of heads they do so most) among untrained draws; rung 6 repeats rungs 3 and 5 with other "
        "noise seeds and images.",
        *_vector_methods(result),
        "\N{GREEK SMALL LETTER DELTA} is a head's shift between the two ideas over the standard deviation between "
        "wordings of one idea (Hedges corrected). Concept information is the mean over heads of "
        "\N{MINUS SIGN}ln(1 \N{MINUS SIGN} R\N{SUPERSCRIPT TWO}) over wordings, in nats.",
    ]


def _vector_methods(result: Result) -> list[str]:
    """What direction and profile are; nothing where they were not looked at."""
    if result.main.contrast not in result.summary.vectors:
        return []
    return [
        "Direction compares the mean vectors of a head's output over the image tokens, averaged over items; profile "
        "compares them item by item. Distances between the sides are weighed against those within them (a pseudo-F); "
        "its t is the one that has the same p, so that it has no sign. Labels are exchanged as for magnitude. Text "
        "direction does the same over text tokens, where any two texts differ since their words do.",
    ]


def prompt_table(result: Result) -> list[tuple[str, list[dict[str, Any]]]]:
    """(condition, rows) in order of the expansion."""
    columns = ["item", "condition", "prompt", "reference", "sha256"]
    records = result.records.select(columns)
    if result.token_counts is not None:
        records = records.join(result.token_counts, on=["item", "condition"], how="left", maintain_order="left")
    found: dict[str, list[dict[str, Any]]] = {}
    for row in records.iter_rows(named=True):
        found.setdefault(row["condition"], []).append(row | {"reference": ", ".join(row["reference"] or [])})
    return list(found.items())
