import pytest

from plantain.base.errors import InputError
from plantain.track.address import Address, RunId, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("otherview@tiny", Address("otherview", "tiny")),
        ("otherview@klein-base-4b@HEAD~1", Address("otherview", "klein-base-4b", "HEAD~1")),
        ("otherview@tiny:target", Address("otherview", "tiny", None, "target")),
        ("a@b@topic/x@{1}:c", Address("a", "b", "topic/x@{1}", "c")),
        ("0123456789abcdef0123456789abcdef", RunId("0123456789abcdef0123456789abcdef")),
    ],
)
def test_addresses_are_read(text, expected):
    assert parse(text) == expected
    if isinstance(expected, Address):
        assert str(expected) == text


NONE = ["otherview", "Other@tiny", "a@", "@b", "a@b@", "a@b:", "a@b:C", "a@b@:c", "a@-b", "a@b."]


@pytest.mark.parametrize("text", NONE)
def test_what_names_no_result_is_refused_with_the_forms_there_are(text):
    with pytest.raises(InputError, match="PROBE@MODEL"):
        parse(text)
