"""The rungs of the ladder: what each one tests, what passing it says, and what it does not say.

Wordings, not items, are the sampling units of a claim about a concept: an untrained FLUX.2 Klein separates two
paraphrases of one idea as well as two ideas, as long as items are what varies. From rung 3 on, a concept therefore
has to differ more than its own wordings do, and wordings that share what the other side does without, or are copies of
each other, count as one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from plantain.base.files import six_digits
from plantain.base.params import Method, VerdictParams, WordingMeasure
from plantain.ladder.evidence import Evidence, Family, Rung
from plantain.measure.plan import Rows
from plantain.records.verdict import NAMES, Status
from plantain.stats.bounds import item_calibration
from plantain.stats.exchange import plan_exchange
from plantain.stats.flips.labels import relabel
from plantain.stats.template import TemplateTest, template_test
from plantain.stats.validate import Floats

Test = Callable[[Evidence, VerdictParams], Rung]

_ITEMS = (
    "That the two ideas differ: any two texts pass this, paraphrases included. Items are taken as independent draws."
)
_FIXED = "Items are taken as fixed, wordings as if sampled; outputs are averaged over tokens."
_WORDS = "That it is the idea and not its words: words that tie wordings are exchanged with them, and no others. "
_SPREAD = f"{_WORDS}A difference in spread among wordings also counts. {_FIXED}"
_IN_FRAMES = _WORDS + _FIXED
_BY_WORDS = f"That the words do nothing else in the control than here. A difference in spread also counts. {_FIXED}"
STATISTIC = "largest pivot of t over wordings"
"""What rung 4 ranks: see :func:`plantain.stats.pivot.largest_pivot`, fixed before looking."""


def differs(evidence: Evidence, rules: VerdictParams) -> Rung:
    """Rung 1: some heads' differences are not symmetric about 0 (bound from sign flips of items, at least 1)."""
    found = item_calibration(
        evidence.differences,
        confidence=1 - rules.alpha,
        family=rules.family.value,
        shift=rules.shift,
        flips=rules.flips,
        blocks=evidence.flip_blocks,
        seed=rules.seed,
    )
    bound, alive = found.lower_bound(), int(found.alive.sum())
    floor = 1 / len(found.pivots) if alive else None
    said = f"At least {bound} of {alive} heads differ between these sentences."
    rung = Rung(1, NAMES[0], Status.passed, "heads that differ, lower bound", bound, found.simes_p, floor)
    return judged(rung, bound >= 1, rules, said, why="no head differs at this level", but=_ITEMS)


def reproducible(evidence: Evidence, rules: VerdictParams) -> Rung:
    """Rung 2, a number and no step: the map of one half of the items is that of the other."""
    rung = Rung(2, NAMES[1], Status.untested, "split-half reliability (Spearman-Brown)")
    if evidence.reliability is None:
        return replace(rung, reason="there is no split-half of these items; no climb depends on it")
    split = evidence.reliability
    number = split.spearman_brown if np.isfinite(split.spearman_brown) else 0.0
    said = f"The map of heads on half of the items has a reliability of {number:.2f} for the same sentences."
    but = "Anything that the climb depends on, or that it repeats in other words."
    rung = replace(rung, number=number, p=split.null_p, floor=split.floor, status=Status.reported)
    return replace(rung, guarantee=said, not_claimed=but)


def exceeds_paraphrase(evidence: Evidence, rules: VerdictParams) -> Rung:
    """Rung 3: the two sets of wordings differ more than wordings within a set (labels exchanged as the design says)."""
    rung = Rung(3, NAMES[2], Status.untested, "selective heads, lower bound")
    fewest = min(len(evidence.a), len(evidence.b))
    if evidence.few:
        return replace(rung, reason=evidence.few)
    if fewest < rules.min_templates:
        return replace(rung, reason=f"{rules.min_templates} templates a side are needed, the smaller side has {fewest}")
    test = compare_rows(evidence.rows, None, rules)
    said = f"At least {test.lower_bound} of {int(test.alive.sum())} heads {_separation(evidence, test)}{_by(evidence)}"
    why = f"no head separates them more than exchanged labels do (p = {test.simes_p:.3g}), {_IN[evidence.measure]}"
    but = _BY_WORDS if evidence.against else _IN_FRAMES if test.exchange == "frames" else _SPREAD
    return judged(bounded(rung, test), test.lower_bound >= 1, rules, said, why=why, but=but)


