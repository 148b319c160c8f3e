"""A table that was edited, and rules that were changed after looking, show."""

import pytest

from plantain.base.files import readable_json, sha256_bytes
from plantain.records.receipt import FileRecord, Receipt
from plantain.track.audit.study import broken_tables, rule_changes
from plantain.track.results import FolderReader

TABLE = "reports/nulls/tiny-reinit/otherview.json"
RECEIPT = "reports/nulls/tiny-reinit/otherview.receipt.json"


@pytest.fixture
def tables(checkout):
    content = readable_json({"counts": [1, 2]})
    (checkout / TABLE).parent.mkdir(parents=True)
    (checkout / TABLE).write_bytes(content)
    written = [FileRecord(path=TABLE, sha256=sha256_bytes(content), size=len(content))]
    receipt = Receipt(stage="nulls", reads=[], writes=written, params={}, code={}, packages={})
    (checkout / RECEIPT).write_bytes(receipt.to_bytes())
    return checkout


def problems(root):
    return {one.path: one.problem for one in broken_tables(FolderReader(root))}


def test_a_whole_table_is_not_broken(tables):
    assert problems(tables) == {}


def test_an_edited_table_is_broken(tables):
    (tables / TABLE).write_bytes(readable_json({"counts": [0, 0]}))
    assert "not those that its receipt names" in problems(tables)[TABLE]


def test_a_table_without_receipt_and_a_receipt_without_table(tables):
    (tables / RECEIPT).unlink()
    assert "no receipt" in problems(tables)[TABLE]


def test_a_receipt_without_its_table(tables):
    (tables / TABLE).unlink()
    assert "missing" in problems(tables)[TABLE]


def test_a_receipt_that_is_none(tables):
    (tables / RECEIPT).write_bytes(b"{}")
    assert "receipt" in problems(tables)[TABLE]


def rules(root, **values):
    (root / "params.yaml").write_text("verdict:\n" + "".join(f"  {k}: {v}\n" for k, v in values.items()))


def test_rules_changed_before_any_verdict_are_nobodys_business(checkout, git):
    for alpha in (0.05, 0.1):
        rules(checkout, alpha=alpha)
        git("add", "-A")
        git("commit", "-qm", "rules")
    assert rule_changes(checkout) == []


def test_rules_changed_after_a_verdict_are_named(checkout, git):
    rules(checkout, alpha=0.05, reliability=0.7)
    (checkout / "reports").mkdir()
    (checkout / "reports" / "verdicts.json").write_text("{}")
    git("add", "-A")
    git("commit", "-qm", "verdicts")
    assert rule_changes(checkout) == []
    rules(checkout, alpha=0.05, reliability=0.6)
    assert [(one.commit, one.rules) for one in rule_changes(checkout)] == [("", {"reliability": (0.7, 0.6)})]
    git("commit", "-qam", "a lower bar")
    rules(checkout, alpha=0.1, reliability=0.6)
    first, second = rule_changes(checkout)
    assert first.commit == git("rev-parse", "HEAD")
    assert first.rules == {"reliability": (0.7, 0.6)}
    assert second.rules == {"alpha": (0.05, 0.1)}
    assert "reliability 0.7 -> 0.6" in str(first)


def test_other_params_are_no_rules(checkout, git):
    rules(checkout, alpha=0.05)
    (checkout / "reports").mkdir()
    (checkout / "reports" / "verdicts.json").write_text("{}")
    git("add", "-A")
    git("commit", "-qm", "verdicts")
    with (checkout / "params.yaml").open("a") as stream:
        stream.write("report:\n  dpi: 100\n")
    git("commit", "-qam", "pictures")
    assert rule_changes(checkout) == []
