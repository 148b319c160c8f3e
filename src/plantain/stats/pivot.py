"""One number of a whole network, by which it is ranked among untrained draws."""

import numpy as np

from plantain.stats.validate import Floats

HIGHEST = 300.0
"""Where an infinite t ends, so that the number can be written down."""


def largest_pivot(t: Floats, df: int) -> float:
    """How far the units' t stand out, at whichever number of units they do so most: max over k of -lg(p_k m / k).

    p_k is the k-th smallest of m p-values of Student's t, so this is Simes' p on a scale that grows with the evidence;
    no permutation is needed. It knows no order of units, so that networks whose heads do not correspond can be ranked
    by it: p = (1 + draws that reach the network) / (draws + 1), exact whatever the statistic, as long as that was
    chosen beforehand.

    Chosen by simulation among the count of |t| > 3, the largest |t|, the concept information, the lower bound, and
    ranks of them combined: 600 heads, rank-5 noise, 6 + 6 wordings, p <= .05 among 19 draws (39 in brackets), in % of
    500 data sets (SE at most 2.2; `python -m studies.attacked draws`).

    | planted | wording noise | this | count | largest t | information |
    |---|---|---|---|---|---|
    | 10 SD in 3 units | shared | 100 (100) | 17 (25) | 100 (100) | 13 (16) |

    The lower bound is 0 in most draws and ties; ranks combined cannot reach .05 among 19 draws unless all agree.

    Args:
        t: ``(units,)``; nan for dead units.
        df: Degrees of freedom of t.

    Returns:
        At most `HIGHEST`; nan where no unit is alive.
    """
    from scipy.special import betainc

    size = np.abs(t[~np.isnan(t)])
    if not size.size:
        return float("nan")
    p = np.sort(betainc(df / 2, 0.5, df / (df + np.square(size))))
    smallest = float((p * len(p) / np.arange(1, len(p) + 1)).min())
    return HIGHEST if smallest <= 10**-HIGHEST else float(-np.log10(smallest))
