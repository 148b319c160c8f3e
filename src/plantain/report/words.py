"""Words for numbers. Item-level results say that sentences differ; nothing here calls them more than that."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from plantain.base.params import Method, Source
from plantain.records.lock import ModelLock
from plantain.records.verdict import NAMES, Climb
from plantain.report.result import Analysis, Result

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
RATIO_NOTE = "not comparable between runs"
ITEM_LEVEL = "Item level: says that these sentences differ, and no more."

TOKENS = {
    "image": "image tokens (noise and reference)", "all": "all tokens that the projection sees", "text": "text tokens",
    "noise": "noise tokens", "reference": "reference tokens", "pad": "padding tokens",
}  # fmt: skip
MEASURES = {"log_rms": "log RMS", "rms": "RMS"}


def number(value: float | None, digits: int = 3) -> str:
    """A number for people: thousands separated, a true minus sign, a dash where there is none."""
    if value is None or math.isnan(value):
        return DASH
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", MINUS)
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", MINUS)
    if 0 < abs(value) < 0.001:
        mantissa, power = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(power)}".replace("-", MINUS)
    return f"{value:.{digits}g}".replace("-", MINUS)


def fixed(value: float | None, digits: int = 2) -> str:
    """A number with ``digits`` decimals."""
    return DASH if value is None or math.isnan(value) else f"{value:.{digits}f}".replace("-", MINUS)


def percent(value: float | None) -> str:
    """A fraction as a percentage."""
    if value is None:
        return DASH
    return f"{100 * value:.1f}%" if 0 < value < 0.1 else f"{100 * value:.0f}%"


def units_noun(analysis: Analysis) -> str:
    """What is counted: true heads, or the 16-channel groups that the cards call heads."""
    return "heads" if analysis.summary.unit == "head" else "16-channel groups"


def measure_phrase(analysis: Analysis) -> str:
    """The measure and the tokens it is taken over."""
    measure = MEASURES.get(analysis.summary.measure, analysis.summary.measure)
    return f"{measure} over {TOKENS.get(analysis.summary.tokens, analysis.summary.tokens)}"


def side(names: list[str]) -> str:
    """One side of a contrast by its conditions."""
    return names[0] if len(names) == 1 else f"{names[0]} ({len(names)} wordings)"


def contrast_phrase(analysis: Analysis) -> str:
    """``a minus b`` in the names of the conditions."""
    return sides_phrase(analysis.summary.a, analysis.summary.b)


def sides_phrase(a: list[str], b: list[str]) -> str:
    """``a minus b``, each by its conditions."""
    return f"{side(a)} minus {side(b)}"


def unit_name(row: Mapping[str, Any]) -> str:
    """A unit by its place: ``joint 2 · head 7``, ``single 4 · MLP channels 4,800 to 4,815``."""
    block = f"{row['block_kind']} {row['block']}{' (text)' if row.get('stream') == 'text' else ''}"
    if row["part"] == "mlp":
        first = int(row["first_channel"])
        return f"{block} · MLP channels {first:,} to {first + int(row['width']) - 1:,}"
    if row["head"] is None:
        return f"{block} · unit {row['unit']}"
    return f"{block} · head {row['head']}"


def count_sentence(analysis: Analysis) -> str:
    """The main count, with its denominator, its null and what it means."""
    m = analysis.metrics
    over, alive = m.get("heads_over_t3"), m.get("alive_units")
    share = percent(m.get("heads_over_t3_fraction"))
    lead = f"{number(over)} of {number(alive)} {units_noun(analysis)} ({share}) have |t| over 3"
    p99 = p99_phrase(analysis, "t3")
    return f"{lead}; 99 of 100 sign flips of whole pairs reach no more than {p99}." if p99 else f"{lead}."


def p99_phrase(analysis: Analysis, threshold: str) -> str:
    """The null's 99th percentile with its interval; empty where there is no null."""
    null = analysis.summary.null
    p99 = (null.p99.get(threshold) if null else None) or analysis.metrics.get(f"null_p99_{threshold}")
    if p99 is None:
        return "0" if null and threshold in null.p99 else ""
    interval = null.p99_interval.get(threshold) if null else None
    return f"{number(p99)} [95%: {interval_phrase(interval)}]" if interval else number(p99)


def interval_phrase(interval: Sequence[float | None]) -> str:
    """``12 to 34``; ``12 or more`` where the flips are too few to bound it from above."""
    low, high = interval
    return f"{number(low)} or more" if high is None else f"{number(low)} to {number(high)}"


def null_flips(analysis: Analysis) -> str:
    """How many flips make up the displayed null; the observed sign pattern is not among them."""
    null = analysis.summary.null
    return number(null.flips - 1) if null else "0"


def split_sentence(analysis: Analysis) -> str:
    """How well the map of one half of the items predicts that of the other half."""
    m = analysis.metrics
    if "split_half_r" not in m:
        return ""
    r = f"{fixed(m['split_half_r'])} [{fixed(m.get('split_half_r_q25'))} to {fixed(m.get('split_half_r_q75'))}]"
    return f"Maps of two halves of the items agree with r = {r} (median and quartiles over splits)."


