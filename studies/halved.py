"""How often the interval of an effect at equal N holds what so many pairs give on average.

    python -m studies.halved

Items are drawn from a factor model of heads; the true number is the mean of the statistic over further draws.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from plantain.report.compare.effects import LEVEL, equal_effect
from plantain.stats.validate import Floats

ROUNDS: Final = 2_000
FOR_TRUTH: Final = 4_000
FACTORS: Final = 3


@dataclass(frozen=True)
class Drawn:
    """How the items of one row of the table come about."""

    says: str
    items: int = 30
    count: int = 30
    """Pairs at which the effect is asked for."""
    heads: int = 100
    strength: float = 1.0
    """Standard deviation over heads of the true means, in that of one item."""
    shared: float = 0.3
    """Loading of every head on each factor that items share."""
    tails: str = "normal"
    block: int = 1
    """Items that share their factors."""


CASES: Final = (
    Drawn("large effects, all pairs"),
    Drawn("large effects, 20 of 30 pairs", count=20),
    Drawn("small effects", strength=0.1),
    Drawn("none", strength=0.0),
    Drawn("none, 20 of 30 pairs", strength=0.0, count=20),
    Drawn("none, heads strongly correlated", strength=0.0, shared=1.0),
    Drawn("Student's t with 3 degrees, 25 of 30", strength=0.5, shared=0.5, count=25, tails="heavy"),
    Drawn("exponential, 25 of 30", strength=0.5, shared=0.5, count=25, tails="skewed"),
    Drawn("5 heads", strength=0.5, heads=5),
    Drawn("6 items", strength=0.5, items=6, count=6),
    Drawn("flip blocks of 2", strength=0.3, shared=0.7, block=2),
)

_NOISE: Final[dict[str, Callable[[np.random.Generator, tuple[int, int]], Floats]]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "heavy": lambda rng, shape: rng.standard_t(3, shape),
    "skewed": lambda rng, shape: rng.exponential(1, shape) - 1,
}


def coverage(case: Drawn, rounds: int = ROUNDS, truth: int = FOR_TRUTH, seed: int = 0) -> float:
    """The share of ``rounds`` in which the interval holds the mean of the effect over ``truth`` draws."""
    rng = np.random.Generator(np.random.Philox(seed))
    mean = case.strength * rng.standard_normal(case.heads)
    load = case.shared * rng.standard_normal((FACTORS, case.heads))

    def draw(number: int) -> Floats:
        noise = _NOISE[case.tails]
        factors = np.repeat(noise(rng, (-(-number // case.block), FACTORS)), case.block, axis=0)[:number]
        return mean + factors @ load + noise(rng, (number, case.heads))

    wanted = np.mean([np.median(np.abs(draw(case.count).mean(axis=0))) for _ in range(truth)])
    blocks = np.arange(case.items) // case.block
    held = 0
    for _ in range(rounds):
        found = equal_effect(draw(case.items), case.count, blocks)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += bool(found.low <= wanted <= found.high)
    return held / rounds


def main() -> None:
    """Print the table."""
    print(f"| items | held, nominal {LEVEL:.0%} | standard error |\n|---|---:|---:|")
    for case in CASES:
        share = coverage(case)
        print(f"| {case.says} | {share:.1%} | {np.sqrt(share * (1 - share) / ROUNDS):.1%} |", flush=True)


if __name__ == "__main__":
    main()
