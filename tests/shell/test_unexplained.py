"""A unit that no part of the PnL explains ends a run loudly (issue 5: an unexplained unit is an error)."""

import json
from pathlib import Path

import pytest

from pmrun.runner.assembly import plan
from pmrun.runner.compiled import compiled
from pmrun.runner.compose import compose_config
from pmrun.runner.inventory import Account
from pmrun.runner.progress import rows_of
from pmrun.runner.run import run_plan

RUN = ["strategy=reward_mm", "exchange=paper", "tape=btc_15m", "~filters.expiry", "log.console=OFF", "report=none"]


@pytest.mark.skipif(compiled(), reason="a compiled account cannot be broken from outside")
@pytest.mark.parametrize("lost", [0, 1])
def test_one_base_unit_that_the_account_loses_ends_the_run_with_exit_code_1(tmp_path: Path, monkeypatch, lost):
    book = Account.book

    def broken(self, fill):
        book(self, fill)
        self.funds.total -= lost if len(self.fills) == 1 else 0

    monkeypatch.setattr(Account, "book", broken)
    outcome = run_plan(plan(compose_config(RUN)), tmp_path / "run", RUN, show=False)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["fills"]["count"] > 0
    assert outcome.exit_code == lost
    assert summary["pnl_usd"]["closes"] is (not lost)
    assert len(summary["pnl_usd"]["complaints"]) == lost
    assert len([text for name, text in rows_of(summary) if name == "UNEXPLAINED"]) == lost
    said = "\n".join(path.read_text(encoding="utf-8") for path in (tmp_path / "run").rglob("*.log"))
    assert ("the PnL does not close" in said) is bool(lost)
