"""What the desk can be told. Time comes inside facts, in integer microseconds UTC.

`market` is the run's number of a market; prices of books and prints are those of YES.
"""

from enum import StrEnum
from typing import Any

import msgspec

from pmrun.runner.book import Book
from pmrun.runner.market import Market, MarketNo, Outcome
from pmrun.runner.orders import News, OrderNo, Settlement, TradeId
from pmrun.runner.units import Cash, Micros, Price, Side, Size

# How the reason begins where a cap of ours kept an order from leaving: the exchange never saw it (docs, rejections).


class MarketStatus(StrEnum):
    """Whether a market takes orders."""

    TRADING = "trading"
    HALTED = "halted"
    CLOSED = "closed"
    RESOLVED = "resolved"


class _Fact(msgspec.Struct, frozen=True, tag_field="k", gc=False):
    at: Micros


class Listed(_Fact, tag="listed", frozen=True):
    """A market exists, with these terms."""

    market: MarketNo
    terms: Market


class BookChanged(_Fact, tag="book", frozen=True):
    """The book of a market, as observed; conflated, so only the latest counts.

    `upto` is the number of frames of the tape that made it (0: not from a tape); the journal refers to it instead of
    copying the levels.
    """

    market: MarketNo
    upto: int
    book: Book


class Printed(_Fact, tag="print", frozen=True):
    """Other people traded; `side` is the taker's, in terms of YES."""

    market: MarketNo
    side: Side
    price: Price
    size: Size


class TickChanged(_Fact, tag="tick", frozen=True):
    """The grid of a market changed, by message or seen from a level off the old one."""

    market: MarketNo
    tick: Price
    inferred: bool = False


class StatusChanged(_Fact, tag="status", frozen=True):
    """A market opened, halted, closed or resolved; `settled_yes` is what YES paid, once known."""

    market: MarketNo
    status: MarketStatus
    settled_yes: Price | None = None


class FundsSeen(_Fact, tag="funds", frozen=True):
    """The exchange told us our cash."""

    total: Cash


class HoldingSeen(_Fact, tag="holding", frozen=True):
    """The exchange told us what we hold of a token: settled shares, and what they cost."""

    market: MarketNo
    outcome: Outcome
    size: Size
    cost: Cash


class OrderFound(_Fact, tag="found", frozen=True, omit_defaults=True):
    """An order of ours rests at the exchange that this session did not place; sells are taken to be hedges.

    `order` is the number it is known under from here on (0: the desk's next).
    """

    market: MarketNo
    outcome: Outcome
    side: Side
    price: Price
    size: Size
    filled: Size
    exchange_order_id: str
    order: OrderNo = OrderNo(0)


class OrderNews(_Fact, tag="order", frozen=True, omit_defaults=True):
    """Something other than a fill was said of an order."""

    order: OrderNo
    news: News
    reason: str = ""  # the exchange's own sentence
    exchange_order_id: str | None = None
    ws: str | None = None  # the message as it came, for audit
    rest: str | None = None


class Filled(_Fact, tag="fill", frozen=True):
    """A part of an order was matched; `cash` is what moved, in the exchange's rounding, without the fee."""

    order: OrderNo
    trade: TradeId
    price: Price
    size: Size
    cash: Cash
    fee: Cash = Cash(0)
    maker: bool = True


class Settled(_Fact, tag="settled", frozen=True):
    """The settlement of a fill moved on."""

    order: OrderNo
    trade: TradeId
    status: Settlement


class Merged(_Fact, tag="merged", frozen=True, omit_defaults=True):
    """A merge was answered: so many pairs of YES and NO became so much cash; none, and the reason, where it could not.

    `no` is the number of the desk's request: told twice, it happened once.
    """

    no: int
    market: MarketNo
    size: Size = Size(0)
    cash: Cash = Cash(0)
    reason: str = ""


class TimerDue(_Fact, tag="timer", frozen=True):
    """The time a component asked to be woken at has come."""


class Carried(_Fact, tag="carried", frozen=True):
    """What an earlier session left of a component's memory, told before anything of this one; `node` is its name."""

    node: str
    values: dict[str, int]


class FeedLost(_Fact, tag="feed_lost", frozen=True, omit_defaults=True):
    """What is shown can no longer be trusted, our own orders included: nothing rests until it can."""

    why: str = ""


class FeedRestored(_Fact, tag="feed_restored", frozen=True):
    """Books will be sent anew."""


class FeedEnded(_Fact, tag="feed_ended", frozen=True):
    """Nothing more will come: the last fact of a run."""

    why: str = ""


class Together(_Fact, tag="together", frozen=True):
    """Several things told at one moment, in order: learned one after the other, answered at once."""

    facts: tuple["Fact", ...]


Fact = (
    Listed
    | BookChanged
    | Printed
    | TickChanged
    | StatusChanged
    | FundsSeen
    | HoldingSeen
    | OrderFound
    | OrderNews
    | Filled
    | Settled
    | Merged
    | TimerDue
    | Carried
    | FeedLost
    | FeedRestored
    | FeedEnded
    | Together
)
FACTS: tuple[type[Any], ...] = Fact.__args__


def each(fact: Fact) -> tuple[Fact, ...]:
    """Return the single facts of one step."""
    return fact.facts if type(fact) is Together else (fact,)
