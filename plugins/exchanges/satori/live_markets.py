"""The live public feed as a run uses it: markets, their socket, their books, and who listens (O10)."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Self

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.calls import Exchanged
from pmrun.plugins.exchanges.common.local_books import LocalBooks
from pmrun.plugins.exchanges.common.market_feed import MarketFeed
from pmrun.plugins.exchanges.common.market_news import BookSeen, Parsed
from pmrun.plugins.exchanges.common.network import Network
from pmrun.plugins.exchanges.satori.catalogue import find_markets
from pmrun.plugins.exchanges.satori.credentials import Credentials
from pmrun.plugins.exchanges.satori.feed_terms import FeedTerms
from pmrun.plugins.exchanges.satori.news import Frame
from pmrun.plugins.exchanges.satori.rest import Rest
from pmrun.plugins.exchanges.satori.streams import Listener, Socket, with_token
from pmrun.plugins.exchanges.satori.terms import ORDER_CALLS
from pmrun.plugins.exchanges.satori.wire_markets import Listed
from pmrun.runner.book import Book
from pmrun.runner.errors import ExchangeError
from pmrun.runner.facts import MarketStatus
from pmrun.runner.hooks import Depth
from pmrun.runner.market import MarketNo, Outcome, TokenId
from pmrun.runner.session import Bell
from pmrun.runner.units import ONE, SECOND, Micros, Price

log = logger.bind(module="markets")
ASK_EVERY = 0.5  # seconds between looks at what is to be read by REST


class LiveMarkets(MarketFeed, Listener):
    """Markets that are being watched; nothing comes before `start`."""

    name, sockets = "satori", "market socket"
    order_calls = ORDER_CALLS

    def __init__(
        self,
        settings: FeedTerms,
        network: Network,
        listed: Sequence[Listed],
        rest: Rest,
        now: Callable[[], Micros],
        bell: Bell,
        nursery: trio.Nursery,
    ) -> None:
        """Take the markets, and how to reach them."""
        super().__init__([each.market for each in listed], network, now, bell, nursery)
        self.url = settings.url
        self.user_url = settings.socket_url
        self._listed = listed
        self._settings = settings
        self._rest = rest
        self._numbers = {market.condition: MarketNo(no) for no, market in enumerate(self.markets)}
        self._socket = Socket(
            settings.socket_url,
            with_token(network.connect, rest.tokens),
            self,
            now,
            self.rng,
            [market.condition for market in self.markets],
        )
        self._said_at = [now()] * len(self.markets)  # when a market's book was told or confirmed last
        self._ask_market: dict[MarketNo, None] = {}

    @classmethod
    async def found(
        cls,
        settings: FeedTerms,
        network: Network,
        credentials: Credentials | None,
        now: Callable[[], Micros],
        bell: Bell,
        nursery: trio.Nursery,
    ) -> Self:
        """Ask the exchange for the markets; raises DataError, ExchangeError or ProtocolViolation."""
        rest = Rest(network.http, settings.url, now, credentials, simulated=settings.simulated)
        return cls(settings, network, await find_markets(rest, settings.choice()), rest, now, bell, nursery)

    def account_rest(self, credentials: Credentials, audit: Callable[[Exchanged], None] | None = None) -> Rest:
        """Return the calls of an account at the same exchange."""
        settings = self._settings
        return Rest(self._network.http, settings.url, self._now, credentials, audit, settings.simulated)

    async def start(self, depth: Depth, everything: bool) -> None:
        """Subscribe, and watch that what is heard goes on."""
        self.books = LocalBooks(self.markets, depth, everything)
        for no, listed in enumerate(self._listed):
            self._state(MarketNo(no), listed.status, None)
        self._nursery.start_soon(self._socket.run)
        self._nursery.start_soon(self._ask)

    def ask_terms(self, no: MarketNo) -> None:
        """Have a market's terms read by REST: an order was refused for them, or because it does not trade."""
        self._ask_market[no] = None

    # What is read by REST.

    async def _ask(self) -> None:
        """Read what the books ask for, and compare what is silent; what cannot be read is asked for again."""
        while True:
            await trio.sleep(ASK_EVERY)
            wanted = self.books.requests(self._now())
            try:
                for token in dict.fromkeys([*wanted.books, *self._silent()]):
                    await self._read_book(token)
                for no in list(self._ask_market):
                    await self._read_terms(no)
            except (ExchangeError, trio.TooSlowError) as error:
                self.counts["reads failed"] += 1
                log.warning("a market cannot be read: {}", error)
            self._pass_on()

    def _silent(self) -> list[TokenId]:
        """Return one token of the market that was silent for longest, if for too long: one look at a time."""
        if not self._socket.up or not self.markets:
            return []
        no = min(range(len(self.markets)), key=self._said_at.__getitem__)
        quiet = self._now() - self._said_at[no] >= self._settings.quiet_after * SECOND
        return [self.markets[no].yes] if quiet else []

    async def _read_book(self, token: TokenId) -> None:
        no = self.books.market_of(token)
        assert no is not None, "a token of ours"
        news = self.books.news_of(no)
        seen = await self._rest.book(self.markets[no].condition, token)
        self._said_at[no] = self._now()
        if self.books.differs(seen) and self.books.news_of(no) == news:
            self._take_rest(seen)
        else:
            self.books.confirm(seen)

    def _take_rest(self, seen: BookSeen) -> bool:
        taken = super()._take_rest(seen)
        if taken:
            self.counts["books by REST"] += 1
        return taken

    async def _read_terms(self, no: MarketNo) -> None:
        market = self.markets[no]
        listed = await self._rest.market(market.condition)
        self._ask_market.pop(no, None)
        self.books.confirm_tick(market.yes, listed.market.tick, self._now())
        paid = None if listed.winner is None else Price(ONE if listed.winner == market.yes else 0)
        self._state(no, listed.status, paid)

    def _state(self, no: MarketNo, status: MarketStatus, settled_yes: Price | None) -> None:
        self.books.set_status(no, status, self._now(), settled_yes)

    # What the socket says.

    def on_frame(self, frame: Frame, text: str, at: Micros) -> None:
        """Take what a frame says."""
        self.counts["frames"] += 1
        self._latest = at
        before = self.books.changed_since()
        for status in frame.statuses:
            no = self._numbers.get(status.condition)
            if no is not None:
                log.info("{}: {} {}", self.markets[no].slug, status.status, status.reason)
                if status.status is MarketStatus.RESOLVED:
                    self.ask_terms(no)  # it says how, and a status is told once
                else:
                    self._state(no, status.status, None)
        if frame.public.news:
            self._take(frame.public, at)
        self._pass_on()
        self._ring_if_first(before)

    def _take(self, parsed: Parsed, at: Micros) -> None:
        self.books.take(parsed, at)
        for news in parsed.news:
            if isinstance(news, BookSeen) and (no := self.books.market_of(news.token)) is not None:
                self._said_at[no] = at
        self._tell(parsed, at)

    def on_lost(self, why: str) -> None:
        """Drop all books."""
        self.counts["lost"] += 1
        log.warning("market socket: lost: {}", why)
        self._drop([*self._numbers.values()])

    def on_back(self) -> None:
        """Await the books anew, and learn what a market's status has become meanwhile."""
        now = self._now()
        self.books.restored(self._numbers.values(), now)
        self._said_at = [now] * len(self.markets)
        if self.counts["lost"]:
            self._ask_market |= dict.fromkeys(self._numbers.values())

    def on_violation(self, text: str) -> None:
        """Count a frame that breaks the protocol; the books are lost by it."""
        self.counts["violations"] += 1
        log.error("market socket: {}", text)

    # What a run asks.

    def book_for(self, no: MarketNo, outcome: Outcome) -> Book:
        """Return the freshest book as one outcome sees it."""
        return self.books.book(no).seen_by(outcome)

    def _source(self) -> str:
        return self._settings.url

    def _simulated(self) -> bool:
        return self._settings.simulated

    def _unknown(self) -> Counter[str]:
        return self._socket.unknown

    def _complaints(self) -> list[str]:
        errors = self._socket.errors.items()
        return [f"live: the exchange complained {count} times by code {code}" for code, count in errors]
