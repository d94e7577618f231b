"""What is true at the exchange before a session begins: cash, holdings, and orders that rest (R13)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio
from loguru import logger

from pmrun.plugins.exchanges.polymarket.life import SETTLEMENTS, Record
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.wire_rest import OpenOrder
from pmrun.runner.account_file import AccountFile
from pmrun.runner.errors import ExchangeError
from pmrun.runner.facts import Carried, Fact, FundsSeen, HoldingSeen, Listed, OrderFound
from pmrun.runner.intents import Place, Reason
from pmrun.runner.market import Market, MarketNo, Outcome, TokenId
from pmrun.runner.orders import OrderNo, Purpose, State
from pmrun.runner.units import SECOND, Cash, Micros, Side, Size

log = logger.bind(module="order_manager")
AT_ONCE = 8  # balances asked for side by side
LOOK_BACK = Micros(3_600 * SECOND)  # trades of so long ago are settled, or somebody has noticed
CLOCK_OFF = Micros(5 * SECOND)  # what the exchange's clock may differ by


@dataclass(frozen=True, slots=True)
class Truth:
    """What the exchange said, as facts and as the adapter keeps it."""

    facts: list[Fact]
    cash: Cash
    shares: dict[TokenId, int]
    adopted: list[tuple[Record, Size]]


async def check_clock(rest: Rest, now: Callable[[], Micros]) -> None:
    """Refuse to trade by a clock that the exchange does not share: requests are signed with the time."""
    before = now()
    theirs = await rest.time()
    off = theirs - (before + now()) // 2
    if abs(off) > CLOCK_OFF + SECOND:  # they tell whole seconds
        raise ExchangeError(f"this machine's clock is {-off / SECOND:+.0f} s off the exchange's: set it (NTP)")


async def settled(rest: Rest, now: Callable[[], Micros], within: float) -> None:
    """Wait until no trade of an earlier session is under way: balances say nothing of those."""
    with trio.move_on_after(within):
        while True:
            open_trades = [
                each for each in await rest.trades(Micros(now() - LOOK_BACK)) if not SETTLEMENTS[each.status].final
            ]
            if not open_trades:
                return
            log.info("{} trades of an earlier session are settling", len(open_trades))
            await trio.sleep(1)
    raise ExchangeError(f"trades of an earlier session have not settled within {within:g} s: start again later")


async def truth(
    rest: Rest, account: AccountFile, markets: Sequence[Market], now: Callable[[], Micros], within: float = 60.0
) -> Truth:
    """Ask for everything; raises ExchangeError or ProtocolViolation when it cannot be had whole."""
    await check_clock(rest, now)
    await settled(rest, now, within)
    cash = Cash((await rest.balance()).balance)
    shares = await _holdings(rest, markets)
    resting = await rest.open_orders()
    _close_unfinished(account, {order.order_id for order in resting}, now())
    at = now()
    facts: list[Fact] = [Carried(at, node, values) for node, values in account.carried(at).items()]
    facts += [Listed(at, MarketNo(number), market) for number, market in enumerate(markets)]
    facts.append(FundsSeen(at, cash))
    for number, market in enumerate(markets):
        for outcome in Outcome:
            held = Size(shares[market.token(outcome)])
            if held:
                cost = cost_of(account, market.token(outcome), held)
                facts.append(HoldingSeen(at, MarketNo(number), outcome, held, cost))
    adopted = list(_adopted(resting, markets, at))
    facts += [_found(record, filled, at) for record, filled in adopted]
    return Truth(facts, cash, shares, adopted)


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


def cost_of(account: AccountFile, token: TokenId, held: Size) -> Cash:
    """Return what a holding cost, by our own fills; what they do not explain counts a dollar a share."""
    bought, paid = account.bought(token)
    explained = min(held, bought)
    return Cash((paid * explained // bought if bought else 0) + held - explained)


def _close_unfinished(account: AccountFile, resting: set[str], at: Micros) -> None:
    """Write of an earlier session's orders that they are over, where they do not rest any more."""
    for record in account.unfinished():
        if record.exchange_order_id is not None and record.exchange_order_id not in resting:
            account.state(record.exchange_order_id, State.CANCELED, record.filled_e6, at, "gone at the next start")


def _adopted(resting: Sequence[OpenOrder], markets: Sequence[Market], at: Micros) -> list[tuple[Record, Size]]:
    """Number the orders that rest in our markets; those in others are not ours to judge."""
    where = {market.token(each): (MarketNo(no), each) for no, market in enumerate(markets) for each in Outcome}
    known = [order for order in resting if order.token in where]
    return [
        (_record(order, OrderNo(number), *where[order.token], at), order.size_matched)
        for number, order in enumerate(known, 1)
    ]


def _record(order: OpenOrder, no: OrderNo, market: MarketNo, outcome: Outcome, at: Micros) -> Record:
    purpose = Purpose.QUOTE if order.side is Side.BUY else Purpose.HEDGE
    price, size = order.price, order.original_size
    place = Place(at, no, market, outcome, order.side, price, size, purpose, True, Reason("found"))
    return Record(place, order.order_id, order.token, at)


def _found(record: Record, filled: Size, at: Micros) -> OrderFound:
    place = record.place
    return OrderFound(
        at, place.market, place.outcome, place.side, place.price, place.size, filled, record.order_id, record.no
    )
