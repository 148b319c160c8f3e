"""The audit in a workspace that holds no code: what ran is compared with the plantain that is installed."""

from plantain.records.receipt import Receipt
from plantain.stages.rooms import code_digests
from plantain.track.audit.checks import Chain
from plantain.track.results import FolderReader, Held


def broken(root, code):
    receipt = Receipt(stage="compare", reads=[], writes=[], params={}, code=code, packages={})
    held = Held("receipts/compare/all.json", receipt.sha256, receipt)
    return list(Chain(None, FolderReader(root), None).broken([held]))


def test_the_code_that_is_installed_is_the_code_that_ran(tmp_path):
    assert broken(tmp_path, code_digests("compare")) == []


def test_another_plantain_is_named_with_the_way_out(tmp_path):
    (found,) = broken(tmp_path, code_digests("compare") | {"report": "0" * 64})
    assert (found.link, found.path) == ("code", "src/plantain/report")
    assert "compare ran another plantain than is installed." in found.problem
    assert "plantain doctor --fix" in found.problem


def test_a_checkout_is_compared_with_its_own_code(tmp_path):
    (tmp_path / "src/plantain/report").mkdir(parents=True)
    (tmp_path / "src/plantain/report/page.py").write_text("other")
    problems = {found.path: found.problem for found in broken(tmp_path, {"report": "0" * 64, "base": "1" * 64})}
    assert problems["src/plantain/report"].startswith("compare ran other code than this.")
    assert problems["src/plantain/base"] == "compare ran base, and it is no longer here."
