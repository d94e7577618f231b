"""The circuit breaker: a price that moves too far too fast halts its market for a while (V4)."""

from collections import deque
from collections.abc import Callable

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.satori.settings import SatoriSettings
from pmrun.plugins.exchanges.embedded.terms import Event, Printed
from pmrun.runner.facts import MarketStatus
from pmrun.runner.units import Micros, Price


class Breaker:
    """Watches the last prices of every market within a rolling window; resting orders stay through a halt.

    The move is that of the first outcome's price, relative to the lowest or highest of the window.
    """

    def __init__(self, engine: Engine, news: Callable[[], list[Event]], settings: SatoriSettings) -> None:
        """Take the engine, a reader of its news, and when to halt."""
        self._engine = engine
        self._news = news
        self._settings = settings
        self._prices: list[deque[tuple[Micros, Price]]] = [deque() for _ in engine.markets]
        self._tripped: list[tuple[Micros, int]] = []
        self._resumes: dict[int, Micros] = {}

    def halted_until(self, market: int) -> Micros | None:
        """Return when a market that it halted trades again."""
        return self._resumes.get(market)

    def next_at(self) -> Micros | None:
        """Return when it halts or resumes a market."""
        self._watch()
        return min([at for at, _ in self._tripped] + list(self._resumes.values()), default=None)

    def advance(self, until: Micros) -> None:
        """Halt and resume what is due."""
        self._watch()
        due, self._tripped = (
            [each for each in self._tripped if each[0] <= until],
            [each for each in self._tripped if each[0] > until],
        )
        for at, market in due:
            self._pause(market, at)
        for market, at in list(self._resumes.items()):
            if at <= until:
                self._resume(market, at)

    def _watch(self) -> None:
        for event in self._news():
            if isinstance(event, Printed) and event.market not in self._resumes:
                self._take(event)

    def _take(self, event: Printed) -> None:
        prices = self._prices[event.market]
        while prices and prices[0][0] <= event.at - self._settings.halt_window:
            prices.popleft()
        if self._too_far(event.price, [price for _, price in prices]):
            self._tripped.append((event.at, event.market))
        if not prices or prices[-1][1] != event.price:
            prices.append((event.at, event.price))

    def _too_far(self, price: Price, earlier: list[Price]) -> bool:
        settings = self._settings
        return any(
            abs(price - one) * 1_000_000 >= settings.halt_move_ppm * one
            and abs(price - one) >= settings.halt_least_move
            for one in earlier
        )

    def _pause(self, market: int, at: Micros) -> None:
        if self._engine.status(market) is MarketStatus.TRADING:
            self._engine.set_status(market, MarketStatus.HALTED, at)
            self._resumes[market] = Micros(at + self._settings.halt_length)

    def _resume(self, market: int, at: Micros) -> None:
        del self._resumes[market]
        self._prices[market].clear()
        if self._engine.status(market) is MarketStatus.HALTED:
            self._engine.set_status(market, MarketStatus.TRADING, at)
