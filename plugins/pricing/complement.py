"""Bid for YES and for NO, so that both together cost less than the dollar they pay, and finish the pair."""

from dataclasses import dataclass

from pmrun.runner.book import Book
from pmrun.runner.hooks import Answer, Depth, Look, NoQuote, Quote, hookimpl
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import Market, Outcome
from pmrun.runner.units import CASH_SCALE, ONE, PRICE_SCALE, SIZE_SCALE, HalfPrice, Price, Side, Size

BUY = Side.BUY
PER_SHARE = 2 * PRICE_SCALE * SIZE_SCALE // CASH_SCALE  # from cash over shares to half prices


@dataclass(frozen=True, slots=True, eq=False)
class Complement:
    """Bid `edge` / 2 below the mid on each token: a pair costs at most a dollar less `edge` (in dollars a pair).

    Once one token is held without the other, the other's bid is no higher than what leaves `least_edge` of the pair,
    given what the held one cost; below zero it says how much a pair may lose to be finished. With `max_unpaired` shares
    of a token alone its own bid is withheld. Both bids are limits that grid rounding keeps: bids are floored.

    Source: a pair is a dollar and can be merged into one (reference 8); to quote both sides without holding anything
    is to bid on both tokens.
    """

    edge: Price = Price(200)
    least_edge: Price = Price(0)
    max_unpaired: Size = Size(100 * SIZE_SCALE)
    depth = Depth(Look.PRICES, 1)

    def __post_init__(self) -> None:
        """Refuse an edge that is no price, and room for nothing."""
        if not 0 < self.edge < ONE:
            raise ValueError("edge must be above 0 and below 1 dollar")
        if not -ONE < self.least_edge <= self.edge:
            raise ValueError("least_edge must be above -1 dollar and at most edge")
        if self.max_unpaired <= 0:
            raise ValueError("max_unpaired must be above 0 shares")

    @hookimpl
    def price(self, market: Market, book: Book, inventory: Inventory) -> Answer:
        """Answer with one bid a token."""
        return [self._bid(outcome, book.seen_by(outcome), inventory) for outcome in Outcome]

    def _bid(self, outcome: Outcome, book: Book, inventory: Inventory) -> Quote | NoQuote:
        alone = inventory.net if outcome is Outcome.YES else -inventory.net
        if alone >= self.max_unpaired:
            return NoQuote(outcome, BUY, "unpaired", {"alone": alone, "limit": self.max_unpaired})
        wished = HalfPrice(book.mid_half - self.edge)
        if alone >= 0:
            return Quote(outcome, BUY, wished, "complement")
        other = inventory.of(outcome.other)
        paid = -(-other.cost * PER_SHARE // other.held)  # a share of the other token, rounded up
        most = HalfPrice(2 * (ONE - self.least_edge) - paid)
        return Quote(outcome, BUY, min(wished, most), "pair" if most < wished else "complement")
