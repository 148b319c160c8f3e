"""``data/manifests/``: what a stage put into a folder, which other stages depend on in the folder's place.

DVC looks at every file of every folder that a stage depends on. Of a folder that four stages name it would look at
every file four times, and at a hundred probes that is all it would do; of a manifest it looks at one file. The folder
stays an out of the stage that fills it, so that a file changed by hand is still seen, and who reads a file of it holds
that to the manifest.
"""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from plantain.base.errors import restored
from plantain.base.files import sha256_file
from plantain.records.base import Frozen, read

SCHEMA: Final = "plantain.manifest/1"


class Manifest(Frozen):
    """The files of a folder."""

    schema_: Literal["plantain.manifest/1"] = Field(default=SCHEMA, alias="schema")
    files: dict[str, str]
    """Path from the folder to SHA-256."""

    def pictures(self) -> dict[str, str]:
        """Name of every reference image, which its file is called after, to SHA-256."""
        found = {Path(name): sha256 for name, sha256 in self.files.items()}
        return {path.stem: found[path] for path in sorted(found) if path.suffix == ".png"}


def manifest_of(folder: Path) -> Manifest:
    """The manifest of what is in ``folder`` now."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return Manifest(files={path.relative_to(folder).as_posix(): sha256_file(path) for path in files})


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        InputError: it is missing or damaged.
    """
    return read(path, Manifest, what="a manifest", fix=restored(path))
