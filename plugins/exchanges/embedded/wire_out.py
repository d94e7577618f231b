"""What the exchange tells: its events as frames of the market and the user channel (reference 5.2, 5.3)."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol

from pmrun.plugins.exchanges.common.book_hash import NEVER_TRADED, last_trade_text
from pmrun.plugins.exchanges.embedded.notices import MarketNotice, Notice, UserNotice
from pmrun.plugins.exchanges.embedded.replies import encode
from pmrun.plugins.exchanges.embedded.standing import Standing
from pmrun.plugins.exchanges.embedded.terms import (
    BookReset,
    Event,
    LevelMoved,
    Levels,
    OrderMoved,
    Printed,
    Resolved,
    TickMoved,
    TradeMoved,
)
from pmrun.plugins.exchanges.embedded.wire_own import millis, order_frame, outcome_name, trade_frames
from pmrun.runner.book import Book
from pmrun.runner.market import ConditionId, Market, Outcome
from pmrun.runner.units import (
    ONE,
    Micros,
    Price,
    Side,
    Size,
    complement,
    format_price,
    format_size,
)


class Source(Protocol):
    """What is asked of the engine to say how a market stands."""

    @property
    def markets(self) -> tuple[Market, ...]:
        """The current terms."""

    def levels(self, market: int) -> tuple[Levels, Levels]:
        """Return the book, in terms of YES, best first."""

    def last_trade(self, market: int) -> tuple[Price, Side] | None:
        """Return the last trade, in terms of YES."""


class Reporter:
    """Turns events into frames, and knows for REST how every market stands."""

    def __init__(self, source: Source, at: Micros, seed: int = 0) -> None:
        """Take the engine; `seed` draws which of its two tokens a trade is reported on."""
        self._source = source
        self._draw = random.Random(seed)
        self._heard: set[int] = set()
        self._numbers = {market.condition: number for number, market in enumerate(source.markets)}
        self.standings = [Standing(Book(*source.levels(number)), at) for number in range(len(source.markets))]

    def hear(self, number: int) -> None:
        """Make frames of a market from now on: until somebody subscribes, nobody pays for them."""
        self._heard.add(number)

    def market_of(self, condition: ConditionId) -> Market:
        """Return the current terms of a market; raises KeyError when it is not listed."""
        return self._source.markets[self._numbers[condition]]

    def notices(self, events: Iterable[Event]) -> Iterator[Notice]:
        """Return the frames of these events, in order."""
        for event in events:
            match event:
                case LevelMoved():
                    yield from self._moved(event)
                case BookReset():
                    yield from self._reset(event)
                case Printed():
                    yield from self._printed(event)
                case TickMoved():
                    yield from self._tick(event)
                case Resolved():
                    yield self._resolved(event)
                case OrderMoved():
                    if event.order.api_key:
                        text = _text(order_frame(event, self.market_of(event.order.condition)))
                        yield UserNotice(event.at, event.order.api_key, event.order.condition, text)
                case TradeMoved():
                    condition = event.trade.condition
                    for api_key, frame in trade_frames(event, self.market_of(condition)):
                        yield UserNotice(event.at, api_key, condition, _text(frame))

    def book(self, number: int, outcome: Outcome) -> dict[str, Any]:
        """Return a book as REST sends it: all strings, best levels last, with its hash (reference 4.1)."""
        market, standing = self._source.markets[number], self.standings[number]
        book = standing.book.seen_by(outcome)
        return {
            "market": market.condition,
            "asset_id": market.token(outcome),
            "timestamp": millis(standing.changed_at),
            "hash": self._hash(number, outcome),
            "bids": _levels(book.bids),
            "asks": _levels(book.asks),
            "min_order_size": format_size(market.min_order_size),
            "tick_size": format_price(market.tick),
            "neg_risk": market.neg_risk,
            "last_trade_price": _last(standing),
        }

    def book_notice(self, number: int, outcome: Outcome, at: Micros) -> MarketNotice:
        """Return a book as the market channel sends it."""
        return MarketNotice(at, (self._source.markets[number].token(outcome),), _text(self.book_event(number, outcome)))

    def book_event(self, number: int, outcome: Outcome) -> dict[str, Any]:
        """Return a book as an event of the market channel."""
        return {"event_type": "book", **self.book(number, outcome)}

    def _hash(self, number: int, outcome: Outcome) -> str:
        """Return the SHA1 of a book in its canonical form (reference 4.1).

        Both of a market's books state one last trade, whichever token it is read on (reference 5.2).
        """
        market, standing = self._source.markets[number], self.standings[number]
        book = standing.book.seen_by(outcome)
        text = (
            f'{{"market":"{market.condition}","asset_id":"{market.token(outcome)}",'
            f'"timestamp":"{millis(standing.changed_at)}","hash":"",'
            f'"bids":[{_hashed(book.bids)}],"asks":[{_hashed(book.asks)}],'
            f'"min_order_size":"{format_size(market.min_order_size)}","tick_size":"{format_price(market.tick)}",'
            f'"neg_risk":{"true" if market.neg_risk else "false"},"last_trade_price":"{_last(standing)}"}}'
        )
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def _moved(self, event: LevelMoved) -> Iterator[Notice]:
        market, standing = self._source.markets[event.market], self.standings[event.market]
        if event.market not in self._heard:
            standing.move(event)
            return
        before = _touch(standing.book)
        standing.move(event)
        changes = [self._change(event, outcome) for outcome in Outcome]
        frame = {
            "event_type": "price_change",
            "market": market.condition,
            "timestamp": millis(event.at),
            "price_changes": changes,
        }
        yield MarketNotice(event.at, (market.yes, market.no), _text(frame))
        if _touch(standing.book) != before:
            yield from self._touches(event.market, event.at)

    def _change(self, event: LevelMoved, outcome: Outcome) -> dict[str, str]:
        market, standing = self._source.markets[event.market], self.standings[event.market]
        own = outcome is Outcome.YES
        bid, ask = _touch(standing.book.seen_by(outcome))
        return {
            "asset_id": market.token(outcome),
            "price": format_price(event.price if own else complement(event.price)),
            "size": format_size(event.size),
            "side": event.side if own else event.side.opposite,
            "hash": self._hash(event.market, outcome),
            "best_bid": format_price(bid),
            "best_ask": format_price(ask),
        }

    def _reset(self, event: BookReset) -> Iterator[Notice]:
        standing = self.standings[event.market]
        before = _touch(standing.book)
        standing.reset(self._source.levels(event.market), event.at)
        # The book that a trade caused already states it, and the print follows (reference 5.2).
        standing.traded(self._source.last_trade(event.market))
        if event.market not in self._heard:
            return
        for outcome in Outcome:
            yield self.book_notice(event.market, outcome, event.at)
        if _touch(standing.book) != before:
            yield from self._touches(event.market, event.at)

    def _touches(self, number: int, at: Micros) -> Iterator[MarketNotice]:
        market, book = self._source.markets[number], self.standings[number].book
        for outcome in Outcome:
            bid, ask = _touch(book.seen_by(outcome))
            frame = {
                "event_type": "best_bid_ask",
                "market": market.condition,
                "asset_id": market.token(outcome),
                "best_bid": format_price(bid),
                "best_ask": format_price(ask),
                "spread": format_price(Price(ask - bid)),
                "timestamp": millis(at),
            }
            yield MarketNotice(at, (market.token(outcome),), _text(frame), custom=True)

    def _printed(self, event: Printed) -> Iterator[Notice]:
        """Report a trade on one of its two tokens, as the exchange does: whoever reads both must not count it twice."""
        market, standing = self._source.markets[event.market], self.standings[event.market]
        standing.traded((event.price, event.side))
        standing.prints.append(event)
        own = self._draw.random() < 0.5
        token = market.yes if own else market.no
        frame = {
            "event_type": "last_trade_price",
            "asset_id": token,
            "market": market.condition,
            "price": format_price(event.price if own else complement(event.price)),
            "size": format_size(event.size),
            "fee_rate_bps": "0",
            "side": event.side if own else event.side.opposite,
            "timestamp": millis(event.at),
            "transaction_hash": f"0x{self._draw.getrandbits(256):064x}",
        }
        yield MarketNotice(event.at, (token,), _text(frame))

    def _tick(self, event: TickMoved) -> Iterator[Notice]:
        market = self._source.markets[event.market]
        for outcome in Outcome:
            frame = {
                "event_type": "tick_size_change",
                "asset_id": market.token(outcome),
                "market": market.condition,
                "old_tick_size": format_price(event.old),
                "new_tick_size": format_price(event.new),
                "timestamp": millis(event.at),
            }
            yield MarketNotice(event.at, (market.token(outcome),), _text(frame))

    def _resolved(self, event: Resolved) -> MarketNotice:
        market = self._source.markets[event.market]
        winner = {ONE: Outcome.YES, 0: Outcome.NO}.get(event.settled_yes)
        frame = {
            "event_type": "market_resolved",
            "id": gamma_id(event.market),
            "market": market.condition,
            "assets_ids": [market.yes, market.no],
            "winning_asset_id": market.token(winner) if winner else "",
            "winning_outcome": outcome_name(market, winner) if winner else "",
            "timestamp": millis(event.at),
            "tags": [],
        }
        return MarketNotice(event.at, (market.yes, market.no), _text(frame), custom=True)

    def listed(self, number: int, at: Micros) -> MarketNotice:
        """Return the news that a market was created, which everybody with the custom features gets."""
        market = self._source.markets[number]
        frame = {
            "event_type": "new_market",
            "id": gamma_id(number),
            "question": market.question,
            "market": market.condition,
            "slug": market.slug,
            "description": "",
            "assets_ids": [market.yes, market.no],
            "outcomes": list(market.outcomes),
            "event_message": {"id": gamma_id(number), "slug": market.event or market.slug, "title": market.question},
            "timestamp": millis(at),
            "tags": [],
            "condition_id": market.condition,
            "active": True,
            "clob_token_ids": [market.yes, market.no],
            "order_price_min_tick_size": format_price(market.tick),
            "fees_enabled": bool(market.fees.rate_ppm),
            "fee_schedule": fee_schedule(market),
        }
        return MarketNotice(at, (), _text(frame), custom=True)


def gamma_id(number: int) -> str:
    """Return the listing's own id of a market."""
    return str(1_000_001 + number)


