"""Our part of a trade: which of our orders it filled, by how much, for how much cash (reference 3.4, 5.3)."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pmrun.plugins.exchanges.polymarket.news import MakerFill, TraderSide, TradeSeen
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import FeeTerms, TokenId
from pmrun.runner.units import Cash, Price, Side, Size, cash_paid, cash_received, complement


class OwnPart(NamedTuple):
    """What one trade did to one of our orders, in terms of the order's own token."""

    order_id: str
    price: Price
    size: Size
    cash: Cash
    fee: Cash
    maker: bool


def own_parts(trade: TradeSeen, ours: object, fees: Mapping[TokenId, FeeTerms]) -> Iterator[OwnPart]:
    """Return our parts of a trade; `ours` says by `in` whether an order id is ours.

    Raises ProtocolViolation where the parts of a taker do not add up to the trade: it may be money.
    """
    for maker in trade.maker_fills:
        if maker.order_id in ours:  # type: ignore[operator]
            yield _as_maker(maker, trade)
    if trade.taker_order_id in ours:  # type: ignore[operator]
        yield _as_taker(trade, fees)


def _as_maker(maker: MakerFill, trade: TradeSeen) -> OwnPart:
    side = maker.side
    if side is None:
        raise ProtocolViolation(f"trade {trade.trade_id}: the side of our order {maker.order_id} is missing")
    cash = _cash(side, maker.price, maker.size)
    return OwnPart(maker.order_id, maker.price, maker.size, cash, Cash(0), maker=True)


def _as_taker(trade: TradeSeen, fees: Mapping[TokenId, FeeTerms]) -> OwnPart:
    """Sum a taker's matches: each at its maker's price, which is the complement's where the maker's token is."""
    parts = [(_price_for(trade.token, maker), maker.size) for maker in trade.maker_fills]
    if sum(size for _, size in parts) != trade.size:
        raise ProtocolViolation(f"trade {trade.trade_id}: its makers' sizes do not add up to its size")
    terms = fees.get(trade.token, FeeTerms())
    cash = sum(_cash(trade.taker_side, price, size) for price, size in parts)
    fee = sum(terms.taker_fee(price, size) for price, size in parts)
    return OwnPart(trade.taker_order_id, trade.price, trade.size, Cash(cash), Cash(fee), maker=False)


def _price_for(token: TokenId, maker: MakerFill) -> Price:
    return maker.price if maker.token == token else complement(maker.price)


def _cash(side: Side, price: Price, size: Size) -> Cash:
    return cash_paid(price, size) if side is Side.BUY else cash_received(price, size)


def foreign_tokens(trade: TradeSeen, known: object, owner: str) -> list[TokenId]:
    """Return the tokens of this API key's orders in a trade that are not among the known ones."""
    tokens = [
        maker.token
        for maker in trade.maker_fills
        if maker.owner == owner and maker.order_id not in known  # type: ignore[operator]
    ]
    if trade.trader_side is TraderSide.TAKER and trade.owner == owner and trade.taker_order_id not in known:  # type: ignore[operator]
        tokens.append(trade.token)
    return tokens
