"""A caller's own orders and trades as the exchange writes them, for the user channel and for REST (3.4, 5.3)."""

from collections.abc import Iterator
from typing import Any

from pmrun.plugins.exchanges.embedded.terms import (
    MakerPart,
    OrderMoved,
    OrderView,
    TimeInForce,
    TradeMoved,
    TradeView,
)
from pmrun.runner.market import Market, Outcome
from pmrun.runner.units import SECOND, Micros, format_price, format_size

NOBODY = "00000000-0000-0000-0000-000000000000"  # the owner of what the simulated crowd does
GTD_MARGIN = Micros(60 * SECOND)  # an order ends a minute before the time it states (reference 3.1)


def order_frame(event: OrderMoved, market: Market) -> dict[str, Any]:
    """Return an order's news (reference 5.3)."""
    order = event.order
    return {
        "event_type": "order",
        "type": event.kind,
        **_order_terms(order, market),
        "order_owner": order.api_key,
        "created_at": str(order.created_at // SECOND),
        "timestamp": millis(event.at),
    }


def order_row(order: OrderView, market: Market) -> dict[str, Any]:
    """Return an order as REST lists it (reference 3.4): `created_at` is a number there."""
    return {
        **_order_terms(order, market),
        "associate_trades": list(order.trades),
        "created_at": order.created_at // SECOND,
    }


def _order_terms(order: OrderView, market: Market) -> dict[str, Any]:
    ends = order.expires_at if order.time_in_force is TimeInForce.GTD else None
    return {
        "id": order.order_id,
        "market": order.condition,
        "asset_id": order.token,
        "owner": order.api_key,
        "maker_address": order.wallet,
        "side": order.side,
        "price": format_price(order.price),
        "original_size": format_size(order.size),
        "size_matched": format_size(order.matched),
        "outcome": outcome_name(market, order.outcome),
        "order_type": order.time_in_force,
        "status": order.status,
        "associate_trades": list(order.trades) or None,
        "expiration": "0" if ends is None else str((ends + GTD_MARGIN) // SECOND),
    }


def trade_frames(event: TradeMoved, market: Market) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a trade's news for each owner that took part in it, with the owner's API key (reference 5.3)."""
    trade = event.trade
    for api_key, trader_side in sides_of(trade):
        yield (
            api_key,
            {
                "event_type": "trade",
                "type": "TRADE",
                **_trade_terms(trade, market, api_key, trader_side),
                "status": trade.status.upper(),
                "trade_owner": api_key,
                "timestamp": millis(event.at),
            },
        )


def sides_of(trade: TradeView) -> list[tuple[str, str]]:
    """Return who learns of a trade, and as what: its taker once, every owner among its makers once."""
    makers = dict.fromkeys(part.api_key for part in trade.makers if part.api_key)
    taker = [(trade.taker_api_key, "TAKER")] if trade.taker_api_key else []
    return taker + [(api_key, "MAKER") for api_key in makers]


def trade_row(trade: TradeView, market: Market, api_key: str, trader_side: str) -> dict[str, Any]:
    """Return a trade as REST lists it for its owner (reference 3.4)."""
    return {
        **_trade_terms(trade, market, api_key, trader_side),
        "status": f"TRADE_STATUS_{trade.status.upper()}",
        "match_time_nano": str(trade.matched_at * 1_000),
        "err_msg": None,
    }


def _trade_terms(trade: TradeView, market: Market, api_key: str, trader_side: str) -> dict[str, Any]:
    return {
        "id": trade.trade_id,
        "taker_order_id": trade.taker_order_id,
        "market": trade.condition,
        "asset_id": trade.token,
        "side": trade.side,
        "size": format_size(trade.size),
        "fee_rate_bps": "0",
        "price": format_price(trade.price),
        "match_time": str(trade.matched_at // SECOND),
        "last_update": str(trade.updated_at // SECOND),
        "outcome": outcome_name(market, trade.outcome),
        "bucket_index": trade.bucket_index,
        "owner": api_key,
        "maker_address": _own_wallet(trade, api_key, trader_side),
        "transaction_hash": trade.transaction or None,
        "trader_side": trader_side,
        "maker_orders": [_maker(part, market) for part in trade.makers],
    }


def _own_wallet(trade: TradeView, api_key: str, trader_side: str) -> str:
    if trader_side == "TAKER":
        return trade.taker_wallet
    return next(part.wallet for part in trade.makers if part.api_key == api_key)


def _maker(part: MakerPart, market: Market) -> dict[str, Any]:
    return {
        "order_id": part.order_id,
        "owner": part.api_key or NOBODY,
        "maker_address": part.wallet,
        "matched_amount": format_size(part.size),
        "price": format_price(part.price),
        "fee_rate_bps": "0",
        "asset_id": part.token,
        "outcome": outcome_name(market, part.outcome),
        "outcome_index": 0 if part.outcome is Outcome.YES else 1,
        "side": part.side,
    }


def millis(at: Micros) -> str:
    """Write a moment as frames do."""
    return str(at // 1_000)


def outcome_name(market: Market, outcome: Outcome) -> str:
    """Return what an outcome is called."""
    return market.outcomes[0 if outcome is Outcome.YES else 1]
