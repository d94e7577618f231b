"""Trading as a user does it: real processes, real sockets, real signals; the exchange and its money are simulated."""

import base64
import gzip
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_peers import (
    ARMED,
    LOUD,
    QUICK,
    QUOTING,
    Run,
    Wallet,
    account,
    addresses,
    differences,
    facts_of,
    live,
    pack,
    running,
    trading,
    until,
    venue,
)
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import MarketOrderArgs
from py_clob_client_v2.exceptions import PolyApiException

from pmrun.runner import cli
from pmrun.runner.facts import FeedLost, FeedRestored
from pmrun.runner.replay import replay


@pytest.fixture(scope="session")
def exchange(tmp_path_factory):
    with venue(tmp_path_factory.mktemp("exchange")) as served:
        yield served


@pytest.fixture
def wallet() -> Wallet:
    return Wallet()


@pytest.fixture
def nowhere() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def refused(cwd, wallet, monkeypatch, capsys):
    """Run a command that does not start; return its exit code and its one line, once it left nothing behind."""
    monkeypatch.chdir(cwd)
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", wallet.key)

    def run(*arguments: str) -> tuple[int, str]:
        code = cli.run(list(arguments))
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1), err
        assert [path for path in cwd.rglob("*") if path.is_file()] == []
        return code, err

    return run


# Before anything is sent.


def test_a_run_that_is_not_armed_is_a_dry_run_and_nothing_leaves_this_machine(exchange, wallet, cwd):
    arguments = [*QUOTING, "exchange=live", *exchange.addresses, "feed.stop_after=2", "live.max_order_usd=50"]
    with running(Run(cwd, wallet, *arguments)) as run:
        said = run.said()
    assert said.code == 0, said.err
    summary = run.summary
    assert (summary["mode"], summary["paper"], summary["simulated"]) == ("dry run", True, True)
    assert summary["orders"]["placed"] > 0
    assert "dry run: no order left this machine" in said.out
    assert "simulated fills" in said.out
    assert not (run.directory / "exchange.jsonl.gz").exists()
    with pytest.raises(PolyApiException, match="Could not derive api key"):  # the exchange never heard of the wallet
        ClobClient(exchange.url, 137, key=wallet.key).derive_api_key()


@pytest.mark.parametrize("missing", ["max_order_usd", "max_resting_usd"])
def test_live_trading_without_caps_is_refused_before_anything_connects(missing, refused, nowhere):
    caps = [each for each in ARMED if missing not in each]
    code, line = refused(*QUOTING, "exchange=live", *addresses(nowhere), *caps)
    assert code == 2
    assert f"{missing} must be set before live trading is armed: live.{missing}=DOLLARS" in line


@pytest.mark.parametrize("how", [("exchange=live", *ARMED), ("exchange=paper", "feed=polymarket")])
def test_an_exchange_that_cannot_be_reached_is_one_line_and_leaves_no_run(how, refused, nowhere):
    code, line = refused(*QUOTING, *how, *addresses(nowhere))
    assert code == 3
    assert f"127.0.0.1:{nowhere}" in line


def test_a_wallet_without_its_key_is_one_line(exchange, refused, monkeypatch):
    monkeypatch.delenv("POLYMARKET_PRIVATE_KEY")
    code, line = refused(*QUOTING, "exchange=live", *exchange.addresses, *ARMED)
    assert code == 2
    assert line.startswith("pmrun: POLYMARKET_PRIVATE_KEY: is not set")


# Stopped in order.


def test_control_c_pulls_everything_and_the_exchange_agrees_that_nothing_rests(exchange, wallet, cwd):
    with trading(cwd, wallet, exchange, *LOUD) as run:
        said = run.ended_by(signal.SIGINT)
        assert wallet.resting(exchange) == {}
    assert said.code == 130, said.err
    assert "stopped by:      SIGINT; nothing rests\n" in said.out
    summary = run.summary
    assert (summary["mode"], summary["paper"], summary["simulated"]) == ("live", False, True)
    assert summary["may_rest"] == []
    assert summary["orders"]["placed"] > 1
    assert differences(run.directory, wallet, exchange) == {}
    assert replay(run.directory).journal_hash == summary["journal_hash"]
    assert "simulated market data" in (run.directory / "report.html").read_text()
    assert account(cwd, "SELECT clean FROM sessions") == [(1,)]
    api = wallet.client(exchange).creds  # the ones that the run derived
    found = [("stdout", said.out.encode()), ("stderr", said.err.encode()), *written(cwd)]
    assert secrets_in(found, wallet.key, api.api_secret, "0x" + api.api_passphrase) == []


