"""One market's book as its frames tell it, in terms of YES: late, doubled and mirrored news do no harm."""

from collections.abc import Sequence

from pmrun.plugins.exchanges.common.book_hash import NEVER_TRADED, book_hash, last_trade_text
from pmrun.plugins.exchanges.common.market_news import BookSeen, LevelChange, LevelsSeen
from pmrun.runner.book import Book, Level, Levels
from pmrun.runner.grid import Grid
from pmrun.runner.market import Market, Outcome, TokenId
from pmrun.runner.units import ONE, Micros, Price, Side, Size, complement

BEFORE_ALL = Micros(-(2**62))
_TRADES_KEPT = 4  # prices of the last prints that the exchange may have put under its hash


class LocalBook:
    """The levels of one market, each with the exchange's time of its last change.

    A level is as its newest message says, whatever the order of arrival; a snapshot replaces what did not change since
    it was taken, and one that is older than what was seen before is discarded (the rule of the paper exchange, too).
    """

    def __init__(self, market: Market) -> None:
        """Start without a book."""
        self.market = market
        self.known = False  # whether a snapshot has come since the start or the last loss
        self.latest = BEFORE_ALL  # the newest exchange time of anything that was said of the book
        self.grid = Grid(market.tick)
        self._min_order_size = market.min_order_size
        self._neg_risk = market.neg_risk
        self._sizes: dict[Side, dict[Price, Size]] = {Side.BUY: {}, Side.SELL: {}}
        self._when: dict[tuple[Side, Price], Micros] = {}
        self._snapped = BEFORE_ALL
        self._stated: LevelChange | BookSeen | None = None  # the newest statement of a hash, and of the touch
        self._trades: list[Price] = []
        self._last_trade: str | None = None  # as the exchange writes it under its hash; trusted while `_confirmed`
        self._confirmed = False

    def side(self, side: Side, most: int = 0) -> Levels:
        """Return the best levels of a side, best first; 0 for all of them."""
        levels = sorted(self._sizes[side].items(), reverse=side is Side.BUY)
        return tuple(levels[:most] if most else levels)

    def book(self, most: int = 0) -> Book:
        """Return the book, or an empty one while it is unknown."""
        if not self.known:
            return Book((), ())
        return Book(self.side(Side.BUY, most), self.side(Side.SELL, most))

    def drop(self) -> None:
        """Forget the levels: nobody vouches for them any more, until a snapshot comes that is not older."""
        self.known = False
        for sizes in self._sizes.values():
            sizes.clear()
        self._when.clear()
        self._snapped = max(self._snapped, self.latest)
        self._stated = None

    def take_book(self, seen: BookSeen) -> bool:
        """Take a snapshot of either token; False when it is older than another one, or than the loss of the book."""
        if seen.at < self._snapped:
            return False
        self._snapped = seen.at
        self.latest = max(self.latest, seen.at)
        self.known = True
        yes = seen.token == self.market.yes
        self._replace(Side.BUY, seen.bids if yes else _mirrored(seen.asks), seen.at)
        self._replace(Side.SELL, seen.asks if yes else _mirrored(seen.bids), seen.at)
        self._when = {key: when for key, when in self._when.items() if when > seen.at}
        if seen.min_order_size is not None:
            self._min_order_size = seen.min_order_size
        if seen.neg_risk is not None:
            self._neg_risk = seen.neg_risk
        if seen.last_trade_price is not None:
            self._traded_at(seen.last_trade_price)
        self._state(seen, seen.at)
        return True

    def _replace(self, side: Side, levels: Sequence[Level], at: Micros) -> None:
        newer = {price for (on, price), when in self._when.items() if on is side and when > at}
        kept = {price: size for price, size in self._sizes[side].items() if price in newer}
        self._sizes[side] = {price: size for price, size in levels if price not in newer and 0 < price < ONE} | kept

    def take_levels(self, seen: LevelsSeen, changes: Sequence[LevelChange]) -> bool:
        """Take the new sizes of some levels, of both tokens perhaps; True when the book is another one now."""
        changed = False
        for change in changes:
            changed |= self._set(*self._own_terms(change), change.size, seen.at)
        if changes and seen.at >= self._snapped:
            self.latest = max(self.latest, seen.at)
            self._state(changes[-1], seen.at)
        return changed

    def _own_terms(self, change: LevelChange) -> tuple[Side, Price]:
        if change.token == self.market.yes:
            return change.side, change.price
        return change.side.opposite, complement(change.price)

    def _set(self, side: Side, price: Price, size: Size, at: Micros) -> bool:
        if at < self._snapped or at < self._when.get((side, price), BEFORE_ALL) or not 0 < price < ONE:
            return False
        self._when[side, price] = at
        sizes = self._sizes[side]
        if sizes.get(price, 0) == size:
            return False
        if size:
            sizes[price] = size
        else:
            del sizes[price]
        return True

    def take_print(self, token: TokenId, price: Price) -> None:
        """Remember a trade: the exchange puts the price of the last one under its hash."""
        self._traded_at(price if token == self.market.yes else complement(price))

    def _traded_at(self, price: Price) -> None:
        if self._trades[-1:] != [price]:
            self._trades = [*self._trades, price][-_TRADES_KEPT:]
            self._confirmed = False

    def _state(self, stated: "LevelChange | BookSeen", at: Micros) -> None:
        if at >= self.latest and stated.hash:
            self._stated = stated
            if isinstance(stated, BookSeen):
                self._confirmed = False

    def touch_differs(self, best_bid: Price | None, best_ask: Price | None, token: TokenId) -> bool:
        """Whether the exchange's best prices, in terms of a token, are not those of this book."""
        own_bid = max(self._sizes[Side.BUY], default=None)
        own_ask = min(self._sizes[Side.SELL], default=None)
        if token == self.market.yes:
            return (best_bid, best_ask) != (own_bid, own_ask)
        stated_bid = None if best_ask is None else complement(best_ask)
        stated_ask = None if best_bid is None else complement(best_bid)
        return (stated_bid, stated_ask) != (own_bid, own_ask)

    def agrees(self) -> bool | None:
        """Whether the book gives the hash of the newest message; None when that cannot be known.

        Under the hash is the last trade, which the message does not carry. So only a hash that came out right since
        that trade makes a wrong one a proof (reference 4.1, 5.2).
        """
        stated = self._stated
        if stated is None or not self.known:
            return None
        outcome = Outcome.YES if stated.token == self.market.yes else Outcome.NO
        view = self.book().seen_by(outcome)
        seen = BookSeen(
            token=stated.token, condition=self.market.condition, at=self.latest, bids=view.bids, asks=view.asks, hash=""
        )
        for text in [self._last_trade] if self._confirmed else self._candidates():
            found = book_hash(
                seen,
                tick=self.grid.tick,
                min_order_size=self._min_order_size,
                neg_risk=self._neg_risk,
                last_trade_price=text,
            )
            if found == stated.hash:
                self._last_trade, self._confirmed = text, True
                return True
        return False if self._confirmed else None

    def _candidates(self) -> list[str | None]:
        known = [self._last_trade] if self._last_trade is not None else []
        prices = [price for trade in reversed(self._trades) for price in (trade, complement(trade))]
        return list(dict.fromkeys([*known, *map(last_trade_text, prices), NEVER_TRADED, None]))


def _mirrored(levels: Levels) -> Levels:
    return tuple((Price(ONE - price), size) for price, size in levels)
