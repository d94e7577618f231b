"""Paper on live data, in processes of its own: what a feed tells as it happens, filled as a tape would be."""

import json
import signal
import subprocess

import pytest
from commands import COMMAND
from live_peers import (
    QUOTING,
    Run,
    Venue,
    Wallet,
    differences,
    facts_of,
    running,
    trading,
    until,
    venue,
)
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.exceptions import PolyApiException

from pmrun.runner.facts import Filled
from pmrun.runner.replay import replay

BUSY = ("--speed", "200", "--loop", "feed.markets=6")


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    with venue(tmp_path_factory.mktemp("busy"), *BUSY) as served:
        yield served


def paper(exchange: Venue) -> tuple[str, ...]:
    return (*QUOTING, "exchange=paper", "feed=polymarket", *exchange.addresses)


def fills_of(run: Run) -> int:
    """How many fills its journal holds by now."""
    found = list(run.place.rglob("journal.jsonl"))
    return found[0].read_text().count('"k":"fill"') if found else 0


@pytest.fixture(scope="module")
def ended(exchange, tmp_path_factory):
    """A paper run that was filled and then stopped by Ctrl-C, and what it said."""
    wallet = Wallet()
    with running(Run(tmp_path_factory.mktemp("paper"), wallet, *paper(exchange))) as run:
        until(lambda: fills_of(run), seconds=40, process=run)
        said = run.ended_by(signal.SIGINT)
    return run, said, wallet


def test_paper_quotes_and_is_filled_on_live_data_until_control_c(ended):
    run, said, _ = ended
    assert said.code == 130, said.err
    assert "reward_mm on paper (simulated market, simulated fills)" in said.out
    assert "stopped by:      SIGINT; nothing rests\n" in said.out
    summary = run.summary
    assert (summary["mode"], summary["paper"], summary["simulated"]) == ("paper", True, True)
    assert summary["orders"]["placed"] > 1
    assert summary["fills"]["count"] == sum(type(fact) is Filled for fact in facts_of(run.directory)) > 0
    report = (run.directory / "report.html").read_text()
    assert "simulated market data" in report
    assert "simulated fills" in report


def test_paper_needs_no_wallet_and_the_exchange_hears_of_none(ended, exchange):
    run, _, wallet = ended
    assert not (run.directory / "exchange.jsonl.gz").exists()
    with pytest.raises(PolyApiException, match="Could not derive api key"):
        ClobClient(exchange.url, 137, key=wallet.key).derive_api_key()


def test_a_paper_run_on_live_data_replays_byte_for_byte(ended):
    run, _, _ = ended
    said = subprocess.run(
        [COMMAND, "replay", str(run.directory), "--verify"], capture_output=True, text=True, timeout=60, check=False
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(f"verified: {run.summary['facts']:,} facts give the same ")


def test_a_live_run_and_a_paper_run_on_the_same_exchange_can_be_compared(ended, exchange, cwd):
    paper_run, _, _ = ended
    wallet = Wallet()
    with trading(cwd, wallet, exchange) as live_run:
        assert live_run.ended_by(signal.SIGINT).code == 130
    assert differences(live_run.directory, wallet, exchange) == {}
    assert replay(live_run.directory).journal_hash == live_run.summary["journal_hash"]
    said = subprocess.run(
        [COMMAND, "compare", "--json", str(paper_run.directory), str(live_run.directory)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    (mode,) = (each for each in json.loads(said.stdout)["results"] if each["key"] == "mode")
    assert list(mode["values"].values()) == ["paper", "live"]
