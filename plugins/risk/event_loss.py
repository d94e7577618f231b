"""How much one event may cost, whichever of its markets wins."""

from dataclasses import dataclass

from pmrun.runner.hooks import NO_BOOK, Objection, Wanted, hookimpl
from pmrun.runner.units import NOTIONAL_PER_CASH, Cash, Notional, Side


@dataclass(frozen=True, slots=True, eq=False)
class EventLoss:
    """Whatever comes of an event, its markets together lose at most max_loss, everything in play included (R8).

    Of the markets of a negative-risk event one wins at most, perhaps one that is not listed here. Markets of an event
    that need not exclude each other add their worst cases; a market without an event stands alone.
    """

    max_loss: Cash = Cash(50_000_000)
    order: int | None = None
    depth = NO_BOOK
    cumulative = True
    safety = False  # what we hold says nothing of the market (R3)

    def __post_init__(self) -> None:
        """Refuse a limit of nothing."""
        if not 0 < self.max_loss < 10**15:
            raise ValueError("max_loss must be above 0 and below 1,000,000,000 dollars")

    @hookimpl
    def object_to_order(self, order: Wanted, event_loss: Notional) -> Objection | None:
        """Object to a bid that would take the event past its limit."""
        if order.side is not Side.BUY or event_loss <= self.max_loss * NOTIONAL_PER_CASH:
            return None
        loss = -(-event_loss // NOTIONAL_PER_CASH)
        return Objection("event_loss", {"loss": loss, "limit": int(self.max_loss)})
