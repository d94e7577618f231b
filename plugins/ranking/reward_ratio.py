"""How many dollars a day the crowd at the touch leaves us, by size alone."""

from dataclasses import dataclass

from pmrun.runner.book import Book
from pmrun.runner.hooks import Depth, Look, Prospect, Rank, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.units import CASH_SCALE, Size


@dataclass(frozen=True, slots=True, eq=False)
class RewardRatio:
    """Own size × sides / competitors' size × dollars a day (R2).

    Competitors are the first two levels of each side of one book: the other token's book is its mirror. Where hardly
    anybody rests they count as one order of the exchange's minimum: an empty market ranks high, by a finite number.
    """

    sides: int = 2
    depth = Depth(Look.LEVELS, 2)

    def __post_init__(self) -> None:
        """Refuse counts of sides that nobody quotes."""
        if not 1 <= self.sides <= 4:
            raise ValueError("sides must be from 1 to 4")

    @hookimpl
    def rank_market(self, market: Market, book: Book, prospect: Prospect) -> Rank:
        """Return the ratio in dollars a day, and what it is made of; 0 without rewards or without a size."""
        own = prospect.size or Size(0)
        competitors = sum(size for _, size in (*book.bids[:2], *book.asks[:2]))
        rewards = market.rewards
        rate = 0 if rewards is None else rewards.daily_rate + rewards.sponsored_rate
        crowd = max(competitors, market.min_order_size, 1)
        value = own * self.sides * rate / (crowd * CASH_SCALE)
        return Rank(value, {"size": own, "sides": self.sides, "competitors": competitors, "daily_rate": rate})
