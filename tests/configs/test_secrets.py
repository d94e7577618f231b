"""A secret comes from the environment, reaches the component, and is never written down."""

import json
from pathlib import Path

import pytest
import yaml

from pmrun.runner.assembly import plan
from pmrun.runner.compose import compose_config
from pmrun.runner.errors import ConfigError
from pmrun.runner.run import run_plan

CANARY = "canary-7f3a"
BASE = ["strategy=reward_mm", "feed=tape", "store=none", "report=none", "log.console=OFF"]


@pytest.fixture
def tape(tmp_path):
    """A shipped tape under a name that only the environment knows."""
    import pmrun.strategies

    shipped = Path(pmrun.strategies.__file__).parent / "tapes" / "btc_15m"
    link = tmp_path / CANARY
    link.symlink_to(shipped, target_is_directory=True)
    return link


def test_a_variable_of_the_environment_reaches_the_component_and_not_the_configuration(monkeypatch, tape):
    monkeypatch.setenv("PMRUN_TAPE", str(tape))
    config = compose_config([*BASE, "feed.path=${oc.env:PMRUN_TAPE}", "thesis=${feed.path}"])
    assert config["feed"]["path"] == config["thesis"] == "${oc.env:PMRUN_TAPE}"
    assert plan(config).feed.path == str(tape)


def test_a_number_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("PMRUN_LIMIT", "0.02")
    monkeypatch.setenv("PMRUN_WINDOW", "12")
    config = compose_config([*BASE, "risk.cliff.price_cliff_threshold=${oc.env:PMRUN_LIMIT}",
                             "risk.volatility.window=${oc.env:PMRUN_WINDOW}"])  # fmt: skip
    components = plan(config).components
    assert (components["risk.cliff"].price_cliff_threshold, components["risk.volatility"].window) == (200, 12)


def test_no_file_of_a_run_holds_what_the_environment_said(monkeypatch, tape, tmp_path):
    monkeypatch.setenv("PMRUN_THESIS", CANARY)
    overrides = ["store=sqlite", "report=html", "log.file=TRACE", "+filters@filters.mine=accepting",
                 "thesis=${oc.env:PMRUN_THESIS}", "executor.funds=${oc.env:PMRUN_FUNDS,750}"]  # fmt: skip
    made = plan(compose_config([*BASE, *overrides]))
    assert made.executor.funds == 750_000_000
    directory = tmp_path / "run"
    run_plan(made, directory, overrides, show=False)
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {"config.yaml", "journal.jsonl", "manifest.json", "summary.json", "run.sqlite", "report.html"} <= {
        path.name for path in files
    }
    assert [path.name for path in files if CANARY.encode() in path.read_bytes()] == []
    saved = yaml.safe_load((directory / "config.yaml").read_text(encoding="utf-8"))
    assert saved["thesis"] == "${oc.env:PMRUN_THESIS}"
    assert json.loads((directory / "summary.json").read_text(encoding="utf-8"))["complete"]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("executor.funds", "what it holds must be a number of dollars"),
        ("risk.volatility.window", "what it holds must be a whole number"),
        ("fill.cancels", "what it holds must be one of ahead, shared, behind"),
    ],
)
def test_a_complaint_about_a_secret_does_not_tell_it(monkeypatch, setting, told):
    monkeypatch.setenv("PMRUN_SECRET", CANARY)
    with pytest.raises(ConfigError) as error:
        plan(compose_config([*BASE, f"{setting}=${{oc.env:PMRUN_SECRET}}"]))
    assert str(error.value) == f"{setting}=${{oc.env:PMRUN_SECRET}}: {told}"


def test_a_component_that_refuses_a_secret_is_shown_as_it_was_written(monkeypatch):
    monkeypatch.setenv("PMRUN_SECRET", "-31337")
    with pytest.raises(ConfigError) as error:
        plan(compose_config([*BASE, "executor.funds=${oc.env:PMRUN_SECRET}"]))
    assert "31337" not in str(error.value)
    assert str(error.value).startswith("executor.funds=${oc.env:PMRUN_SECRET}: funds must be above 0")
