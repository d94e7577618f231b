"""What a holding would fetch if it had to be sold now, into the bids that are there."""

from typing import Final, NamedTuple

from pmrun.runner.book import Book
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import FeeTerms, Market, Outcome
from pmrun.runner.units import CASH_SCALE, NOTIONAL_PER_CASH, SIZE_SCALE, Cash, HalfPrice, Price, Size

BOTH: Final = tuple(Outcome)


class Sale(NamedTuple):
    """A sale into the bids as they stand: what is sold, what it fetches after the taker's fees, and what stays."""

    sold: Size
    unsold: Size  # no bid takes it: it counts as worth nothing
    cash: Cash  # rounded down to a base unit, fees taken off
    fees: Cash
    lowest: Price | None  # the worst price that was taken


def leave(book: Book, size: Size, fees: FeeTerms, least: Size = Size(0)) -> Sale:
    """Sell into the bids of a book, as the holder's outcome sees it, best first.

    `least` is the smallest order the exchange takes: a smaller holding cannot be sold.
    """
    left, fetched, fee, lowest = int(size), 0, 0, None
    if left >= least:
        for price, there in book.bids:
            if left <= 0:
                break
            taken = Size(min(left, there))
            fetched += price * taken
            fee += fees.taker_fee(price, taken)
            left -= taken
            lowest = price
    return Sale(Size(size - left), Size(left), Cash(fetched // NOTIONAL_PER_CASH - fee), Cash(fee), lowest)


class ExitValue(NamedTuple):
    """The holdings of one market: at the mid, and if they had to be sold now."""

    at_mid: Cash
    at_exit: Cash
    unsold: Size  # shares of either token that no bid takes
    fees: Cash
    paired: Size  # pairs, which count a dollar each on both sides

    @property
    def cost(self) -> Cash:
        """What leaving now would cost against the mid."""
        return Cash(self.at_mid - self.at_exit)


def exit_value(inventory: Inventory, at_mid: Cash, book: Book | None, terms: Market, pairs: bool) -> ExitValue:
    """Value a market's holdings if they had to be sold now; `book` is that of YES, without our own orders.

    Without a book nothing can be sold: holdings count nothing.

    With `pairs`, YES and NO that pair up count a dollar a pair: a merge or the resolution pays it whatever happens.
    """
    paired = max(0, inventory.pairs) if pairs else 0
    cash, unsold, fees = paired * CASH_SCALE // SIZE_SCALE, 0, 0
    for outcome in BOTH:
        alone = Size(max(0, inventory.of(outcome).held - paired))
        if not alone:
            continue
        if book is None:
            unsold += alone
            continue
        found = leave(book.seen_by(outcome), alone, terms.fees, terms.min_order_size)
        cash, unsold, fees = cash + found.cash, unsold + found.unsold, fees + found.fees
    return ExitValue(at_mid, Cash(cash), Size(unsold), Cash(fees), Size(paired))


def mid_value(size: int, mid: HalfPrice) -> Cash:
    """Return what shares are worth at a mid of their own token, rounded up to a base unit."""
    return Cash(-(-size * mid // (2 * NOTIONAL_PER_CASH)))
