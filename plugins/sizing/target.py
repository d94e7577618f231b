"""A number of shares to buy, or whole shares worth a dollar."""

from dataclasses import dataclass

from pmrun.runner.hooks import NO_BOOK, Quote, hookimpl
from pmrun.runner.market import Market
from pmrun.runner.units import NOTIONAL_PER_CASH, ONE, SIZE_SCALE, Cash, Price, Side, Size


def check_amount(min_quote_amt: Cash) -> None:
    """Refuse an amount that no order is worth; raises ValueError."""
    if not 0 < min_quote_amt <= 1_000_000_000_000:
        raise ValueError("min_quote_amt must be above 0 and at most 1,000,000 dollars")


def bid_price(quote: Quote) -> Price:
    """Return what a quote would pay for its token: an ask is a bid for the other one."""
    return Price(quote.price // 2 if quote.side is Side.BUY else ONE - -(-quote.price // 2))


def up_to(step: int, size: int) -> Size:
    """Round a size up to a whole number of steps."""
    return Size(-(-size // step) * step)


def least_size(market: Market, price: Price, min_quote_amt: Cash) -> Size:
    """Return the least that may be bought at a price: the exchange's minimum, and worth min_quote_amt (M2, M4)."""
    worth = -(-min_quote_amt * NOTIONAL_PER_CASH // max(1, price))
    return up_to(market.size_step, max(worth, market.min_order_size))


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """`target_size` shares; without one, whole shares worth min_quote_amt, rounded up. Never under a minimum (M2)."""

    target_size: Size | None = None
    min_quote_amt: Cash = Cash(1_000_000)
    depth = NO_BOOK

    def __post_init__(self) -> None:
        """Refuse sizes that no order has."""
        if self.target_size is not None and not self.target_size > 0:
            raise ValueError("target_size must be above 0 shares, or null")
        check_amount(self.min_quote_amt)

    @hookimpl
    def size_order(self, market: Market, quote: Quote) -> Size:
        """Return the size, up to the exchange's step."""
        price = bid_price(quote)
        least = least_size(market, price, self.min_quote_amt)
        if self.target_size is not None:
            return max(up_to(market.size_step, self.target_size), least)
        dollars_worth = -(-self.min_quote_amt * NOTIONAL_PER_CASH // max(1, price))
        return max(up_to(market.size_step, up_to(SIZE_SCALE, dollars_worth)), least)
