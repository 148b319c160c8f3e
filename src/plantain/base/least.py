"""How many are enough: the fewest wordings and frames from which anything is said of a concept."""

from typing import Final

LEAST_WORDINGS: Final = 4
"""Wordings that a side needs before anything is said of a concept: from four on, permuting labels can reach p = 0.05.

Two-sided, 4 + 4 wordings give 2 / C(8, 4) = 0.029. The ladder asks for as many as ``verdict.min_templates`` says.
"""

LEAST_FRAMES: Final = 6
"""Frames from which on labels are exchanged within them: 6 give 2 / 2^6 = 0.031, five only 0.063."""
