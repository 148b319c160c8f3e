"""``code``: digests of the code that every stage stands on, one small file a stage, which is what the others depend on.

DVC looks at every dependency of every stage, so that nine folders of source code in each of 189 stages took a third of
the seconds in which it found nothing to do. This stage looks at them once. What it writes changes for those stages
alone that stand on what changed.
"""

from plantain.base import places
from plantain.base.files import readable_json, write_atomic
from plantain.stages.frame import run
from plantain.stages.rooms import SECTIONS, code_digests


def main() -> None:
    """``python -m plantain.stages.code``."""
    for stages in SECTIONS.values():
        for name in stages:
            write_atomic(places.code(name), readable_json(code_digests(name)))


if __name__ == "__main__":
    run(main)
