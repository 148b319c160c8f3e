"""``python -m plantain.stages.workspace.keep``: bring what the package ships up to this repository.

It copies the repository's own files into the template of a workspace, and its probes onto the shelf. Of a version that
is to be released it also notes in ``changed.json`` when the code of every section of environment.yaml last changed; a
test fails until that is done.
"""

from pathlib import Path

from plantain.base.files import readable_json, write_atomic
from plantain.probe.authoring.shelf import SHELF
from plantain.stages.rooms import CHANGED, PACKAGE, SECTIONS, is_unreleased, section_digest, section_version
from plantain.stages.workspace.template import COPIES, ON_SHELF

FILES = PACKAGE / "stages" / "workspace" / "files"


def table() -> dict[str, dict[str, str]]:
    """Section to version and digest of its code; a section whose code did not change keeps its version."""
    return {section: {"version": section_version(section), "code": section_digest(section)} for section in SECTIONS}


def main() -> None:
    """``python -m plantain.stages.workspace.keep``, in the root of this repository."""
    for folder, copies in ((FILES, COPIES), (SHELF, ON_SHELF)):
        for name, source in copies.items():
            write_atomic(folder / name, Path(source).read_bytes())
    if is_unreleased():
        print("The template is that of this repository. Versions are noted when one is released.")
        return
    found = table()
    write_atomic(CHANGED, readable_json(found))
    for section, noted in found.items():
        print(f"{section}: its code last changed in {noted['version']}")


if __name__ == "__main__":
    main()
