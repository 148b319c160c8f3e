"""``prompts``: expand a probe file into records, references and contrasts."""

import shutil
import sys
import tempfile
from pathlib import Path

from plantain.analysis.feasible import infeasible
from plantain.base import places
from plantain.probe.expand import expand
from plantain.probe.spec import read_probe
from plantain.probe.store import write_expansion
from plantain.records.receipt import prompt_set
from plantain.stages.frame import run, stage
from plantain.stages.pipelines import check_pictures


def main() -> None:
    """``python -m plantain.stages.prompts PROBE``."""
    probe = sys.argv[1]
    with stage("prompts", section="prompts", probe=probe) as current:
        source = current.read(places.probe_file(probe))
        expansion = expand(read_probe(source), Path())
        pictures = [Path(one.file) for one in expansion.references if one.file]
        check_pictures(probe, pictures)
        for picture in pictures:
            current.read(picture)
        for problem in infeasible(expansion, current.params):
            raise problem
        with tempfile.TemporaryDirectory() as folder:
            write_expansion(expansion, Path(folder))
            for path in (places.records(probe), places.references(probe), places.contrasts(probe)):
                shutil.copyfile(Path(folder, path.name), current.out(path))
        current.prompts = prompt_set(probe, expansion.records)


if __name__ == "__main__":
    run(main)
