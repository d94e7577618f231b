"""A check: do not bid where one level is most of the book."""

from dataclasses import dataclass

from pmrun.runner.book import Book
from pmrun.runner.hooks import Depth, Look, Objection, Wanted, hookimpl
from pmrun.runner.units import Side

PPM = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class EvenBook:
    """No single level may hold more than `largest_share` of the first five bid levels."""

    largest_share: float = 0.9
    order: int | None = None  # every check may be given its place among the others
    depth = Depth(Look.LEVELS, 5)

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        if not 0 < self.largest_share <= 1:
            raise ValueError("largest_share must be above 0 and at most 1")

    @hookimpl
    def object_to_order(self, order: Wanted, book: Book) -> Objection | None:
        """Object to a bid in a book that hangs on one order; the numbers are what a reader of the journal sees."""
        sizes = [size for _, size in book.bids[:5]]
        if order.side is not Side.BUY or not sizes:
            return None
        share = max(sizes) * PPM // sum(sizes)
        if share > self.largest_share * PPM:
            return Objection("uneven_book", {"share_ppm": share, "levels": len(sizes)})
        return None
