"""Tables that a spreadsheet, a script or a mishap wrote: each becomes a probe, or is refused by name."""

import csv
import io
import json
import random
import shutil
import time
from pathlib import Path

import yaml

from plantain.base import places
from plantain.probe.authoring.new import new_probe
from plantain.probe.authoring.rows import Columns, items_of_column, pairs_of
from plantain.probe.authoring.table import read_table
from tests.campaign.hostile import PIECES, damage
from tests.campaign.tally import Tally
from tests.campaign.verdicts import Answers

ROOT = Path(__file__).resolve().parents[2]
NAME = "hostile"
ENDINGS = (".csv", ".csv", ".tsv", ".tab", ".txt", ".jsonl")
ASKED = {
    ("a", "b"): Columns(),
    ("ID", "A", "B"): Columns(),
    ("left", "right"): Columns(a="left", b="right"),
    ("prompt",): Columns(items="prompt"),
    ("", "a", "b"): Columns(a="a"),
    ("a", "b", "a"): Columns("", "b"),
}
"""Columns of a table, and what is asked for of them."""


def campaign(folder: Path, count: int, seed: int, log: Path, minutes: float = 1e9) -> Tally:
    """Write ``count`` tables and make a probe of each, in a workspace that is as it was before the next one."""
    began, draw, answers = time.time(), random.Random(seed), Answers("tables")
    (folder / places.PROMPTS).mkdir()
    params = _few_params()
    for number in range(count):
        if number % 1000 == 999:
            with log.open("a") as stream:
                print(f"{number + 1} tables: {answers.parsed} read, {answers.other} lost", file=stream)
            if time.time() - began > 60 * minutes:
                break
        path = folder / f"table{draw.choice(ENDINGS)}"
        head, columns = draw.choice(list(ASKED.items()))
        content = generated(head, draw, path.suffix)
        path.write_bytes(content)
        (folder / places.PARAMS).write_bytes(params)
        if path.suffix == ".txt" or draw.random() < 0.1:
            columns = draw.choice((Columns(items="prompt"), Columns(items="prompt"), *ASKED.values()))
        answers.ask(lambda path=path, columns=columns: _made(folder, path, columns), content, path, _target(folder))
        path.unlink()
    return answers.tally("generated tables")


def _few_params() -> bytes:
    """The parameters with one model and without comments: they are read twice for every probe."""
    data = yaml.safe_load((ROOT / places.PARAMS).read_bytes())
    data["models"] = {"tiny": data["models"]["tiny"]}
    data["run"] = {"probes": ["other"], "models": ["tiny"]}
    return str(yaml.safe_dump(data)).encode()


def _target(folder: Path) -> Path:
    return folder / places.probe_file(NAME)


def _made(folder: Path, path: Path, columns: Columns) -> None:
    """What ``plantain probe new --from`` does; its reader alone first, since the workspace's files take longer."""
    table = read_table(path)
    if columns.items is None:
        pairs_of(table, columns)
    else:
        items_of_column(table, columns.items)
    new_probe(NAME, folder, path, columns, tell=str)
    shutil.rmtree(folder / places.PROMPTS)
    (folder / places.PROMPTS).mkdir()


def generated(head: tuple[str, ...], draw: random.Random, ending: str) -> bytes:
    """A table with hostile cells, damaged in half of the cases."""
    rows = [[_cell(draw) for _ in head] for _ in range(draw.choice((0, 1, 2, 2, 3, 3, 5, 12)))]
    if ending == ".jsonl":
        content = "\n".join(json.dumps(dict(zip(head, row, strict=True)), ensure_ascii=False) for row in rows)
    elif ending == ".txt":
        content = "\n".join(row[0] for row in rows)
    else:
        content = _parted(head, rows, "\t" if ending in (".tsv", ".tab") else draw.choice(",;\t"), draw)
    raw = content.encode("utf-8", "surrogatepass")
    return damage(raw, draw) if draw.random() < 0.5 else raw


def _parted(head: tuple[str, ...], rows: list[list[str]], delimiter: str, draw: random.Random) -> str:
    stream = io.StringIO()
    ending = draw.choice(("\n", "\r\n", "\r"))
    style = draw.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=ending, quoting=style)
    writer.writerows([head, *rows])
    return f"sep={delimiter}\n{stream.getvalue()}" if draw.random() < 0.1 else stream.getvalue()


def _cell(draw: random.Random) -> str:
    words = draw.choice(("a cat", "an owl", "seen by a dog", "one", "two", "cat-1", 'Über, "so"', "{x}", "3.5"))
    return draw.choice(PIECES) if draw.random() < 0.05 else f"{words} {draw.randrange(1000)}"