def beyond_wording(analysis: Analysis) -> str:
    """How many heads separate the sides more than rewording does in magnitude; empty where that was not compared."""
    bound = analysis.metrics.get("selective_heads_lower_bound")
    if bound is None:
        return ""
    if bound < 1:
        return "By magnitude, no head can be said to separate the two sides more than rewording alone does (95%)."
    return f"By magnitude, at least {number(bound)} heads separate the two sides more than rewording does (95%)."


def verdict_sentence(result: Result) -> str:
    """The verdict, or plainly that there is none."""
    lead = f"{result.main.contrast}, exploratory: " if result.exploratory and result.standing else ""
    return lead + claim(result)


def claim(result: Result) -> str:
    """The verdict of what stands first among all probes, without saying which contrast that is: 25 words at most."""
    return result.holm.sentence if result.holm else claim_alone(result)


def claim_alone(result: Result) -> str:
    """The same as if its probe were the only one: what the page of a cell says without a script."""
    climb = result.standing
    if climb is None:
        return "Verdict: not tested. These numbers say that sentences differ; they name no cause."
    return climb.sentence or f"Rung {climb.rung} of {len(NAMES)}."


def rung_phrase(climb: Climb | None) -> str:
    """``rung 2``; ``not tested`` where no ladder was climbed."""
    return f"rung {climb.rung}" if climb else "not tested"


def bound_phrase(bound: float | None) -> str:
    """``at least 62``; ``none`` for 0; a dash where wordings were not compared."""
    if bound is None:
        return DASH
    return f"at least {number(bound)}" if bound >= 1 else "none"


def weights_note(lock: ModelLock) -> str:
    """A plain sentence where the network knows nothing; empty for a trained model."""
    if lock.source is Source.untrained:
        how = "its trained weights shuffled" if lock.method is Method.shuffle else "freshly drawn random weights"
        return (
            f"{lock.name} is untrained: the transformer of {lock.of} with {how}. "
            "Whatever differs here differs in a network that has learned nothing."
        )
    if not lock.trained:
        return (
            f"{lock.name} is built from a seed and has random weights: it has never been trained. "
            "Its numbers show what a network that knows nothing scores."
        )
    return ""


def model_note(lock: ModelLock) -> str:
    """What is to be known of a model besides its weights: how it is guided, and which heads cannot respond."""
    said = {
        "embedded": f"{lock.name} is guided by a number that it is told ({lock.guidance_scale or 0:g} here).",
        "distilled": f"{lock.name} was distilled to few steps: it is measured as it is run, without guidance.",
    }
    found = [said[lock.guidance]] if lock.guidance in said else []
    if lock.geometry.dead_heads:
        found.append(
            f"{number(lock.geometry.dead_heads)} heads are dead by design, since no text reaches them: "
            "they are units of no test."
        )
    return " ".join(found)


def is_untrained(lock: ModelLock) -> bool:
    """Whether the transformer's weights are random."""
    return bool(weights_note(lock))


_OPERATION = (
    "That the model holds the idea as an operation, an axis or a representation. Item-level numbers compare "
    "particular sentences; two rewordings of one sentence often differ just as much.",
    "That the model holds the idea as an operation, an axis or a representation. Its heads respond with another "
    "magnitude to one set of wordings than to the other; how they come to, and what for, is open.",
)
_TRAINING = (
    "That the difference comes from training. Compare with the untrained model before reading anything into a count.",
    "Which heads training brought about. Only their number was held against untrained networks.",
)
_ELSEWHERE = (
    "That it holds for other wordings, noise seeds, reference images or noise levels than those listed here.",
    "That it holds for wordings, items, seeds, images or noise levels at large: it recurred in those that were run.",
)
_CAUSE = "That a head causes anything. Nothing was switched off or changed; the numbers are correlational."
_SWAPPED = (
    "That the heads of the map cause anything. Heads were swapped between wordings, and not all tests of rung 7 were "
    "passed, or the climb ended below it.",
    "That the heads are necessary, that the operation is localised in them, or that they are the whole circuit.",
)
_INDIFFERENT = (
    "That heads below the threshold are indifferent. The measure is magnitude: a head may carry an idea by direction "
    "at constant norm, so no difference reads as none in output magnitude.",
    "That heads below the threshold are indifferent. Magnitude, direction and profile are of means over all image "
    "tokens: what a head does in one place and undoes in another, none of them sees.",
)


def not_shown(result: Result) -> list[str]:
    """What the numbers do not show, given the rung that was reached."""
    rung = result.standing.rung if result.standing else 0
    operation, training, elsewhere = _OPERATION[rung >= 3], _TRAINING[rung >= 4], _ELSEWHERE[rung >= 6]
    indifferent = _INDIFFERENT[result.main.contrast in result.summary.vectors]
    cause = _SWAPPED[rung >= 7] if result.verdict and result.verdict.swaps and result.verdict.swaps.table else _CAUSE
    return [operation, training, cause, indifferent, elsewhere]
