"""What DVC's bookkeeping costs as probes are added: at the tenth, thirtieth and hundredth probe on three models.

    python benchmarks/growth_runs.py

In a workspace whose `dvc.yaml`, `pipelines/*/dvc.yaml`, code and parameters are this checkout's. Its stages are bare:
each writes its outs in a line of shell. The first probe and the last are run; files and locks of those between are
the first one's under their names, as DVC would have written them, since a thousand stages would take half an hour. All
seconds are of processor time of `dvc` and what it starts. What a finished stage costs is what the run with one probe
more takes above a run with nothing to do, by stages that ran; and a stage forced by itself (`dvc repro -s -f`).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

from plantain.stages.pipelines import pipeline_text

ROOT: Final = Path(__file__).resolve().parent.parent
MODELS: Final = ("tiny", "tiny-mention", "tiny-untrained")
COUNTS: Final = (10, 30, 100)
TOP: Final = 5
"""Stages over all cells, which run anew with every probe."""
BARE: Final = """\
for out in "$@"; do
  case "$out" in
    */) mkdir -p "$out"; echo made > "$out/one" ;;
    *) mkdir -p "$(dirname "$out")"; echo made > "$out" ;;
  esac
done
"""
VERDICTS: Final = """\
for model in {models}; do
  mkdir -p data/verdicts/$model
  for probe in prompts/*.yaml; do echo made > data/verdicts/$model/$(basename "$probe" .yaml).json; done
done
"""


def bare(stages: dict[str, Any]) -> dict[str, Any]:
    """The same stages, each but `basis` with a command that writes its outs and nothing else."""
    for name, stage in stages["stages"].items():
        if name == "basis":
            continue
        named = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
        paths = [next(iter(one)) if isinstance(one, dict) else one for one in named]
        outs = [
            f"{path}/" if "." not in path.rpartition("/")[2].replace("${item.model}", "") else path for path in paths
        ]
        before = "sh verdicts.sh && " if name == "verdict" else ""
        stage["cmd"] = f"{before}sh bare.sh {' '.join(out for out in outs if out != 'data/verdicts/')}"
    return stages


def make(folder: Path) -> None:
    """A workspace without probes."""
    for name in ("dvc.yaml", "params.yaml", "environment.yaml", ".gitignore", ".dvcignore", ".dvc/config"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("reports/study", "reports/published", "data/embeddings", "prompts"):
        (folder / name).mkdir(parents=True)
        (folder / name / "README").write_text("a file\n")
    (folder / "bare.sh").write_text(BARE)
    (folder / "verdicts.sh").write_text(VERDICTS.format(models=" ".join(MODELS)))
    stages = bare(yaml.safe_load((ROOT / "dvc.yaml").read_text()))
    (folder / "dvc.yaml").write_text(yaml.safe_dump(stages, sort_keys=False))
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)


def ask(folder: Path, probes: list[str]) -> None:
    """Put the probes into the run and give each its pipeline."""
    path = folder / "params.yaml"
    text = re.sub(r"  probes: .*", f"  probes: [{', '.join(probes)}]", path.read_text(), count=1)
    path.write_text(re.sub(r"  models: \[.*", f"  models: [{', '.join(MODELS)}]", text, count=1))
    for probe in probes:
        prompts = folder / "prompts" / f"{probe}.yaml"
        if not prompts.exists():
            prompts.write_text("asked\n")
        pipeline = folder / "pipelines" / probe / "dvc.yaml"
        if not pipeline.exists():
            pipeline.parent.mkdir(parents=True)
            stages = bare(yaml.safe_load(pipeline_text(probe, checkout=True)))
            pipeline.write_text(yaml.safe_dump(stages, sort_keys=False))


def repeat(folder: Path, first: str, others: list[str]) -> None:
    """Files and lock of the first probe once more for each of the others."""
    own = [path for path in folder.rglob(f"*{first}*") if path.parent.name != "prompts" or path.parent.parent != folder]
    files = [path for one in own for path in ([one] if one.is_file() else one.rglob("*")) if path.is_file()]
    for path in files:
        for other in others:
            target = folder / path.relative_to(folder).as_posix().replace(first, other)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.write_text(path.read_text().replace(first, other))


def dvc(folder: Path, *arguments: str) -> tuple[float, int]:
    """Processor seconds of a command of DVC, and how many stages it ran."""
    before = processor_seconds()
    said = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return processor_seconds() - before, said.count("Running stage")


def processor_seconds() -> float:
    """Of all that has ended below this process."""
    times = os.times()
    return times.children_user + times.children_system


def main() -> None:
    print("| probes | a stage of the last, s | `dvc repro`, nothing to do | `dvc status` | one stage, `-s -f` |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make(folder)
        for count in COUNTS:
            first, *others, last = (f"p{number:03}" for number in range(1, count + 1))
            if count == COUNTS[0]:
                ask(folder, [first])
                dvc(folder, "repro")
            repeat(folder, first, others)
            ask(folder, [first, *others])
            ran = dvc(folder, "repro")[1]
            assert ran <= TOP, f"{ran} stages ran: what was written for the others is not what DVC writes"
            idle, _ = dvc(folder, "repro")
            ask(folder, [first, *others, last])
            run, ran = dvc(folder, "repro")
            each = (run - idle) / ran
            idle, again = dvc(folder, "repro")
            assert not again, "nothing was left to do"
            status, _ = dvc(folder, "status")
            alone, _ = dvc(folder, "repro", "-s", "-f", f"pipelines/{last}/dvc.yaml:analyze@tiny")
            print(f"| {count} | {each:.2f} ({ran}) | {idle:.1f} | {status:.1f} | {alone:.1f} |", flush=True)


if __name__ == "__main__":
    main()
