"""Follow the touch up, never down, at looks."""

from dataclasses import dataclass

from pmrun.plugins.requote.looks import check_poll, look_at
from pmrun.runner.hooks import NO_BOOK, Wanted, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.orders import Order
from pmrun.runner.units import SECOND, Micros


@dataclass(frozen=True, slots=True, eq=False)
class FollowUp:
    """Every poll_sec a bid is held against what is wanted: a tick or more above it, it makes way; never below (M2).

    The cancel is confirmed before the new bid is placed, so that only the remainder is placed again.
    """

    poll_sec: Micros = Micros(10 * SECOND)
    depth = NO_BOOK
    confirms = True

    def __post_init__(self) -> None:
        """Refuse looks that would never come."""
        check_poll(self.poll_sec)

    @hookimpl
    def replace_at(self, order: Order, wanted: Wanted, market: Market, at: Micros) -> Micros | None:
        """Say at which look the order may make way."""
        if wanted.price < order.price + market.tick:
            return None
        return look_at(order.placed_at, self.poll_sec, at)
