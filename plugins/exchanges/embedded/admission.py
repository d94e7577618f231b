"""Why the embedded exchange does not take an order, in the real exchange's own sentences (reference 3.9, 4.4)."""

from collections.abc import Iterable, Sequence
from typing import Final

from pmrun.plugins.exchanges.embedded.book import Hit
from pmrun.plugins.exchanges.embedded.floor import Floor
from pmrun.plugins.exchanges.embedded.order import AT_ONCE, SELL, Order
from pmrun.plugins.exchanges.embedded.settlement import taker_leg
from pmrun.plugins.exchanges.embedded.terms import TimeInForce
from pmrun.runner.grid import Grid
from pmrun.runner.units import (
    Micros,
    Size,
    cash_paid,
    format_cash,
    format_price,
    format_size,
)

NO_BOOK: Final = "No orderbook exists for the requested token id"
NOT_READY: Final = "the market is not yet ready to process new orders"
NO_MONEY: Final = "not enough balance / allowance"
CROSSES: Final = "invalid post-only order: order crosses book"
NOT_POST_ONLY: Final = "invalid post-only order: only GTC and GTD order types are allowed"
BAD_EXPIRY: Final = "invalid expiration"
NOT_FILLED: Final = "order couldn't be fully filled. FOK orders are fully filled or killed."
NOT_MATCHED: Final = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)


def refusal(floor: Floor, order: Order, at: Micros) -> str:
    """Say why an order is not taken, whatever the book; empty when nothing is wrong with it."""
    ticket, market = order.ticket, floor.markets[order.market]
    named = f"order {ticket.order_id} is invalid."
    if ticket.order_id in floor.orders:
        return f"{named} Duplicated."
    if not floor.trading(order.market):
        return NOT_READY
    if ticket.price not in Grid(market.tick):
        shown = format_price(ticket.price)
        return f"{named} Price ({shown}) breaks minimum tick size rule: {format_price(market.tick)}"
    if ticket.size < (1 if ticket.time_in_force in AT_ONCE else market.min_order_size):
        shown = format_size(ticket.size)
        return f"{named} Size ({shown}) lower than the minimum: {format_size(market.min_order_size)}"
    if ticket.size % floor.lot:
        return f"{named} Size ({format_size(ticket.size)}) is not a multiple of {format_size(floor.lot)}"
    if ticket.time_in_force is TimeInForce.GTD and (order.ends_at is None or order.ends_at <= at):
        return BAD_EXPIRY
    if ticket.post_only and ticket.time_in_force in AT_ONCE:
        return NOT_POST_ONLY
    return NO_MONEY if floor.spendable(ticket.wallet, order.pays_with) < order.needs else ""


def refusal_to_accept(floor: Floor, order: Order) -> str:
    """Say why an order is not taken that will be matched later; empty when it may wait."""
    ticket = order.ticket
    if ticket.order_id in floor.orders:
        return f"order {ticket.order_id} is invalid. Duplicated."
    if not floor.trading(order.market):
        return NOT_READY
    return NO_MONEY if floor.spendable(ticket.wallet, order.pays_with) < order.needs else ""


def may_enter(floor: Floor, order: Order) -> bool:
    """Whether an order that waited can still be matched: its market trades, and its price is on the grid."""
    return floor.trading(order.market) and order.ticket.price in Grid(floor.markets[order.market].tick)


def refusal_to_match(floor: Floor, order: Order, hits: Sequence[Hit]) -> str:
    """Say why an order is not taken, given what it would take from the book; empty when it may."""
    ticket = order.ticket
    if ticket.post_only and hits:
        return CROSSES
    worth = cash_paid(ticket.price, ticket.size)
    least = floor.markets[order.market].min_take
    if (hits or ticket.time_in_force in AT_ONCE) and worth < least:
        shown = format_cash(least)
        return f"invalid amount for a marketable {ticket.side} order (${format_cash(worth)}), min size: ${shown}"
    reached = Size(sum(hit.size for hit in hits))
    if ticket.time_in_force is TimeInForce.FOK and reached < ticket.size:
        return NOT_FILLED
    if ticket.time_in_force is TimeInForce.FAK and not hits:
        return NOT_MATCHED
    return NO_MONEY if floor.spendable(ticket.wallet, order.pays_with) < _cost(floor, order, hits, reached) else ""


def _cost(floor: Floor, order: Order, hits: Iterable[Hit], reached: Size) -> int:
    """Return what a taker must have: the worst its limit allows with the fee, or more where parts round up."""
    ticket, market = order.ticket, floor.markets[order.market]
    if ticket.side is SELL:
        return ticket.size
    legs = [taker_leg(market, ticket.wallet, ticket.token, ticket.side, order.own(hit.price), hit.size) for hit in hits]
    paid = sum(leg.gives[1] for leg in legs)
    rest = cash_paid(ticket.price, Size(ticket.size - reached))
    return max(order.needs + market.fees.taker_fee(ticket.price, reached), paid + rest)
