"""Probes that are meant to fool the ladder, through the tool, on networks: a table of docs/verdict.md.

python -m studies.attacked_networks     about 6 minutes of one core, in a workspace of its own
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS, read_params
from plantain.ladder.judge import confirmatory
from plantain.measure.sides import Measured
from plantain.probe.store import read_contrasts
from plantain.records.activations import read_activations
from plantain.records.units import read_units
from plantain.stats.template import template_test

PROBES = Path(__file__).with_name("probes")
TRAINED = ("tiny", "tiny-mention")
DRAWS = {f"draw-{seed}": {"source": "untrained", "of": "tiny", "method": "reinit", "seed": seed} for seed in range(3)}
MODELS = (*TRAINED, *DRAWS)


def main() -> None:
    """Make the workspace, run it, print the table."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "attacked")
        _run("init", str(root), at=Path())
        names = sorted(path.stem for path in PROBES.glob("*.yaml"))
        for name in names:
            shutil.copyfile(PROBES / f"{name}.yaml", root / places.probe_file(name))
        _declare(root / places.PARAMS, names)
        _run("run", at=root)
        for line in table(root, names):
            print(line, flush=True)


def table(root: Path, names: list[str]) -> Iterator[str]:
    """A row a probe and network."""
    yield "| probe | network | rows | verdict | rung 3, were wordings independent |"
    yield "|---|---|---|---|---|"
    with contextlib.chdir(root):
        for name in names:
            for model in MODELS:
                yield _row(name, model)


def _row(name: str, model: str) -> str:
    found = json.loads(places.verdict(model, name).read_bytes())
    rules, analysis = read_params().verdict, read_params().analyses[VERDICT_ANALYSIS]
    measured = Measured.of(read_activations(places.activations(model, name)), read_units(places.units(model)), analysis)
    contrasts = read_contrasts(places.contrasts(name))
    sides = measured.sides(confirmatory(contrasts))
    test = template_test(sides.a, sides.b, permutations=rules.permutations, confidence=1 - rules.alpha, seed=rules.seed)
    design = found["rungs"][2]["reason"] or found["sentence"]
    independent = f"at least {test.lower_bound} heads, p = {test.simes_p:.2g}"
    return f"| {name} | {model} | {design} | rung {found['rung']} | {independent} |"


def _declare(path: Path, names: list[str]) -> None:
    """These probes on these networks, in the workspace's own params.yaml."""
    yaml = YAML()
    params = yaml.load(path)
    params["run"]["probes"], params["run"]["models"] = names, list(MODELS)
    params["models"].update(DRAWS)
    with path.open("w") as stream:
        yaml.dump(params, stream)


def _run(*arguments: str, at: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plantain.cli", *arguments], cwd=at, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


if __name__ == "__main__":
    main()
