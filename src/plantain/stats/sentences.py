"""What one analysis supports, in sentences that claim no more, and the warnings that belong beside it."""

from plantain.stats.findings import Findings

SKEWED = 0.05
"""Share of skewed units above which the sign-flip null is doubtful: its symmetry does not hold."""


def sentences_of(found: Findings) -> list[str]:
    """Guarantees in words, item level first."""
    test, percent = found.flips, f"{100 * found.params.confidence:g}%"
    noun = "heads" if found.params.unit == "head" else "groups of 16 channels"
    alive = int(test.alive.sum())
    said = [
        f"{int(test.observed[0])} of {alive} {noun} exceed |t| {found.params.thresholds[0]:g}: "
        "the two sides' sentences differ for these items. This says nothing of a concept."
    ]
    if found.bounds is not None:
        said.append(
            f"With {percent} confidence at least {found.bounds.everywhere} of these {alive} {noun} differ "
            "between these sentences."
        )
    if found.templates is not None:
        said.append(
            f"With {percent} confidence at least {found.templates.lower_bound} of these {alive} {noun} separate the "
            "two sets of wordings more than wordings differ within them."
        )
    return said


def warnings_of(found: Findings) -> list[str]:
    """What a reader must know before trusting the numbers."""
    warned = list(found.flips.warnings)
    dead = int((~found.flips.alive).sum())
    if dead:
        warned.append(
            f"{dead} units do not respond at all (every difference is 0); they are left out of all fractions."
        )
    excluded = int((~found.included).sum())
    if excluded:
        unit = found.units["unit"].to_numpy()[~found.included][0]
        warned.append(f"{excluded} units have no finite measure for some item, first unit {unit}; they are left out.")
    if found.flips.symmetry.share > SKEWED:
        share = f"{100 * found.flips.symmetry.share:.0f}%"
        warned.append(f"{share} of the units have skewed differences, for which sign-flip p-values are too small.")
    if not found.params.unique:
        warned.append("Counts over the null's p99 rest on few flips and are not comparable between runs.")
    if found.templates is None and found.params.permutations:
        warned.append("Template level: not tested; a side needs at least 4 templates.")
    return warned
