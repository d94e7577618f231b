"""What is true at the exchange before a session begins: cash, holdings, and orders that rest (R13)."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio
from loguru import logger

from pmrun.plugins.exchanges.common import starting
from pmrun.plugins.exchanges.satori.life import ARRIVES, can_be
from pmrun.plugins.exchanges.satori.news import FillSeen, OrderSeen, WalletSeen
from pmrun.plugins.exchanges.satori.rest import Rest
from pmrun.runner.account_file import AccountFile
from pmrun.runner.account_records import FillRecord, OrderRecord
from pmrun.runner.errors import ExchangeError
from pmrun.runner.market import Market, TokenId
from pmrun.runner.orders import Settlement, TradeId
from pmrun.runner.units import SECOND, Micros, Side, Size, cash_paid, cash_received

log = logger.bind(module="orders")
ONCE_MORE = 0.5  # seconds before all is asked again, where something moved in between
WITHIN = 60.0
LAGS = Micros(5 * SECOND)  # that what orders say may be behind the balances before none of them is taken over


@dataclass(frozen=True, slots=True)
class Truth(starting.Truth):
    """What the exchange said, as facts and as the adapter keeps it."""

    strange: list[str]  # orders that rest in other markets, or that nobody here placed
    lost: list[OrderRecord]  # an earlier session's orders that may arrive yet


async def truth(
    rest: Rest, account: AccountFile, markets: Sequence[Market], now: Callable[[], Micros], within: float = WITHIN
) -> Truth:
    """Ask for everything; raises ExchangeError when it cannot be had whole.

    What rests may fill while we ask: everything is asked for until nothing moved in between. Orders that stay behind
    the balances are not taken over but cancelled: a fill that the balances hold would be counted again when it is told.
    """
    began = now()
    with trio.move_on_after(within):
        while True:
            seen = await _asked(rest, account)
            if seen is not None and (seen.whole() or now() >= began + LAGS):
                return _told(account, markets, seen, now())
            log.info("an order of ours trades, or its news are under way: once more")
            await trio.sleep(ONCE_MORE)
    raise ExchangeError(f"the account did not come to rest within {within:g} s: start again later")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was said of the account while nothing moved."""

    active: list[OrderSeen]
    recent: list[OrderSeen]
    wallet: WalletSeen
    shares: dict[TokenId, int]
    locked: dict[TokenId, int]
    before: frozenset[str]

    def whole(self) -> bool:
        """Whether the orders keep what the balances say that they keep: no fill is left untold."""
        cash, shares = 0, Counter[TokenId]()
        for order in self.active:
            left = Size(order.size - order.filled)
            if order.side is Side.BUY:
                cash += cash_paid(order.price, left)
            else:
                shares[order.token] += left
        return cash == self.wallet.locked and dict(shares) == self.locked


async def _asked(rest: Rest, account: AccountFile) -> _Seen | None:
    """Ask for all of it; None where something moved in between."""
    active = await rest.orders("active")
    wallet, (shares, locked) = await rest.wallet(), await rest.positions_and_locked()
    recent = await rest.orders("recent")
    _name_lost(account, [*active, *recent])
    before = await _keep_fills(rest, account, active)
    again = await rest.orders("active")
    if _standing(active) != _standing(again) or await rest.wallet() != wallet:
        return None
    return _Seen(active, recent, wallet, shares, locked, before)


def _told(account: AccountFile, markets: Sequence[Market], seen: _Seen, at: Micros) -> Truth:
    active, cash, shares = seen.active, seen.wallet.total, seen.shares
    lost = [each for each in account.unfinished() if _may_arrive(each, at)]
    _close_unfinished(account, {order.order_id for order in active}, at)
    ours = [_resting(order) for order in active if account.known(order.order_id)]
    adopted = starting.adopted(ours, markets, at) if seen.whole() else []
    if not seen.whole():
        log.warning("fills of orders that rest have not been told yet: what rests is cancelled")
    known = {record.order_id for record, _ in adopted}
    strange = [order.order_id for order in [*active, *seen.recent] if order.order_id not in known]
    facts = starting.facts_of(account, markets, cash, shares, adopted, at)
    return Truth(facts, cash, shares, adopted, seen.before, strange, lost)


def _may_arrive(record: OrderRecord, at: Micros) -> bool:
    return record.exchange_order_id is None and at < record.sent_at_us + ARRIVES


def _standing(orders: Sequence[OrderSeen]) -> dict[str, Size]:
    return {order.order_id: order.filled for order in orders}


def _name_lost(account: AccountFile, listed: Sequence[OrderSeen]) -> None:
    """Find, by their terms, the orders whose answer an earlier session did not live to see (V5)."""
    unclaimed = sorted(
        (order for order in listed if not account.known(order.order_id)), key=lambda order: order.created_at
    )
    for record in account.unfinished():
        if record.exchange_order_id is not None:
            continue
        found = next((order for order in unclaimed if can_be(record, order)), None)
        if found is not None:
            unclaimed.remove(found)
            account.name(record.client_order_id, found.order_id)
            log.info("the order {} of an earlier session is {}", record.client_order_id, found.order_id)


async def _keep_fills(rest: Rest, account: AccountFile, active: Sequence[OrderSeen]) -> frozenset[str]:
    """Write down the fills that an earlier session did not see any more; return the trades that balances hold."""
    wanted = {each.exchange_order_id: each.side for each in account.unfinished() if each.exchange_order_id is not None}
    wanted |= {order.order_id: order.side for order in active if account.known(order.order_id)}
    trades: set[str] = set()
    for order_id, side in wanted.items():
        if order_id.startswith("none:"):
            continue
        for fill in await rest.order_trades(order_id):
            trades.add(fill.trade_id)
            account.fill(record_of(fill, side))
    return frozenset(trades)


def record_of(fill: FillSeen, side: Side) -> FillRecord:
    """Return what is written of a fill."""
    cash = cash_paid if side is Side.BUY else cash_received
    return FillRecord(
        trade_id=TradeId(fill.trade_id),
        exchange_order_id=fill.order_id,
        price_e4=fill.price,
        size_e6=fill.size,
        cash_e6=cash(fill.price, fill.size),
        fee_e6=fill.fee,
        status=Settlement.CONFIRMED,
        at_us=fill.at,
    )


def _close_unfinished(account: AccountFile, resting: set[str], at: Micros) -> None:
    """Write of an earlier session's orders that they are over, where they do not rest any more."""
    for record in account.unfinished():
        order_id = record.exchange_order_id
        if _may_arrive(record, at):
            continue
        if order_id is None:
            order_id = f"none:{record.client_order_id}"
            account.name(record.client_order_id, order_id)
        if order_id not in resting:
            starting.over(account, record, order_id, at)


def _resting(order: OrderSeen) -> starting.Resting:
    return starting.Resting(order.order_id, order.token, order.side, order.price, order.size, order.filled)
