"""Faults of markets and of settlement: ticks that move, halts, answers in mid-session, trades that fail."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Protocol

import msgspec

from pmrun.plugins.exchanges.embedded.fault_acts import (
    Act,
    Acting,
    FailSettlement,
    Resolve,
    RetrySettlement,
    SetStatus,
    SetTick,
)
from pmrun.plugins.exchanges.embedded.fault_terms import Fault, Name
from pmrun.plugins.exchanges.embedded.fault_timing import Trigger
from pmrun.plugins.exchanges.embedded.terms import Levels
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import Market
from pmrun.runner.units import ONE, Micros, Price, parse_price

# The next finer tick whose grid holds every price of the coarser one (reference 4: the ticks there are).
_FINER = {1000: 100, 100: 10, 50: 10, 25: 1, 10: 1, 1: 10}


class Markets(Protocol):
    """What faults look at in the engine."""

    @property
    def markets(self) -> Sequence[Market]:
        """Return the present terms."""

    def levels(self, market: int) -> tuple[Levels, Levels]:
        """Return a market's book in YES terms."""


class Board:
    """The markets as the faults have left them: several acts may be due before the first is carried out."""

    def __init__(self) -> None:
        self.resolved: set[int] = set()
        self.halted: set[int] = set()
        self._engine: Markets | None = None
        self._first: dict[int, Price] = {}
        self._ticks: dict[int, Price] = {}

    def bind(self, engine: Markets) -> None:
        """Look at these markets from now on."""
        self._engine = engine
        self._ticks = {number: market.tick for number, market in enumerate(engine.markets)}
        self._first = dict(self._ticks)

    def mentions(self, market: int, text: str) -> bool:
        """Tell whether a frame speaks of a market."""
        return self._engine is not None and self._engine.markets[market].condition in text

    def choose(self, market: int | None, random: Random) -> int | None:
        """Return the market asked for, or draw one that trades, with both sides of a book where there is one."""
        if self._engine is None:
            return None
        trading = [number for number in self._ticks if number not in self.resolved | self.halted]
        if market is not None:
            return market if market in trading else None
        full = [number for number in trading if all(self._engine.levels(number))]
        return random.choice(full or trading) if trading else None

    def tick(self, market: int) -> Price:
        """Return a market's tick."""
        return self._ticks[market]

    def set_tick(self, market: int, tick: Price) -> None:
        """Remember a changed tick."""
        self._ticks[market] = tick

    def other_tick(self, market: int) -> Price:
        """Return another tick than the present one: a finer one, or the market's first one once it has left it."""
        present, first = self._ticks[market], self._first[market]
        return first if present != first else Price(_FINER.get(first, 1))


class MarketActing(Acting):
    """A fault that picks a market and does something to it."""

    def __init__(self, fault: Fault, trigger: Trigger, board: Board) -> None:
        super().__init__(fault, trigger)
        self.board = board

    def strike(self, moment: Micros) -> list[Act]:
        """Pick a market; nothing happens, and nothing is counted, where there is none."""
        market = self.board.choose(self.where.market, self.random)
        acts = [] if market is None else self.touch(market, moment)
        if acts:
            self.trigger.strike()
        return acts

    def touch(self, market: int, moment: Micros) -> list[Act]:
        """Do it."""
        raise NotImplementedError


class TickChange(MarketActing):
    """The tick of a market changes, and back after `for`."""

    def touch(self, market: int, moment: Micros) -> list[Act]:
        """Move the tick, unless it is there already."""
        old, wish = self.board.tick(market), self.fault.text("tick")
        new = self.board.other_tick(market) if wish is None else parse_price(wish)
        if new == old:
            return []
        self.board.set_tick(market, new)
        if self.fault.length is not None:
            self.hold(Micros(moment + self.fault.length), SetTick(market, old))
        return [SetTick(market, new)]

    def finish(self, act: Act) -> list[Act]:
        """Move the tick back, where the market still trades and has another one."""
        if not isinstance(act, SetTick) or act.market in self.board.resolved:
            return []
        if self.board.tick(act.market) == act.tick:
            return []
        self.board.set_tick(act.market, act.tick)
        return [act]


class Halted(MarketActing):
    """A market takes no orders for a while."""

    def touch(self, market: int, moment: Micros) -> list[Act]:
        """Halt it."""
        self.board.halted.add(market)
        self.hold(Micros(moment + (self.fault.length or 0)), SetStatus(market, MarketStatus.TRADING))
        return [SetStatus(market, MarketStatus.HALTED)]

    def finish(self, act: Act) -> list[Act]:
        """Let it trade again."""
        if isinstance(act, SetStatus):
            self.board.halted.discard(act.market)
        return [act]


class ResolvedEarly(MarketActing):
    """A market gets its answer in the middle of the session."""

    def touch(self, market: int, moment: Micros) -> list[Act]:
        """Resolve it for good."""
        wish = self.fault.text("settled")
        settled = Price(self.random.choice((0, ONE))) if wish is None else parse_price(wish)
        self.board.resolved.add(market)
        return [Resolve(market, settled)]


class Unsettled(Acting):
    """Trades that fail, or need a second try; a firing is a trade that was told of as such."""

    def __init__(self, fault: Fault, trigger: Trigger) -> None:
        super().__init__(fault, trigger)
        self._fails = fault.name is Name.GHOST_FILL
        self._word = "FAILED" if self._fails else "RETRYING"
        self._awaited = 0
        self._seen: set[str] = set()

    def strike(self, moment: Micros) -> list[Act]:
        """Ask for it; it is counted when it happens."""
        count = self.fault.number("count")
        self.trigger.uses += 1
        self._awaited += count
        return [FailSettlement(count) if self._fails else RetrySettlement(count)]

    def watch(self, text: str) -> None:
        """Count the trades that the exchange reports in this state."""
        if not self._awaited or self._word not in text:
            return
        for trade in _objects(text):
            trade_id = str(trade.get("id"))
            told = str(trade.get("status")).removeprefix("TRADE_STATUS_") == self._word
            if self._awaited and told and "taker_order_id" in trade and trade_id not in self._seen:
                self._seen.add(trade_id)
                self._awaited -= 1
                self.trigger.fired[self.fault.name.value] += 1


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the events of a frame or the rows of a page."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return
    if isinstance(found, dict) and isinstance(found.get("data"), list):
        found = found["data"]
    for row in found if isinstance(found, list) else [found]:
        if isinstance(row, dict):
            yield row
