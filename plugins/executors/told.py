"""What the desk was last told of the books of a paper session, to tell it only of changes it looks at."""

from typing import cast

import numpy as np

from pmrun.plugins.executors import kernel
from pmrun.runner.book import Book
from pmrun.runner.hooks import Depth, Look
from pmrun.runner.units import Price, Size


class Told:
    """Remembers what was told, and gives what is new."""

    def __init__(
        self, books: kernel.Books, depth: Depth, everything: bool, session: kernel.Session | None = None
    ) -> None:
        """Take the books, and how much of them the desk looks at."""
        self._books = books
        self._prices_only = depth.look is not Look.LEVELS and depth.levels > 0 and not everything
        self._most = depth.levels
        self._session = session

    def changes(self) -> list[tuple[int, Book]]:
        """Return the books that are not as told last, by market."""
        if self._prices_only and self._session is not None:
            return self._moved_prices(self._session)
        changed = np.nonzero(self._books.dirty)[0].tolist()
        self._books.dirty[:] = 0
        return [(market, self.book(market)) for market in changed]

    def book(self, market: int) -> Book:
        """Return a market's book, as deep as the desk looks."""
        return Book(self._side(market, kernel.BID), self._side(market, kernel.ASK))

    def _side(self, market: int, side: int) -> tuple[tuple[Price, Size], ...]:
        found = kernel.levels(self._books, market, side, self._most)
        return cast("tuple[tuple[Price, Size], ...]", found)

    def _moved_prices(self, session: kernel.Session) -> list[tuple[int, Book]]:
        found = session.moved_prices()
        if not found:
            return []
        sides = 2 * self._most
        numbers: tuple[int, ...] = tuple(session.numbers[: 2 * found * sides].tolist())
        books = []
        first = 0
        for market in session.moved[:found].tolist():
            sizes = first + sides
            end = sizes + sides
            books.append((market, Book.shallow(numbers[first:sizes], numbers[sizes:end])))
            first = end
        return books
