"""The rungs of the ladder: what each one tests, what passing it says, and what it does not say.

Wordings, not items, are the sampling units of a claim about a concept: an untrained FLUX.2 Klein separates two
paraphrases of one idea as well as two ideas, as long as items are what varies. From rung 3 on, a concept therefore
has to differ more than its own wordings do.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from plantain.base.params import Method, VerdictParams
from plantain.ladder.evidence import Evidence, Family, Rung
from plantain.records.verdict import NAMES, Status
from plantain.stats.bounds import item_calibration
from plantain.stats.template import TemplateTest, template_test
from plantain.stats.validate import Floats

Test = Callable[[Evidence, VerdictParams], Rung]

_ITEMS = (
    "That the two ideas differ: any two texts pass this, paraphrases included. Items are taken as independent draws."
)
_SPREAD = (
    "That it is the idea and not words that only one side uses; a difference in spread among wordings also counts. "
    "Items are taken as fixed, wordings as if sampled; output magnitude only."
)


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
    return _judged(rung, bound >= 1, rules, said, why="no head differs at this level", but=_ITEMS)


def reproducible(evidence: Evidence, rules: VerdictParams) -> Rung:
    """Rung 2: the map of one half of the items is that of the other. Adds no inference to rung 1."""
    rung = Rung(2, NAMES[1], Status.untested, "split-half reliability (Spearman-Brown)")
    if evidence.reliability is None:
        return replace(rung, reason="there is no split-half of these items")
    split = evidence.reliability
    number = split.spearman_brown if np.isfinite(split.spearman_brown) else 0.0
    rung = replace(rung, number=number, p=split.null_p, floor=split.floor, status=Status.passed)
    passed = split.null_p <= rules.alpha and number >= rules.reliability
    said = f"The map of heads repeats on other items of the same sentences (reliability {number:.2f})."
    asked = f"{rules.reliability:g} with p <= {rules.alpha:g} is asked"
    why = f"reliability {number:.2f} with p = {split.null_p:.3g}; {asked}"
    return _judged(rung, passed, rules, said, why=why, but="That it repeats in other words.")


def exceeds_paraphrase(evidence: Evidence, rules: VerdictParams) -> Rung:
    """Rung 3: a change of concept is more than one more rewording (label permutation of wordings)."""
    rung = Rung(3, NAMES[2], Status.untested, "selective heads, lower bound")
    fewest = min(len(evidence.a), len(evidence.b))
    if fewest < rules.min_templates:
        return replace(rung, reason=f"{rules.min_templates} templates a side are needed, the smaller side has {fewest}")
    test = compare_templates(evidence.a, evidence.b, None, rules)
    said = (
        f"At least {test.lower_bound} of {int(test.alive.sum())} heads separate the two sets of wordings more than "
        "wordings of one set differ among themselves."
    )
    return _judged(_bounded(rung, test), test.lower_bound >= 1, rules, said, why=_no_more(test), but=_SPREAD)


def exceeds_untrained(evidence: Evidence, rules: VerdictParams) -> Rung:
    """Rung 4: more heads separate the wordings than in any of 19 in 20 untrained draws (exact rank test)."""
    rung = Rung(4, NAMES[3], Status.untested, f"heads over |t| {rules.threshold:g} over templates")
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
    count = f"{own} heads are over |t| {rules.threshold:g} over wordings on the items of the untrained draws"
    said = f"{count}; the largest of {drawn} draws has {largest}."
    why = f"{count}, and up to {largest} are in a draw"
    but = "Which heads training brought about: the count is one of the whole model."
    return _judged(rung, max(ranks.values()) <= rules.alpha, rules, said, why=why, but=but)


def not_token_count(evidence: Evidence, rules: VerdictParams) -> Rung:
    """Rung 5: as rung 3, labels permuted among wordings of equal token count only."""
    rung = Rung(5, NAMES[4], Status.untested, "selective heads within strata, lower bound")
    if evidence.strata is None:
        return replace(rung, reason="not every template has a stratum of equal token count")
    if evidence.unequal:
        return replace(rung, reason=evidence.unequal)
    test = compare_templates(evidence.a, evidence.b, evidence.strata, rules)
    said = f"At least {test.lower_bound} heads separate the two sets among wordings of equal token count."
    but = "That the place of a word, its frequency or syntax is not the cause."
    return _judged(_bounded(rung, test), test.lower_bound >= 1, rules, said, why=_no_more(test), but=but)


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
    floor = max(_floor(evidence, None, rules), _floor(evidence, evidence.strata, rules))
    rung = replace(rung, number=worst, p=worst, floor=floor, status=Status.passed)
    runs = f"{len(seeds)} noise seeds" + (f" x {len(references)} reference images" if evidence.has_reference else "")
    said = f"Rungs 3 and 5 hold again in each of {len(evidence.replicas)} runs ({runs})."
    failing = sum(replica.p > rules.alpha for replica in evidence.replicas)
    why = f"rungs 3 and 5 do not both hold in {failing} of {len(evidence.replicas)} runs ({runs})"
    but = "That it holds for seeds or images at large, or that the same heads do it in every run."
    return _judged(rung, worst <= rules.alpha, rules, said, why=why, but=but)


def causal(evidence: Evidence, rules: VerdictParams) -> Rung:
    """Rung 7: nothing here changes a head, so nothing is known of what it causes."""
    reason = "no head was changed, so none is known to do anything"
    return Rung(7, NAMES[6], Status.untested, "none", reason=reason)


RUNGS: tuple[Test, ...] = (
    differs,
    reproducible,
    exceeds_paraphrase,
    exceeds_untrained,
    not_token_count,
    every_seed_and_reference,
    causal,
)


def compare_templates(a: Floats, b: Floats, strata: Sequence[str] | None, rules: VerdictParams) -> TemplateTest:
    """The wording-level test by the rules."""
    return template_test(
        a,
        b,
        strata=strata,
        permutations=rules.permutations,
        threshold=rules.threshold,
        confidence=1 - rules.alpha,
        seed=rules.seed,
        family=rules.family.value,
        shift=rules.shift,
    )


def replica_p(a: Floats, b: Floats, strata: Sequence[str] | None, rules: VerdictParams) -> float:
    """The larger p of rungs 3 and 5 for the wordings of one noise seed and reference image."""
    free = compare_templates(a, b, None, rules).simes_p
    return free if strata is None else max(free, compare_templates(a, b, strata, rules).simes_p)


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
        if family.heads and float(np.median(family.draws)) > rules.saturation * family.heads:
            return f"saturated: in the median draw of {family.name} over {rules.saturation:.0%} of heads do so"
    return ""


def _large_enough(evidence: Evidence, rules: VerdictParams) -> list[Family]:
    """The families that are ranked among; one of fewer draws could not give a small p, and is set aside."""
    return [family for family in evidence.families if len(family.draws) >= rules.untrained_draws]


def runs_asked(rules: VerdictParams, has_reference: bool) -> tuple[int, int]:
    """Noise seeds and reference images that rung 6 asks for."""
    return (rules.seeds, rules.references) if has_reference else (rules.seeds_alone, 1)


def _floor(evidence: Evidence, strata: Sequence[str] | None, rules: VerdictParams) -> float:
    return compare_templates(evidence.a[:, :1], evidence.b[:, :1], strata, rules).floor_p


def _bounded(rung: Rung, test: TemplateTest) -> Rung:
    return replace(rung, number=test.lower_bound, p=test.simes_p, floor=test.floor_p, status=Status.passed)


def _no_more(test: TemplateTest) -> str:
    return f"no head separates them more than relabelled wordings do (p = {test.simes_p:.3g}), in output magnitude"


def _judged(rung: Rung, passed: bool, rules: VerdictParams, said: str, *, why: str, but: str) -> Rung:
    if rung.floor is not None and rung.floor > rules.alpha:
        reason = f"the smallest p that this design can give is {rung.floor:.3g}, above {rules.alpha:g}"
        return replace(rung, status=Status.untested, reason=reason, not_claimed=but)
    if passed:
        return replace(rung, guarantee=said, not_claimed=but)
    return replace(rung, status=Status.failed, reason=why, not_claimed=but)
