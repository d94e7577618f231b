"""The words of the core tests: markets, books, facts about them, and desks put together by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pmrun.plugins.sizing.fixed import Fixed
from pmrun.runner.book import Book, Levels
from pmrun.runner.desk import Desk, DeskSettings
from pmrun.runner.facts import BookChanged, Fact, Filled, FundsSeen, Listed, OrderNews, Settled
from pmrun.runner.hooks import Answer, Hooks, NoQuote, Objection, Quote, Wanted, hookimpl
from pmrun.runner.intents import Cancel, Intent, Place, Refuse
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import ConditionId, Market, MarketNo, Outcome, RewardTerms, TokenId
from pmrun.runner.orders import News, Order, OrderNo, Purpose, Settlement, TradeId
from pmrun.runner.units import (
    Cash,
    HalfPrice,
    Micros,
    Price,
    Side,
    Size,
    cash_paid,
    cash_received,
    parse_cash,
    parse_price,
    parse_size,
)

NOON = Micros(1_763_985_600_000_000)
SECOND = 1_000_000
YES, NO = Outcome.YES, Outcome.NO
BUY, SELL = Side.BUY, Side.SELL
FIRST = MarketNo(0)

Kind = TypeVar("Kind")


def later(seconds: float) -> Micros:
    """Some seconds after noon."""
    return Micros(NOON + round(seconds * SECOND))


def market(**changes: Any) -> Market:
    """A market with a one cent tick, a minimum of five shares and rewards within three cents."""
    terms: dict[str, Any] = {
        "condition": ConditionId("0xc0"),
        "question": "Will it rain?",
        "slug": "rain",
        "yes": TokenId("1"),
        "no": TokenId("2"),
        "tick": Price(100),
        "min_order_size": parse_size("5"),
        "rewards": RewardTerms(min_size=parse_size("20"), max_spread=parse_price("0.03"), daily_rate=parse_cash("10")),
    }
    return Market(**(terms | changes))


def levels(text: str) -> Levels:
    """Read levels written as "0.46x100 0.45x20.5"."""
    pairs = (level.split("x") for level in text.split())
    return tuple((parse_price(price), parse_size(size)) for price, size in pairs)


def book(bids: str, asks: str) -> Book:
    """Read a book of YES, best level first."""
    return Book(levels(bids), levels(asks))


def seen_as(outcome: Outcome, bids: str, asks: str) -> Book:
    """Read a book as an outcome sees it; the result is that of YES."""
    return book(bids, asks).seen_by(outcome)


def book_at(bid: str, ask: str, at: Micros = NOON, no: int = 0) -> BookChanged:
    """Tell of a book with four deep levels a side, a cent apart, from this touch on."""
    step = parse_price("0.01")
    bids = tuple((Price(parse_price(bid) - step * rank), parse_size("1000")) for rank in range(4))
    asks = tuple((Price(parse_price(ask) + step * rank), parse_size("1000")) for rank in range(4))
    return BookChanged(at, MarketNo(no), 0, Book(bids, asks))


def told(shown: Book, at: Micros = NOON, no: int = 0) -> BookChanged:
    """Tell of a book."""
    return BookChanged(at, MarketNo(no), 0, shown)


def bid(outcome: Outcome, at: str, basis: str = "test") -> Quote:
    """Wish a bid; the price may have half units."""
    return Quote(outcome, BUY, HalfPrice(2 * parse_price(at)), basis)


def ask(outcome: Outcome, at: str, basis: str = "test") -> Quote:
    """Wish an ask."""
    return Quote(outcome, SELL, HalfPrice(2 * parse_price(at)), basis)


@dataclass(eq=False)
class Says:
    """A pricing rule that quotes what the test last said."""

    quotes: Sequence[Quote | NoQuote] = field(default_factory=list)

    @hookimpl
    def price(self) -> Answer:
        return self.quotes


@dataclass(eq=False)
class Minds:
    """A check that objects to the outcomes the test names."""

    outcomes: set[Outcome] = field(default_factory=set)
    code: str = "minded"

    @hookimpl
    def object_to_order(self, order: Wanted) -> Objection | None:
        return Objection(self.code) if order.outcome in self.outcomes else None


def make_desk(
    *quotes: Quote | NoQuote,
    components: dict[str, object] | None = None,
    funds: str = "1000",
    shares: str = "100",
    terms: Market | Sequence[Market] | None = None,
    **settings: Any,
) -> tuple[Desk, Says]:
    """Put a desk together that knows its funds and its markets; quotes come from the returned rule."""
    says = Says(list(quotes))
    named: dict[str, object] = {"pricing": says, "sizing": Fixed(parse_size(shares))}
    desk = Desk(Hooks(named | (components or {})), DeskSettings(**settings))
    desk.handle(FundsSeen(NOON, parse_cash(funds)))
    listed = [terms] if isinstance(terms, Market) else terms or [market()]
    for number, each in enumerate(listed):
        desk.handle(Listed(NOON, MarketNo(number), each))
    return desk, says


def news(order: int, what: News, at: Micros = NOON) -> OrderNews:
    """Tell something of an order."""
    return OrderNews(at, OrderNo(order), what)


def resting(order: int, at: Micros = NOON) -> OrderNews:
    """Tell that an order rests."""
    return news(order, News.RESTING, at)


def canceled(order: int, at: Micros = NOON) -> OrderNews:
    """Tell that an order was cancelled."""
    return news(order, News.CANCELED, at)


def fill_of(order: Order, shares: str, trade: str = "t1", at: Micros = NOON, fee: str = "0") -> Filled:
    """Tell of a fill of an order at its price."""
    size = parse_size(shares)
    cash = cash_paid(order.price, size) if order.side is BUY else cash_received(order.price, size)
    return Filled(at, order.no, TradeId(trade), order.price, size, cash, parse_cash(fee))


def confirmed(order: int, trade: str = "t1", at: Micros = NOON) -> Settled:
    """Tell that a fill is final."""
    return Settled(at, OrderNo(order), TradeId(trade), Settlement.CONFIRMED)


def failed(order: int, trade: str = "t1", at: Micros = NOON) -> Settled:
    """Tell that a fill was taken back."""
    return Settled(at, OrderNo(order), TradeId(trade), Settlement.FAILED)


def only(kind: type[Kind], intents: Sequence[Intent]) -> list[Kind]:
    """Pick the intents of a kind."""
    return [intent for intent in intents if isinstance(intent, kind)]


def places(intents: Sequence[Intent]) -> list[tuple[Outcome, Side, str]]:
    """Say what is placed: outcome, side and price in dollars."""
    return [(each.outcome, each.side, f"{each.price / 10_000:g}") for each in only(Place, intents)]


def cancels(intents: Sequence[Intent]) -> list[int]:
    """Say which orders are pulled."""
    return [each.order for each in only(Cancel, intents)]


def why(intents: Sequence[Intent]) -> list[str]:
    """Say the codes of all refusals."""
    return [reason.code for each in only(Refuse, intents) for reason in each.reasons]


def tell(desk: Desk, *facts: Fact) -> list[Intent]:
    """Tell facts one after the other; return what was wanted at any of them."""
    return [intent for fact in facts for intent in desk.handle(fact)]


def bought(desk: Desk, size: str, trade: str = "t1", order: int = 1, at: Micros = NOON) -> list[Intent]:
    """Tell a desk of a fill that settles at once."""
    return tell(desk, fill_of(desk.orders[OrderNo(order)], size, trade, at), confirmed(order, trade, at))


def holding(desk: Desk, outcome: Outcome, shares: str, at: str = "0.40") -> None:
    """Let a desk have bought shares, settled, before the test begins."""
    order = an_order(no=9000 + len(desk.account.fills), outcome=outcome, price=at, size=shares)
    desk.orders[order.no] = desk.markets[FIRST].orders[order.no] = order
    desk.account.reserve(order)
    desk.handle(resting(order.no))
    desk.handle(fill_of(order, shares, trade=f"before-{order.no}"))
    desk.handle(confirmed(order.no, trade=f"before-{order.no}"))


def a_holding(outcome: Outcome, held: str, cost: str, pending: str = "0") -> Inventory:
    """An inventory with shares of one outcome, bought at a price; `pending` of them are not settled."""
    inventory = Inventory()
    holding = inventory.of(outcome)
    holding.pending = parse_size(pending)
    holding.confirmed = parse_size(held) - holding.pending
    holding.cost = cash_paid(parse_price(cost), parse_size(held))
    return inventory


def an_order(
    no: int = 1,
    outcome: Outcome = YES,
    side: Side = BUY,
    price: str = "0.40",
    size: str = "100",
    **changes: Any,
) -> Order:
    """An order that was just asked for."""
    return Order(
        no=OrderNo(no),
        client_order_id=f"test-{no}",
        market=FIRST,
        outcome=outcome,
        side=side,
        price=parse_price(price),
        size=parse_size(size),
        purpose=changes.pop("purpose", Purpose.QUOTE),
        post_only=True,
        placed_at=NOON,
        **changes,
    )


def told_of(order: Order, news: News, at: Micros = NOON) -> Order | None:
    """A copy of an order that has heard news; None where that cannot be, and nothing of it was applied."""
    copy = order.copy()
    if copy.learn(news, at):
        return copy
    assert copy == order
    return None


def filled_by(order: Order, size: Size, moved: Cash, at: Micros = NOON) -> Order | None:
    """A copy of an order that has been filled so far; None where that cannot be, and nothing of it was applied."""
    copy = order.copy()
    if copy.learn_fill(size, moved, at):
        return copy
    assert copy == order
    return None


def wanted(
    outcome: Outcome = YES, side: Side = BUY, price: str = "0.40", size: str = "100", basis: str = "test", **more: Any
) -> Wanted:
    """An order that ought to rest."""
    return Wanted(
        outcome, side, parse_price(price), parse_size(size), more.pop("purpose", Purpose.QUOTE), basis, **more
    )


def cash(text: str) -> Cash:
    """Read dollars."""
    return parse_cash(text)


def shares(text: str) -> Size:
    """Read shares."""
    return parse_size(text)
