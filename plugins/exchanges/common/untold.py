"""What the desk has not been told yet of markets: which books changed, and what else happened (O10)."""

from collections import Counter
from collections.abc import Callable

from pmrun.runner.book import Book
from pmrun.runner.facts import BookChanged, Printed, StatusChanged, TickChanged
from pmrun.runner.hooks import Depth, Look
from pmrun.runner.market import MarketNo
from pmrun.runner.units import Micros, Price

Told = Printed | TickChanged | StatusChanged
_MOST_UNTOLD = 100_000


class Untold:
    """Keeps what is to be told; `depth` limits it as the paper exchange does, `everything` lifts that."""

    def __init__(self, markets: int, depth: Depth, everything: bool, counts: Counter[str]) -> None:
        """Owe nothing."""
        self._counts = counts
        self._prices_only = depth.look is not Look.LEVELS and depth.levels > 0 and not everything
        self._most = depth.levels
        self._shown: list[tuple[tuple[Price, ...], tuple[Price, ...]]] = [((), ())] * markets
        self._dirty: set[int] = set()
        self._facts: list[Told] = []
        self.changed_since: Micros | None = None  # when the first book changed that the desk was not told of

    def changed(self, no: int, at: Micros) -> None:
        """Have a book told."""
        self._dirty.add(no)
        if self.changed_since is None:
            self.changed_since = at

    def again(self, at: Micros) -> None:
        """Have every book told once more."""
        for no in range(len(self._shown)):
            self._shown[no] = ((), ())
            self.changed(no, at)

    def tell(self, fact: Told) -> None:
        """Have something else told."""
        self._facts.append(fact)
        if len(self._facts) > _MOST_UNTOLD:
            del self._facts[0]
            self._counts["facts dropped untold"] += 1

    def facts(self) -> list[Told]:
        """Return what else there is since last asked, in order."""
        facts, self._facts = self._facts, []
        return facts

    def books(self, at: Micros, upto: int, book: Callable[[int, int], Book]) -> list[BookChanged]:
        """Return the books that changed in what the desk looks at; `book` gives so many levels of one."""
        dirty, self._dirty = sorted(self._dirty), set()
        self.changed_since = None
        found = []
        for no in dirty:
            shown = book(no, self._most)
            if self._prices_only:
                prices = tuple(price for price, _ in shown.bids), tuple(price for price, _ in shown.asks)
                if prices == self._shown[no]:
                    continue
                self._shown[no] = prices
            found.append(BookChanged(at, MarketNo(no), upto, shown))
        return found
