"""Nominal against observed error rates, by simulation."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from plantain.stats.simulated.attacks import ATTACKS
from plantain.stats.simulated.directions import DIRECTIONS
from plantain.stats.simulated.scenarios import SCENARIOS, Rule, Scenario
from plantain.stats.simulated.swaps import SWAPS

EVERY = (*SCENARIOS, *ATTACKS, *DIRECTIONS, *SWAPS)
"""What `plantain selftest` simulates."""
REACH = 3.0
"""Standard errors by which a rate may miss its rule by chance."""


@dataclass(frozen=True)
class Row:
    """One rate over simulated data sets."""

    scenario: str
    check: str
    rule: str
    """at most, above, or at least."""
    nominal: float
    observed: float
    standard_error: float
    datasets: int
    passed: bool


def run_selftest(
    *,
    share: float = 1.0,
    seed: int = 0,
    scenarios: Sequence[Scenario] = EVERY,
    done: Callable[[Scenario], None] = lambda scenario: None,
) -> tuple[Row, ...]:
    """Simulate every scenario and compare its rates with their rules.

    Args:
        share: Share of the data sets to simulate; 1 takes about three minutes.
        seed: Seed of the simulations.
        scenarios: What to simulate.
        done: Called after each scenario.
    """
    rows: list[Row] = []
    for index, scenario in enumerate(scenarios):
        rows += simulate_scenario(scenario, max(20, round(scenario.datasets * share)), (seed, index))
        done(scenario)
    return tuple(rows)


def simulate_scenario(scenario: Scenario, datasets: int, seed: tuple[int, int]) -> list[Row]:
    """Rates of one scenario over its data sets."""
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    outcomes = [scenario.draw(random) for _ in range(datasets)]
    return [
        judge(scenario.name, check, rule, np.array([outcome[check] for outcome in outcomes]))
        for check, rule in scenario.rules.items()
    ]


def judge(scenario: str, check: str, rule: Rule, outcomes: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Row:
    """Compare a rate with its rule, `REACH` standard errors allowed: the rule's own where outcomes are 0 or 1."""
    number, observed = len(outcomes), float(outcomes.mean())
    error = float(outcomes.std(ddof=1)) / math.sqrt(number)
    yes_or_no = bool(np.isin(outcomes, (0.0, 1.0)).all())
    expected = math.sqrt(rule.rate * (1 - rule.rate) / number) if yes_or_no else error
    slack = REACH * expected
    passed = {
        "at most": observed <= rule.rate + slack,
        "above": observed > rule.rate + slack,
        "at least": observed >= rule.rate - slack,
    }[rule.kind]
    return Row(scenario, check, rule.kind, rule.rate, observed, error, number, bool(passed))
