"""Do not rest on a book that nobody has confirmed for a while."""

from dataclasses import dataclass, field

from pmrun.runner.facts import BookChanged, Fact
from pmrun.runner.hooks import WHOLE_BOOK, Objection, Wanted, hookimpl
from pmrun.runner.market import MarketNo
from pmrun.runner.units import Micros


@dataclass(slots=True, eq=False)
class StaleBook:
    """The market's book was seen within max_age seconds, or everything is pulled (O10: silent freezes)."""

    max_age: Micros = Micros(1_800_000_000)
    order: int | None = None
    _seen: dict[MarketNo, Micros] = field(default_factory=dict, init=False, repr=False)

    depth = WHOLE_BOOK  # any news of the book, were it the same, says that it is alive
    observes = (BookChanged,)

    def __post_init__(self) -> None:
        """Refuse an age of nothing."""
        if not self.max_age > 0:
            raise ValueError("max_age must be above 0 seconds")

    @hookimpl
    def observe(self, fact: Fact, market_no: MarketNo | None) -> None:
        """Remember when a book came."""
        if market_no is not None:
            self._seen[market_no] = fact.at

    @hookimpl
    def next_wake(self, market_no: MarketNo) -> Micros | None:
        """Wake when the market's book is too old."""
        seen = self._seen.get(market_no)
        return None if seen is None else Micros(seen + self.max_age + 1)

    @hookimpl
    def object_to_order(self, order: Wanted, market_no: MarketNo, at: Micros) -> Objection | None:
        """Object to any order on a book that is too old."""
        age = at - self._seen.get(market_no, at)
        if age > self.max_age:
            return Objection("stale_book", {"age_s": age // 1_000_000, "limit_s": self.max_age // 1_000_000})
        return None
