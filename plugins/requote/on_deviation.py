"""When a moved target is worth losing the place in the queue."""

from dataclasses import dataclass

from pmrun.runner.hooks import NO_BOOK, Wanted, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.orders import Order
from pmrun.runner.units import Micros

BPS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class OnDeviation:
    """Replace an order whose target moved more than price_deviation_threshold_bps and min_requote_ticks (R11).

    The threshold is in basis points of the order's price, as its name says; the seed's 0.0001 means any move. No
    order is replaced before it has rested `min_rest` seconds.
    """

    price_deviation_threshold_bps: float = 0.0001
    min_requote_ticks: int = 1
    min_rest: Micros = Micros(0)
    depth = NO_BOOK

    def __post_init__(self) -> None:
        """Refuse thresholds below nothing."""
        if not 0 <= self.price_deviation_threshold_bps <= BPS:
            raise ValueError("price_deviation_threshold_bps must be from 0 to 10,000")
        if not 0 <= self.min_requote_ticks <= BPS:
            raise ValueError("min_requote_ticks must be from 0 to 10,000")
        if not self.min_rest >= 0:
            raise ValueError("min_rest must be 0 seconds or more")

    @hookimpl
    def replace_at(self, order: Order, wanted: Wanted, market: Market) -> Micros | None:
        """Say when the order may make way."""
        moved = abs(wanted.price - order.price)
        if moved:
            if moved * BPS <= self.price_deviation_threshold_bps * order.price:
                return None
            if moved < self.min_requote_ticks * market.tick:
                return None
        return Micros(order.placed_at + self.min_rest)
