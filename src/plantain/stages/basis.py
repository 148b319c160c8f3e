"""``basis``: what every stage stands on, one small file a stage, which is what the others depend on.

DVC looks at every dependency of every stage and reads files of parameters anew for each. Folders of source code, and
two files of settings, in each of 189 stages took half of the seconds in which it found nothing to do. This stage looks
at them once. What it writes changes for those stages alone that stand on what changed.
"""

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.files import readable_json, write_atomic
from plantain.base.yaml import read_yaml
from plantain.stages.frame import run
from plantain.stages.pipelines import is_checkout
from plantain.stages.rooms import SETTINGS, code_digests, told_to


def main() -> None:
    """``python -m plantain.stages.basis``."""
    read_params()  # a setting that no stage would take is refused before the first
    raw = read_yaml(places.PARAMS).data
    for name in SETTINGS:
        code = {"code": code_digests(name)} if is_checkout() else {}
        write_atomic(places.basis(name), readable_json(code | told_to(name, raw)))


if __name__ == "__main__":
    run(main)
