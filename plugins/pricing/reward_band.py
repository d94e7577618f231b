"""Rest where liquidity rewards are paid, behind somebody else where possible."""

from dataclasses import dataclass
from enum import StrEnum

from pmrun.runner.book import Book
from pmrun.runner.capabilities import Capability
from pmrun.runner.hooks import Answer, NoQuote, Quote, hookimpl
from pmrun.runner.market import Market, Outcome
from pmrun.runner.units import PRICE_SCALE, HalfPrice, Price, Side

ONE_CENT = Price(PRICE_SCALE // 100)


class Join(StrEnum):
    """What a bid does when the second level lies inside the band."""

    SECOND_BID = "second_bid"
    EDGE = "edge"


@dataclass(frozen=True, slots=True, eq=False)
class RewardBand:
    """Bid on each token one cent inside the reward band, or at the second bid when that is nearer (R4, R4a, R5).

    The edge is mid − (max_spread − 1 cent), in exact half ticks; it is rounded away from the mid and stays within
    max_spread of it. A book with a single bid level is left alone.
    """

    join: Join = Join.SECOND_BID
    max_spread: Price | None = None  # where a market has no reward terms of its own

    def __post_init__(self) -> None:
        """Refuse a band that cannot hold a quote."""
        if self.max_spread is not None and not ONE_CENT < self.max_spread < PRICE_SCALE // 2:
            raise ValueError("max_spread must be above 0.01 and below 0.5 dollars, or null")

    @property
    def needs(self) -> frozenset[Capability]:
        """What the exchange has to offer: rewards, unless a band is given."""
        return frozenset({Capability.REWARDS} if self.max_spread is None else ())

    @hookimpl
    def price(self, market: Market, book: Book) -> Answer:
        """Answer with one bid a token: the ask of one is the bid of the other."""
        return [self._bid(outcome, book.seen_by(outcome), market) for outcome in Outcome]

    def _bid(self, outcome: Outcome, book: Book, market: Market) -> Quote | NoQuote:
        spread = market.rewards.max_spread if market.rewards else self.max_spread
        if spread is None:
            return NoQuote(outcome, Side.BUY, "no_reward_terms", {})
        if spread <= ONE_CENT:
            return NoQuote(outcome, Side.BUY, "band_too_narrow", {"max_spread": spread, "above": ONE_CENT})
        if len(book.bids) < 2:
            return NoQuote(outcome, Side.BUY, "one_bid_level", {"levels": len(book.bids)})
        edge = HalfPrice(book.mid_half - 2 * (spread - ONE_CENT))
        second = book.bids[1][0]
        if self.join is Join.SECOND_BID and 2 * second >= edge:
            return Quote(outcome, Side.BUY, HalfPrice(2 * second), "second_bid")
        placed = edge // (2 * market.tick) * market.tick  # as the grid will floor it
        if 2 * placed < book.mid_half - 2 * spread:
            return NoQuote(outcome, Side.BUY, "outside_band", {"price": placed, "max_spread": spread})
        return Quote(outcome, Side.BUY, edge, "band_edge")
