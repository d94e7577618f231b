"""What is true at the exchange before a session begins: cash, holdings, and orders that rest (R13)."""

from collections.abc import Callable, Iterable, Sequence

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.starting import Resting, Truth, adopted, facts_of, over
from pmrun.plugins.exchanges.polymarket.fills import own_parts
from pmrun.plugins.exchanges.polymarket.life import SETTLEMENTS
from pmrun.plugins.exchanges.polymarket.news import TradeSeen
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.wire_orders import OpenOrder
from pmrun.runner.account_file import AccountFile
from pmrun.runner.account_records import FillRecord
from pmrun.runner.errors import ExchangeError
from pmrun.runner.market import Market, Outcome, TokenId
from pmrun.runner.orders import TradeId
from pmrun.runner.units import SECOND, Cash, Micros

log = logger.bind(module="orders")
AT_ONCE = 8  # balances asked for side by side
LOOK_BACK = Micros(3_600 * SECOND)  # trades of so long ago are settled, or somebody has noticed
LOOK_BACK_BEFORE = Micros(60 * SECOND)  # what the exchange's clock may be behind, and more
CLOCK_OFF = Micros(5 * SECOND)  # what the exchange's clock may differ by


async def check_clock(rest: Rest, now: Callable[[], Micros]) -> None:
    """Refuse to trade by a clock that the exchange does not share: requests are signed with the time."""
    before = now()
    theirs = await rest.time()
    off = theirs - (before + now()) // 2
    if abs(off) > CLOCK_OFF + SECOND:  # they tell whole seconds
        raise ExchangeError(f"this machine's clock is {-off / SECOND:+.0f} s off the exchange's: set it (NTP)")


async def settled(rest: Rest, account: AccountFile, now: Callable[[], Micros], within: float) -> dict[str, TradeSeen]:
    """Wait until no trade of an earlier session is under way, for balances say nothing of those; return the trades."""
    with trio.move_on_after(within):
        while True:
            trades = await _trades(rest, account, now())
            under_way = sum(not SETTLEMENTS[each.status].final for each in trades.values())
            if not under_way:
                return trades
            log.info("{} trades of an earlier session are settling", under_way)
            await trio.sleep(1)
    raise ExchangeError(f"trades of an earlier session have not settled within {within:g} s: start again later")


async def _trades(rest: Rest, account: AccountFile, at: Micros) -> dict[str, TradeSeen]:
    """Return the trades of the last hour, and all that an order may have had whose end nobody saw."""
    first = min((each.sent_at_us for each in account.unfinished()), default=at)
    since = min(Micros(at - LOOK_BACK), Micros(first - LOOK_BACK_BEFORE))
    return {trade.trade_id: trade for trade in await rest.trades(since)}


async def truth(
    rest: Rest, account: AccountFile, markets: Sequence[Market], now: Callable[[], Micros], within: float = 60.0
) -> Truth:
    """Ask for everything; raises ExchangeError or ProtocolViolation when it cannot be had whole.

    What rests may fill while we ask: everything is asked for until no trade came in between.
    """
    await check_clock(rest, now)
    deadline = trio.current_time() + within
    while True:
        trades = await settled(rest, account, now, max(deadline - trio.current_time(), 0.0))
        cash = Cash((await rest.balance()).balance)
        shares = await _holdings(rest, markets)
        resting = await rest.open_orders()
        if (await _trades(rest, account, now())).keys() <= trades.keys():
            break
        log.info("an order of ours traded meanwhile: once more")
    at = now()
    _keep_fills(account, trades.values(), markets)
    _close_unfinished(account, {order.order_id for order in resting}, at)
    taken_over = adopted(map(_resting, resting), markets, at)
    facts = facts_of(account, markets, cash, shares, taken_over, at)
    return Truth(facts, cash, shares, taken_over, frozenset(trades))


async def _holdings(rest: Rest, markets: Sequence[Market]) -> dict[TokenId, int]:
    found: dict[TokenId, int] = {}
    limit = trio.CapacityLimiter(AT_ONCE)

    async def ask(token: TokenId) -> None:
        async with limit:
            found[token] = (await rest.balance(token)).balance

    async with trio.open_nursery() as nursery:
        for market in markets:
            for outcome in Outcome:
                nursery.start_soon(ask, market.token(outcome))
    return found


def _keep_fills(account: AccountFile, trades: Iterable[TradeSeen], markets: Sequence[Market]) -> None:
    """Write down the fills that an earlier session did not see any more: they say what holdings cost."""
    fees = {market.token(each): market.fees for market in markets for each in Outcome}
    known, conditions = _Known(account), {market.condition for market in markets}
    for trade in trades:
        if trade.condition not in conditions:
            continue  # its fees are not known here
        for part in own_parts(trade, known, fees):
            account.fill(
                FillRecord(
                    trade_id=TradeId(trade.trade_id),
                    exchange_order_id=part.order_id,
                    price_e4=part.price,
                    size_e6=part.size,
                    cash_e6=part.cash,
                    fee_e6=part.fee,
                    status=SETTLEMENTS[trade.status],
                    at_us=trade.matched_at,
                )
            )


class _Known:
    """The ids of the orders in an account's file."""

    def __init__(self, account: AccountFile) -> None:
        self._account = account

    def __contains__(self, order_id: object) -> bool:
        return self._account.known(str(order_id))


def _close_unfinished(account: AccountFile, resting: set[str], at: Micros) -> None:
    """Write of an earlier session's orders that they are over, where they do not rest any more."""
    for record in account.unfinished():
        if record.exchange_order_id is not None and record.exchange_order_id not in resting:
            over(account, record, record.exchange_order_id, at)


def _resting(order: OpenOrder) -> Resting:
    return Resting(order.order_id, order.token, order.side, order.price, order.original_size, order.size_matched)
