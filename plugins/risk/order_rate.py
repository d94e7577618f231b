"""How often orders may be placed and cancelled."""

from dataclasses import dataclass, field

from pmrun.plugins.risk.tripwire import Tripwire, check_tripwire
from pmrun.runner.facts import Carried, Fact
from pmrun.runner.hooks import NO_BOOK, Objection, hookimpl
from pmrun.runner.intents import Cancel, CancelAll, Intent, Place
from pmrun.runner.units import Micros


@dataclass(slots=True, eq=False)
class OrderRate:
    """No more than max_requests places and cancels within `window` seconds; one more, and nothing is quoted (P9).

    Against a strategy that runs wild: it quotes again `pause` seconds after the last request that was too many. Exits
    count too, and go on.
    """

    max_requests: int = 600
    window: Micros = Micros(60_000_000)
    pause: Micros = Micros(60_000_000)
    order: int | None = None
    _wire: Tripwire = field(init=False, repr=False)

    depth = NO_BOOK
    observes = (Carried,)

    def __post_init__(self) -> None:
        """Refuse settings that could never judge."""
        check_tripwire("max_requests", self.max_requests, self.window, self.pause)
        self._wire = Tripwire(self.max_requests, self.window, self.pause)

    @hookimpl
    def observe(self, fact: Fact) -> None:
        """Go on where the last session ended."""
        if isinstance(fact, Carried):
            self._wire.restore(fact.values)

    @hookimpl
    def observe_intent(self, intent: Intent) -> None:
        """Count what goes to the exchange."""
        if isinstance(intent, Place | Cancel | CancelAll):
            self._wire.happened(intent.at)

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
        return Objection("order_rate", {"limit": self.max_requests, "within": int(self.window)})
