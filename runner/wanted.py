"""What a decision asks for: an order that ought to rest."""

from typing import Any

from pmrun.runner.market import Outcome
from pmrun.runner.orders import Order, Purpose
from pmrun.runner.units import Notional, Price, Side, Size


class Wanted:
    """An order that ought to rest: on the grid and sized; checks may still object."""

    __slots__ = ("basis", "may_take", "outcome", "price", "purpose", "side", "size")

    def __init__(
        self,
        outcome: Outcome,
        side: Side,
        price: Price,
        size: Size,
        purpose: Purpose,
        basis: str,
        may_take: bool = False,
    ) -> None:
        """Take an order; nothing changes it afterwards."""
        self.outcome = outcome
        self.side = side
        self.price = price
        self.size = size
        self.purpose = purpose
        self.basis = basis
        self.may_take = may_take

    @staticmethod
    def of(order: Order) -> "Wanted":
        """Return what an order in play still stands for."""
        left, takes = order.remaining, not order.post_only
        return Wanted(order.outcome, order.side, order.price, left, order.purpose, order.basis, takes)

    @property
    def notional(self) -> Notional:
        """Price times size, exact."""
        return Notional(self.price * self.size)

    def _values(self) -> tuple[Any, ...]:
        return self.outcome, self.side, self.price, self.size, self.purpose, self.basis, self.may_take

    def __eq__(self, other: object) -> bool:
        """Compare by what is wanted."""
        return isinstance(other, Wanted) and self._values() == other._values()

    def __hash__(self) -> int:
        """Hash by what is wanted."""
        return hash(self._values())

    def __repr__(self) -> str:
        """Show what is wanted."""
        return f"Wanted{self._values()}"
