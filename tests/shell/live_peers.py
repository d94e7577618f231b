"""A simulated exchange in a process of its own, runs that trade there, and what its REST says to the same wallet."""

import json
import os
import secrets
import signal
import sqlite3
import subprocess
import textwrap
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from commands import COMMAND, Said, runs
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import BalanceAllowanceParams
from py_clob_client_v2.exceptions import PolyApiException

from pmrun.runner.assembly import plan
from pmrun.runner.book import Book
from pmrun.runner.desk import Desk
from pmrun.runner.facts import Fact, each
from pmrun.runner.journal import End, Header, as_fact, read_journal
from pmrun.runner.market import Outcome
from pmrun.runner.runs import read_yaml

CHAIN = 137
LIVELY = ("--speed", "20", "--loop", "feed.markets=6", "feed.length=3600")
ARMED = ("live.armed=true", "live.max_order_usd=1000", "live.max_resting_usd=10000")
LOUD = ("log.console=TRACE", "log.file=TRACE")
QUICK = ("store=none", "report=none")
QUOTING = ("strategy=reward_mm", "~risk.volatility")  # at once; the check wants two minutes of prices first


def until(there: Callable[[], Any], seconds: float = 30, process: "Run | None" = None) -> Any:
    """Wait for something, and return it; fail when it does not come, or the run ends before."""
    last = time.monotonic() + seconds
    while not (found := there()):
        assert process is None or process.running, process and process.said()
        assert time.monotonic() < last, "waited too long"
        time.sleep(0.05)
    return found


class Venue:
    """A running `pmrun exchange`."""

    def __init__(self, place: Path, *arguments: str, port: int = 0, **environment: str) -> None:
        self._process = subprocess.Popen(
            [COMMAND, "exchange", "--json", "--bind", f"127.0.0.1:{port}", *(arguments or LIVELY)],
            cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, **environment},
        )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._process.communicate()
        self.url = str(json.loads(line)["clob"])
        self.port = int(self.url.rpartition(":")[2])

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where a run finds it."""
        return addresses(self.port)

    def freeze(self) -> None:
        """Let it answer nothing until it thaws."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a word, unless it has ended."""
        self._process.kill()
        if self._process.stdout is not None and not self._process.stdout.closed:
            self._process.communicate()

    def stop(self) -> dict[str, Any]:
        """Stop it in order; return what it counted."""
        self._process.terminate()
        out, err = self._process.communicate(timeout=20)
        assert err == "", err
        return dict(json.loads(out))


def addresses(port: int) -> tuple[str, ...]:
    """The overrides that lead a run to a port of this machine."""
    services = [f"feed.{name}_url=http://127.0.0.1:{port}" for name in ("clob", "gamma", "data", "geoblock")]
    return (*services, f"feed.socket_url=ws://127.0.0.1:{port}")


@contextmanager
def venue(place: Path, *arguments: str, port: int = 0, **environment: str) -> Iterator[Venue]:
    """Serve an exchange for a while."""
    place.mkdir(parents=True, exist_ok=True)
    served = Venue(place, *arguments, port=port, **environment)
    try:
        yield served
    finally:
        served.kill()


class Wallet:
    """A wallet, asked about by the exchange's own client."""

    def __init__(self) -> None:
        self.key = "0x" + secrets.token_hex(31) + "01"
        self._clients: dict[Venue, ClobClient] = {}

    def client(self, at: Venue) -> ClobClient:
        """The client, with the API key that pmrun derives, too."""
        if at not in self._clients:
            client = self._clients[at] = ClobClient(at.url, CHAIN, key=self.key)
            client.set_api_creds(client.create_or_derive_api_key())
        return self._clients[at]

    def resting(self, at: Venue) -> dict[str, dict[str, Any]]:
        """What rests, by order id."""
        return {order["id"]: order for order in self.client(at).get_open_orders()}

    def beat(self, at: Venue) -> None:
        """Send a heartbeat in the place of whoever sent the last one."""
        try:
            self.client(at).post_heartbeat("")
        except PolyApiException as refused:
            self.client(at).post_heartbeat(refused.error_msg["heartbeat_id"])

    def cash(self, at: Venue) -> int:
        """Its dollars, in base units."""
        return int(self.client(at).get_balance_allowance(BalanceAllowanceParams(asset_type="COLLATERAL"))["balance"])

    def held(self, at: Venue, token: str) -> int:
        """Its shares of a token, in base units."""
        wanted = BalanceAllowanceParams(asset_type="CONDITIONAL", token_id=token)
        return int(self.client(at).get_balance_allowance(wanted)["balance"])


