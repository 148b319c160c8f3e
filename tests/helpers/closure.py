"""The import closure of every stage, compared with the deps of dvc.yaml. ``--write`` brings dvc.yaml up to date."""

import sys
from pathlib import Path

import grimp
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]


def closure(stage: str) -> list[str]:
    """Source files that ``plantain.stages.<stage>`` imports, itself and package files included."""
    graph = grimp.build_graph("plantain", cache_dir=None)
    module = f"plantain.stages.{stage}"
    found = {module} | graph.find_upstream_modules(module)
    packages = {name.rpartition(".")[0] for name in found} | {"plantain"}
    sources = {_source(name) for name in found | packages if name}
    return sorted(sources | {data for source in sources for data in _data(source)})


def _data(source: str) -> list[str]:
    """Data files and folders beside a module that its text names: templates, vocabularies, weights."""
    text = (ROOT / source).read_text()
    beside = [path for path in (ROOT / source).parent.iterdir() if path.suffix != ".py" and path.name != "__pycache__"]
    named = [path for path in beside if f'"{path.name}"' in text and not (path / "__init__.py").exists()]
    return [path.relative_to(ROOT).as_posix() for path in named]


def _source(module: str) -> str:
    stem = Path("src", *module.split("."))
    path = stem / "__init__.py" if (ROOT / stem).is_dir() else stem.with_suffix(".py")
    return path.as_posix()


def declared(stage: dict) -> list[str]:
    """Source files among the deps of a stage of dvc.yaml."""
    return sorted(dep for dep in stage["deps"] if str(dep).startswith("src/"))


def write() -> None:
    """Rewrite the source deps of every stage in dvc.yaml, after its data deps."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    path = ROOT / "dvc.yaml"
    tree = yaml.load(path)
    for name, stage in tree["stages"].items():
        data = [dep for dep in stage["deps"] if not str(dep).startswith("src/")]
        stage["deps"] = data + closure(name)
    yaml.dump(tree, path)


if __name__ == "__main__" and "--write" in sys.argv:
    write()
