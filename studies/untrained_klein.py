"""The full-size control: the whole pipeline on an untrained transformer of Klein 4B's geometry, beside the cards.

Run with ``python -m studies.untrained_klein``: 9 GB of memory. It works in a clone of this repository, with the
model ``klein-random`` and the twelve wordings of each probe's target: the published pair, two paraphrases of one idea
on either side, and the target itself, which the verdict is about.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from plantain.base.yaml import read_yaml

ROOT = Path(__file__).resolve().parent.parent
MODEL = "klein-random"
SIDES = {"otherview": ("viewpoint", "mention"), "dense": ("t_pose", "expressive")}
ROWS = {
    "heads_over_t3": "groups over abs t 3",
    "heads_over_t3_fraction": "the same, share",
    "heads_over_t5": "groups over abs t 5",
    "heads_over_t5_fraction": "the same, share",
    "heads_over_d08_fraction": "share over abs d 0.8",
    "split_half_r": "split-half r, median",
    "max_abs_t": "max abs t",
    "null_mean_t3": "null mean over abs t 3",
    "null_p99_t3": "null p99 over abs t 3",
}


def prepare(folder: Path) -> None:
    """A clone that asks the two reduced probes of ``klein-random``."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    yaml = YAML()
    yaml.width = 200
    for probe, (a, b) in SIDES.items():
        path = folder / "prompts" / f"{probe}.yaml"
        tree = yaml.load(path)
        declared = tree["contrasts"]
        tree["contrasts"] = {name: declared[name] for name in ("published", "target")} | {
            f"paraphrase_{side}": {"a": side, "b": f"{side}_2", "role": "control"} for side in (a, b)
        }
        wordings = (*declared["target"]["a"], *declared["target"]["b"])
        tree["conditions"] = {name: tree["conditions"][name] for name in wordings}
        yaml.dump(tree, path)
    params = folder / "params.yaml"
    text = params.read_text().replace("models: [tiny, tiny-untrained]", f"models: [{MODEL}]", 1)
    params.write_text(text)


def run(folder: Path) -> None:
    """Every stage up to the verdict, in ``folder``."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-m", "dvc", "repro", "verdict"], cwd=folder, env=environment, check=True)


def table(folder: Path, probe: str) -> str:
    """Published, the same contrast untrained, and two paraphrases untrained, as a Markdown table."""
    metrics = json.loads((folder / "reports" / MODEL / probe / "metrics.json").read_text())
    card = read_yaml(ROOT / "reports" / "published" / f"{probe}.yaml").data["metrics"]
    names = sorted(name for name in metrics if name.startswith("paraphrase"))
    columns = [probe, "card", "untrained", *(f"untrained, {name}" for name in names)]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for key, label in ROWS.items():
        values = [card.get(key), *(metrics[name]["card"].get(key) for name in ("published", *names))]
        lines.append(f"| {label} | {' | '.join(_shown(value) for value in values)} |")
    heads = [metrics[name]["heads"]["heads_over_t3_fraction"] for name in ("published", *names)]
    lines.append(f"| true heads over abs t 3, share | | {' | '.join(_shown(value) for value in heads)} |")
    return "\n".join(lines)


def verdict(folder: Path, probe: str) -> str:
    """The sentence of the ladder and the numbers beside it."""
    found = json.loads((folder / "data" / "verdicts" / MODEL / f"{probe}.json").read_text())
    numbers = ", ".join(f"{key} {_shown(value)}" for key, value in found["metrics"].items())
    return f"{probe}@{MODEL}: {found['sentence']}\n{numbers}"


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser("python -m studies.untrained_klein", description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the clone here; it resumes where it stopped")
    options = parser.parse_args()
    chosen = options.folder
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen or Path(temporary, "plantain")
        if not folder.exists():
            prepare(folder)
        run(folder)
        print("\n\n".join(table(folder, probe) for probe in SIDES))
        print("\n\n".join(verdict(folder, probe) for probe in SIDES))


if __name__ == "__main__":
    main()
