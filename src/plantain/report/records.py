"""The JSON files that a report reads, as typed records. Fields that a report does not use are ignored."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """A read-only look at a record that another room writes."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class BlockRow(View):
    """What one part of one transformer block shows."""

    block_kind: str
    block: int
    part: str = "attention"
    stream: str = "all"
    units: int
    max_abs_t: float | None = None
    over_t3: int
    median_abs_d: float | None = None
    median_abs_effect: float | None = None
    lower_bound: int | None = None
    """At least so many units of the block differ, all blocks at once (95%)."""


class NullRow(View):
    """The sign-flip null of one analysis. The keys are ``t3`` and ``t5``."""

    flips: int
    exact: bool = False
    flip_space: float | str | None = None
    """A number, or the text ``2^n`` where it is beyond a float."""
    smallest_p: float | None = None
    mean: dict[str, float | None] = {}
    p99: dict[str, float | None] = {}
    p99_interval: dict[str, list[float | None] | None] = {}
    """95% interval for Monte Carlo error; an end is None where so few flips do not bound it."""


class SplitHalfRow(View):
    """Agreement of the t maps of two halves of the items."""

    r: list[float | None] = []
    median: float | None = None
    q25: float | None = None
    q75: float | None = None
    spearman_brown: float | None = None
    jackknife_interval: list[float | None] | None = None
    null_p: float | None = None


class AnalysisSummary(View):
    """One analysis of one contrast, as ``summary.json`` has it."""

    role: str
    unit: str
    tokens: str
    measure: str
    a: list[str]
    b: list[str]
    exploratory: bool = True
    metrics: dict[str, float | None]
    blocks: list[BlockRow] = []
    null: NullRow | None = None
    split_half: SplitHalfRow | None = None
    sentences: list[str] = []
    warnings: list[str] = []


class Summary(View):
    """``data/stats/<model>/<probe>/summary.json``."""

    probe: str
    model: str
    contrasts: dict[str, dict[str, AnalysisSummary]]


class Geometry(View):
    """The units of a transformer."""

    joint_blocks: int
    single_blocks: int
    heads: int
    head_width: int
    mlp_width: int = 0
    groups: int = 0
    parameters: int = 0


class Lock(View):
    """What of ``model.lock.json`` people need to see."""

    name: str
    source: str
    repo: str | None = None
    revision: str | None = None
    path: str | None = None
    of: str | None = None
    method: str | None = None
    trained: bool = True
    seeds: list[int] = []
    device: str | None = None
    dtype: str | None = None
    height: int | None = None
    width: int | None = None
    max_sequence_length: int | None = None
    geometry: Geometry


class Rung(View):
    """One rung of the ladder of claims."""

    rung: int
    name: str
    status: str
    number: float | str | None = None
    floor: float | str | None = None
    measures: str = ""
    """What ``number`` is."""
    p: float | None = None
    reason: str = ""
    """Why it was not passed or not tested."""
    guarantee: str = ""
    not_claimed: str = ""


class Climb(View):
    """How far one contrast got."""

    rung: int
    rungs: list[Rung] = []
    sentence: str = ""
    metrics: dict[str, float] = {}


class Trend(View):
    """The trend over the items' rank, their token count held constant."""

    identifiable: bool
    threshold: float
    heads_over: int | None = None
    p: float | None = None


class Verdict(Climb):
    """``data/verdicts/<model>/<probe>.json``: the climb that the verdict rests on, and those of the other contrasts."""

    contrast: str
    exploratory: dict[str, Climb] = {}
    information: dict[str, float | list[str]] = {}
    """Concept information in nats a head: ``model``, ``text``, ``reinit``, ``shuffle``, where they were measured."""
    trend: Trend | None = None
    untrained: dict[str, dict[str, dict[str, float]]] = {}
    """Metrics of the published protocol on untrained versions of the model: by model, by contrast."""


class ReferenceView(View):
    """A conditioning image: from a prompt, or from a file."""

    name: str
    prompt: str | None = None
    file: str | None = None
    sha256: str = ""


def references(data: Any) -> tuple[ReferenceView, ...]:
    """The records of ``<probe>.references.json``, a list or a mapping by name."""
    rows = data.get("references", data) if isinstance(data, dict) else data
    if isinstance(rows, dict):
        rows = [{"name": name, **row} for name, row in rows.items()]
    return tuple(ReferenceView.model_validate(row) for row in rows)
