"""Calls about markets: what there is, books, and everybody's trades; and where markets are found by their ids."""

from collections import deque
from typing import Any

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.satori.calls import PAGE, Call, paged
from pmrun.plugins.exchanges.embedded.satori.codes import Code, Refusal
from pmrun.plugins.exchanges.embedded.satori.settings import SatoriSettings
from pmrun.plugins.exchanges.embedded.satori.wire_out import STATUSES, book_row, market_row, outcome_id, print_row
from pmrun.plugins.exchanges.embedded.terms import Printed
from pmrun.runner.market import Outcome, TokenId
from pmrun.runner.units import Micros

PRINTS_KEPT = 1_000


class Listings:
    """Answers them."""

    def __init__(self, engine: Engine, settings: SatoriSettings) -> None:
        """Take the engine, with its markets in their order."""
        self._engine = engine
        self._settings = settings
        self._numbers = {str(market.condition): number for number, market in enumerate(engine.markets)}
        self._prints: list[deque[dict[str, Any]]] = [deque(maxlen=PRINTS_KEPT) for _ in engine.markets]
        self._printed = [0 for _ in engine.markets]
        self._sequences = [0 for _ in engine.markets]

    # Where things are.

    def number(self, market_id: str) -> int:
        """Return a market's number; Refusal when there is none of that id."""
        found = self._numbers.get(market_id)
        if found is None:
            raise Refusal(Code.NO_MARKET)
        return found

    def listed(self, market_id: str) -> bool:
        """Whether there is such a market."""
        return market_id in self._numbers

    def token(self, market_id: str, outcome: str) -> tuple[int, TokenId]:
        """Return the market and the token of an outcome; Refusal when there is none."""
        number = self.number(market_id)
        market = self._engine.markets[number]
        return number, market.token(self._outcome(number, outcome))

    def _outcome(self, number: int, wanted: str) -> Outcome:
        for outcome in Outcome:
            if outcome_id(self._engine.markets[number], outcome) == wanted:
                return outcome
        raise Refusal(Code.NO_MARKET)

    # What happens.

    def printed(self, event: Printed) -> dict[str, Any]:
        """Keep a trade, and return it as everybody sees it."""
        self._printed[event.market] += 1
        row = print_row(self._engine.markets[event.market], self._printed[event.market], event)
        self._prints[event.market].append(row)
        return row

    def moved(self, number: int) -> None:
        """Count a change of a book."""
        self._sequences[number] += 1

    def book(self, number: int, outcome: Outcome, at: Micros) -> dict[str, Any]:
        """Return the book of an outcome as it is now."""
        market, levels = self._engine.markets[number], self._engine.levels(number)
        row: dict[str, Any] = book_row(market, outcome, levels, self._sequences[number], at)
        return row

    # Calls.

    def markets(self, call: Call) -> Any:
        """Answer GET /markets."""
        wanted = call.asked("status")
        if wanted and wanted not in STATUSES:
            raise Refusal(Code.BAD_REQUEST)
        rows = [self._row(number) for number in range(len(self._engine.markets))]
        return paged([row for row in rows if wanted in ("", row["status"])], call)

    def market(self, call: Call) -> Any:
        """Answer GET /markets/:id."""
        return self._row(self.number(call.parts[0]))

    def trades(self, call: Call) -> Any:
        """Answer GET /markets/:id/trades, newest first."""
        newest_first = list(reversed(self._prints[self.number(call.parts[0])]))
        return newest_first[: call.number("limit", PAGE, PRINTS_KEPT)]

    def orderbook(self, call: Call) -> Any:
        """Answer GET /orderbook/:market_id/:outcome_id."""
        number = self.number(call.parts[0])
        return self.book(number, self._outcome(number, call.parts[1]), call.at)

    def _row(self, number: int) -> dict[str, Any]:
        return market_row(self._engine.markets[number], self._engine.status(number), self._settings)
