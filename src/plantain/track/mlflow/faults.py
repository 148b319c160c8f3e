"""What is wrong with a store, told apart: in use, not writable, full, damaged, foreign, of another MLflow, locked out.

MLflow, SQLAlchemy and SQLite wrap one another's errors, so that the reason lies somewhere down the chain of causes.
Moving a database away that only is in use would separate it from its writer: each reason has a fix of its own.
"""

import errno
import re
import sqlite3
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from filelock import Timeout

from plantain.base.errors import PlantainError
from plantain.base.secrets import redacted


class Fault(StrEnum):
    """Why a store cannot be used."""

    locked = "locked"
    readonly = "readonly"
    full = "full"
    damaged = "damaged"
    foreign = "foreign"
    newer = "newer"
    outdated = "outdated"
    login = "login"
    driver = "driver"


class StoreError(PlantainError):
    """The store does not answer, or cannot be used."""

    def __init__(self, problem: str, fix: str = "", fault: Fault | None = None) -> None:
        self.problem = problem
        self.fix = fix
        self.fault = fault
        super().__init__(redacted(f"{problem} Fix: {fix}" if fix else problem))


_ANEW: Final = "move it away; `plantain sync` makes it anew from the receipts."

_SAID: Final = {
    Fault.locked: (
        "is in use: another process is writing to it",
        "let that process end, or stop it; leave the database where it is.",
    ),
    Fault.readonly: (
        "cannot be written by this user",
        "give this user write access to it and to its folder, or run plantain as their owner.",
    ),
    Fault.full: (
        "cannot grow: there is no space left on its disk",
        "free some space there; `plantain cache` shows what plantain keeps.",
    ),
    Fault.damaged: ("is damaged: SQLite cannot read it", _ANEW),
    Fault.foreign: ("is no MLflow database", _ANEW),
    Fault.newer: (
        "was made by a newer MLflow than the installed one",
        f"install that MLflow again (`make install` installs what is declared), or {_ANEW}",
    ),
    Fault.outdated: ("was made by an older MLflow than the installed one", "`plantain doctor --fix` upgrades it."),
    Fault.login: (
        "asks for another login",
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, for a server; "
        "for PostgreSQL name the user in tracking.uri and put the password into PGPASSWORD or ~/.pgpass.",
    ),
    Fault.driver: (
        "needs a database driver that is not installed",
        "install the one that the address names: `pip install 'psycopg[binary]'` for postgresql://, "
        "`pip install psycopg2-binary` for postgresql+psycopg2://, `pip install pymysql` for mysql+pymysql://.",
    ),
}

_SQLITE_CODES: Final = {
    3: Fault.readonly,  # SQLITE_PERM
    5: Fault.locked,  # SQLITE_BUSY
    6: Fault.locked,  # SQLITE_LOCKED
    8: Fault.readonly,  # SQLITE_READONLY
    11: Fault.damaged,  # SQLITE_CORRUPT
    13: Fault.full,  # SQLITE_FULL
    14: Fault.readonly,  # SQLITE_CANTOPEN
    26: Fault.foreign,  # SQLITE_NOTADB
}
_SYSTEM_CODES: Final = {
    errno.EACCES: Fault.readonly,
    errno.EPERM: Fault.readonly,
    errno.EROFS: Fault.readonly,
    errno.ENOSPC: Fault.full,
    errno.EDQUOT: Fault.full,
    errno.EFBIG: Fault.full,
}
_WORDS: Final = (
    (r"database is locked|database table is locked", Fault.locked),
    (r"readonly database|read-only transaction", Fault.readonly),
    (r"permission denied for|must be owner of", Fault.readonly),
    (r"database or disk is full|No space left on device", Fault.full),
    (r"disk image is malformed", Fault.damaged),
    (r"file is not a database", Fault.foreign),
    (r"authentication failed|no password supplied|Access denied|error code 40[13]|\b40[13] (?:Client )?", Fault.login),
    (r"No module named '(?:psycopg2?|pymysql|MySQLdb|pyodbc)'", Fault.driver),
)
"""What a server or a driver says in words alone."""


def store_error(place: str, fault: Fault) -> StoreError:
    """The sentence of ``fault`` for the store at ``place``."""
    problem, fix = _SAID[fault]
    return StoreError(f"{redacted(place)} {problem}.", fix, fault)


def diagnosed(place: str, error: Exception) -> Exception:
    """``error`` as a sentence about the store at ``place`` where its cause is known, else itself."""
    if isinstance(error, PlantainError):
        return error
    fault = next((found for one in _chain(error) if (found := _fault(one, place))), None)
    return store_error(place, fault) if fault else error


def _chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what led to it, the first cause last."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "orig", None)]


def _fault(error: BaseException, place: str) -> Fault | None:
    if isinstance(error, Timeout):
        return Fault.locked
    if isinstance(error, sqlite3.Error) and (code := getattr(error, "sqlite_errorcode", None)):
        return _SQLITE_CODES.get(code & 0xFF)
    if isinstance(error, OSError) and error.errno in _SYSTEM_CODES:
        # A file elsewhere, as a picture that is to be logged, says nothing about the store.
        near = error.filename is None or str(error.filename).startswith(str(Path(place).parent))
        return _SYSTEM_CODES[error.errno] if near else None
    return next((fault for words, fault in _WORDS if re.search(words, str(error))), None)
