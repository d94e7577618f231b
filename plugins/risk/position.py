"""Do not become the best bid by resting at the edge of the band."""

from dataclasses import dataclass

from pmrun.runner.book import Book
from pmrun.runner.hooks import Depth, Look, Objection, Wanted, hookimpl
from pmrun.runner.units import Side


@dataclass(frozen=True, slots=True, eq=False)
class Position:
    """A band-edge bid must become the second bid: somebody has to be in front of it (R6).

    Bids that join a level that is there are not judged. The basis of a quote says which it is; an order that rests is
    judged whatever it was placed for.
    """

    order: int | None = None
    depth = Depth(Look.PRICES, 2)

    @hookimpl
    def object_to_order(self, order: Wanted, book: Book, resting: bool) -> Objection | None:
        """Object to a band-edge bid with nobody in front."""
        if order.side is not Side.BUY or order.basis != "band_edge":
            return None
        if book.bids_above(order.price) < 1:
            return Objection("not_second_bid", {"price": order.price, "best_bid": book.best_bid or 0})
        return None
