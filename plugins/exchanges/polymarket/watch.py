"""The data-age watchdog: tells a market that is quiet from a socket that is frozen (O10; reference 5.4)."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import trio

from pmrun.plugins.exchanges.common.local_books import LocalBooks
from pmrun.plugins.exchanges.common.market_news import BookSeen
from pmrun.plugins.exchanges.polymarket.streams import MarketSocket, MarketStreams
from pmrun.runner.errors import ExchangeError
from pmrun.runner.market import TokenId

Probe = Callable[[Sequence[TokenId]], Awaitable[Sequence[BookSeen]]]  # POST /books
_FAILED = (ExchangeError, trio.TooSlowError)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long silence is taken for quiet, in seconds.

    A shard is probed once it has been silent for `quiet_after`, then less and less often, up to every `longest_wait`.
    Markets that are silent on a shard that is not are compared every `audit_every`: part of a subscription may freeze.
    `sample` is how many tokens one probe reads, in rotation; one a market is enough, its two books are mirrors.
    """

    quiet_after: float = 10.0
    grace: float = 2.0
    longest_wait: float = 60.0
    audit_every: float = 60.0
    probe_within: float = 5.0
    unverified_for: float = 30.0
    sample: int = 100

    def __post_init__(self) -> None:
        """Refuse times that cannot work together."""
        if min(self.quiet_after, self.grace, self.audit_every, self.probe_within, self.unverified_for) <= 0:
            raise ValueError("quiet_after, grace, audit_every, probe_within and unverified_for must be above 0")
        if self.longest_wait < self.quiet_after:
            raise ValueError("longest_wait must be quiet_after or more")
        if not 1 <= self.sample <= 500:
            raise ValueError("sample must be from 1 to 500, what one call of /books takes")


class _Watched:
    """What the watchdog remembers of one shard."""

    def __init__(self, at: float) -> None:
        self.wait = 0.0  # until the next probe of this silence
        self.probe_at = at
        self.audit_at = at
        self.heard_at = at
        self.busy = False
        self.next_token = 0
        self.failing_since: float | None = None
        self.news: dict[TokenId, int] = {}  # how much each market had said at the last audit


