import json

from helpers.track_helpers import make_results

from plantain.track import ledger
from plantain.track.results import FolderReader, read_results


def test_the_ledger_names_prompts_and_receipt_of_every_number(checkout):
    make_results(checkout)
    results = read_results(FolderReader(checkout))
    built = ledger.ledger_of(results)
    assert len(built.numbers) == 2 * 2 * 2
    for entry in built.numbers:
        receipt = results.cells[[cell.probe for cell in results.cells].index(entry.probe)].held["analyze"]
        assert entry.receipt_sha256 == receipt.sha256
        assert entry.metrics == receipt.receipt.metrics[entry.contrast][entry.analysis]
        assert built.prompt_sets[entry.prompts_sha256].probe == entry.probe
        assert len(built.prompt_sets[entry.prompts_sha256].records) == 6


def test_the_ledger_holds_the_current_cells_only(checkout):
    make_results(checkout)
    path = checkout / "reports/cells.json"
    path.write_text(json.dumps({"cells": [{"probe": "dense", "model": "tiny"}]}))
    built = ledger.ledger_of(read_results(FolderReader(checkout)))
    assert {entry.probe for entry in built.numbers} == {"dense"}
    assert [held.probe for held in built.prompt_sets.values()] == ["dense"]
