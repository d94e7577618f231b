"""`pmrun record`: record market data as a tape, until the time is up or a signal comes."""

import argparse
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NoReturn

import msgspec
import trio

from pmrun.runner.errors import ConfigError
from pmrun.runner.stopping import Stop

if TYPE_CHECKING:
    from pmrun.plugins.exchanges.common.network import Network
    from pmrun.plugins.exchanges.polymarket.recorder import Recording
    from pmrun.plugins.feeds.live import Polymarket

_LONGEST = 366 * 86_400.0  # seconds


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError("record", None, message)


def main(arguments: list[str]) -> int:
    """Record; return 0, or 128 and the signal that ended it. Either way the tape is whole."""
    parser = _Parser("pmrun record", description="Record market data as a tape: every frame as it was sent.")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as for a run, such as feed.top=20")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="the tape: a new folder")
    parser.add_argument("--seconds", type=float, metavar="N", help="how long (default: until Ctrl-C)")
    parser.add_argument("--json", action="store_true", help="print record.json at the end")
    given = parser.parse_intermixed_args(arguments)
    if given.seconds is not None and not 0 < given.seconds <= _LONGEST:
        raise ConfigError("record --seconds", given.seconds, f"must be above 0 and at most {_LONGEST:,.0f}")
    feed, stop = _feed(given.overrides), Stop()
    try:
        made = trio.run(_record, feed, given.to, given.seconds, stop)
    except BaseExceptionGroup as group:
        raise _first(group) from None
    if given.json:
        print(msgspec.json.format(msgspec.json.encode(made)).decode())
    else:
        gaps = f"{made.gaps} gaps, {made.gap_seconds:.1f} s in all" if made.gaps else "no gap"
        print(f"{given.to}: {made.frames:,} frames of {made.markets} markets in {made.seconds:.1f} s, {gaps}")
    return 0 if stop.signal is None else 128 + stop.signal


def _first(error: BaseException) -> BaseException:
    """Return what went wrong, out of the nurseries it went through."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _record(feed: "Polymarket", folder: Path, seconds: float | None, stop: Stop) -> "Recording":
    """Find the markets and record them; a signal before that ends the program."""
    from pmrun.plugins.exchanges.common.network import real_network

    with stop.listening():
        with stop.ends_the_wait():
            async with trio.open_nursery() as nursery, real_network(nursery) as network:
                made = await record_feed(feed, network, folder, seconds, stop)
                nursery.cancel_scope.cancel()
            return made
        raise stop.left()


async def record_feed(
    feed: "Polymarket", network: "Network", folder: Path, seconds: float | None, stop: Stop
) -> "Recording":
    """Record what a feed would show, over a network; raises DataError, ExchangeError or ConfigError."""
    from pmrun.plugins.exchanges.polymarket.budget import Budget
    from pmrun.plugins.exchanges.polymarket.catalogue import find
    from pmrun.plugins.exchanges.polymarket.recorder import record
    from pmrun.plugins.exchanges.polymarket.rest import Rest
    from pmrun.plugins.exchanges.polymarket.transport import Urls
    from pmrun.plugins.exchanges.polymarket.watch import Patience
    from pmrun.runner.live import clock

    now = clock()
    urls = Urls(clob=feed.clob_url.rstrip("/"), gamma=feed.gamma_url.rstrip("/"))
    rest = Rest(network.http, urls, None, None, Budget(now), now)
    found = await find(rest, feed.choice(), now())
    left_out = ", ".join(f"{count} {why}" for why, count in sorted(found.left_out.items()))
    said = f"recording {len(found.markets)} markets to {folder}" + (f"; left out: {left_out}" if left_out else "")
    print(said, file=sys.stderr, flush=True)
    enough = trio.Event()
    stop.begin(enough.set)
    return await record(
        network.connect,
        rest,
        found.markets,
        found.rows,
        folder,
        seconds,
        now,
        url=f"{feed.socket_url}/ws/market",
        rng=Random(),
        patience=Patience(quiet_after=feed.quiet_after, longest_wait=max(60.0, feed.quiet_after)),
        assets_per_socket=feed.assets_per_socket,
        enough=enough,
    )


def _feed(overrides: list[str]) -> "Polymarket":
    """Build the feed as a run of the same overrides would."""
    from pmrun.plugins.feeds.live import Polymarket
    from pmrun.runner.assembly import plan
    from pmrun.runner.compose import compose_config

    _refuse_another_exchange(overrides)
    strategy = [] if any(given.startswith("strategy=") for given in overrides) else ["strategy=reward_mm"]
    feed = plan(compose_config([*strategy, "feed=polymarket", *overrides])).feed
    if not isinstance(feed, Polymarket):
        raise ConfigError("feed", type(feed).__name__, "only a live feed can be recorded: feed=polymarket")
    return feed


def _refuse_another_exchange(overrides: list[str]) -> None:
    """Say in one line that a tape holds the frames of one exchange; raises ConfigError."""
    if not any(given.startswith(("feed=", "exchange=")) for given in overrides):
        return
    from pmrun.plugins.feeds.live import Polymarket
    from pmrun.runner.compose import compose_config
    from pmrun.runner.packs import component_class

    strategy = [] if any(given.startswith("strategy=") for given in overrides) else ["strategy=level_mm"]
    node = compose_config([*strategy, *overrides])["feed"]
    kind = component_class(node["_target_"], "feed")
    if hasattr(kind, "connect") and kind is not Polymarket:
        title = getattr(kind, "title", node["_target_"])
        raise ConfigError("feed", title, "cannot be recorded: a tape holds the frames of Polymarket; feed=polymarket")
