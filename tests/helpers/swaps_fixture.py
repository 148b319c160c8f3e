"""A table of interventions as the study writes it, of made-up numbers, with the pictures that belong to it."""

import io

import numpy as np
from PIL import Image

from plantain.base import places
from plantain.base.files import sha256_bytes
from plantain.records.causal import CausalPictures, CausalTable, SizePoint, size_areas

COLUMNS = ["recipient", "donor", "the set swapped", "all heads swapped", "random heads"]
CASES = ["adult: heads of mention_2 in viewpoint_2", "adult: heads of viewpoint_2 in mention_2"]
SIZE = 8


def shade(row, column):
    """The one grey of a picture."""
    return 20 + 100 * row + 20 * column


def sheet():
    """A contact sheet whose every picture is of one shade."""
    kept = CausalPictures(sha256="", columns=COLUMNS, rows=CASES, width=SIZE, height=SIZE)
    right, bottom = kept.box(len(CASES) - 1, len(COLUMNS) - 1)[2:]
    pixels = np.full((bottom + 4, right + 4, 3), 255, np.uint8)
    for row in range(len(CASES)):
        for column in range(len(COLUMNS)):
            left, top, end, low = kept.box(row, column)
            pixels[top:low, left:end] = shade(row, column)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    content = stream.getvalue()
    return content, kept.model_copy(update={"sha256": sha256_bytes(content)})


def swapped_set(how, share, **more):
    lost = more.get("necessity")
    return {
        "how": how, "of": "", "heads": 12, "shared": 3, "into_a": share + 0.05, "into_b": share - 0.05,
        "sufficiency": share, "necessity": None, "redundancy": None if lost is None else round(share - lost, 6),
        "off_axis": 0.21, "dose": 0.7,
    } | more  # fmt: skip


def donated(kind, statistic, p, apart, contrast="target", strata=None):
    return {
        "kind": kind, "contrast": contrast, "statistic": statistic, "p": p, "floor": 0.0285714, "rows": [4, 4],
        "wordings": [f"w{at}" for at in range(8)], "groups": [0, 0, 0, 0, 1, 1, 1, 1], "clusters": list(range(8)),
        "strata": strata, "apart": apart, "products": np.eye(8).tolist(),
    }  # fmt: skip


def swaps(model="tiny", probe="otherview", gate=0.0285714, pictures=None, **changes):
    """A table whose donors' test and selection hold."""
    asked = [("gate", 91.8, gate), ("donors", 89.98, 0.0285714), ("selection", 0.5806, 0.0285714)]
    curve = [(1, 0.05, 0.002, 0.016), (8, 0.6, 0.07, 0.13), (32, 0.85, 0.41, 0.65), (75, 1.0, 1.0, 1.0)]
    points = [
        SizePoint(heads=size, sufficiency=held, necessity=lost, random=random) for size, held, lost, random in curve
    ]
    alike = [swapped_set("kind", share, necessity=0.02) for share in (0.19, 0.21, 0.23)]
    alike += [swapped_set("dose", share, necessity=0.02, shared=0) for share in (0.24, 0.26, 0.28)]
    found = {
        "model": model, "probe": probe, "contrast": "target", "inputs": {"a": ["viewpoint"]}, "measure": "direction",
        "chosen_by": "largest dose", "items": {"selection": ["adult"], "test": ["child", "cat"]},
        "wordings": {"selection": ["viewpoint", "mention"], "test": ["viewpoint_2", "mention_2"]},
        "recipients": ["neutral_1"],
        "tests": [
            {"name": name, "says": name, "statistic": statistic, "p": p, "floor": 0.0285714, "rows": [4, 4]}
            for name, statistic, p in asked
        ],
        "heads": [{"block_kind": "joint", "block": 4, "head": 2, "score": 8.44, "mediation": 0.4166}],
        "identities": {"self_swap": 0.0, "all_heads": 1.0, "off_axis": 0.0, "modulation_share": 0.0, "batch": 0.0,
                       "swaps": 22.0},
        "output_change": 0.367, "additivity": 1.47, "mediation_by_head": [0.4166, 1.0534], "curve": points,
        "permutations": 10_000, "seed": 0,
        "sets": [
            swapped_set("chosen", 0.8, necessity=0.17, shared=12, dose=1.0), *alike,
            swapped_set("direction", 0.65), swapped_set("probe", 0.25, of="dense"),
            swapped_set("paraphrase", -0.0003, shared=12, into_a=-0.0006, into_b=0.0),
        ],
        "donors": [
            donated("direction", 67.3, 0.0285714, 0.733), donated("paraphrase", 1.6, 0.222222, 0.0116),
            donated("decoy", 0.57, 0.6, 0.00349, contrast="titles"),
        ],
        "routes": [{"tokens": name, "all_heads": share, "chosen": share / 4}
                   for name, share in (("image", 1.0), ("text", 0.0977))],
        "areas": size_areas(points), "pictures": pictures,
    }  # fmt: skip
    return CausalTable.model_validate(found | changes)


def write_swaps(root, **more):
    """Table and pictures where they belong; the table."""
    content, kept = sheet()
    table = swaps(pictures=kept, **more)
    path = root / places.causal(table.model, table.probe)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(table.to_bytes())
    (root / places.causal_pictures(table.model, table.probe)).write_bytes(content)
    return table


def judged(table=None, problem="", p=0.05):
    """What a verdict says of swapped heads."""
    ranks = [{"family": "tiny-reinit", "draws": 19, "largest": 12.4, "p": p}]
    found = {"alpha": 0.05, "problem": problem, "ranks": ranks if table else []}
    return found | ({"table": table.model_dump(mode="json", by_alias=True)} if table else {})