class Run:
    """A `pmrun` that trades with a wallet."""

    def __init__(self, place: Path, wallet: Wallet, *arguments: str, **environment: str) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.place = place
        self.before = set(runs(place))
        self._said: Said | None = None
        self._process = subprocess.Popen(
            [COMMAND, *arguments], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, env={**os.environ, "POLYMARKET_PRIVATE_KEY": wallet.key, **environment},
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def said(self, seconds: float = 60) -> Said:
        """Wait for its end; return what it left behind."""
        if self._said is None:
            out, err = self._process.communicate(timeout=seconds)
            self._said = Said(self._process.returncode, out, err)
        return self._said

    def ended_by(self, number: signal.Signals, seconds: float = 60) -> Said:
        """End it by a signal."""
        self.send(number)
        return self.said(seconds)

    @property
    def directory(self) -> Path:
        """Where it writes."""
        (found,) = set(runs(self.place)) - self.before
        return found

    @property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads((self.directory / "summary.json").read_text()))


@contextmanager
def running(run: Run) -> Iterator[Run]:
    """Let a run go on for a while, and no longer."""
    try:
        yield run
    finally:
        if run.running:
            run.send(signal.SIGKILL)
        run.said()


def live(place: Path, at: Venue, *more: str) -> tuple[str, ...]:
    """The arguments of a run that trades."""
    return (*QUOTING, "exchange=live", *at.addresses, *ARMED, f"executor.account_folder={place / 'state'}", *more)


@contextmanager
def trading(
    place: Path, wallet: Wallet, at: Venue, *more: str, beside: Collection[str] = (), **environment: str
) -> Iterator[Run]:
    """Trade; it has quotes that rest when this returns, beside orders that rested before."""
    with running(Run(place, wallet, *live(place, at, *more), **environment)) as run:
        until(lambda: len(wallet.resting(at).keys() - set(beside)) >= 2, process=run)
        yield run


def facts_of(run: Path) -> list[Fact]:
    """Every fact of a run, one by one."""
    return [fact for together in _entries(run) for fact in each(together)]


def _entries(run: Path) -> Iterator[Fact]:
    for line in read_journal(run):
        first = line.entries[0]
        if not isinstance(first, (Header, End)):
            yield as_fact(first, lambda entry: Book())


def desk_of(run: Path) -> Desk:
    """The desk as it was at the end of a run."""
    desk = plan(read_yaml(run, "config.yaml")).desk("again")
    for fact in _entries(run):
        desk.handle(fact)
    return desk


def differences(run: Path, wallet: Wallet, at: Venue) -> dict[str, tuple[int, int]]:
    """Where what a run says it has, and what the exchange says, are not the same to the last base unit."""
    desk = desk_of(run)
    pairs = {"cash": (int(desk.account.funds.total), wallet.cash(at))}
    for state in desk.markets.values():
        for outcome in Outcome:
            token = state.terms.token(outcome)
            pairs[token] = (int(state.inventory.of(outcome).held), wallet.held(at, token))
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def account(place: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask the account's file."""
    (path,) = (place / "state").rglob("*.sqlite")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def pack(place: Path, code: str) -> str:
    """Install a pack that runs some code when pmrun loads it; return the PYTHONPATH that finds it."""
    info = place / "meddling-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: meddling\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pmrun]\nmeddling = meddling\n")
    (place / "meddling.py").write_text(textwrap.dedent(code))
    return str(place)
