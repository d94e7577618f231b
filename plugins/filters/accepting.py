"""Only markets that take orders."""

from dataclasses import dataclass

from pmrun.runner.hooks import NO_BOOK, Objection, hookimpl
from pmrun.runner.market import Market


@dataclass(frozen=True, slots=True, eq=False)
class Accepting:
    """Drop markets that the exchange lists as inactive, closed or not accepting orders (reference 4.3)."""

    order: int | None = None
    depth = NO_BOOK

    @hookimpl
    def reject_market(self, market: Market) -> Objection | None:
        """Reject a market that takes no orders."""
        return None if market.accepting_orders else Objection("not_accepting_orders")