def fee_schedule(market: Market) -> dict[str, Any]:
    """Return the fees as both the socket and the listing read them."""
    fees = market.fees
    return {
        "rate": Decimal(fees.rate_ppm).scaleb(-6),
        "exponent": fees.exponent,
        "takerOnly": fees.taker_only,
        "rebateRate": Decimal(fees.rebate_ppm).scaleb(-6),
    }


def _touch(book: Book) -> tuple[Price, Price]:
    """Return the best prices; 0 and 1 where nobody rests, as the exchange writes it."""
    return book.best_bid or Price(0), book.best_ask or ONE


def _last(standing: Standing) -> str:
    return last_trade_text(standing.last_trade) if standing.last_trade is not None else NEVER_TRADED


# Every change of one level hashes two whole books; remembering the text of the others is what that costs least.
@lru_cache(maxsize=1 << 16)
def _hashed_level(level: tuple[Price, Size]) -> str:
    return f'{{"price":"{format_price(level[0])}","size":"{format_size(level[1])}"}}'


def _hashed(levels: Sequence[tuple[Price, Size]]) -> str:
    return ",".join([_hashed_level(level) for level in reversed(levels)])


def _levels(levels: Sequence[tuple[Price, Size]]) -> list[dict[str, str]]:
    return [{"price": format_price(price), "size": format_size(size)} for price, size in reversed(levels)]


def _text(frame: dict[str, Any]) -> str:
    return encode(frame).decode()
