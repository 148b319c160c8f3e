import json

import pytest
from helpers.track_helpers import empty
from helpers.workspace import ROOT
from pydantic import ValidationError

from plantain.base.errors import InputError
from plantain.records import schema
from plantain.records.receipt import Receipt, read_receipt, write_receipt


def test_the_published_schema_is_the_one_that_receipts_follow():
    assert json.loads((ROOT / schema.PUBLISHED).read_text()) == schema.schema()


def test_a_receipt_survives_its_file_byte_for_byte(tmp_path):
    receipt = empty("capture", probe="a", model="b", notes={"naïve": 1}, metrics={"c": {"d": {"e": 1.5}}})
    write_receipt(tmp_path / "one.json", receipt)
    write_receipt(tmp_path / "two.json", read_receipt(tmp_path / "one.json"))
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


@pytest.mark.parametrize(
    ("change", "field"),
    [({"schema": "plantain.receipt/2"}, "schema"), ({"reads": None}, "reads"), ({"stage": 1}, "stage")],
)
def test_what_is_no_receipt_of_this_version_is_refused_by_field(tmp_path, change, field):
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(json.loads(empty("capture").to_bytes()) | change))
    with pytest.raises(InputError, match=field):
        read_receipt(path)


def test_a_field_of_another_revision_is_ignored_and_one_that_no_revision_has_cannot_be_written(tmp_path):
    path = tmp_path / "receipt.json"
    newer = json.loads(empty("capture").to_bytes()) | {"surprise": 1}
    path.write_text(json.dumps(newer))
    assert read_receipt(path) == empty("capture")
    with pytest.raises(ValidationError, match="surprise"):
        Receipt(**newer)