_IN: Final = {
    WordingMeasure.log_rms: "in output magnitude",
    WordingMeasure.direction: "in direction of output",
    WordingMeasure.profile: "in direction of output, item by item",
}
"""What heads were looked at in."""


def _by(evidence: Evidence) -> str:
    """What vector measures looked at; magnitude goes without saying."""
    if evidence.measure is WordingMeasure.log_rms:
        return ""
    return f" Looked at {_IN[evidence.measure]}."


def _separation(evidence: Evidence, test: TemplateTest) -> str:
    """What the heads of rung 3 do, and by which rows."""
    rows = f"{test.rows[0]} + {test.rows[1]}"
    if evidence.against:
        return (
            f"separate the two sides more than they do in control '{evidence.against}', which has the same words "
            f"({rows} frames, exchanged freely)."
        )
    how = f"{test.rows[0]} frames, sides exchanged within each" if test.exchange == "frames" else f"{rows} clusters"
    return f"separate the two sets of wordings more than wordings of one set differ among themselves ({how})."


def exceeds_untrained(evidence: Evidence, rules: VerdictParams) -> Rung:
    """Rung 4: more separates the wordings than in any of 19 in 20 untrained draws (exact rank test)."""
    rung = Rung(4, NAMES[3], Status.untested, STATISTIC)
    reason = _unusable(evidence, rules)
    if reason:
        return replace(rung, reason=reason)
    families = _large_enough(evidence, rules)
    ranks = {family.name: rank_p(family) for family in families}
    floor = max(1 / (len(family.draws) + 1) for family in families)
    own = families[0].own
    rung = replace(rung, number=own, p=max(ranks.values()), floor=floor, status=Status.passed)
    largest = max(max(family.draws) for family in families)
    drawn = sum(len(family.draws) for family in families)
    said = (
        f"{STATISTIC}: {own:.3g} on the items of the untrained draws; the largest of {drawn} draws has {largest:.3g}."
    )
    why = f"{STATISTIC}: {own:.3g} on the items of the untrained draws, and up to {largest:.3g} in a draw"
    but = "Which heads training brought about: it is one number of the whole model. Training also makes words "
    but += "distinguishable, so that a word may pass this."
    return judged(rung, max(ranks.values()) <= rules.alpha, rules, said, why=why, but=but)


def not_token_count(evidence: Evidence, rules: VerdictParams) -> Rung:
    """Rung 5: as rung 3, the same rows exchanged where token counts are equal only."""
    rung = Rung(5, NAMES[4], Status.untested, "selective heads at equal token count, lower bound")
    if evidence.unequal:
        return replace(rung, reason=evidence.unequal)
    if evidence.strata is None and not evidence.equal:
        return replace(rung, reason="not every template has a stratum of equal token count")
    test = compare_rows(evidence.rows, evidence.strata, rules)
    said = f"At least {test.lower_bound} heads separate the two sets among wordings of equal token count."
    said += _by(evidence)
    if evidence.equal:
        said += " Every frame holds sentences of equal token count for every item, so that this is the test of rung 3."
    why = f"no head separates them more than relabelled wordings do (p = {test.simes_p:.3g}), {_IN[evidence.measure]}"
    but = "That the place of a word, its frequency or syntax is not the cause."
    return judged(bounded(rung, test), test.lower_bound >= 1, rules, said, why=why, but=but)


