"""Where a result comes from, link by link, and how to get it again."""

from dataclasses import dataclass

from plantain.report.result import Result


@dataclass(frozen=True)
class Link:
    """One link of the chain from prompts to page."""

    name: str
    note: str
    digest: str


def lineage(result: Result) -> list[Link]:
    """From what was asked to what was found, each with the digest that pins it."""
    digests, lock = result.digests, result.lock
    names = ", ".join(reference.name for reference in result.references[:3])
    more = f" and {len(result.references) - 3} more" if len(result.references) > 3 else ""
    found = [Link("prompt set", f"{result.probe}: {len(result.records)} prompts", digests["prompts"])]
    if result.references:
        found.append(Link("reference images", names + more, result.references[0].sha256))
    where = lock.repo or lock.path or (f"from {lock.of}" if lock.of else lock.source)
    found.append(Link("model", f"{lock.name}, {where}, {lock.dtype}", digests["model lock"]))
    if "capture" in digests:
        found.append(Link("activations", "prompts, references, model and capture params", digests["capture"]))
    return [*found, Link("statistics", f"{len(list(result.analyses()))} analyses", digests["summary"])]


def commands(result: Result) -> str:
    """What to type to get these numbers again, and to trace one to its prompts."""
    return "\n".join(
        (
            "# the commits whose ledger holds this prompt set",
            f"git log --oneline -S {result.prompts_sha256[:32]} -- reports/ledger.json",
            "# at that commit: fetch what a remote holds, run the rest",
            "dvc pull",
            f"plantain run {result.probe}",
            "# every number back to its prompts",
            f"plantain audit {result.address}",
        )
    )
