"""The exchange's liquidity-reward score, exact; what others score, as the interval that a public book allows.

Everything is in terms of the YES book: a bid for NO at q is an ask for YES at 1 - q, so each order counts once
(reference 7.3). Sums stay whole numbers until the end, so that the score is exact and the same on every machine.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from pmrun.runner.book import Book, Levels
from pmrun.runner.hooks import Wanted
from pmrun.runner.market import Outcome, RewardTerms
from pmrun.runner.orders import Order
from pmrun.runner.units import CASH_SCALE, PRICE_SCALE, SIZE_SCALE, Cash, HalfPrice, Price, Side, Size, complement

# Within these mids, both included, one side alone scores too: a third (c = 3) of what it would with the other.
MIDDLE: Final = (HalfPrice(2 * PRICE_SCALE // 10), HalfPrice(2 * PRICE_SCALE * 9 // 10))
SAMPLES_A_DAY: Final = 1_440
BUY: Final = Side.BUY


class Own(NamedTuple):
    """One of our orders, as it rests (or would rest) on the YES book."""

    side: Side
    price: Price
    size: Size


class Sides(NamedTuple):
    """Scores summed by side of the YES book: the exchange's Q_one (bids) and Q_two (asks), in whole numbers."""

    bids: int
    asks: int


class Range(NamedTuple):
    """An estimate: the truth lies from `low` to `high`; `mid` is where the competitors score halfway."""

    low: float
    mid: float
    high: float

    def times(self, factor: float) -> "Range":
        """Scale all three."""
        return Range(self.low * factor, self.mid * factor, self.high * factor)

    def plus(self, other: "Range") -> "Range":
        """Add one to one."""
        return Range(self.low + other.low, self.mid + other.mid, self.high + other.high)


NOTHING: Final = Range(0.0, 0.0, 0.0)


class Score(NamedTuple):
    """What one sample of a market says: our Q_min exact, the competitors' as an interval, in score-shares.

    `mid` is twice the size-cutoff-adjusted midpoint; without one nobody scores.
    """

    mid: HalfPrice | None
    ours: float
    competitors_low: float
    competitors_high: float
    share: Range

    @property
    def scoring(self) -> bool:
        """Whether we score at all."""
        return self.ours > 0


NO_SCORE: Final = Score(None, 0.0, 0.0, 0.0, NOTHING)


class Income(NamedTuple):
    """Dollars estimated, by who pays."""

    native: Range
    sponsored: Range

    @property
    def total(self) -> Range:
        """Both together."""
        return self.native.plus(self.sponsored)


def own_order(order: Order) -> Own:
    """Return what is left of an order, as the YES book has it."""
    return Own(order.book_side, order.yes_price, order.remaining)


def own_wanted(wanted: Wanted) -> Own:
    """Return a wanted order as the YES book would have it."""
    if wanted.outcome is Outcome.YES:
        return Own(wanted.side, wanted.price, wanted.size)
    return Own(wanted.side.opposite, complement(wanted.price), wanted.size)


def adjusted_mid(book: Book, own: Iterable[Own], min_size: Size) -> HalfPrice | None:
    """Return twice the midpoint of what is large enough, with our own orders in the book.

    A level that is smaller than the minimum holds no order of that size; a larger one is taken to hold one. Our own
    orders are known one by one, and two small ones do not make a large one. None where a side is empty or the two meet.
    """
    large = [order for order in own if order.size >= min_size]
    bids = [order.price for order in large if order.side is BUY] + _first_large(book.bids, min_size)
    asks = [order.price for order in large if order.side is not BUY] + _first_large(book.asks, min_size)
    if not bids or not asks or max(bids) >= min(asks):
        return None
    return HalfPrice(max(bids) + min(asks))


def _first_large(levels: Levels, min_size: Size) -> list[Price]:
    return next(([price] for price, size in levels if size >= min_size), [])


def _sum(levels: Iterable[tuple[Price, Size]], mid: HalfPrice, terms: RewardTerms) -> int:
    """Add up ((v − s)/v)² × size, in units of 1/(4 v²) share millionths; s is exact in half prices."""
    reach = 2 * terms.max_spread
    total = 0
    for price, size in levels:
        left = reach - abs(mid - 2 * price)
        if left > 0 and size >= terms.min_size:
            total += left * left * size
    return total


def sides_of_own(own: Iterable[Own], mid: HalfPrice, terms: RewardTerms) -> Sides:
    """Score our orders one by one: each has to be large enough by itself."""
    orders = tuple(own)
    return Sides(
        _sum([(order.price, order.size) for order in orders if order.side is BUY], mid, terms),
        _sum([(order.price, order.size) for order in orders if order.side is not BUY], mid, terms),
    )


def sides_of_book(book: Book, mid: HalfPrice, terms: RewardTerms) -> Sides:
    """Score all that a public book shows, level by level."""
    return Sides(_sum(book.bids, mid, terms), _sum(book.asks, mid, terms))


def middle(mid: HalfPrice) -> bool:
    """Whether one side alone scores at this mid."""
    return MIDDLE[0] <= mid <= MIDDLE[1]


def q_min(sides: Sides, mid: HalfPrice) -> int:
    """Return twelve times one maker's Q_min: the smaller side, or a third of the larger in the middle zone."""
    least = min(sides)
    return 4 * max(3 * least, max(sides)) if middle(mid) else 12 * least


def q_min_between(sides: Sides, mid: HalfPrice) -> tuple[int, int]:
    """Return twelve times the least and the most that makers' Q_min can sum to, whoever owns what (reference 7.3)."""
    bids, asks = sides
    if not middle(mid):
        return 0, 12 * min(sides)
    return max(4 * bids, 4 * asks, 3 * (bids + asks)), 12 * min(sides) + 4 * abs(bids - asks)


def score_at(mid: HalfPrice, book: Book, own: Sequence[Own], terms: RewardTerms) -> Score:
    """Score our orders beside a book that does not hold them, at a known midpoint."""
    ours = q_min(sides_of_own(own, mid, terms), mid)
    low, high = q_min_between(sides_of_book(book, mid, terms), mid)
    unit = 12 * 4 * terms.max_spread**2 * SIZE_SCALE
    share = NOTHING
    if ours:
        share = Range(ours / (ours + high), 2 * ours / (2 * ours + low + high), ours / (ours + low))
    return Score(mid, ours / unit, low / unit, high / unit, share)


def score(book: Book, own: Sequence[Own], terms: RewardTerms) -> Score:
    """Score our orders beside a book that does not hold them; they move the midpoint and dilute the others."""
    mid = adjusted_mid(book, own, terms.min_size)
    return NO_SCORE if mid is None or terms.max_spread <= 0 else score_at(mid, book, own, terms)


def income(share: Range, terms: RewardTerms, days: float = 1.0) -> Income:
    """Return what a share of the pools pays in so many days."""
    return Income(_paid(share, terms.daily_rate, days), _paid(share, terms.sponsored_rate, days))


def _paid(share: Range, pool: Cash, days: float) -> Range:
    return share.times(pool / CASH_SCALE * days)
