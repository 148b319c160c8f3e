import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command_line import plantain

from plantain import __version__
from plantain.cli import COMMANDS

HEAVY = ["torch", "diffusers", "transformers", "mlflow", "dvc", "numba", "matplotlib"]


def test_help_names_every_command_and_imports_nothing_heavy():
    program = "import sys; sys.argv = ['plantain', '--help']\ntry:\n    from plantain.cli import main; main()\n"
    program += f"except SystemExit: pass\nprint('LOADED', sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert "LOADED []" in done.stdout


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "model"])
def test_every_command_has_its_own_help(name):
    done = plantain(name, "--help")
    assert done.code == 0, done.errors
    assert f"{name} [OPTIONS]" in done.output
    assert "--install-completion" not in done.output
    assert "\N{BOX DRAWINGS LIGHT VERTICAL}" not in done.output


@pytest.mark.parametrize(("group", "command"), [("published", "check"), ("probe", "new"), ("export", "crate")])
def test_a_group_of_one_command_is_still_a_group(group, command):
    done = plantain(group, command, "--help")
    assert done.code == 0, done.errors
    assert f"{group} {command} [OPTIONS]" in done.output


def test_the_version_is_that_of_the_package():
    assert plantain("version").output.strip() == __version__


def test_an_unknown_command_is_wrong_usage():
    done = plantain("shwo")
    assert done.code == 2
    assert "No such command" in done.errors


def test_wrong_input_is_one_sentence_with_exit_code_2(tmp_path):
    (tmp_path / "params.yaml").write_text("run: {probes: [a-b], models: []}\n")
    command = [sys.executable, "-m", "plantain.cli", "run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("plantain: params.yaml:")
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_one_sentence_with_exit_code_1(tmp_path):
    """The kernel refuses a file beyond a limit, as it does beyond the end of the disk."""
    program = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sys.argv = ["plantain", "probe", "new", "mine", "--from", "pairs.csv"]
from plantain.cli import main
main()
"""
    (tmp_path / "params.yaml").write_bytes((Path(__file__).parents[2] / "params.yaml").read_bytes())
    rows = [f"x{i},The lamp number {i} is lit tonight,The lamp number {i} is dark tonight" for i in range(200)]
    (tmp_path / "pairs.csv").write_text("\n".join(["id,a,b", *rows]))
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("plantain: ")
    assert "file too large. Fix: " in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["pairs.csv", "params.yaml"]