class Watchdog:
    """Compares the books of silent markets with REST; what REST shows twice and the stream never told is a freeze.

    A shard with a frozen market is made to reconnect, which its listener learns as lost. So it is when REST has not
    answered for `unverified_for` seconds while the shard was silent: fresh books are another way to know.
    """

    def __init__(
        self, streams: MarketStreams, books: LocalBooks, probe: Probe, patience: Patience = Patience()
    ) -> None:
        """Watch nothing before `run`."""
        self.counts: Counter[str] = Counter()  # probes, quiet, frozen, failed, unverified
        self._streams = streams
        self._books = books
        self._probe = probe
        self._patience = patience
        self._watched: dict[int, _Watched] = {}
        self._examined = trio.Event()

    async def run(self) -> NoReturn:
        """Watch all shards until cancelled; a slow probe of one delays no other."""
        async with trio.open_nursery() as nursery:
            while True:
                for shard, socket in self._streams.sockets.items():
                    watched = self._watched.setdefault(shard, _Watched(trio.current_time()))
                    if not watched.busy and (tokens := self._due(socket, watched)):
                        watched.busy = True
                        nursery.start_soon(self._examine, socket, watched, tokens)
                with trio.move_on_at(self._next_look()):
                    await self._examined.wait()
                self._examined = trio.Event()
        raise AssertionError("never ends")

    def _next_look(self) -> float:
        """Return when a shard may have been silent for long enough, or is due anyhow; at least ten times a second."""
        now = trio.current_time()
        soonest = now + self._patience.quiet_after
        for shard, socket in self._streams.sockets.items():
            watched = self._watched[shard]
            if socket.up and not watched.busy:
                silent_at = socket.heard_at + self._patience.quiet_after
                soonest = min(soonest, max(silent_at, watched.probe_at), watched.audit_at)
        return max(soonest, now + 0.1)

    def _due(self, socket: MarketSocket, watched: _Watched) -> list[TokenId]:
        """Return the tokens to compare now, if any."""
        now = trio.current_time()
        if not socket.up:
            watched.failing_since = None
            return []
        if socket.heard_at > watched.heard_at:
            watched.heard_at, watched.wait, watched.probe_at = socket.heard_at, 0.0, now
            watched.failing_since = None
        if now - socket.heard_at >= self._patience.quiet_after:
            if now < watched.probe_at:
                return []
            watched.audit_at = now + self._patience.audit_every
            return self._rotate(self._markets(socket), watched)
        if now < watched.audit_at:
            return []
        watched.audit_at = now + self._patience.audit_every
        return self._silent(socket, watched)

    def _markets(self, socket: MarketSocket) -> list[TokenId]:
        return [group[0] for group in socket.groups]

    def _silent(self, socket: MarketSocket, watched: _Watched) -> list[TokenId]:
        """Return the markets that have said nothing since the last audit."""
        news = {token: self._news(token) for token in self._markets(socket)}
        before, watched.news = watched.news, news
        return self._rotate([token for token, count in news.items() if before.get(token) == count], watched)

    def _rotate(self, tokens: list[TokenId], watched: _Watched) -> list[TokenId]:
        if len(tokens) <= self._patience.sample:
            return tokens
        start = watched.next_token % len(tokens)
        watched.next_token = start + self._patience.sample
        return (tokens + tokens)[start : start + self._patience.sample]

    def _news(self, token: TokenId) -> int:
        no = self._books.market_of(token)
        return 0 if no is None else self._books.news_of(no)

    async def _examine(self, socket: MarketSocket, watched: _Watched, tokens: Sequence[TokenId]) -> None:
        """Compare twice, `grace` apart, so that frames in flight may come in between."""
        try:
            connection = socket.connections
            suspects = await self._different(tokens, {token: self._news(token) for token in tokens})
            if suspects:
                before = {token: self._news(token) for token in suspects}
                await trio.sleep(self._patience.grace)
                suspects = await self._different(suspects, before)
            self._conclude(socket, watched, suspects, connection)
        except _FAILED as error:
            self._could_not_tell(socket, watched, error)
        finally:
            watched.busy = False
            self._examined.set()

    async def _different(self, tokens: Sequence[TokenId], before: dict[TokenId, int]) -> list[TokenId]:
        """Return the tokens of which REST shows another book, and nothing was heard since `before`."""
        self.counts["probes"] += 1
        with trio.fail_after(self._patience.probe_within):
            found = await self._probe(tokens)
        different = []
        for book in found:
            if not self._books.differs(book):
                self._books.confirm(book)
            elif self._news(book.token) == before.get(book.token):
                different.append(book.token)
        return different

    def _conclude(self, socket: MarketSocket, watched: _Watched, frozen: Sequence[TokenId], connection: int) -> None:
        watched.failing_since = None
        if frozen and socket.connections == connection and socket.up:
            self.counts["frozen"] += 1
            socket.reconnect(f"frozen: REST shows {len(frozen)} books that the stream has not told")
            return
        self.counts["quiet"] += 1
        patience = self._patience
        watched.wait = min(patience.longest_wait, 2 * watched.wait or patience.quiet_after)
        watched.probe_at = trio.current_time() + watched.wait

    def _could_not_tell(self, socket: MarketSocket, watched: _Watched, error: Exception) -> None:
        now = trio.current_time()
        self.counts["failed"] += 1
        watched.probe_at = now + self._patience.grace
        watched.failing_since = now if watched.failing_since is None else watched.failing_since
        if now - watched.failing_since >= self._patience.unverified_for and socket.up:
            self.counts["unverified"] += 1
            watched.failing_since = None
            why = " ".join(f"{type(error).__name__} {error}".split())
            socket.reconnect(f"silent, and REST does not say whether it is quiet: {why}")
