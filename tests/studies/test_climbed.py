"""The table of climbs, from verdicts that are written by hand."""

import json

from studies.climbed import climbs, counts, targets


def ladder(rung: int, p: float | None) -> dict:
    return {"rung": rung, "rungs": [{"p": 0.001}, {"p": None}, {"p": p}]}


def test_who_climbs_is_told_beside_what_is_true(tmp_path):
    """`dense` is real on tiny-mention and `otherview` is not; a contrast without a truth is left out."""
    for probe, rung, p in (("dense", 6, 0.0002), ("otherview", 3, 0.04)):
        path = tmp_path / "data/verdicts/tiny-mention" / f"{probe}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        found = {"model": "tiny-mention", "probe": probe, "contrast": "target", **ladder(rung, p)}
        path.write_text(json.dumps(found | {"exploratory": {"published": ladder(1, None), "new": ladder(6, 0.01)}}))
    found = list(climbs(tmp_path))
    assert [(one.probe, one.contrast, one.truth) for one in found] == [
        ("dense", "target", "real"),
        ("dense", "published", "real"),
        ("otherview", "target", "lexical"),
        ("otherview", "published", "lexical"),
    ]
    assert list(targets(found))[2:] == ["| dense | **6** (p = 0.0002) |", "| otherview | 3 (p = 0.04) |"]
    assert list(counts(found))[2:] == [
        "| `tiny-mention` | real | 1 | 1 | dense target (6) |",
        "| `tiny-mention` | lexical | 1 | 1 | otherview target (3) |",
    ]
