"""How many dollars a day our quotes would earn, by the exchange's own score."""

from dataclasses import dataclass

from pmrun.plugins.rewards.score import income, own_wanted, score
from pmrun.runner.book import Book
from pmrun.runner.hooks import WHOLE_BOOK, Prospect, Rank, hookimpl
from pmrun.runner.market import Market


@dataclass(frozen=True, slots=True, eq=False)
class RewardScore:
    """Estimated dollars a day of the quotes the pricing rule wants now, if they rested all day (R2, reference 7.3).

    The value is the middle of the estimate, native and sponsored pools together.
    """

    depth = WHOLE_BOOK

    @hookimpl
    def rank_market(self, market: Market, book: Book, prospect: Prospect) -> Rank:
        """Return the middle estimate, with its interval, our share of the score, and who would pay."""
        terms = market.rewards
        if terms is None:
            return Rank(0.0, {"daily_rate": 0})
        found = score(book, [own_wanted(wanted) for wanted in prospect.quotes], terms)
        paid = income(found.share, terms)
        total = paid.total
        return Rank(
            total.mid,
            {
                "low": total.low,
                "mid": total.mid,
                "high": total.high,
                "share": found.share.mid,
                "score": found.ours,
                "native": paid.native.mid,
                "sponsored": paid.sponsored.mid,
            },
        )
