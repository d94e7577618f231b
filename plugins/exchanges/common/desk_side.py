"""What a live session asks of an exchange, and what stops quoting: the same whatever the exchange."""

from collections.abc import Callable, Sequence
from typing import Protocol

from loguru import logger

from pmrun.runner.facts import BookChanged, Fact, FeedLost, FeedRestored, OrderNews
from pmrun.runner.orders import News
from pmrun.runner.units import Micros

log = logger.bind(module="orders")
NO_USER_SOCKET = "no news of our own orders"


class Books(Protocol):
    """The books of the feed."""

    def changed_since(self) -> Micros | None:
        """Return when the first book changed that the desk was not told of."""

    def books(self, at: Micros) -> list[BookChanged]:
        """Return the books that changed in what the desk looks at."""

    def again(self, at: Micros) -> None:
        """Tell every book anew."""


class DeskSide:
    """Keeps facts until the desk asks for them, and books from it while there is trouble."""

    mode = "live"

    def __init__(
        self, opening: Sequence[Fact], books: Callable[[], Books], now: Callable[[], Micros], ring: Callable[[], None]
    ) -> None:
        """Take the truth at the start, where the books are, the clock, and what wakes the desk."""
        self._opening = opening
        self._books = books
        self._clock = now
        self._ring = ring
        self._facts: list[Fact] = []
        self._troubles: dict[str, None] = {}

    def opening(self) -> list[Fact]:
        """Return the truth at the start."""
        return [*self._opening]

    def next_due(self) -> Micros | None:
        """Return now where facts wait that say anything new."""
        return self._clock() if self._has_news() else None

    def changed_since(self) -> Micros | None:
        """Return when the first book changed that the desk was not told of; none while books are not trusted."""
        return None if self._troubles else self._books().changed_since()

    def advance(self, until: Micros) -> None:
        """Nothing runs on our side."""

    def due(self, at: Micros) -> list[Fact]:
        """Return what the desk has to learn."""
        facts, self._facts = self._facts, []
        return facts

    def books(self, at: Micros) -> list[BookChanged]:
        """Return the books that changed in what the desk looks at."""
        return [] if self._troubles else self._books().books(at)

    def keep(self, fact: Fact) -> None:
        """Write a fact down before the desk hears of it; an exchange says how."""
        raise NotImplementedError

    def _tell(self, facts: Sequence[Fact]) -> None:
        """Queue facts, each written down before the desk hears of it."""
        for fact in facts:
            self.keep(fact)
        self._facts += facts
        if self._has_news():
            self._ring()

    def _has_news(self) -> bool:
        """Whether the desk has to be woken; mere words wait until it wakes anyhow."""
        return any(not isinstance(fact, OrderNews) or fact.news is not News.SEEN for fact in self._facts)

    def _trouble(self, name: str, there: bool) -> None:
        """Learn of trouble that begins or ends: while there is any, nothing is quoted."""
        if there and name not in self._troubles:
            first = not self._troubles
            self._troubles[name] = None
            log.warning("quoting stops: {}", name)
            if first:
                self._tell([FeedLost(self._clock(), name)])
        elif not there and name in self._troubles:
            del self._troubles[name]
            log.info("over: {}", name)
            if not self._troubles:
                self._books().again(self._clock())
                self._tell([FeedRestored(self._clock())])
