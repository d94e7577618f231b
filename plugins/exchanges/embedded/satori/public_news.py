"""What everybody may hear: trades, halts, settlements, books and prices."""

from collections.abc import Iterable, Iterator
from typing import Any

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.satori.breaker import Breaker
from pmrun.plugins.exchanges.embedded.satori.listings import Listings
from pmrun.plugins.exchanges.embedded.satori.wire_out import resolved_outcome, status_word
from pmrun.plugins.exchanges.embedded.terms import BookReset, Event, LevelMoved, Printed, Resolved
from pmrun.runner.market import Outcome
from pmrun.runner.units import Micros

MARKET, BOOKS = "market", "books"
Notice = tuple[str, str, dict[str, Any], Micros]  # the market's id, what has to be subscribed to, the frame, when


class PublicNews:
    """Turns events of the engine into frames for those who subscribed; nobody pays for what nobody hears."""

    def __init__(self, engine: Engine, listings: Listings, breaker: Breaker) -> None:
        """Take how the markets stand now."""
        self._engine = engine
        self._listings = listings
        self._breaker = breaker
        self._statuses = engine.statuses
        self._last: dict[int, int] = {}

    def changed(self) -> bool:
        """Whether a market was halted, or trades again, since it was last told."""
        return self._statuses != self._engine.statuses

    def take(self, events: Iterable[Event], heard: set[str], seen: set[str], at: Micros) -> Iterator[Notice]:
        """Yield the frames of events, then of books that changed, then of markets that halted or resumed."""
        moved: dict[int, Micros] = {}
        for event in events:
            match event:
                case Printed():
                    yield from self._printed(event, heard)
                    moved[event.market] = event.at
                case LevelMoved() | BookReset():
                    moved[event.market] = event.at
                case Resolved():
                    yield self._settled(event)
                case _:
                    pass
        for number, when in moved.items():
            self._listings.moved(number)
            market_id = self._engine.markets[number].condition
            if market_id in seen:
                yield from ((market_id, BOOKS, frame, when) for frame in self.books(number, when))
        yield from self._halts(at)

    def books(self, number: int, at: Micros) -> list[dict[str, Any]]:
        """Return the frames of a market's books and prices as they are now."""
        frames: list[dict[str, Any]] = []
        for outcome in Outcome:
            book = self._listings.book(number, outcome, at)
            frames += [{"type": "orderbook", **book}, self._price(number, outcome, book)]
        return frames

    def _price(self, number: int, outcome: Outcome, book: dict[str, Any]) -> dict[str, Any]:
        last = self._engine.last_trade(number)
        price = None if last is None else last[0]
        return {
            "type": "price_update",
            "market_id": book["market_id"],
            "outcome_id": book["outcome_id"],
            "last_price": price if price is None or outcome is Outcome.YES else 10_000 - price,
            "best_bid": book["bids"][0][0] if book["bids"] else None,
            "best_ask": book["asks"][0][0] if book["asks"] else None,
            "timestamp": book["timestamp"],
        }

    def _printed(self, event: Printed, heard: set[str]) -> Iterator[Notice]:
        row = self._listings.printed(event)
        market_id = self._engine.markets[event.market].condition
        if market_id in heard:
            yield market_id, MARKET, {"type": "trade", "market_id": market_id, "trade": row}, event.at

    def _settled(self, event: Resolved) -> Notice:
        market = self._engine.markets[event.market]
        outcome = resolved_outcome(market)
        frame = {"type": "settlement", "market_id": market.condition, "resolved_outcome_id": outcome}
        return market.condition, MARKET, {**frame, "timestamp": event.at // 1_000}, event.at

    def _halts(self, at: Micros) -> Iterator[Notice]:
        now = self._engine.statuses
        for number, (was, status) in enumerate(zip(self._statuses, now, strict=True)):
            if was is not status:
                until = self._breaker.halted_until(number)
                market_id = self._engine.markets[number].condition
                frame = {
                    "type": "market_status",
                    "market_id": market_id,
                    "status": status_word(status),
                    "reason": None
                    if status_word(status) == "open"
                    else "exchange"
                    if until is None
                    else "circuit_breaker",
                    "until": None if until is None else until // 1_000,
                }
                yield market_id, MARKET, frame, at
        self._statuses = now
