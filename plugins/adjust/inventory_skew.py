"""Lean quotes against what is held."""

from collections.abc import Generator
from dataclasses import dataclass

from pmrun.runner.hooks import NO_BOOK, Answer, Quote, hookimpl
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import Outcome
from pmrun.runner.units import SIZE_SCALE, HalfPrice, Price


@dataclass(frozen=True, slots=True, eq=False)
class InventorySkew:
    """Move every quote down by `per_100_shares` dollars for each hundred YES held net, up for NO, at most `most`."""

    per_100_shares: Price = Price(100)
    most: Price = Price(500)
    order: int | None = None
    depth = NO_BOOK

    def __post_init__(self) -> None:
        """Refuse a skew that is no price."""
        if not 0 <= self.per_100_shares < 10_000:
            raise ValueError("per_100_shares must be from 0 to below 1 dollar")
        if not 0 <= self.most < 10_000:
            raise ValueError("most must be from 0 to below 1 dollar")

    @hookimpl(wrapper=True)
    def price(self, inventory: Inventory) -> Generator[None, Answer | None, Answer]:
        """Shift what the rule answered."""
        quotes = yield
        lean = max(-self.most, min(self.most, inventory.net * self.per_100_shares // (100 * SIZE_SCALE)))
        return [
            quote._replace(price=HalfPrice(quote.price - 2 * (lean if quote.outcome is Outcome.YES else -lean)))
            if isinstance(quote, Quote)
            else quote
            for quote in quotes or ()
        ]
