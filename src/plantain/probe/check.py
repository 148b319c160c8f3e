"""What can be said about a probe before anything is run: problems, and how much its design can show."""

from dataclasses import dataclass
from pathlib import Path

from plantain.errors import InputError
from plantain.probe.design import Design, design
from plantain.probe.expand import expand
from plantain.probe.records import Expansion
from plantain.probe.spec import read_probe
from plantain.probe.tokens import Encode, StratumTokens, labelled, stratum_tokens, token_problems


@dataclass(frozen=True)
class TokenCheck:
    """The prompts of a probe as one model's tokenizer sees them."""

    model: str
    limit: int
    longest: int
    problems: tuple[str, ...]
    strata: tuple[StratumTokens, ...]


@dataclass(frozen=True)
class ProbeCheck:
    """One probe, looked at before any pass."""

    probe: str
    problems: tuple[str, ...]
    conditions: int = 0
    items: int = 0
    set_sha256: str = ""
    unused: tuple[str, ...] = ()
    """Conditions in no contrast: they cost passes and answer nothing."""
    contrasts: tuple[Design, ...] = ()
    tokens: tuple[TokenCheck, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing keeps the probe from running as written."""
        return not self.problems and not any(check.problems for check in self.tokens)


@dataclass(frozen=True)
class Reader:
    """A model's tokenizer, and how many tokens the model reads."""

    model: str
    encode: Encode
    limit: int


def check_probe(path: Path, root: Path, readers: tuple[Reader, ...] = ()) -> ProbeCheck:
    """Check the probe file ``path`` by itself and with each reader. Errors in the file become problems."""
    try:
        expansion = expand(read_probe(path), root)
    except InputError as error:
        return ProbeCheck(path.stem, (str(error),))
    designs = tuple(design(contrast, expansion.records) for contrast in expansion.contrasts)
    used = {name for contrast in expansion.contrasts for name in (*contrast.a, *contrast.b)}
    conditions = dict.fromkeys(record.condition for record in expansion.records)
    return ProbeCheck(
        probe=expansion.probe,
        problems=tuple(problem for found in designs for problem in _problems(found)),
        conditions=len(conditions),
        items=len(expansion.records) // len(conditions),
        set_sha256=expansion.set_sha256,
        unused=tuple(name for name in conditions if name not in used),
        contrasts=designs,
        tokens=tuple(_tokens(expansion, reader) for reader in readers),
    )


def _problems(found: Design) -> list[str]:
    if not found.equal_sides:
        return []
    names = ", ".join(found.equal_sides)
    return [f"contrast {found.name}: both sides hold the same prompt for {names}. Fix: reword one of the sides."]


def _tokens(expansion: Expansion, reader: Reader) -> TokenCheck:
    prompts = labelled(expansion.records)
    prompts |= {f"reference {item.name}": item.prompt for item in expansion.references if item.prompt is not None}
    return TokenCheck(
        model=reader.model,
        limit=reader.limit,
        longest=max(reader.encode(prompt).length for prompt in prompts.values()),
        problems=tuple(token_problems(prompts, reader.encode, reader.limit)),
        strata=stratum_tokens(expansion.contrasts, expansion.records, reader.encode),
    )
