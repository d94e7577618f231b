"""The checksum of an order book: the exchange's SHA1 over its REST form (reference 4.1)."""

import hashlib
from collections.abc import Iterable

from pmrun.plugins.exchanges.common.market_news import BookSeen, Levels
from pmrun.runner.units import PRICE_SCALE, Price, Size, complement, format_price, format_size

NEVER_TRADED = ""


def last_trade_text(price: Price) -> str:
    """Write a last trade price as the exchange hashes it: with three decimals, "0.860", whatever the tick.

    Reference 5.2 says "the tick's decimals plus one", which is the same at a tick of 0.01; the recorded books at
    0.001 have three as well. A price that needs a fourth decimal gets it.
    """
    whole, part = divmod(price, PRICE_SCALE)
    return f"{whole}.{part // 10:03d}" if part % 10 == 0 else f"{whole}.{part:04d}"


def book_hash(
    book: BookSeen, *, tick: Price, min_order_size: Size, neg_risk: bool, last_trade_price: str | None
) -> str:
    """Return the SHA1 of a book in its canonical form (reference 4.1, 5.2).

    `last_trade_price` is a text of `last_trade_text`, NEVER_TRADED, or None to leave the key out, as the exchange
    did in 2025. The prices and sizes are written without trailing zeros, best levels last.
    """
    last = "" if last_trade_price is None else f',"last_trade_price":"{last_trade_price}"'
    text = (
        f'{{"market":"{book.condition}","asset_id":"{book.token}","timestamp":"{book.at // 1000}","hash":"",'
        f'"bids":[{_levels(book.bids)}],"asks":[{_levels(book.asks)}],'
        f'"min_order_size":"{format_size(min_order_size)}","tick_size":"{format_price(tick)}",'
        f'"neg_risk":{"true" if neg_risk else "false"}{last}}}'
    )
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _levels(levels: Levels) -> str:
    return ",".join(
        [f'{{"price":"{format_price(price)}","size":"{format_size(size)}"}}' for price, size in reversed(levels)]
    )


def is_whole(
    book: BookSeen, *, tick: Price, min_order_size: Size, neg_risk: bool, last_trades: Iterable[Price] = ()
) -> bool:
    """Whether a book gives the hash it came with, for one of the prices that may have been the last trade.

    Both of a market's books carry one last trade price: that of the trade which caused them, as the *maker* stated
    it, so its complement where the maker's order was in the other token. The print of that trade follows the book
    by some 20 ms. Pass the prices of the prints around; complements, no trade and no key are tried as well.
    """
    known = [book.last_trade_price] if book.last_trade_price is not None else []
    prices = dict.fromkeys([*known, *last_trades])
    texts = [last_trade_text(stated) for price in prices for stated in (price, complement(price))]
    return any(
        book_hash(book, tick=tick, min_order_size=min_order_size, neg_risk=neg_risk, last_trade_price=text) == book.hash
        for text in [*texts, NEVER_TRADED, None]
    )
