"""The guard on package versions: keys hold what is declared, receipts what was observed, and the two must agree.

``environment.yaml`` declares public versions, without build tags, in sections by what can change numbers. In a
workspace without code each section declares ``plantain`` too: the version in which the code of its stages last changed.
"""

import io
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ruamel.yaml import YAML

from plantain.base.files import write_atomic
from plantain.base.yaml import YamlFile, read_yaml

ENVIRONMENT = Path("environment.yaml")
OWN = "plantain"
"""The entry of a section that speaks of its stages' code, and of no distribution."""

OwnVersion = Callable[[str], str]
"""Section to the version of plantain in which its code last changed."""


def observed_versions(section: str, path: Path = ENVIRONMENT, *, own: OwnVersion | None = None) -> dict[str, str]:
    """Installed versions of a section's packages.

    Args:
        section: The section.
        path: The declaration.
        own: What the installed code is, for sections that declare ``plantain``.

    Raises:
        InputError: a version differs from the declared one; names both and the fix.
    """
    source = _sections(path)
    if section not in source.data:
        fix = _DECLARE if any(OWN in entry for entry in source.data.values()) else _FIX.format(path)
        raise source.error("the section is missing.", section, fix=fix)
    declared = source.data[section]
    found = {name: installed_version(name, section, own) for name in sorted(declared)}
    for name, wanted in sorted(declared.items()):
        if found[name] != str(wanted):
            raise _mismatch(source, section, name, str(wanted), found[name])
    return {name: str(value) for name, value in found.items()}


def public_version(package: str) -> str | None:
    """Installed version of ``package`` without its build tag, None where it is not installed."""
    try:
        return version(package).split("+")[0]
    except PackageNotFoundError:
        return None


def installed_version(name: str, section: str, own: OwnVersion | None = None) -> str | None:
    """The version of an entry of ``section``: of a package, or of the section's code."""
    return own(section) if own and name == OWN else public_version(name)


def _mismatch(source: YamlFile, section: str, name: str, wanted: str, found: str | None) -> Exception:
    have = f"{name} {found} is installed" if found else f"{name} is not installed"
    fix = (
        "install what is declared (`make install`), or declare what is installed (`plantain doctor --fix`) and re-run."
    )
    if OWN in source.data[section]:
        fix = _DECLARE
    return source.error(f"{have}, and {wanted} is declared.", section, name, fix=fix)


def declared_versions(path: Path = ENVIRONMENT) -> dict[str, dict[str, str]]:
    """The declared versions, by section.

    Raises:
        InputError: the file is no mapping of sections of packages.
    """
    sections = _sections(path).data
    return {section: {name: str(value) for name, value in entry.items()} for section, entry in sections.items()}


_FIX = "bring it back with `git checkout {}`."
_DECLARE = "declare what is installed (`plantain doctor --fix`); the next run makes anew what that changes, no more."
"""For a workspace without code, which follows the plantain that is installed."""


def _sections(path: Path) -> YamlFile:
    """The file, a mapping of sections of packages.

    Raises:
        InputError: it is something else, as a file that was cut short or emptied.
    """
    source = read_yaml(path)
    if not isinstance(source.data, dict) or not source.data:
        raise source.error("this is no mapping of sections.", fix=_FIX.format(path))
    for section, entry in source.data.items():
        if not isinstance(entry, dict) or None in entry.values():
            raise source.error("the section is empty, or cut short.", section, fix=_FIX.format(path))
    return source


def write_declared(constraints: Path, path: Path = ENVIRONMENT) -> None:
    """Declare in ``path`` what ``constraints`` pins, keeping comments."""
    pinned = pinned_versions(constraints)
    parser = YAML()
    tree = parser.load(path.read_text(encoding="utf-8"))
    for entry in tree.values():
        for name in entry:
            entry[name] = pinned.get(name.lower(), entry[name])
    stream = io.StringIO()
    parser.dump(tree, stream)
    write_atomic(path, stream.getvalue().encode())


def pinned_versions(constraints: Path) -> dict[str, str]:
    """Package to version, as ``constraints`` pins them."""
    lines = (line.split("#")[0].strip() for line in constraints.read_text(encoding="utf-8").splitlines())
    pairs = (line.split("==") for line in lines if "==" in line)
    return {name.strip().lower(): wanted.strip() for name, wanted in pairs}
