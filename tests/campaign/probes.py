"""Probe files that nobody should write: each is read and expanded, or refused by name."""

import json
import random
import time
from pathlib import Path
from typing import Any

from PIL import Image

from plantain.probe.expand import expand
from plantain.probe.spec import read_probe
from tests.campaign.hostile import PIECES, damage
from tests.campaign.tally import Tally
from tests.campaign.verdicts import Answers

PLAIN: dict[str, Any] = {
    "probe": "hostile",
    "title": "A probe",
    "references": {"kitchen": {"prompt": "A kitchen"}},
    "conditions": {
        "view": {"prompt": "Seen by {creature}", "reference": "kitchen"},
        "mention": {"prompt": "With {creature} in it", "reference": "kitchen"},
    },
    "contrasts": {"published": {"a": "view", "b": "mention", "role": "published"}},
    "items": [{"id": "cat", "creature": "a cat", "rank": 1}, {"id": "ant", "creature": "an ant", "rank": 2.5}],
}
RICH: dict[str, Any] = {
    "probe": "hostile",
    "hypothesis": "Many wordings, several images, blocks.",
    "references": {
        "{place}_before": {"prompt": "A {place}"},
        "hall": {"prompt": "A hall"},
        "picture": {"file": "picture.png"},
    },
    "conditions": {
        "a_1": {"prompt": "From {creature}", "reference": ["{place}_before", "hall"], "stratum": "short"},
        "a_2": {"prompt": "{{As}} {creature} {rank}", "reference": ["{place}_before", "hall"], "stratum": "long"},
        "b_1": {"prompt": "Near {creature}", "reference": ["{place}_before", "hall"], "stratum": "short"},
        "b_2": {"prompt": "Beside {creature}", "reference": "picture", "stratum": "long"},
    },
    "contrasts": {
        "target": {"a": ["a_1", "a_2"], "b": ["b_1", "b_2"], "role": "target", "flip_blocks": "place"},
        "words": {"a": "a_1", "b": "a_2", "role": "control"},
    },
    "items": [
        {"id": "cat", "creature": "a cat", "rank": 1, "place": "room"},
        {"id": "ant", "creature": "an ant", "rank": 2, "place": "room"},
        {"id": "owl", "creature": "an owl", "rank": 3, "place": "wood"},
    ],
}
WRITTEN = b"""probe: hostile
conditions:
  a: &wording
    prompt: "Seen by {creature}"   # one side
  b: {<<: *wording, prompt: 'With {creature} in it'}
contrasts:
  target: {a: [a], b: [b], role: target}
items:
- id: cat
  creature: |
    a cat
- {id: ant, creature: >-
    an ant}
"""


def campaign(folder: Path, count: int, seed: int, log: Path, minutes: float = 1e9) -> Tally:
    """Write ``count`` files, one after the other, each under the name that a probe of that text would have."""
    began = time.time()
    draw, answers = random.Random(seed), Answers("probes")
    path = folder / "hostile.yaml"
    Image.new("RGB", (64, 64), (90, 120, 40)).save(folder / "picture.png")
    for number in range(count):
        content = generated(draw)
        path.write_bytes(content)
        answers.ask(lambda: expand(read_probe(path), folder), content, path)
        if number % 1000 == 999:
            with log.open("a") as stream:
                print(f"{number + 1} probes: {answers.parsed} read, {answers.other} lost", file=stream)
            if time.time() - began > 60 * minutes:
                break
    return answers.tally("generated probe files")


def generated(draw: random.Random) -> bytes:
    """A file: data with hostile values, text with damages, or both."""
    start = draw.choice((PLAIN, PLAIN, RICH, WRITTEN))
    if isinstance(start, bytes):
        return damage(start, draw)
    data = json.loads(json.dumps(start))
    for _ in range(draw.choice((0, 1, 1, 1, 2))):
        _change(data, draw)
    content = (_block(data, 0) if draw.random() < 0.7 else json.dumps(data, ensure_ascii=draw.random() < 0.5)).encode(
        "utf-8", "surrogatepass"
    )
    return damage(content, draw) if draw.random() < 0.4 else content


def _change(data: dict[str, Any], draw: random.Random) -> None:
    """One node of the tree gives way: to a hostile value, to a copy of another node, to nothing; or a key changes."""
    nodes = list(_nodes(data))
    holder, key = draw.choice(nodes)
    kind = draw.randrange(6)
    if kind == 0:
        holder.pop(key)
    elif kind == 1 and isinstance(holder, dict):
        holder[draw.choice(PIECES)] = holder.pop(key)
    elif kind == 2:
        other, name = draw.choice(nodes)
        holder[key] = json.loads(json.dumps(other[name]))
    elif kind == 3 and isinstance(holder, list):
        holder.extend(json.loads(json.dumps(holder[key : key + 1])) * draw.choice((1, 3, 70)))
    else:
        holder[key] = _hostile(draw)


def _hostile(draw: random.Random) -> Any:
    numbers = (0, -1, 2**63, 10**40, 0.1, 1e308, True, False, None)
    kinds = (draw.choice(PIECES), draw.choice(numbers), [], {}, [draw.choice(PIECES)], {draw.choice(PIECES): None})
    return draw.choice((draw.choice(PIECES), *kinds))


def _nodes(node: Any) -> Any:
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in list(keys):
        yield node, key
        yield from _nodes(node[key])


def _block(node: Any, depth: int) -> str:
    """YAML in block style, with texts as they are: what is hostile in them may be read as YAML."""
    lead = "\n" + "  " * depth
    if isinstance(node, dict) and node:
        return "".join(f"{lead}{_key(key)}: {_block(value, depth + 1)}" for key, value in node.items())
    if isinstance(node, list) and node:
        return "".join(f"{lead}- {_block(value, depth + 1)}" for value in node)
    if isinstance(node, str) and ("{" in node or ":" in node) and len(node) < 40:
        return json.dumps(node, ensure_ascii=False)
    return node if isinstance(node, str) else json.dumps(node)


def _key(key: str) -> str:
    return json.dumps(key) if key.startswith("{place}") else key
