"""What the pages of cells show of all probes of the run: from one script beside them, so that no page depends on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plantain.base.files import canonical_json, write_atomic
from plantain.report import words as wording
from plantain.report.result import Result


def write_family(results: Sequence[Result], path: Path) -> None:
    """Write what the pages of ``results`` show, by address: ``const HOLM = {...};``."""
    told = {one.address: entry(one) for one in results if one.verdict is not None}
    write_atomic(path, b"const HOLM = " + canonical_json(told) + b";\n")


def entry(result: Result) -> dict[str, Any]:
    """Of one page: the verdict that it is about, by digest, its claim and what became of it."""
    return {"verdict": result.verdict_sha256, "claim": wording.claim(result), "said": among_probes(result)}


def family_lines(result: Result) -> list[str]:
    """The sentence about a result, in a list; empty where its probe does not count or was not judged."""
    return [among_probes(result)] if result.holm else []


def among_probes(result: Result) -> str:
    """Whether the claim survives Holm's correction, in a sentence."""
    holm = result.holm
    if holm is None:
        return "Its design cannot pass rung 3, so that it is none of the probes over which Holm's correction goes."
    kept = "survives" if holm.survives else "does not survive"
    why = f"; that of rung {holm.rung} survives" if holm.rung >= 3 and not holm.survives else ""
    why += f"; it {holm.reason}" if holm.reason else ""
    return (
        f"Of {holm.probes} probes put to this model the claim {kept} Holm's correction "
        f"(p = {wording.number(holm.p, 2)}, corrected {wording.number(holm.p_holm, 2)}){why}."
    )
