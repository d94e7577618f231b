"""What is told of an account before a session begins, whatever the exchange: what it has, and what rests (R13)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.runner.account_file import AccountFile
from pmrun.runner.account_records import OrderRecord
from pmrun.runner.facts import Carried, Fact, FundsSeen, HoldingSeen, Listed, OrderFound
from pmrun.runner.intents import Place, Reason
from pmrun.runner.market import Market, MarketNo, Outcome, TokenId
from pmrun.runner.orders import OrderNo, Purpose, State
from pmrun.runner.units import Cash, Micros, Price, Side, Size


@dataclass(frozen=True, slots=True)
class Truth:
    """What the exchange said, as facts and as the adapter keeps it."""

    facts: list[Fact]
    cash: Cash
    shares: dict[TokenId, int]
    adopted: list[tuple[Record, Size]]
    before: frozenset[str]  # trades that the balances hold already


class Resting(NamedTuple):
    """An order that rests."""

    order_id: str
    token: TokenId
    side: Side
    price: Price
    size: Size
    filled: Size


def facts_of(
    account: AccountFile,
    markets: Sequence[Market],
    cash: Cash,
    shares: Mapping[TokenId, int],
    adopted: Iterable[tuple[Record, Size]],
    at: Micros,
) -> list[Fact]:
    """Return the truth as the desk hears it."""
    return [*_holdings(account, markets, cash, shares, at), *(_found(record, filled, at) for record, filled in adopted)]


def _holdings(
    account: AccountFile, markets: Sequence[Market], cash: Cash, shares: Mapping[TokenId, int], at: Micros
) -> Iterator[Fact]:
    for node, values in account.carried(at).items():
        yield Carried(at, node, values)
    for number, market in enumerate(markets):
        yield Listed(at, MarketNo(number), market)
    yield FundsSeen(at, cash)
    for number, market in enumerate(markets):
        for outcome in Outcome:
            held = Size(shares.get(market.token(outcome), 0))
            if held:
                cost = cost_of(account, market.token(outcome), held)
                yield HoldingSeen(at, MarketNo(number), outcome, held, cost)


def cost_of(account: AccountFile, token: TokenId, held: Size) -> Cash:
    """Return what a holding cost, by our own fills; what they do not explain counts a dollar a share."""
    bought, paid = account.bought(token)
    explained = min(held, bought)
    return Cash((paid * explained // bought if bought else 0) + held - explained)


def over(account: AccountFile, record: OrderRecord, order_id: str, at: Micros) -> None:
    """Write that an earlier session's order is over; a fill that failed filled it all the same (O1)."""
    filled = max(record.filled_e6, sum(fill.size_e6 for fill in account.fills(order_id)))
    state = State.FILLED if filled >= record.size_e6 else State.CANCELED
    account.state(order_id, state, Size(filled), at, "gone at the next start")


def adopted(resting: Iterable[Resting], markets: Sequence[Market], at: Micros) -> list[tuple[Record, Size]]:
    """Number the orders that rest in our markets, and say how far they are filled; others are not ours to judge."""
    where = {market.token(each): (MarketNo(no), each) for no, market in enumerate(markets) for each in Outcome}
    known = [order for order in resting if order.token in where]
    return [
        (_record(order, OrderNo(number), *where[order.token], at), order.filled)
        for number, order in enumerate(known, 1)
    ]


def _record(order: Resting, no: OrderNo, market: MarketNo, outcome: Outcome, at: Micros) -> Record:
    purpose = Purpose.QUOTE if order.side is Side.BUY else Purpose.HEDGE
    place = Place(at, no, market, outcome, order.side, order.price, order.size, purpose, True, Reason("found"))
    return Record(place, order.order_id, order.token, at)


def _found(record: Record, filled: Size, at: Micros) -> OrderFound:
    place = record.place
    return OrderFound(
        at, place.market, place.outcome, place.side, place.price, place.size, filled, record.order_id, record.no
    )
