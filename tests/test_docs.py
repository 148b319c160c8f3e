"""What the documentation names is there: links, paths, commands with their options, modules, functions, extras."""

import ast
import re
import shlex
import tomllib
from enum import EnumType
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from docs import draw_architecture
from plantain.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("reports/**/README.md")]
)
LASTING = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which names what was, too
SOURCES = sorted(path for room in ("src", "training", "studies", "benchmarks") for path in ROOT.glob(f"{room}/**/*.py"))

LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"(?<![\w/.<{-])(?:src|docs|tests|benchmarks|training|studies|pipelines)/[\w./-]*\w")
FENCE = re.compile(r"^```.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def named(path):
    return path.relative_to(ROOT).as_posix()


def code(page):
    """Every line of code of a page: of fenced and indented blocks, and of spans."""
    text = page.read_text()
    blocks = [line for block in FENCE.findall(text) for line in block.splitlines()]
    return blocks + INDENTED.findall(text) + SPAN.findall(FENCE.sub("", text))


def calls(page, program):
    """The arguments of every call of ``program``, comments and placeholders left out."""
    for line in code(page):
        for part in re.split(r"&&|\|", line.removeprefix("$ ")):
            if part.strip().startswith(f"{program} "):
                words = shlex.split(part, comments=True)[len(program.split()) :]
                yield [word for word in words if "…" not in word]


def refusal(words):
    """Why ``plantain <words>`` cannot be called; empty where it can. Nothing runs."""
    command, context = get_command(app), None
    words = list(words)
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        word = words.pop(0)
        command = command.get_command(context, word)
        if command is None:
            return f"there is no command '{word}'"
    if command is None:
        return ""
    context = command.context_class(command, info_name="plantain")
    try:
        given, left, _ = command.make_parser(context).parse_args(words)
    except Exception as error:
        return str(error)
    if left:
        return f"too many arguments: {left}"
    kinds = {param.name: param.type_descriptor.annotation for param in command.params if given.get(param.name)}
    choices = {name: set(kind) for name, kind in kinds.items() if isinstance(kind, EnumType)}
    return "; ".join(f"{name} cannot be {given[name]}" for name, known in choices.items() if given[name] not in known)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_relative_links_lead_to_files(page):
    targets = [target.split("#")[0] for target in LINK.findall(FENCE.sub("", page.read_text()))]
    local = [target for target in targets if target and "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", [*LASTING, *SOURCES, ROOT / "Makefile", ROOT / "pyproject.toml"], ids=named)
def test_paths_exist(page):
    assert [path for path in PATH.findall(page.read_text()) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_can_be_called_as_shown(page):
    refused = [(shlex.join(words), refusal(words)) for words in calls(page, "plantain")]
    assert [found for found in refused if found[1]] == []


def test_commands_that_cannot_be_called_are_found():
    assert "no command" in refusal(["dance"])
    assert "--faster" in refusal(["run", "--faster"])
    assert "too many" in refusal(["show", "otherview@tiny", "dense@tiny"])
    assert "level" in refusal(["audit", "--level", "moon"])
    assert refusal(["prompts", "check", "otherview", "--model", "tiny"]) == ""


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_scripts_and_targets_exist(page):
    modules = [words[0] for words in calls(page, "python -m")]
    ours = [module for module in modules if module.partition(".")[0] in ("training", "studies", "plantain")]
    assert [module for module in ours if not _exists(module)] == []
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {words[0] for words in calls(page, "make") if words} <= targets


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_extras_exist(page):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"plantain-probes\[(\w+)\]", page.read_text())) <= set(extras)


@pytest.mark.parametrize("page", [*PAGES, *SOURCES, ROOT / "pyproject.toml"], ids=named)
def test_the_distribution_is_called_by_its_own_name(page):
    """`plantain` on PyPI is a project of other people."""
    assert re.findall(r"pip install '?plantain\b(?!-probes)|(?<![\w.])plantain\[\w+\]", page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_names_of_code_exist(page):
    dotted = [span for span in SPAN.findall(page.read_text()) if re.fullmatch(r"plantain(\.\w+)+", span)]
    assert [name for name in dotted if not _exists(name)] == []


def _exists(name):
    """Whether a dotted name is a module, or something that a module defines or hands on; nothing is imported."""
    top, *rest = name.split(".")
    for count in range(len(rest), -1, -1):
        stem = ROOT.joinpath("src" if top == "plantain" else ".", top, *rest[:count])
        source = next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.exists()), None)
        if source:
            return not rest[count:] or _defines(ast.parse(source.read_text()), rest[count:])
    return False


def _defines(tree, names):
    for node in tree.body:
        aliases = [alias.asname or alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        own = [getattr(node, "name", None), *(getattr(target, "id", None) for target in targets)]
        if names[0] in aliases + own:
            return len(names) == 1 or _defines(node, names[1:])
    return False


def test_the_table_of_rooms_is_that_of_the_code():
    assert draw_architecture.TABLE.search((ROOT / "docs/architecture.md").read_text()).group(1) == (
        draw_architecture.markdown(draw_architecture.table())
    ), "run `python docs/draw_architecture.py`"