def every_seed_and_reference(evidence: Evidence, rules: VerdictParams) -> Rung:
    """Rung 6: rungs 3 and 5 in every cell of noise seed and reference image that was run (intersection-union)."""
    rung = Rung(6, NAMES[5], Status.untested, "largest p over the cells")
    seeds = {replica.seed for replica in evidence.replicas}
    references = {replica.reference for replica in evidence.replicas}
    asked = runs_asked(rules, evidence.has_reference)
    if len(seeds) < asked[0] or len(references) < asked[1] or len(evidence.replicas) < len(seeds) * len(references):
        wanted = f"{asked[0]} noise seeds" + (f" x {asked[1]} reference images" if evidence.has_reference else "")
        made = "`plantain run --study` runs them" + (
            ", for images drawn from prompts" if evidence.has_reference else ""
        )
        return replace(rung, reason=f"{wanted} are needed: {evidence.unrepeated or made}")
    worst = max(replica.p for replica in evidence.replicas)
    floor = max(smallest_p(evidence.rows, None, rules), smallest_p(evidence.rows, evidence.strata, rules))
    rung = replace(rung, number=worst, p=worst, floor=floor, status=Status.passed)
    runs = f"{len(seeds)} noise seeds" + (f" x {len(references)} reference images" if evidence.has_reference else "")
    said = f"Rungs 3 and 5 hold again in each of {len(evidence.replicas)} runs ({runs})."
    failing = sum(replica.p > rules.alpha for replica in evidence.replicas)
    why = f"rungs 3 and 5 do not both hold in {failing} of {len(evidence.replicas)} runs ({runs})"
    but = "That it holds for seeds or images at large, or that the same heads do it in every run."
    return judged(rung, worst <= rules.alpha, rules, said, why=why, but=but)


def causal(evidence: Evidence, rules: VerdictParams) -> Rung:
    """Rung 7: the heads that separate the sides are those through which the sides change the one-step picture.

    In a fixed order, the largest p counts: the sides change the velocity more than rewording does; the set, put into
    neutral sentences, does other things from wordings of one side than of the other; heads ranked by the map carry
    more than the same ranking on relabelled wordings; more so than in untrained draws.
    """
    rung = Rung(7, NAMES[6], Status.untested, "largest p over the tests")
    found = evidence.causal
    if found is None:
        return replace(rung, reason="no head was changed: `plantain run --study` swaps heads between wordings")
    if found.problem:
        return replace(rung, reason=found.problem)
    missing = _too_few_draws(found.families, rules)
    if missing:
        return replace(rung, reason=missing)
    families = [family for family in found.families if len(family.draws) >= rules.untrained_draws]
    steps = [(_ASKED[one.name], one.p, one.floor) for one in found.tests]
    steps += [(f"untrained draws of {one.name} do as much", rank_p(one), 1 / (len(one.draws) + 1)) for one in families]
    worst = max(p for _, p, _ in steps)
    rung = replace(rung, number=worst, p=worst, floor=max(floor for *_, floor in steps), status=Status.passed)
    failing = next((f"{asked} (p = {p:.3g})" for asked, p, _ in steps if p > rules.alpha), "")
    said = (
        "The heads that separate the wordings are those through which the sides change the one-step picture, more than "
        "heads chosen on relabelled wordings; put into neutral sentences, what they do depends on the side of the "
        f"wording that they come from, more than in each of {sum(len(one.draws) for one in families)} untrained draws."
    )
    but = (
        "That they are necessary, that the operation is localised in them, or that they are the whole circuit. A word "
    )
    but += "may cause a change of the picture too, so that this claims no more than rung 3 and its controls do."
    return judged(rung, worst <= rules.alpha, rules, said, why=failing, but=but)


_ASKED: Final = {
    "gate": "the sides do not change the velocity more than rewording does",
    "donors": "put into neutral sentences, the heads do not do other things from one side than from the other",
    "selection": "heads ranked by the map do not carry more than those ranked on relabelled wordings",
}
"""The tests of rung 7, as what is said where one is not passed."""


def _too_few_draws(families: Sequence[Family], rules: VerdictParams) -> str:
    """Why the untrained draws of rung 7 cannot be ranked among; empty where they can."""
    most = max((len(family.draws) for family in families), default=0)
    if most >= rules.untrained_draws:
        return ""
    return f"{rules.untrained_draws} untrained draws with heads swapped are needed, {most} are here"


RUNGS: tuple[Test, ...] = (
    differs,
    reproducible,
    exceeds_paraphrase,
    exceeds_untrained,
    not_token_count,
    every_seed_and_reference,
    causal,
)


