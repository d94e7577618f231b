"""How often the exchange may say no, or nothing."""

from dataclasses import dataclass, field

from pmrun.plugins.risk.tripwire import Tripwire, check_tripwire
from pmrun.runner.facts import Carried, Fact, OrderNews, Settled
from pmrun.runner.hooks import NO_BOOK, Objection, hookimpl
from pmrun.runner.orders import News, Settlement
from pmrun.runner.units import Micros
from pmrun.runner.unsent import held_back


@dataclass(slots=True, eq=False)
class ErrorRate:
    """No more than max_errors within `window` seconds; one more, and nothing is quoted for `pause` seconds (P9).

    Errors are orders that were rejected, requests whose answer was lost and settlements that failed; an order that we
    held back ourselves is none.
    """

    max_errors: int = 20
    window: Micros = Micros(60_000_000)
    pause: Micros = Micros(300_000_000)
    order: int | None = None
    _wire: Tripwire = field(init=False, repr=False)

    depth = NO_BOOK
    observes = (Carried, OrderNews, Settled)

    def __post_init__(self) -> None:
        """Refuse settings that could never judge."""
        check_tripwire("max_errors", self.max_errors, self.window, self.pause)
        self._wire = Tripwire(self.max_errors, self.window, self.pause)

    @hookimpl
    def observe(self, fact: Fact) -> None:
        """Count what went wrong."""
        if isinstance(fact, Carried):
            self._wire.restore(fact.values)
        elif isinstance(fact, OrderNews):
            if fact.news in (News.REJECTED, News.UNKNOWN) and not held_back(fact.reason):
                self._wire.happened(fact.at)
        elif isinstance(fact, Settled) and fact.status is Settlement.FAILED:
            self._wire.happened(fact.at)

    @hookimpl
    def carry(self) -> dict[str, int]:
        """Return what is counted."""
        return self._wire.carry()

    @hookimpl
    def next_wake(self) -> Micros | None:
        """Wake when the pause is over."""
        return self._wire.until

    @hookimpl
    def object_to_account(self, at: Micros) -> Objection | None:
        """Object while the pause is on."""
        if not self._wire.tripped(at):
            return None
        return Objection("error_rate", {"limit": self.max_errors, "within": int(self.window)})
