"""The books of all markets from the frames of the market stream, and what the desk is told of them (O10)."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from pmrun.plugins.exchanges.common.book_trust import Doubts, Trust
from pmrun.plugins.exchanges.common.local_book import BEFORE_ALL, LocalBook
from pmrun.plugins.exchanges.common.market_news import (
    BookSeen,
    LevelChange,
    LevelsSeen,
    MarketListed,
    MarketResolved,
    News,
    Parsed,
    PrintSeen,
    TickSeen,
    TouchSeen,
)
from pmrun.plugins.exchanges.common.untold import Told, Untold
from pmrun.runner.book import Book
from pmrun.runner.facts import BookChanged, MarketStatus, Printed, StatusChanged, TickChanged
from pmrun.runner.grid import Grid
from pmrun.runner.hooks import WHOLE_BOOK, Depth
from pmrun.runner.market import Market, MarketNo, Outcome, TokenId
from pmrun.runner.units import ONE, Micros, Price, complement

_PRINTS_REMEMBERED = 20_000
_NEW_MARKETS_KEPT = 1_000


class Requests(msgspec.Struct, frozen=True):
    """What is to be read by REST: books, and ticks that were only inferred; one token for a market."""

    books: tuple[TokenId, ...] = ()
    ticks: tuple[TokenId, ...] = ()


class _State:
    """One market."""

    __slots__ = ("book", "news", "status", "tick_at", "trust")

    def __init__(self, market: Market, doubts: Doubts) -> None:
        self.book = LocalBook(market)
        self.trust = Trust(doubts)
        self.news = 0  # messages so far
        self.status = MarketStatus.TRADING
        self.tick_at: Micros = BEFORE_ALL  # exchange time of the last tick change


class LocalBooks:
    """Keeps the books; `depth` limits what the desk is told as the paper exchange does, `everything` lifts that.

    A market without a book, because its shard is lost or its tick has changed, is told as an empty one: nobody quotes
    on that.
    """

    def __init__(
        self,
        markets: Sequence[Market],
        depth: Depth = WHOLE_BOOK,
        everything: bool = False,
        doubts: Doubts = Doubts(),
    ) -> None:
        """Start without books, and with every shard lost."""
        self.counts: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()  # event types that the parser does not know
        self.new_markets: list[MarketListed] = []  # the latest that were created, ours or not
        self._states = [_State(market, doubts) for market in markets]
        self._tokens = {
            market.token(outcome): (no, outcome) for no, market in enumerate(markets) for outcome in Outcome
        }
        self._conditions = {market.condition: no for no, market in enumerate(markets)}
        self._untold = Untold(len(self._states), depth, everything, self.counts)
        self._heard_at = Micros(0)
        self._prints: dict[PrintSeen, None] = {}  # the latest, as a set in order
        self._ticks_asked: dict[int, None] = {}

    # What comes in.

    def take(self, parsed: Parsed, at: Micros) -> None:
        """Take a frame that was received at a time."""
        self.unknown.update(parsed.unknown)
        self._heard_at = at
        for news in parsed.news:
            self._take(news, at)

    def _take(self, news: News, at: Micros) -> None:
        match news:
            case LevelsSeen():
                self._take_levels(news, at)
            case BookSeen():
                self._take_book(news, at)
            case PrintSeen():
                self._take_print(news, at)
            case TouchSeen():
                self._take_touch(news, at)
            case TickSeen():
                self._take_tick(news, at)
            case MarketResolved():
                self._take_resolved(news, at)
            case MarketListed():
                self.new_markets = [*self.new_markets, news][-_NEW_MARKETS_KEPT:]
            case _:
                self.counts["not market data"] += 1

    def take_rest(self, seen: BookSeen, at: Micros) -> bool:
        """Take a book that was read by REST; False when it is of no use: older than ours, or its shard is lost."""
        where = self._tokens.get(seen.token)
        if where is None or self._states[where[0]].trust.up_since is None:
            return False
        taken = self._take_book(seen, at)
        self.counts["rest books taken" if taken else "rest books too old"] += 1
        return taken

    def confirm(self, seen: BookSeen) -> None:
        """Learn by REST that a silent book is as we have it: it is told once more, as news that it is alive."""
        where = self._tokens.get(seen.token)
        book = None if where is None else self._states[where[0]].book
        if where is not None and book is not None and book.known and seen.at >= book.latest and not self.differs(seen):
            self.counts["confirmed"] += 1
            self._untold.changed(where[0], self._heard_at)

    def confirm_tick(self, token: TokenId, tick: Price, at: Micros) -> None:
        """Take a market's tick as REST states it."""
        where = self._tokens.get(token)
        if where is not None:
            book = self._states[where[0]].book.book()
            self._set_grid(where[0], Grid(tick).refined_by(price for price, _ in book.bids + book.asks), at)

    def set_status(self, no: MarketNo, status: MarketStatus, at: Micros, settled_yes: Price | None = None) -> None:
        """Take a market's status, from wherever it is known; told when it is another one."""
        state = self._states[no]
        if state.status is not MarketStatus.RESOLVED and (status is not state.status):
            state.status = status
            self._untold.tell(StatusChanged(at, no, status, settled_yes))

    def lost(self, markets: Iterable[MarketNo], at: Micros) -> None:
        """Drop the books of markets whose shard is lost."""
        for no in markets:
            self._states[no].trust.up_since = None
            self._drop(no, at)

    def restored(self, markets: Iterable[MarketNo], at: Micros) -> None:
        """Learn that markets are subscribed: their books are to come."""
        for no in markets:
            self._states[no].trust.up_since = at

    def _drop(self, no: int, at: Micros) -> None:
        state = self._states[no]
        state.trust.forget()
        if state.book.known:
            self._untold.changed(no, at)
        state.book.drop()

    def _state_of(self, token: TokenId) -> tuple[int, _State] | None:
        where = self._tokens.get(token)
        if where is None:
            self.counts["unlisted"] += 1
            return None
        state = self._states[where[0]]
        state.news += 1
        return where[0], state

    def _take_book(self, seen: BookSeen, at: Micros) -> bool:
        found = self._state_of(seen.token)
        if found is None or found[1].status is MarketStatus.RESOLVED:
            return False
        no, state = found
        if not state.book.take_book(seen):
            self.counts["late"] += 1
            return False
        state.trust.told(seen.at)
        stated = seen.tick if seen.at >= state.tick_at else None  # a book from before a tick change says the old one
        declared = state.book.grid if stated is None else Grid(stated)
        self._refine(no, declared, [price for price, _ in seen.bids + seen.asks], at)
        self._untold.changed(no, at)
        return True

    def _take_levels(self, seen: LevelsSeen, at: Micros) -> None:
        by_market: dict[int, list[LevelChange]] = {}
        for change in seen.changes:
            where = self._tokens.get(change.token)
            if where is None:
                self.counts["unlisted"] += 1
            else:
                by_market.setdefault(where[0], []).append(change)
        for no, changes in by_market.items():
            state = self._states[no]
            state.news += 1
            newest = seen.at >= state.book.latest
            self.counts["late"] += not newest
            if newest:
                self._refine(no, state.book.grid, [change.price for change in changes if change.size], at)
            if state.book.take_levels(seen, changes) and state.book.known:
                self._untold.changed(no, at)
            state.trust.told(seen.at)
            if newest:
                state.trust.compare_touch(state.book, changes[-1], at)

    def _take_print(self, seen: PrintSeen, at: Micros) -> None:
        found = self._state_of(seen.token)
        if found is None:
            return
        if seen in self._prints:
            self.counts["duplicates"] += 1
            return  # it happened once
        self._prints[seen] = None
        if len(self._prints) > _PRINTS_REMEMBERED:
            del self._prints[next(iter(self._prints))]
        no, state = found
        state.book.take_print(seen.token, seen.price)
        yes = seen.token == state.book.market.yes
        side = seen.taker_side if yes else seen.taker_side.opposite
        self._untold.tell(Printed(at, MarketNo(no), side, seen.price if yes else complement(seen.price), seen.size))

    def _take_touch(self, seen: TouchSeen, at: Micros) -> None:
        found = self._state_of(seen.token)
        if found is not None and seen.at >= found[1].book.latest:
            found[1].trust.stated_beside(seen, at)

    def _take_tick(self, seen: TickSeen, at: Micros) -> None:
        found = self._state_of(seen.token)
        if found is None or seen.at < found[1].tick_at:
            return
        no, state = found
        state.tick_at = seen.at
        if seen.new != state.book.grid.tick:
            self._set_grid(no, Grid(seen.new), at)
            self._drop(no, at)

    def _refine(self, no: int, declared: Grid, prices: Sequence[Price], at: Micros) -> None:
        """Take a declared tick, or infer a finer one from a level off the grid, and ask for it."""
        grid = declared.refined_by(prices)
        inferred = grid != declared
        if grid != self._states[no].book.grid:
            self._set_grid(no, grid, at, inferred)
            if inferred:
                self.counts["inferred ticks"] += 1
                self._ticks_asked[no] = None

    def _set_grid(self, no: int, grid: Grid, at: Micros, inferred: bool = False) -> None:
        state = self._states[no]
        if grid != state.book.grid:
            state.book.grid = grid
            self._untold.tell(TickChanged(at, MarketNo(no), grid.tick, inferred))

    def _take_resolved(self, seen: MarketResolved, at: Micros) -> None:
        no = self._conditions.get(seen.condition)
        if no is None:
            self.counts["unlisted"] += 1
            return
        market = self._states[no].book.market
        paid = {market.yes: ONE, market.no: Price(0)}.get(seen.winning_token or TokenId(""))
        self.set_status(MarketNo(no), MarketStatus.RESOLVED, at, paid)
        self._drop(no, at)

    # What goes out.

    def changed_since(self) -> Micros | None:
        """Return when the first book changed that the desk was not told of."""
        return self._untold.changed_since

    def facts(self) -> list[Told]:
        """Return the prints, ticks and statuses since last asked, in order."""
        return self._untold.facts()

    def books(self, at: Micros, upto: int = 0) -> list[BookChanged]:
        """Return the books that changed since last asked in what the desk looks at; `upto` is the frame they are of."""
        return self._untold.books(at, upto, lambda no, most: self._states[no].book.book(most))

    def ask_tick(self, no: MarketNo) -> None:
        """Ask for a market's tick with the next requests."""
        self._ticks_asked[no] = None

    def again(self, at: Micros) -> None:
        """Have every book told once more."""
        self._untold.again(at)

    def book(self, no: MarketNo) -> Book:
        """Return a market's whole book; empty while it is unknown."""
        return self._states[no].book.book()

    def tick(self, no: MarketNo) -> Price:
        """Return a market's tick."""
        return self._states[no].book.grid.tick

    def without_book(self) -> list[MarketNo]:
        """Return the markets that have no book we could trust, though they are not resolved."""
        states = enumerate(self._states)
        return [MarketNo(no) for no, it in states if not it.book.known and it.status is not MarketStatus.RESOLVED]

    def market_of(self, token: TokenId) -> MarketNo | None:
        """Return the market of a token."""
        where = self._tokens.get(token)
        return None if where is None else MarketNo(where[0])

    def news_of(self, no: MarketNo) -> int:
        """Count the messages of a market: the same number twice means that none came in between."""
        return self._states[no].news

    def differs(self, rest: BookSeen) -> bool:
        """Whether a book read by REST shows what the stream has not told; an older one shows nothing."""
        where = self._tokens.get(rest.token)
        if where is None:
            return False
        state = self._states[where[0]]
        if state.status is MarketStatus.RESOLVED or (state.book.known and rest.at < state.book.latest):
            return False
        if not state.book.known:
            return True
        book = state.book.book().seen_by(where[1])
        return (book.bids, book.asks) != (rest.bids, rest.asks)

    # What is to be asked.

    def requests(self, at: Micros) -> Requests:
        """Judge the books, and return what is to be read by REST now; asked again later if nothing came of it."""
        books = [
            state.book.market.yes
            for state in self._states
            if state.status is not MarketStatus.RESOLVED and state.trust.needs_book(state.book, at, self.counts)
        ]
        ticks = [self._states[no].book.market.yes for no in self._ticks_asked]
        self._ticks_asked.clear()
        return Requests(tuple(books), tuple(ticks))