def compare_rows(rows: Rows, strata: Sequence[str] | None, rules: VerdictParams) -> TemplateTest:
    """The wording-level test by the rules, labels exchanged by clusters and frames."""
    return template_test(
        rows.a,
        rows.b,
        clusters=rows.clusters,
        frames=rows.frames,
        strata=strata,
        permutations=rules.permutations,
        threshold=rules.threshold,
        confidence=1 - rules.alpha,
        seed=rules.seed,
        family=rules.family.value,
        shift=rules.shift,
    )


def ranked(test: TemplateTest) -> float:
    """The one number of a network that rung 4 ranks, to 6 significant digits."""
    return six_digits(test.largest) if np.isfinite(test.largest) else 0.0


def compare_templates(a: Floats, b: Floats, strata: Sequence[str] | None, rules: VerdictParams) -> TemplateTest:
    """The wording-level test of wordings that are all independent."""
    return compare_rows(Rows(a, b), strata, rules)


def replica_p(rows: Rows, strata: Sequence[str] | None, rules: VerdictParams) -> float:
    """The larger p of rungs 3 and 5 for the wordings of one noise seed and reference image."""
    free = compare_rows(rows, None, rules).simes_p
    return free if strata is None else max(free, compare_rows(rows, strata, rules).simes_p)


def smallest_p(rows: Rows, strata: Sequence[str] | None, rules: VerdictParams) -> float:
    """The smallest p that rows can give, whatever their numbers."""
    labels = {"clusters": rows.clusters, "frames": rows.frames, "strata": strata}
    plan = plan_exchange((len(rows.a), len(rows.b)), **labels)
    drawn = relabel(plan.observed, plan.strata, rules.permutations, rules.seed)
    return max(1 / len(drawn.side_a), 1 / drawn.space)


def rank_p(family: Family) -> float:
    """(1 + draws that reach the model's count) / (draws + 1): exact if the model is one more draw."""
    return (1 + sum(count >= family.own for count in family.draws)) / (len(family.draws) + 1)


def _unusable(evidence: Evidence, rules: VerdictParams) -> str:
    """Why the untrained draws cannot be ranked against; empty where they can."""
    for method in Method:
        known = [family for family in evidence.families if family.method is method]
        draws = max((len(family.draws) for family in known), default=0)
        if draws < rules.untrained_draws:
            itself = any(
                family.itself and len(family.draws) + family.itself >= rules.untrained_draws for family in known
            )
            own = "one more is this model itself, so `seeds` of the family has to be larger by one" if itself else ""
            missing = evidence.missing or own or "`plantain run --study` draws them"
            return f"{rules.untrained_draws} draws by {method} are needed, {draws} are here: {missing}"
    for family in _large_enough(evidence, rules):
        if family.counts and float(np.median(family.counts)) > rules.saturation * family.heads:
            return f"saturated: in the median draw of {family.name} over {rules.saturation:.0%} of heads do so"
    return ""


def _large_enough(evidence: Evidence, rules: VerdictParams) -> list[Family]:
    """The families that are ranked among; one of fewer draws could not give a small p, and is set aside."""
    return [family for family in evidence.families if len(family.draws) >= rules.untrained_draws]


def runs_asked(rules: VerdictParams, has_reference: bool) -> tuple[int, int]:
    """Noise seeds and reference images that rung 6 asks for."""
    return (rules.seeds, rules.references) if has_reference else (rules.seeds_alone, 1)


def bounded(rung: Rung, test: TemplateTest) -> Rung:
    """The rung with the numbers of its test."""
    return replace(rung, number=test.lower_bound, p=test.simes_p, floor=test.floor_p, status=Status.passed)


def judged(rung: Rung, passed: bool, rules: VerdictParams, said: str, *, why: str, but: str) -> Rung:
    """The rung as passed, failed, or not testable by this design."""
    if rung.floor is not None and rung.floor > rules.alpha:
        reason = f"the smallest p that this design can give is {rung.floor:.3g}, above {rules.alpha:g}"
        return replace(rung, status=Status.untested, reason=reason, not_claimed=but)
    if passed:
        return replace(rung, guarantee=said, not_claimed=but)
    return replace(rung, status=Status.failed, reason=why, not_claimed=but)
