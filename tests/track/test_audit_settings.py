from types import SimpleNamespace

import pytest

from plantain.base.errors import InputError
from plantain.records.receipt import Receipt
from plantain.track.audit.recompute import check_stats
from plantain.track.results import Held

KNOWN = {"unit": "head", "tokens": "image", "measure": "log_rms"}


@pytest.mark.parametrize(
    ("change", "words"), [({"colour": "red"}, "colour"), ({"unit": "layer"}, "unit"), ({"splits": 0}, "splits")]
)
def test_settings_that_this_version_does_not_know_are_told_with_their_receipt(change, words):
    params = {"analyses": {"heads": KNOWN | change}}
    receipt = Receipt(stage="analyze", reads=[], writes=[], params=params, code={}, packages={})
    cell = SimpleNamespace(held={"analyze": Held("receipts/analyze/m/p.json", "", receipt)})
    with pytest.raises(InputError, match=words) as caught:
        list(check_stats(cell, None))
    assert str(caught.value.file) == "receipts/analyze/m/p.json"
    assert caught.value.fix
