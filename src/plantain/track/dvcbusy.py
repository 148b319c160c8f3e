"""What a killed run leaves with DVC that keeps later runs out, cleared away: its note of who reads and writes what.

DVC asks whether a process of that number exists. One that was killed and that nobody waited for (in a container whose
first process waits for nobody, that is for good), or a stranger that got its number since, keeps every later run out.
A note that a kill cut short does so too, and so does a folder of DVC's run cache that a kill left empty: DVC takes the
newest entry of such a folder without asking whether there is one.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

import psutil

_NOTE = Path(".dvc", "tmp", "rwlock")
_RUNS = Path(".dvc", "cache", "runs")
"""A folder a stage and inputs, below one of two letters, with what the stage made of them."""


def forget_the_dead(root: Path) -> None:
    """Drop what ended processes still hold below ``root``, and what they left that DVC cannot read."""
    note = root / _NOTE
    _clear_note(note)
    busy = note.is_file() and any((_note(note) or {}).values())
    if not busy:
        _drop_empty(root / _RUNS)


def _drop_empty(runs: Path) -> None:
    for folder in runs.glob("*/*"):
        with contextlib.suppress(OSError):  # it holds something, or another process was quicker
            folder.rmdir()


def _clear_note(path: Path) -> None:
    if not path.is_file() or (_note(path) is not None and _living(path) == _note(path)):
        return
    from dvc.lock import LockError, make_lock

    try:
        # DVC's own guard: whoever holds it is writing the note at this moment.
        with make_lock(f"{path}.lock", tmp_dir=str(path.parent)):
            living = _living(path)
            if living is None:
                path.unlink()
            else:
                path.write_text(json.dumps(living))
    except (LockError, FileNotFoundError):
        return


def _note(path: Path) -> dict[str, Any] | None:
    """What the note says; None where it is none, as one cut short is not."""
    try:
        found = json.loads(path.read_bytes())
        return {mode: dict(found.get(mode, {})) for mode in ("write", "read")}
    except (ValueError, TypeError, AttributeError):  # no JSON, or no table of tables
        return None


def _living(path: Path) -> dict[str, Any] | None:
    """The note without processes that have ended."""
    note = _note(path)
    if note is None:
        return None
    written = path.stat().st_mtime
    readers = {name: [one for one in held if _lives(one, written)] for name, held in note["read"].items()}
    return {
        "write": {name: held for name, held in note["write"].items() if _lives(held, written)},
        "read": {name: held for name, held in readers.items() if held},
    }


def _lives(info: dict[str, Any], written: float) -> bool:
    """Whether the process goes on that wrote ``info``: one that began after the note was written is another."""
    try:
        process = psutil.Process(int(info["pid"]))
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= written + 1)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
