import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from plantain.base.errors import CheckFailed
from plantain.commands import selftest as command
from plantain.stats.simulated.scenarios import NOMINAL, SCENARIOS
from plantain.stats.simulated.selftest import judge, run_selftest


def command_app():
    app = typer.Typer()
    app.command()(command.selftest)
    return app


def test_the_command_prints_json_and_a_table(monkeypatch):
    monkeypatch.setattr(command, "run_selftest", lambda **options: run_selftest(share=0.0, scenarios=SCENARIOS[5:6]))
    answer = CliRunner().invoke(command_app(), ["--json"])
    assert answer.exit_code == 0
    assert {row["check"] for row in json.loads(answer.stdout)} == set(SCENARIOS[5].rules)
    assert "skewed" in CliRunner().invoke(command_app(), []).stdout


def test_the_command_fails_where_a_rate_misses(monkeypatch):
    wrong = judge("noise", "found", NOMINAL, np.ones(3_000))
    monkeypatch.setattr(command, "run_selftest", lambda **options: (wrong,))
    with pytest.raises(CheckFailed, match="1 rates miss their rule: noise, found"):
        command.selftest(json=True)
