"""Passwords, tokens and user names of addresses: found, so that they can be refused, and taken out of what is shown.

An address is read with the standard library's parser. Where an ``@`` or a slash in a password leaves open which part
is the host, the whole address goes: a line that says less is better than one that tells a password.
"""

import os
import re
from typing import Final
from urllib.parse import unquote, urlsplit

HIDDEN: Final = "***"
"""What stands where a secret, or an address that cannot be told from one, was."""

_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
_SCP: Final = re.compile(r"(?<![^\s'\"(])[^\s@/'\"(]+@(?=(?:[\w-]+\.)+[A-Za-z]{2,}:)")
"""``user@host.domain:path``, as git writes a remote. A host without a dot would be a model: PROBE@MODEL:CONTRAST."""

_FILES: Final = ("sqlite", "file")
"""Schemes without a host: an ``@`` belongs to a path."""

_SEPARATORS: Final = re.compile(r"([?&;#])")
_CLOSING: Final = "\"'`.,:;!)]}>"

_WORDS: Final = frozenset({"auth", "authorization", "key", "pass", "pwd", "sas", "sig"})
_PARTS: Final = ("token", "passw", "passphrase", "secret", "credential", "signature", "apikey", "accesskey")
_PREFIXES: Final = ("x-amz-", "x-goog-")

_VARIABLES: Final = (
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "PGPASSWORD",
    "MYSQL_PWD",
    "HF_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
"""Environment variables whose values libraries may quote in what they raise."""
_LEAST: Final = 4
"""Shorter values are no secrets, and taking them out would leave no sentence whole."""


def redacted(text: str) -> str:
    """``text`` without the user, password and tokens of any address in it, and without the known secrets themselves."""
    for name in _VARIABLES:
        value = os.environ.get(name, "")
        text = text.replace(value, HIDDEN) if len(value) >= _LEAST else text
    return _SCP.sub("", _ADDRESS.sub(_in_text, text))


def redacted_address(address: str) -> str:
    """One address, which may be no URL (``user@host:path``), without user, password and tokens."""
    scheme, mark, rest = address.partition("://")
    if not mark:
        return _without_login(address) if _has_login(address) else address
    if _is_file(scheme):
        return address
    bare = _without_user(rest)
    return f"{scheme}://{HIDDEN if bare is None or not _has_host(bare) else _without_tokens(bare)}"


def user_info(address: str) -> tuple[bool, bool]:
    """Whether ``address`` names a user, and whether it holds a password or a token."""
    scheme, mark, rest = address.partition("://")
    if _is_file(scheme) or not (mark or _has_login(address)):
        return False, False
    user, at, _ = (rest if mark else address).rpartition("@")
    tokens = bool(mark) and any(_tells(field) for field in _SEPARATORS.split(rest)[1:])
    return bool(at), tokens or any(sign in user for sign in ":/?#")


def _in_text(found: re.Match[str]) -> str:
    """The address that a sentence quotes, its closing marks left where they are."""
    address = found[0].rstrip(_CLOSING)
    return redacted_address(address) + found[0][len(address) :]


def _without_user(rest: str) -> str | None:
    """What follows the scheme, without its user; None where it is not clear where the user ends."""
    before, at, after = rest.rpartition("@")
    if not at:
        return rest
    named = "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]
    # An `@` behind a question mark may belong to a query, whose secrets stand on both of its sides.
    return after if (named or not _has_host(rest)) and not re.search(r"[?#]", before) else None


def _has_host(rest: str) -> bool:
    """Whether what follows the scheme begins with a host whose port, if it names one, is a number."""
    try:
        _ = urlsplit(f"//{rest}").port
    except ValueError:
        return False
    return True


def _without_tokens(rest: str) -> str:
    """The same without the parameters, those of a fragment included, whose names are those of credentials."""
    pieces = _SEPARATORS.split(rest)
    kept = pieces[0]
    for sign, field in zip(pieces[1::2], pieces[2::2], strict=True):
        kept += (sign if sign in "?#" else "") if _tells(field) else sign + field
    return re.sub(r"\?(?=#|$)|#$", "", re.sub(r"([?#])[&;]+", r"\1", kept))


def _tells(field: str) -> bool:
    """Whether ``name=value`` is a credential, by its name."""
    name, mark, _ = field.partition("=")
    name = unquote(name).lower()
    words = re.split(r"[^a-z0-9]+", name)
    plain = "".join(words)
    named = bool(_WORDS & set(words)) or name.startswith(_PREFIXES) or any(part in plain for part in _PARTS)
    return bool(mark) and named


def _has_login(address: str) -> bool:
    """Whether what is no URL is ``user@host:path`` or ``user:password@host``, and no path with an ``@`` in it."""
    user, at, place = address.rpartition("@")
    return bool(at) and ":" in user + place and "/" not in user.partition(":")[0].partition("@")[0]


def _without_login(address: str) -> str:
    return address.rpartition("@")[2] if ":" in address.partition("@")[0] else address.partition("@")[2]


def _is_file(scheme: str) -> bool:
    return scheme.lower().partition("+")[0] in _FILES
