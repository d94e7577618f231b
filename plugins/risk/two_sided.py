"""Near the end of the price range quote both sides or none."""

from dataclasses import dataclass

from pmrun.runner.book import Book
from pmrun.runner.hooks import Depth, Look, hookimpl
from pmrun.runner.units import ONE, Price


def has_cheap_token(book: Book, threshold: Price) -> bool:
    """Whether the mid of YES or of NO is at or below a threshold; the two make a dollar."""
    mid = book.mid_half
    return min(mid, 2 * ONE - mid) <= 2 * threshold


def check_threshold(threshold: Price) -> None:
    """Refuse a threshold that is no mid of the cheaper token; raises ValueError."""
    if not 0 <= threshold <= ONE // 2:
        raise ValueError("mid_threshold must be from 0 to 0.5 dollars")


@dataclass(frozen=True, slots=True, eq=False)
class TwoSided:
    """Where either token's mid is at or below mid_threshold, a side that the checks refuse keeps the other back (R3).

    There the exchange pays nothing for one side alone (reference 7.3).
    """

    mid_threshold: Price = Price(1_000)
    order: int | None = None
    depth = Depth(Look.PRICES, 1)

    def __post_init__(self) -> None:
        """Refuse a threshold that is none."""
        check_threshold(self.mid_threshold)

    @hookimpl
    def needs_both_sides(self, book: Book) -> bool:
        """Ask for both sides where a token is cheap."""
        return has_cheap_token(book, self.mid_threshold)
