import hashlib
import os

import pytest

from plantain.base.files import canonical_json, digest, normalise, sha256_file, six_digits, write_atomic


def test_equal_values_give_equal_bytes():
    assert canonical_json({"b": 1, "a": [1, "é"]}) == '{"a":[1,"é"],"b":1}'.encode()
    assert canonical_json({"a": "e\u0301"}) == canonical_json({"a": "\u00e9"})
    assert digest({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


def test_nan_has_no_canonical_form():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_text_is_normalised_to_one_form():
    assert normalise(" a\r\nb\rc \n") == "a\nb\nc"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_file_digest_is_sha256(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)
    assert sha256_file(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_six_significant_digits():
    assert six_digits(1234567.0) == 1234570.0
    assert six_digits(0.000123456789) == 0.000123457
