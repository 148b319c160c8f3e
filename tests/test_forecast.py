"""``plantain run --dry-run --study`` against what the study did: the passes in its committed receipts."""

import json
from pathlib import Path

import pytest

from plantain.cli import main

ROOT = Path(__file__).resolve().parent.parent
RECEIPTS = sorted(ROOT.glob("reports/nulls/*/*.receipt.json")) + sorted(
    ROOT.glob("reports/replications/*/*.receipt.json")
)


def test_the_forecast_of_the_study_has_the_passes_that_it_took(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["plantain", "run", "--dry-run", "--study"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    study = {(line[0], line[1]): line for line in lines if len(line) > 2 and line[2].startswith("(")}
    receipts = [json.loads(path.read_text()) for path in RECEIPTS]
    assert len(receipts) == len(study) == 6
    for receipt in receipts:
        assert f"{receipt['notes']['passes']:,}" in study[receipt["probe"], receipt["model"]]
