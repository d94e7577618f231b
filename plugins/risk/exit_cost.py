"""Never hold what cannot be left within a bound."""

from dataclasses import dataclass

from pmrun.plugins.risk.hysteresis import check_hysteresis, widened
from pmrun.runner.book import Book
from pmrun.runner.exit_cost import leave, mid_value
from pmrun.runner.hooks import WHOLE_BOOK, Objection, Wanted, hookimpl
from pmrun.runner.intents import Number
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import Market
from pmrun.runner.units import Cash, Side, Size

PPM = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class ExitCost:
    """Selling all of a token into the bids that are there costs at most max_cost and max_share of its value at the mid.

    What is held counts, what bids in play and in flight would buy, and the order. Taker fees are taken off; what no bid
    takes counts nothing. With net_pairs, shares that pair up with the other token are a dollar, not to be left.
    """

    max_cost: Cash | None = Cash(5_000_000)
    max_share: float | None = None
    net_pairs: bool = True
    hysteresis: float = 0.1
    order: int | None = None
    depth = WHOLE_BOOK
    cumulative = True
    safety = False  # what we hold says nothing of the market (R3)

    def __post_init__(self) -> None:
        """Refuse bounds that are none."""
        if self.max_cost is None and self.max_share is None:
            raise ValueError("max_cost must be set where max_share is not")
        if self.max_cost is not None and not 0 < self.max_cost < 10**15:
            raise ValueError("max_cost must be above 0 and below 1,000,000,000 dollars")
        if self.max_share is not None and not 0 < self.max_share <= 1:
            raise ValueError("max_share must be above 0, at most 1 (a share of the value at the mid)")
        check_hysteresis(self.hysteresis)

    @hookimpl
    def object_to_order(
        self, order: Wanted, market: Market, book: Book, inventory: Inventory, shares: Size, resting: bool
    ) -> Objection | None:
        """Object to a bid that would leave us with more than the bids take at a bearable price."""
        if order.side is not Side.BUY:
            return None
        paired = inventory.of(order.outcome.other).held if self.net_pairs else 0
        size = Size(max(0, shares + order.size - max(0, paired)))
        if not size:
            return None
        found = leave(book, size, market.fees, market.min_order_size)
        value = mid_value(size, book.mark_half)
        cost = value - found.cash
        numbers: dict[str, Number] = {"cost": cost, "shares": size, "unsold": found.unsold}
        if self.max_cost is not None and cost > widened(self.max_cost, self.hysteresis, resting):
            return Objection("exit_cost", numbers | {"limit": int(self.max_cost)})
        if self.max_share is not None:
            limit = value * round(self.max_share * PPM) // PPM
            if cost > widened(limit, self.hysteresis, resting):
                return Objection("exit_cost_share", numbers | {"limit": limit})
        return None
