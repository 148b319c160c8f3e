"""The full-size control: the whole pipeline on an untrained transformer of Klein 4B's geometry, beside the cards.

Run with ``python benchmarks/untrained_klein.py``: 9 GB of memory, and about half an hour on two cores. It works in a
clone of this repository, with the model ``klein-random`` and four conditions of each probe: the published pair and one
other wording of either side, so that two paraphrases of one idea stand beside the published contrast.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from plantain.yamlfile import read_yaml

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


def prepare(folder: Path, paraphrases: bool) -> None:
    """A clone that asks the two reduced probes of ``klein-random``."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    yaml = YAML()
    yaml.width = 200
    for probe, (a, b) in SIDES.items():
        path = folder / "prompts" / f"{probe}.yaml"
        tree = yaml.load(path)
        kept = (a, b, f"{a}_2", f"{b}_2") if paraphrases else (a, b)
        tree["conditions"] = {name: tree["conditions"][name] for name in kept}
        tree["contrasts"] = {"published": tree["contrasts"]["published"]} | {
            f"paraphrase_{side}": {"a": side, "b": f"{side}_2", "role": "control"} for side in (a, b) if paraphrases
        }
        yaml.dump(tree, path)
    params = folder / "params.yaml"
    text = params.read_text().replace("models: [tiny, tiny-untrained]", f"models: [{MODEL}]", 1)
    params.write_text(text)


def run(folder: Path) -> None:
    """Every stage up to the analysis, in ``folder``."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    targets = [f"analyze@{probe}-{MODEL}" for probe in SIDES]
    subprocess.run([sys.executable, "-m", "dvc", "repro", *targets], cwd=folder, env=environment, check=True)


def table(folder: Path, probe: str) -> str:
    """Published, the same contrast untrained, and two paraphrases untrained, as a Markdown table."""
    metrics = json.loads((folder / "reports" / MODEL / probe / "metrics.json").read_text())
    card = read_yaml(ROOT / "reports" / "published" / f"{probe}.yaml").data["metrics"]
    names = [name for name in metrics if name != "published"]
    columns = [probe, "card", "untrained", *(f"untrained, {name}" for name in names)]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for key, label in ROWS.items():
        values = [card.get(key), *(metrics[name]["card"].get(key) for name in ("published", *names))]
        lines.append(f"| {label} | {' | '.join(_shown(value) for value in values)} |")
    heads = [metrics[name]["heads"]["heads_over_t3_fraction"] for name in ("published", *names)]
    lines.append(f"| true heads over abs t 3, share | | {' | '.join(_shown(value) for value in heads)} |")
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the clone here; it resumes where it stopped")
    parser.add_argument("--published-only", action="store_true", help="leave the paraphrases out: half the passes")
    options = parser.parse_args()
    chosen = options.folder
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen or Path(temporary, "plantain")
        if not folder.exists():
            prepare(folder, not options.published_only)
        run(folder)
        print("\n\n".join(table(folder, probe) for probe in SIDES))


if __name__ == "__main__":
    main()
