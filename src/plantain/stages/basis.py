"""``basis``: what every stage stands on, one small file a stage, which is what the others depend on.

DVC looks at every dependency of every stage and reads files of parameters anew for each: with 189 stages, folders of
source code and two files of settings 189 times. This stage looks at them once. What it writes changes for those stages
alone that stand on what changed.
"""

from plantain.base import places
from plantain.base.config import checked_params
from plantain.base.environment import declared_versions
from plantain.base.files import readable_json, write_atomic
from plantain.base.yaml import read_yaml
from plantain.stages.frame import run
from plantain.stages.pipelines import is_checkout
from plantain.stages.rooms import SETTINGS, code_digests, told_to


def main() -> None:
    """``python -m plantain.stages.basis``."""
    source, declared = read_yaml(places.PARAMS), declared_versions()
    checked_params(source)  # a setting that no stage would take is refused before the first
    for name in SETTINGS:
        code = {"code": code_digests(name)} if is_checkout() else {}
        write_atomic(places.basis(name), readable_json(code | told_to(name, source.data, declared)))


if __name__ == "__main__":
    run(main)
