import errno
import hashlib
import os
import re
import subprocess
import sys

import pytest

from plantain.base.errors import disk_error
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


def test_a_write_that_the_disk_refuses_names_its_file_and_says_what_helps(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomic(path, b"new")
    assert caught.value.filename == str(path)
    sentence = str(disk_error(caught.value))
    assert sentence.startswith(f"{path}: cannot be read or written: no space left on device. Fix: free some space")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.EROFS, "x", "here"), "here: cannot be read or written: read-only file system. Fix: mount"),
        (OSError(errno.EDQUOT, "x", "here"), "here: .*quota exceeded"),
        (PermissionError(errno.EACCES, "x", "here"), "here: .*permission denied"),
        (OSError(errno.ENOSPC, "x", "from", None, "to"), "to: .*no space left"),
        (RuntimeError("parquet: IO error: No space left on device (os error 28)"), "a file: .*no space left"),
        (RuntimeError("(sqlite3.OperationalError) database or disk is full"), "a file: .*no space left"),
        (FileNotFoundError(errno.ENOENT, "x", "here"), None),
        (RuntimeError("a bug"), None),
    ],
)
def test_errors_of_the_disk_are_told_from_others(error, says):
    found = disk_error(error)
    assert (found is None) == (says is None)
    if says:
        assert re.match(says, str(found))
        assert found.exit_code == (2 if re.search("permission|read-only", says) else 1)


def test_a_disk_that_is_full_in_fact_leaves_the_old_file(tmp_path):
    """The kernel refuses to write a file beyond a limit, as it does beyond the end of the disk."""
    code = """
import resource, sys
from pathlib import Path
from plantain.base.files import write_atomic
from plantain.stages.frame import run

def main():
    write_atomic(Path("old"), b"x" * 1000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    write_atomic(Path("old"), b"y" * 2000)

run(main)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"plantain: old: cannot be read or written: file too large\. Fix: .*\n", done.stderr)
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"x" * 1000]


def test_file_digest_is_sha256(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)
    assert sha256_file(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_six_significant_digits():
    assert six_digits(1234567.0) == 1234570.0
    assert six_digits(0.000123456789) == 0.000123457
