"""One word, one meaning: no two classes of one name, and no two rooms that lend others a function of one name."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import plantain

SOURCE = Path(plantain.__file__).parent
COMMON = {"main"}
"""Every stage has one, and runs it itself."""


def modules(folder: Path = SOURCE) -> dict[str, ast.Module]:
    """Module name, below the package, to its tree."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join(("plantain", *parts)).removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def lent(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(module, name) of everything that a module takes from others, by import or through an imported module."""
    doors = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.module, alias.name
                doors[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in doors:
            yield doors[node.value.id], node.attr


def of_one_name(places: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: found for name, found in places.items() if len(found) > 1 and name not in COMMON}


def classes_of_one_name(trees: dict[str, ast.Module]) -> dict[str, list[str]]:
    places = defaultdict(list)
    for module, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module)
    for module, tree in trees.items():
        targets = (node.targets[0] for node in tree.body if isinstance(node, ast.Assign))
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        for name in names:
            if name in places:
                places[name].append(module)  # another name for something else, as good as a class
    return of_one_name(places)


def functions_of_one_name(trees: dict[str, ast.Module]) -> dict[str, list[str]]:
    taken = {pair for tree in trees.values() for pair in lent(tree)}
    places = defaultdict(dict)
    for module, tree in trees.items():
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            if public and (module, node.name) in taken:
                places[node.name].setdefault(module.split(".")[1], module)
    return of_one_name({name: list(rooms.values()) for name, rooms in places.items()})


def test_a_name_is_that_of_one_class():
    assert classes_of_one_name(modules()) == {}


def test_a_function_that_other_modules_use_shares_its_name_with_none_of_another_room():
    assert functions_of_one_name(modules()) == {}


def test_what_would_be_found():
    trees = {
        "plantain.a.one": ast.parse("class Cell: ...\ndef read(): ...\ndef kept(): ..."),
        "plantain.b.two": ast.parse("Cell = tuple\ndef read(): ...\ndef kept(): ..."),
        "plantain.c": ast.parse("from plantain.a.one import read, kept\nfrom plantain.b import two\ntwo.read()"),
    }
    assert classes_of_one_name(trees) == {"Cell": ["plantain.a.one", "plantain.b.two"]}
    assert functions_of_one_name(trees) == {"read": ["plantain.a.one", "plantain.b.two"]}
