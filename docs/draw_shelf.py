"""Bring the tables of docs/shelf.md up to date: every probe that plantain ships, as its file and `check` describe it.

    python docs/draw_shelf.py

Questions, sources, controls and doubts are the headers of the probe files; reach and floors are what
`plantain prompts check` finds with Klein's tokenizer and with tiny's. Equal files give equal bytes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from plantain.base.params import VerdictParams
from plantain.model.klein_tokens import klein_counter
from plantain.model.tiny.tokenizer import build_tokenizer
from plantain.probe.authoring.check import ContrastCheck, ProbeCheck, TokenReader, check_probe
from plantain.probe.clusters import Scheme
from plantain.probe.spec import Decides, read_probe
from plantain.probe.tokens import counter

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "shelf.md"
MADE = re.compile(r"(?<=<!-- made by docs/draw_shelf\.py -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)

READ = {"klein": 512, "tiny": 96}
"""Tokens that the models of params.yaml read."""

PARTS = {
    "Source": "source", "Deciding control": "control", "Deciding controls": "control", "What would fool it": "doubt",
}  # fmt: skip
"""How the paragraphs of a header begin, and what they are."""

FIRST = {
    "otherview": {
        "source": "the published card otherview-plantain, whose pair is our published one, word for word.",
        "control": "`titles`, the target's phrases as a title, a label or the name of a file.",
        "doubt": "a viewpoint moves the camera, so that heads may answer to where the camera stands and not to whose "
        "eyes these are: look at creatures of one height before a claim about the agent.",
    },
    "dense": {
        "source": "the published card dense-plantain, which gives no prompts; the published pair is our reading.",
        "control": "`archive`, the target's phrases in the name of an archive. `a_pose` decides by picture: another "
        "canonical pose, the same limbs.",
        "doubt": "how far the limbs are spread: `articulation` holds an expressive pose of the arms against one of the "
        "whole body, and a target that is no larger speaks of the amount of articulation.",
    },
}
"""What the two oldest files say elsewhere: their headers speak of wordings alone."""


@dataclass(frozen=True)
class Shelved:
    """One probe that plantain ships."""

    name: str
    question: str
    source: str
    control: str
    doubt: str
    decides: dict[str, Decides]
    """The deciding controls."""
    check: ProbeCheck


def files() -> list[Path]:
    """The default run's two first, then the shelf."""
    first = [ROOT / "prompts" / f"{name}.yaml" for name in FIRST]
    rest = sorted((ROOT / "src" / "plantain" / "shelf").glob("*.yaml"))
    return first + [path for path in rest if path.stem not in FIRST]


@cache
def checked(path: Path) -> ProbeCheck:
    """What `plantain prompts check` says of a file, with both tokenizers."""
    readers = (
        TokenReader("klein", klein_counter(), READ["klein"]),
        TokenReader("tiny", counter(build_tokenizer()), READ["tiny"]),
    )
    return check_probe(path, ROOT, readers, rules=VerdictParams())


def header(path: Path) -> list[str]:
    """The paragraphs of the comment that a probe file begins with, each on one line."""
    comment: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").strip())
    return [" ".join(paragraph.split()) for paragraph in "\n".join(comment).split("\n\n")]


def shelved(path: Path) -> Shelved:
    """One file, read."""
    paragraphs, probe = header(path), read_probe(path)
    found = dict(FIRST.get(path.stem, {}))
    for paragraph in paragraphs:
        start, _, rest = paragraph.partition(": ")
        if start in PARTS:
            found[PARTS[start]] = rest
    decides = {one.name: one.decides for one in probe.contrasts.values() if one.decides is not None}
    question = paragraphs[0].partition("?")[0] + "?"
    return Shelved(path.stem, question, decides=decides, check=checked(path), **found)


def contrast_of(check: ProbeCheck, name: str) -> ContrastCheck:
    """One contrast of a check."""
    return next(one for one in check.contrasts if one.name == name)


def floor(found: ContrastCheck) -> str:
    """What is exchanged, and the smallest p that this can give."""
    pieces = min(len(found.pieces_a), len(found.pieces_b))
    what = f"{pieces} frames" if found.scheme is Scheme.frames else f"{pieces} + {pieces}"
    return f"{what}, {found.floor:.2g}"


def overview(probes: list[Shelved]) -> Iterator[str]:
    """The table of all probes."""
    yield "| probe | question | items | sentences | target, smallest p | decides | rung at most: Klein, tiny |"
    yield "|---|---|---|---|---|---|---|"
    for one in probes:
        controls = [
            f"`{name}` ({kind}; {floor(contrast_of(one.check, name))})" for name, kind in one.decides.items()
        ] or ["none"]
        reach = {each.model: each.rung for each in one.check.reach}
        cells = (
            f"[{one.name}](#{one.name})",
            one.question,
            str(one.check.items),
            str(one.check.conditions),
            floor(contrast_of(one.check, "target")),
            ", ".join(controls),
            f"{reach['klein']}, {reach['tiny']}",
        )
        yield f"| {' | '.join(cells)} |"


def details(one: Shelved) -> Iterator[str]:
    """Source, control and doubt of a probe."""
    yield from (f"### {one.name}", "", one.question, "")
    for label, text in (("Source", one.source), ("Decides", one.control), ("Would fool it", one.doubt)):
        yield f"- *{label}*: {text}"
    others = [each.name for each in one.check.contrasts if each.name not in {"published", "target", *one.decides}]
    yield f"- *Further controls*: {', '.join(f'`{name}`' for name in others)}."
    yield ""


def tables() -> str:
    """What stands between the marks of the page."""
    probes = [shelved(path) for path in files()]
    lines = [*overview(probes), "", "## One by one", "", *(line for one in probes for line in details(one))]
    return "\n".join(lines)


def page() -> str:
    """The page as it has to be."""
    return MADE.sub(lambda _: tables(), PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
