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

    Chosen by simulation among the count of |t| > 3, the largest |t|, the concept information, the lower bound, and the
    smallest of three ranks, ranked in turn: 600 heads, rank-5 noise, 6 + 6 wordings, p <= .05 among 19 draws (among 39
    in brackets), in % of 100 data sets (SE at most 5; `python -m studies.attacked draws` makes such a table).

    | planted, networks share .9 of wording noise | this | count | largest t | information | three ranks |
    |---|---|---|---|---|---|
    | 10 SD in 3 units | 100 (100) | 17 (25) | 100 (100) | 13 (16) | 11 (75) |
    | 10 SD in 10 units | 100 (100) | 64 (50) | 100 (100) | 77 (64) | 64 (91) |
    | 10 SD in 60 units | 100 (100) | 99 (100) | 100 (100) | 100 (100) | 100 (100) |
    | 2.5 SD in 60 units | 100 (100) | 99 (98) | 99 (100) | 97 (96) | 96 (98) |
    | nothing | 6 (4) | 3 (6) | 5 (3) | 5 (7) | 0 (6) |

    | planted, networks share nothing | this | count | largest t | information | three ranks |
    |---|---|---|---|---|---|
    | 10 SD in 3 units | 100 (100) | 8 (9) | 100 (100) | 8 (10) | 7 (86) |
    | 10 SD in 10 units | 100 (100) | 8 (5) | 100 (100) | 14 (20) | 6 (81) |
    | 10 SD in 60 units | 100 (100) | 80 (95) | 100 (100) | 100 (100) | 80 (100) |
    | 2.5 SD in 60 units | 93 (98) | 73 (86) | 91 (98) | 39 (54) | 37 (86) |
    | nothing | 6 (6) | 4 (7) | 6 (5) | 4 (6) | 2 (4) |

    The three ranks are those of the count, the information and the largest t; combined they cannot reach .05 among 19
    draws unless all agree. The lower bound needs labels exchanged in every draw, and ties (90, SE 7, in the first row).

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