def test_a_second_engine_on_the_same_wallet_is_refused_and_told_who_trades_it(exchange, wallet, tmp_path, refused):
    first = tmp_path / "first"
    with trading(first, wallet, exchange, *QUICK) as run:
        code, line = refused(*live(first, exchange))
        assert code == 2
        assert f"is traded by pid {run.pid} on " in line
        assert len(wallet.resting(exchange)) >= 2, "the first one goes on"
        assert run.ended_by(signal.SIGTERM).code == 143


# Ended at once.


def killed(run: Run) -> None:
    run.send(signal.SIGKILL)
    assert run.said().code == -signal.SIGKILL


def test_after_kill_nine_the_exchange_cancels_what_rested_by_itself(exchange, wallet, cwd):
    """Nobody says goodbye and nobody comes back: only the heartbeat that stays away does it (reference 3.6)."""
    with trading(cwd, wallet, exchange, *QUICK) as run:
        killed(run)
        assert wallet.resting(exchange) != {}
        until(lambda: wallet.resting(exchange) == {}, seconds=15 + 2)


def test_a_second_signal_ends_at_once_whatever_is_going_on(exchange, wallet, cwd):
    with trading(cwd, wallet, exchange, *QUICK) as run:
        exchange.freeze()
        try:
            run.send(signal.SIGTERM)
            time.sleep(0.5)
            assert run.running, "it waits for the answers to its cancels"
            began = time.monotonic()
            assert run.ended_by(signal.SIGTERM).code == 143
            assert time.monotonic() - began < 2
        finally:
            exchange.thaw()
        until(lambda: wallet.resting(exchange) == {}, seconds=15 + 2)


def test_after_kill_nine_the_next_start_clears_up_and_trades_on_and_stop_clears_up_and_ends(exchange, wallet, cwd):
    with trading(cwd, wallet, exchange, *QUICK) as run:
        killed(run)
    left = wallet.resting(exchange)
    assert left

    with trading(cwd, wallet, exchange, *QUICK, beside=left) as run:
        assert not wallet.resting(exchange).keys() & left.keys()
        killed(run)
    assert differences(run.directory, wallet, exchange) == {}
    left = wallet.resting(exchange)
    assert left

    needed = [each for each in live(cwd, exchange) if not each.startswith(("strategy=", "live.", "~"))]
    with running(Run(cwd, wallet, "stop", *needed)) as stop:  # neither strategy nor arming nor caps: it only cancels
        while stop.running:  # so that it is not the missing heartbeat that cancels
            wallet.beat(exchange)
            time.sleep(0.2)
        said = stop.said()
    assert said.code == 0, said.err
    assert "did not end cleanly" in said.err
    orders = stop.summary["orders"]
    assert orders["placed"] == 0
    assert 0 < orders["cancelled"] <= len(left)
    bids = "1 bid" if orders["cancelled"] == 1 else f"{orders['cancelled']} bids"
    assert f"{bids} of an earlier session cancelled; nothing was quoted" in said.out
    assert wallet.resting(exchange) == {}
    assert differences(stop.directory, wallet, exchange) == {}
    assert account(cwd, "SELECT clean FROM sessions") == [(0,), (0,), (1,)]
    ours = [order for (order,) in account(cwd, "SELECT exchange_order_id FROM orders")]
    assert left.keys() <= set(ours), "what rested was written down before it was sent"
    assert len(ours) == len(set(ours)), "no order was sent twice"


SLOW = """
    from functools import partialmethod
    from pmrun.plugins.exchanges.embedded.engine import Engine
    from pmrun.plugins.exchanges.embedded.terms import SettlementPace
    Engine.__init__ = partialmethod(Engine.__init__, pace=SettlementPace(confirmed_after=600_000_000))
"""
IMPATIENT = """
    from pmrun.plugins.exchanges.polymarket import account
    account.UNATTENDED = 0.5
"""


