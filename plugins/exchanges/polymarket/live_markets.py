"""The live public feed as a run uses it: markets, their sockets, their books, and who listens (O10)."""

from collections.abc import Callable, Sequence
from typing import Self

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.calls import Exchanged
from pmrun.plugins.exchanges.common.local_books import LocalBooks
from pmrun.plugins.exchanges.common.market_feed import MarketFeed
from pmrun.plugins.exchanges.common.market_news import Parsed
from pmrun.plugins.exchanges.common.network import Network
from pmrun.plugins.exchanges.common.trouble import Trouble
from pmrun.plugins.exchanges.polymarket.budget import Budget
from pmrun.plugins.exchanges.polymarket.catalogue import find_markets
from pmrun.plugins.exchanges.polymarket.credentials import ApiKey
from pmrun.plugins.exchanges.polymarket.feed_terms import FeedTerms
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.signing import Signer
from pmrun.plugins.exchanges.polymarket.streams import MarketListener, MarketStreams
from pmrun.plugins.exchanges.polymarket.transport import Urls
from pmrun.plugins.exchanges.polymarket.watch import Patience, Watchdog
from pmrun.runner.errors import ExchangeError, ProtocolViolation
from pmrun.runner.hooks import Depth
from pmrun.runner.market import Market, MarketNo
from pmrun.runner.session import Bell
from pmrun.runner.units import Micros

log = logger.bind(module="markets")
ASK_EVERY = 0.2  # seconds between looks at what is to be read by REST


class LiveMarkets(MarketFeed, MarketListener):
    """Markets that are being watched; nothing comes before `start`."""

    name, sockets = "polymarket", "market sockets"

    def __init__(
        self,
        settings: FeedTerms,
        network: Network,
        markets: Sequence[Market],
        rest: Rest,
        now: Callable[[], Micros],
        bell: Bell,
        nursery: trio.Nursery,
    ) -> None:
        """Take the markets, and how to reach them."""
        super().__init__(markets, network, now, bell, nursery)
        self.clob_url = settings.clob_url
        self.user_url = f"{settings.socket_url}/ws/user"
        self._unread = Trouble(log, "a book cannot be read", now)
        self._settings = settings
        self._rest = rest
        self._streams = MarketStreams(
            f"{settings.socket_url}/ws/market",
            network.connect,
            self,
            now,
            network.rng,
            assets_per_socket=settings.assets_per_socket,
        )

    @classmethod
    async def found(
        cls,
        settings: FeedTerms,
        network: Network,
        now: Callable[[], Micros],
        bell: Bell,
        nursery: trio.Nursery,
    ) -> Self:
        """Ask the exchange for the markets; raises DataError, ExchangeError or ProtocolViolation."""
        rest = Rest(network.http, _urls(settings), None, None, Budget(now), now, chance=network.rng.random)
        markets = await find_markets(rest, settings.choice(), now())
        return cls(settings, network, markets, rest, now, bell, nursery)

    def account_rest(
        self, signer: Signer, api_key: ApiKey | None, audit: Callable[[Exchanged], None] | None = None
    ) -> Rest:
        """Return the calls of an account at the same exchange, with a budget of its own."""
        http, urls = self._network.http, _urls(self._settings)
        return Rest(http, urls, signer, api_key, Budget(self._now), self._now, audit, chance=self.rng.random)

    async def start(self, depth: Depth, everything: bool) -> None:
        """Subscribe, and watch that what is heard goes on."""
        self.books = LocalBooks(self.markets, depth, everything)
        self._streams.want((market.yes, market.no) for market in self.markets)
        await self._nursery.start(self._streams.run)
        self._nursery.start_soon(
            Watchdog(self._streams, self.books, self._rest.books, Patience(quiet_after=self._settings.quiet_after)).run
        )
        self._nursery.start_soon(self._ask)

    def ask_tick(self, no: MarketNo) -> None:
        """Have a market's tick read by REST: an order was refused for it."""
        self.books.ask_tick(no)

    async def _ask(self) -> None:
        """Read by REST what the books ask for; what cannot be read is asked for again."""
        while True:
            await trio.sleep(ASK_EVERY)
            wanted = self.books.requests(self._now())
            try:
                if wanted.books:
                    for seen in await self._rest.books(wanted.books):
                        self._take_rest(seen)
                for token in wanted.ticks:
                    self.books.confirm_tick(token, await self._rest.tick_size(token), self._now())
            except (ExchangeError, ProtocolViolation, trio.TooSlowError) as error:
                self.counts["reads failed"] += 1
                self._unread.met(error)
            else:
                if wanted.books or wanted.ticks:
                    self._unread.over()
            self._pass_on()

    # What the sockets say.

    def on_frame(self, shard: int, raw: str, at: Micros) -> None:
        """Count a frame."""
        self.counts["frames"] += 1
        self._latest = at

    def on_news(self, shard: int, parsed: Parsed, at: Micros) -> None:
        """Take what a frame says."""
        before = self.books.changed_since()
        self.books.take(parsed, at)
        self._tell(parsed, at)
        self._pass_on()
        self._ring_if_first(before)

    def on_lost(self, shard: int, why: str) -> None:
        """Drop the books of a shard."""
        self.counts["lost"] += 1
        log.warning("market socket {}: lost: {}", shard, why)
        self._drop(self._markets_of(shard))

    def on_back(self, shard: int) -> None:
        """Await the books of a shard."""
        self.books.restored(self._markets_of(shard), self._now())

    def on_violation(self, shard: int, text: str, raw: str) -> None:
        """Count a frame that breaks the protocol; the shard is lost by it."""
        self.counts["violations"] += 1
        log.error("market socket {}: {}", shard, text)

    def _markets_of(self, shard: int) -> list[MarketNo]:
        found = (self.books.market_of(token) for token in self._streams.sockets[shard].tokens)
        return sorted({no for no in found if no is not None})

    # What a run says of its feed.

    def _source(self) -> str:
        return self._settings.clob_url

    def _simulated(self) -> bool:
        return self._settings.simulated


def _urls(settings: FeedTerms) -> Urls:
    return Urls(
        clob=settings.clob_url.rstrip("/"),
        gamma=settings.gamma_url.rstrip("/"),
        data=settings.data_url.rstrip("/"),
        geoblock=settings.geoblock_url.rstrip("/"),
    )
