"""Records market data as a tape: every frame as it was sent, and every time in which frames may be missing."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol

import msgspec
import trio

from pmrun import __version__
from pmrun.plugins.exchanges.common.local_books import LocalBooks
from pmrun.plugins.exchanges.common.market_news import BookSeen, Parsed
from pmrun.plugins.exchanges.common.sockets import Connect
from pmrun.plugins.exchanges.polymarket.streams import (
    ASSETS_PER_SOCKET,
    PACE,
    MarketListener,
    MarketStreams,
    groups_of,
)
from pmrun.plugins.exchanges.polymarket.tape_writer import TapeWriter
from pmrun.plugins.exchanges.polymarket.watch import Patience, Watchdog
from pmrun.runner.errors import ConfigError
from pmrun.runner.market import Market, MarketNo, TokenId
from pmrun.runner.units import SECOND, Micros

FLUSH_EVERY = 1.0  # seconds: what a kill may cost
_SHOWN = 2_000  # characters of a frame that broke the protocol


class Books(Protocol):
    """What the recorder asks of REST."""

    async def books(self, tokens: Sequence[TokenId]) -> Sequence[BookSeen]:
        """Return whole books (`POST /books`)."""


class Recording(msgspec.Struct, kw_only=True):
    """What a recording holds: `record.json`. `ended` stays empty when it was killed."""

    url: str
    started: str
    ended: str | None = None
    seconds: float = 0.0
    markets: int = 0
    frames: int = 0
    bytes: int = 0
    gaps: int = 0
    gap_seconds: float = 0.0
    violations: int = 0
    unknown: dict[str, int] = {}
    books: dict[str, int] = {}  # how far they add up: hashes right and wrong, suspect and missing books
    probes: dict[str, int] = {}
    shards: dict[str, list[str]] = {}
    pmrun: str = __version__


class _Taker(MarketListener):
    """Writes what the streams tell."""

    def __init__(self, writer: TapeWriter, markets: Sequence[Market], now: Callable[[], Micros]) -> None:
        self.books = LocalBooks(markets)
        self.counts = {"frames": 0, "gaps": 0, "violations": 0}
        self.gone = Micros(0)  # time without a shard, summed over shards
        self.streams: MarketStreams | None = None
        self._writer = writer
        self._markets = markets
        self._now = now
        self._open: dict[int, tuple[Micros, str]] = {}  # gaps that have not ended, and why
        self._heard: dict[int, Micros] = {}  # the last frame of each shard

    def on_frame(self, shard: int, raw: str, at: Micros) -> None:
        self._writer.frame(raw, at)
        self._heard[shard] = at
        self.counts["frames"] += 1

    def on_news(self, shard: int, parsed: Parsed, at: Micros) -> None:
        self.books.take(parsed, at)
        self.books.facts()

    def on_violation(self, shard: int, text: str, raw: str) -> None:
        """Keep the frame, as text: replayed as a frame it would break the tape."""
        self.counts["violations"] += 1
        self._writer.gap(self._now(), {"shard": shard, "why": text, "frame": raw[:_SHOWN]} | self._which(shard))

    def on_lost(self, shard: int, why: str) -> None:
        at = self._now()
        self.books.lost(self.markets_of(shard), at)
        self._open[shard] = at, why
        self.counts["gaps"] += 1
        self._mark(shard, at, None)

    def on_back(self, shard: int) -> None:
        at = self._now()
        self.books.restored(self.markets_of(shard), at)
        if shard in self._open:
            self._mark(shard, at, at)
            self.gone = Micros(self.gone + at - self._open.pop(shard)[0])

    def _mark(self, shard: int, at: Micros, until: Micros | None) -> None:
        since = self._heard.get(shard)  # a freeze begins before it is found
        gap = {
            "shard": shard,
            "why": self._open[shard][1],
            "since": None if since is None else since // 1_000,
            "until": None if until is None else until // 1_000,
        }
        self._writer.gap(at, gap | self._which(shard))

    def _which(self, shard: int) -> dict[str, Any]:
        """Name the markets, so that the line can be understood without anything else."""
        return {"markets": [self._markets[no].condition for no in self.markets_of(shard)]}

    def markets_of(self, shard: int) -> list[MarketNo]:
        """Return the markets of a shard."""
        socket = self.streams.sockets.get(shard) if self.streams else None
        found = [self.books.market_of(group[0]) for group in socket.groups] if socket else []
        return [no for no in found if no is not None]


async def record(
    connect: Connect,
    rest: Books,
    markets: Sequence[Market],
    rows: Sequence[bytes],
    folder: Path,
    seconds: float | None,
    now: Callable[[], Micros],
    *,
    url: str,
    rng: Random,
    patience: Patience = Patience(),
    assets_per_socket: int = ASSETS_PER_SOCKET,
    enough: trio.Event | None = None,
) -> Recording:
    """Record for so many seconds, or until it is `enough`; `rows` are the markets as Gamma sent them, one for each.

    Whatever ends it, what was received is written and `record.json` says how it went. Raises ConfigError when the
    folder holds a tape already, DataError when it cannot be written.
    """
    if seconds is not None and not seconds > 0:
        raise ConfigError("record --seconds", seconds, "must be above 0")
    writer = TapeWriter(folder)
    taker = _Taker(writer, markets, now)
    made = MarketStreams(url, connect, taker, now, rng, PACE, assets_per_socket)
    taker.streams = made
    made.want(groups_of(markets))
    watchdog = Watchdog(made, taker.books, rest.books, patience)
    about = Recording(url=url, started=_moment(now()), markets=len(markets), shards=_shards(made))
    began = now()
    writer.markets(list(rows))
    writer.about(msgspec.to_builtins(about))
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.run)
            nursery.start_soon(watchdog.run)
            nursery.start_soon(_flush_often, writer, taker.books, now)
            with trio.move_on_after(math.inf if seconds is None else seconds):
                await (trio.Event() if enough is None else enough).wait()
            nursery.cancel_scope.cancel()
    finally:
        writer.close()
        _finish(about, taker, made, watchdog, writer, began, now())
        writer.about(msgspec.to_builtins(about))
    return about


async def _flush_often(writer: TapeWriter, books: LocalBooks, now: Callable[[], Micros]) -> None:
    """Write what came, and have the books judged: a recording with holes that nobody marked should say so."""
    while True:
        await trio.sleep(FLUSH_EVERY)
        writer.flush()
        books.requests(now())


def _finish(
    about: Recording,
    taker: _Taker,
    streams: MarketStreams,
    watchdog: Watchdog,
    writer: TapeWriter,
    began: Micros,
    ended: Micros,
) -> None:
    about.ended = _moment(ended)
    about.seconds = (ended - began) / SECOND
    about.frames, about.gaps, about.violations = (taker.counts[name] for name in ("frames", "gaps", "violations"))
    about.gap_seconds = taker.gone / SECOND
    about.bytes = writer.bytes
    about.probes = dict(watchdog.counts)
    about.books = dict(taker.books.counts)
    for socket in streams.sockets.values():
        for kind, count in socket.unknown.items():
            about.unknown[kind] = about.unknown.get(kind, 0) + count


def _shards(streams: MarketStreams) -> dict[str, list[str]]:
    return {str(shard): list(socket.tokens) for shard, socket in streams.sockets.items()}


def _moment(at: Micros) -> str:
    return datetime.fromtimestamp(at / SECOND, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