def test_bids_that_a_killed_run_left_do_not_wait_for_its_trades_to_settle(wallet, cwd, tmp_path):
    impatient = pack(tmp_path / "pack", IMPATIENT)
    with venue(tmp_path / "exchange", PYTHONPATH=pack(tmp_path / "slow", SLOW)) as exchange:
        with trading(cwd, wallet, exchange, *QUICK) as run:
            token = next(iter(wallet.resting(exchange).values()))["asset_id"]
            wallet.client(exchange).create_and_post_market_order(
                MarketOrderArgs(token_id=token, amount=5, side="BUY"), order_type="FAK"
            )
            killed(run)
        assert wallet.resting(exchange) != {}
        with running(Run(cwd, wallet, "stop", *live(cwd, exchange, *QUICK), PYTHONPATH=impatient)) as stop:
            until(lambda: wallet.beat(exchange) or wallet.resting(exchange) == {}, process=stop)
            said = stop.ended_by(signal.SIGTERM)
    assert said.code == 143
    assert "bids of an earlier session are cancelled before the start goes on" in said.err


# The exchange goes away.

HURRIED = """
    from pmrun.plugins.exchanges.polymarket import exchange
    from pmrun.runner import live
    exchange.VERIFIED_WITHIN, live.ANSWERS_WITHIN = 2.0, 1.0
"""


def test_an_exchange_that_comes_back_is_quoted_again_and_one_that_stays_away_makes_exit_code_four(
    wallet, cwd, tmp_path
):
    hurried = pack(tmp_path / "pack", HURRIED)
    with venue(tmp_path / "first") as first, trading(cwd, wallet, first, PYTHONPATH=hurried) as run:
        first.kill()
        with venue(tmp_path / "second", port=first.port) as second:
            assert wallet.resting(second) == {}  # a new one: it has to hear of the API key first
            until(lambda: len(wallet.resting(second)) >= 2, seconds=40, process=run)
            time.sleep(1)
            places = Counter((each["asset_id"], each["side"]) for each in wallet.resting(second).values())
            assert max(places.values()) == 1, "nothing is doubled"
        said = run.ended_by(signal.SIGTERM)
    assert said.code == 4, said.err
    assert "\nMAY REST:" in said.out
    assert "nothing rests" not in said.out
    assert run.summary["may_rest"] != []
    assert account(cwd, "SELECT clean FROM sessions") == [(0,)]
    told = [type(fact) for fact in facts_of(run.directory) if type(fact) in (FeedLost, FeedRestored)]
    assert told[-3:] == [FeedLost, FeedRestored, FeedLost]
    sent = [order for (order,) in account(cwd, "SELECT exchange_order_id FROM orders")]
    assert len(sent) == len(set(sent))
    assert replay(run.directory).journal_hash == run.summary["journal_hash"]


# A fault of our own.

CRASH = """
    import os
    from pmrun.runner.session import Session
    usual = Session.turn
    def turn(self):
        if os.path.exists("crash"):
            raise RuntimeError("the desk fell over its own feet")
        return usual(self)
    Session.turn = turn
"""


def crash(place: Path) -> None:
    (place / "crash").touch()


def test_a_run_that_crashes_leaves_nothing_resting(exchange, wallet, cwd, tmp_path):
    meddling = pack(tmp_path / "pack", CRASH)
    with trading(cwd, wallet, exchange, *QUICK, PYTHONPATH=meddling, TMPDIR=str(tmp_path)) as run:
        crash(cwd)
        said = run.said()
    assert wallet.resting(exchange) == {}
    assert said.code == 1
    last = said.err.splitlines()[-1]
    assert last.startswith("pmrun: internal error: RuntimeError: the desk fell over its own feet; details in ")


# Secrets (P6).

# What the exchange says of a call or a frame once it is told to: all that it was sent, and the secret of the key.
ECHO = """
    import json, os
    from pmrun.plugins.exchanges.embedded import channels, host
    from pmrun.plugins.exchanges.embedded.terms import Reply
    answer, receive = host.Host.answer, channels.UserConnection.receive
    known, times = {}, []

    def shown(said):
        return json.dumps({"event_type": "order", **known, **said}).encode()

    def echo(self, request):
        reply = answer(self, request)
        if request.path.endswith("-key") and reply.status == 200:
            known.update(json.loads(reply.body))
        if not os.path.exists("echo"):
            return reply
        self.disconnect("user")
        said = shown({**request.headers, "error": f"no: {known} {request.headers} {request.body!r}"})
        status, headers = 400 if request.method == "POST" else 500, {"content-type": "application/json"}
        return Reply(status=status, body=said, headers=headers)

    def echoed(self, text):
        if not os.path.exists("echo") or text == "PING":
            return receive(self, text)
        times.append(text)
        if len(times) % 2:  # by turns: a reason that repeats the secret, and frames that do
            self._send("PONG")
            return self.shut(1008, text[-120:])
        self.deliver(text)
        self.deliver(shown(json.loads(text)).decode())

    host.Host.answer, channels.UserConnection.receive = echo, echoed
"""


