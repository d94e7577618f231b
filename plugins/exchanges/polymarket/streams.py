"""Polymarket's market data, in shards (O10; reference 5.2)."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import NoReturn

import msgspec
import trio

from pmrun.plugins.exchanges.common.market_news import MarketListed, Parsed
from pmrun.plugins.exchanges.common.sockets import Connect, KeptSocket, OnSocket, Pace
from pmrun.plugins.exchanges.polymarket.wire import parse_frame
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import Market, TokenId
from pmrun.runner.units import Micros

ASSETS_PER_SOCKET = 200  # more than this and sockets were seen to stall (reference 5.4)
Group = tuple[TokenId, ...]
PACE = Pace()


class MarketListener:
    """What is told of the market stream, by shard; nothing of it may block. A subclass overrides what it needs."""

    def on_frame(self, shard: int, raw: str, at: Micros) -> None:
        """Take a frame as it was sent; only frames that keep the protocol, and no keepalive."""

    def on_news(self, shard: int, parsed: Parsed, at: Micros) -> None:
        """Take what the frame says."""

    def on_violation(self, shard: int, text: str, raw: str) -> None:
        """Learn that a frame broke the protocol; `on_lost` follows, and fresh books after that."""

    def on_lost(self, shard: int, why: str) -> None:
        """Learn that the books of a shard can no longer be trusted."""

    def on_back(self, shard: int) -> None:
        """Learn that the shard is subscribed again: its books are sent anew."""


def market_hello(tokens: Iterable[TokenId]) -> str:
    """Return the first frame of a market socket (reference 5.2)."""
    return _text({"type": "market", "assets_ids": list(tokens), "custom_feature_enabled": True})


def _text(frame: object) -> str:
    return msgspec.json.encode(frame).decode()


def groups_of(markets: Iterable[Market]) -> list[Group]:
    """Return the tokens of each market: they share a book, so they share a socket."""
    return [(market.yes, market.no) for market in markets]


class MarketSocket(OnSocket):
    """One connection for at most `ASSETS_PER_SOCKET` tokens: a shard."""

    def __init__(
        self, shard: int, url: str, connect: Connect, listener: MarketListener, now: Callable[[], Micros], rng: Random,
        pace: Pace = PACE,
    ) -> None:  # fmt: skip
        """Subscribe to nothing yet."""
        self.shard = shard
        self.groups: list[Group] = []
        self.heard_at = -math.inf  # trio time of the last news of its tokens, or of the subscription
        self.frames = 0
        self.unknown: Counter[str] = Counter()  # event types that nobody knows
        self._listener = listener
        self._now = now
        self._socket = KeptSocket(url, connect, self, rng, pace)
        self._stop = trio.CancelScope()

    @property
    def tokens(self) -> list[TokenId]:
        """The tokens that are subscribed here."""
        return [token for group in self.groups for token in group]

    async def run(self) -> None:
        """Keep the shard subscribed until stopped or cancelled."""
        with self._stop:
            await super().run()

    def stop(self) -> None:
        """End `run`; nothing is lost, as nobody wants these tokens any more."""
        self._stop.cancel()

    def subscribe(self, groups: Sequence[Group]) -> None:
        """Add tokens, on the present connection if there is one (reference 5.2)."""
        self.groups.extend(groups)
        tokens = [token for group in groups for token in group]
        self._socket.say(_text({"operation": "subscribe", "assets_ids": tokens, "custom_feature_enabled": True}))

    def unsubscribe(self, groups: Sequence[Group]) -> None:
        """Drop tokens."""
        gone = set(groups)
        self.groups = [group for group in self.groups if group not in gone]
        tokens = [token for group in groups for token in group]
        self._socket.say(_text({"operation": "unsubscribe", "assets_ids": tokens}))

    # What the kept socket asks and tells.

    def hello(self) -> str:
        """Return the subscription."""
        return market_hello(self.tokens)

    def take(self, text: str) -> None:
        """Read a frame and hand it on."""
        at = self._now()
        try:
            parsed = parse_frame(text)
        except ProtocolViolation as violation:
            self._listener.on_violation(self.shard, str(violation), text)
            self._socket.drop(f"the exchange broke its protocol: {violation}")
            return
        self.frames += 1
        self.unknown.update(parsed.unknown)
        if any(type(news) is not MarketListed for news in parsed.news):  # those come to every socket, of all markets
            self.heard_at = trio.current_time()
        self._listener.on_frame(self.shard, text, at)
        self._listener.on_news(self.shard, parsed, at)

    def lost(self, why: str) -> None:
        """Hand it on."""
        self._listener.on_lost(self.shard, why)

    def back(self) -> None:
        """Hand it on; the age of the data counts from here."""
        self.heard_at = trio.current_time()
        self._listener.on_back(self.shard)


class MarketStreams:
    """All market sockets: tokens spread over shards, groups of tokens never torn apart."""

    def __init__(
        self, url: str, connect: Connect, listener: MarketListener, now: Callable[[], Micros], rng: Random,
        pace: Pace = PACE, assets_per_socket: int = ASSETS_PER_SOCKET,
    ) -> None:  # fmt: skip
        """Subscribe to nothing yet: `want` says to what."""
        if assets_per_socket < 2:
            raise ValueError("assets_per_socket must be 2 or more: both tokens of a market share a socket")
        self.sockets: dict[int, MarketSocket] = {}
        self._open = (url, connect, listener, now, rng, pace)
        self._most = assets_per_socket
        self._shards = 0
        self._where: dict[Group, int] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Keep all shards until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for socket in self.sockets.values():
                    nursery.start_soon(socket.run)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
        raise AssertionError("sleeps forever")

    def want(self, groups: Iterable[Group]) -> None:
        """Subscribe to these groups of tokens and to no others; what is subscribed already stays where it is."""
        wanted = dict.fromkeys(groups)
        if any(not 0 < len(group) <= self._most for group in wanted):
            raise ValueError(f"a group must hold 1 to {self._most} tokens")
        self._remove([group for group in self._where if group not in wanted])
        self._add([group for group in wanted if group not in self._where])

    def shard_of(self, token: TokenId) -> int | None:
        """Return the shard of a token."""
        return next((shard for group, shard in self._where.items() if token in group), None)

    def _remove(self, groups: Sequence[Group]) -> None:
        for shard, gone in _by(groups, self._where.__getitem__).items():
            for group in gone:
                del self._where[group]
            socket = self.sockets[shard]
            if len(gone) < len(socket.groups):
                socket.unsubscribe(gone)
            else:
                del self.sockets[shard]
                socket.stop()

    def _add(self, groups: Sequence[Group]) -> None:
        room = {shard: self._most - len(socket.tokens) for shard, socket in self.sockets.items()}
        first_new = self._shards
        for group in groups:
            shard = next((shard for shard, left in room.items() if left >= len(group)), self._shards)
            if shard == self._shards:
                self._shards += 1
            room[shard] = room.get(shard, self._most) - len(group)
            self._where[group] = shard
        for shard, added in _by(groups, self._where.__getitem__).items():
            if shard >= first_new:
                self.sockets[shard] = MarketSocket(shard, *self._open)
            self.sockets[shard].subscribe(added)
            if shard >= first_new and self._nursery is not None:
                self._nursery.start_soon(self.sockets[shard].run)


def _by(groups: Sequence[Group], shard_of: Callable[[Group], int]) -> dict[int, list[Group]]:
    found: dict[int, list[Group]] = {}
    for group in groups:
        found.setdefault(shard_of(group), []).append(group)
    return found
