"""Builds the embedded exchange that `pmrun exchange` serves, and says where it is and what happened in it."""

import argparse
import json
import signal
import time
from collections.abc import Callable
from functools import partial

import trio

from pmrun.plugins.exchanges.embedded.billing import FEED, SIMULATED, WALL
from pmrun.plugins.exchanges.embedded.crowd import Crowd
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.embedded.protocols import Speaks, addresses, lot_of, open_host
from pmrun.plugins.exchanges.embedded.server import Server, serve
from pmrun.plugins.exchanges.embedded.terms import Event, OrderMoved, TradeMoved
from pmrun.plugins.exchanges.embedded.timeline import Rounds, endless, moved
from pmrun.runner.assembly import Plan, plan
from pmrun.runner.compose import compose_config
from pmrun.runner.orders import Settlement
from pmrun.runner.ports import FeedData
from pmrun.runner.run import open_feed
from pmrun.runner.units import Micros, Size, format_cash

NAMES = {
    "clob": "CLOB",
    "gamma": "Gamma",
    "data": "Data API",
    "ws_market": "market socket",
    "ws_user": "user socket",
    "geoblock": "geoblock",
    "satori": "SatoriEx",
    "satori_socket": "its socket",
}


def run(given: argparse.Namespace) -> int:
    """Serve the exchange that was asked for until a signal stops it; return the exit code."""
    made = _plan(given.overrides)
    faults = None if given.faults is None else Faults.load(given.faults, made.seed)
    stage = _Stage(open_feed(made.feed), given, faults, made.seed)
    try:
        trio.run(_serve, stage, given)
    except ExceptionGroup as group:
        raise _first(group) from None
    stage.close(given.json)
    return 0


def _first(error: Exception) -> Exception:
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def _plan(overrides: list[str]) -> Plan:
    """Compose what a run with these overrides would be, for its feed; raises ConfigError."""
    chosen = any(each.startswith("strategy=") for each in overrides)
    return plan(compose_config(overrides if chosen else [*overrides, "strategy=reward_mm"]))


def _wall() -> Micros:
    return Micros(time.time_ns() // 1_000)


def _time_of_feed(first: Micros, speed: float) -> Callable[[], Micros]:
    """Return a clock that stands at the feed's first row now, and runs at a speed."""
    begin = time.monotonic_ns()
    return lambda: Micros(first + round((time.monotonic_ns() - begin) // 1_000 * speed))


class _CountingEngine(Engine):
    """An engine that counts what it tells."""

    def __init__(self, data: FeedData, seed: int, lot: Size) -> None:
        super().__init__(data.markets, seed=seed, lot=lot)
        self.placed = self.traded = 0

    def drain(self) -> list[Event]:
        events = super().drain()
        self.placed += sum(isinstance(event, OrderMoved) and event.kind == "PLACEMENT" for event in events)
        self.traded += sum(
            isinstance(event, TradeMoved) and event.trade.status is Settlement.MATCHED for event in events
        )
        return events


class _Stage:
    """The exchange that is served, and what is said of it at the start and at the end."""

    def __init__(self, data: FeedData, given: argparse.Namespace, faults: Faults | None, seed: int) -> None:
        """Build it; a feed on the wall clock is moved to where its first row is now."""
        data = endless(data) if given.loop else data
        self.pace = given.speed if given.clock == FEED else 1.0
        if given.clock == WALL:
            data, now = moved(data, _wall(), given.speed), _wall
        else:
            now = _time_of_feed(data.info.first_at, given.speed)
        self.info = data.info
        self.markets = len(data.markets)
        self.speaks = Speaks(given.protocol)
        self.engine = _CountingEngine(data, seed, lot_of(self.speaks))
        crowd = Rounds(self.engine, data) if given.loop else Crowd(self.engine, data)
        self.opened = open_host(self.speaks, self.engine, crowd, now, faults, given.funds, seed)
        self.host = self.opened.host

    def open(self, server: Server, given: argparse.Namespace) -> None:
        """Say where it is."""
        urls, accounts = addresses(self.speaks, server.urls), self.opened.credentials()
        if given.json:
            about = {"simulated": True, "feed": self.info.name, "source": self.info.source, "markets": self.markets}
            if accounts:
                about["accounts"] = accounts
            print(json.dumps({**about, **urls}), flush=True)
            return
        print(SIMULATED)
        print(f"{'markets':<14} {self.markets}, {self.info.name}, {self.info.source}")
        print(f"{'funds':<14} ${format_cash(given.funds)} for each new account")
        for name, url in urls.items():
            print(f"{NAMES[name]:<14} {url}")
        for account in accounts:
            print(f"{'account':<14} {account['email']} {account['password']} (simulated)")
            print(f"{'its token':<14} {account['personal_access_token']}")
        print("Ctrl-C stops it", flush=True)

    def close(self, as_json: bool) -> None:
        """Say what happened; raises Unbalanced when money was made or lost."""
        self.host.pump()
        self.engine.ledger.check()
        fired = dict(sorted(self.host.fired.items()))
        if as_json:
            counts = {"orders": self.engine.placed, "trades": self.engine.traded}
            print(json.dumps({"simulated": True, **counts, "fired": fired, "ledger_sum": 0}), flush=True)
            return
        faults = ", ".join(f"{name} {times}" for name, times in fired.items()) or "none"
        said = f"{self.engine.placed:,} orders, {self.engine.traded:,} trades, faults and quirks fired: {faults}"
        print(f"stopped: {said}; the ledger sums to zero (simulated)")


async def _serve(stage: _Stage, given: argparse.Namespace) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(partial(serve, stage.host, given.bind, pace=stage.pace))
            stage.open(server, given)
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break