def shapes(secret: str) -> list[bytes]:
    """A secret as it may be written."""
    text = secret.removeprefix("0x")
    found = {text, text.upper(), text.rstrip("=")}
    raw = bytes.fromhex(text) if secret.startswith("0x") else base64.urlsafe_b64decode(text + "==")
    found |= {raw.hex(), str(int.from_bytes(raw)), repr(raw)[2:-1], base64.b64encode(raw).decode()}
    return [each.encode() for each in found] + [raw]


def written(*places: Path) -> Iterator[tuple[str, bytes]]:
    """Everything in the files below some places, unpacked."""
    for place in places:
        for path in place.rglob("*"):
            if path.is_file():
                raw = path.read_bytes()
                yield path.name, gzip.decompress(raw) if path.suffix == ".gz" else raw


def secrets_in(found: list[tuple[str, bytes]], *secrets: str) -> list[str]:
    """Where a secret is found, in any shape."""
    return [name for secret in secrets for shape in shapes(secret) for name, text in found if shape in text]


@pytest.mark.parametrize("passphrase", ["canary\nwith a line break", "canary-mit-Umlaut-ä"])
def test_a_passphrase_that_cannot_be_sent_is_not_shown_in_the_refusal(
    passphrase, exchange, wallet, refused, monkeypatch
):
    api = wallet.client(exchange).creds
    monkeypatch.setenv("POLYMARKET_API_KEY", api.api_key)
    monkeypatch.setenv("POLYMARKET_API_SECRET", api.api_secret)
    monkeypatch.setenv("POLYMARKET_API_PASSPHRASE", passphrase)
    code, line = refused(*QUOTING, "exchange=live", *exchange.addresses, *ARMED)
    assert code == 2
    assert line.startswith("pmrun: POLYMARKET_API_PASSPHRASE: holds a space, a line break or a character outside ASCII")
    assert "canary" not in line


def test_a_run_that_crashes_where_nobody_can_say_what_rests_says_so_and_shows_no_secret(wallet, cwd, tmp_path):
    """An exchange that repeats in all its answers what it was sent, and a crash on top of it."""
    place, temporary, meddling = tmp_path / "exchange", tmp_path / "temporary", pack(tmp_path / "pack", CRASH + HURRIED)
    temporary.mkdir()
    with venue(place, PYTHONPATH=pack(tmp_path / "echo", ECHO)) as exchange:
        api = wallet.client(exchange).creds
        environment = {
            "POLYMARKET_API_KEY": api.api_key,
            "POLYMARKET_API_SECRET": api.api_secret,
            "POLYMARKET_API_PASSPHRASE": api.api_passphrase,
            "PYTHONPATH": meddling,
            "TMPDIR": str(temporary),
        }
        with trading(cwd, wallet, exchange, *LOUD, **environment) as run:
            titles = Path(f"/proc/{run.pid}/cmdline").read_bytes() + Path(f"/proc/{run.pid}/comm").read_bytes()
            (place / "echo").touch()
            time.sleep(3)
            crash(cwd)
            said = run.said()
    assert said.code == 4, said.err
    assert "RuntimeError: the desk fell over its own feet; MAY REST: " in said.err.splitlines()[-1]
    assert "user socket: <secret>" in said.err
    found = [("stdout", said.out.encode()), ("stderr", said.err.encode()), ("titles", titles)]
    found += written(cwd, temporary)
    assert {"exchange.jsonl.gz", "journal.jsonl", "run.sqlite", "config.yaml"} <= {name for name, _ in found}
    assert b"in turn" in dict(found)["orders.log"]
    assert b"no: " in dict(found)["exchange.jsonl.gz"], "the exchange did repeat"
    assert secrets_in(found, wallet.key, api.api_secret, "0x" + api.api_passphrase) == []
