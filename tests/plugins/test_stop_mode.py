"""What an earlier session left resting: a clean start and `pmrun stop` cancel its bids, and leave its sells (R13)."""

from dataclasses import dataclass, field

import pytest

from pmrun.plugins.executors.fill import Queue
from pmrun.plugins.executors.paper import Paper
from pmrun.plugins.executors.paper_exchange import PaperExchange
from pmrun.plugins.feeds.rows import RowBuilder
from pmrun.plugins.pricing.maker_follow import MakerFollow
from pmrun.plugins.sizing.fixed import Fixed
from pmrun.runner.desk import Desk, DeskSettings
from pmrun.runner.facts import Fact, FeedEnded, OrderNews, each
from pmrun.runner.hooks import WHOLE_BOOK, Hooks
from pmrun.runner.intents import Cancel, CancelAll, Intent, Place, Reason
from pmrun.runner.market import ConditionId, Market, MarketNo, Outcome, TokenId
from pmrun.runner.orders import News, OrderNo, Purpose
from pmrun.runner.ports import FeedData, FeedInfo
from pmrun.runner.simulate import Simulation
from pmrun.runner.units import SECOND, Micros, Side, parse_price, parse_size

NOON = Micros(1_700_000_000_000_000)
YES, NO, BUY, SELL = Outcome.YES, Outcome.NO, Side.BUY, Side.SELL
MARKET = Market(
    condition=ConditionId("0x01"), question="Will it rain?", slug="rain", yes=TokenId("1"), no=TokenId("2"),
    tick=parse_price("0.01"), min_order_size=parse_size("5"),
)  # fmt: skip
# Far from the touch, so that nothing but a cancel ends them: bids on both tokens, and a sell.
BIDS, SALE = (OrderNo(901), OrderNo(902)), OrderNo(903)
LEFT = (
    (BIDS[0], YES, BUY, "0.20", Purpose.QUOTE),
    (BIDS[1], NO, BUY, "0.20", Purpose.QUOTE),
    (SALE, YES, SELL, "0.90", Purpose.HEDGE),
)


def feed(seconds: int = 5) -> FeedData:
    """A book that stands still."""
    made, size = RowBuilder(), parse_size("100")
    bids = tuple((parse_price(price), size) for price in ("0.45", "0.44"))
    asks = tuple((parse_price(price), size) for price in ("0.48", "0.49"))
    for second in range(seconds):
        at = Micros(NOON + second * SECOND)
        made.book(at, at, second + 1, 0, YES, bids, asks)
    info = FeedInfo(
        name="made up", source="test", simulated=True, data_hash="0", frames=seconds, prints=1, first_at=NOON,
        last_at=Micros(NOON + seconds * SECOND),
    )  # fmt: skip
    return FeedData(markets=(MARKET,), steps=(100,), rows=made.build(), notes=(), info=info)


@dataclass
class Watched:
    """Everything that was told and wanted, in order."""

    steps: list[Fact | Intent] = field(default_factory=list)

    def record(self, fact: Fact, intents: list[Intent]) -> None:
        self.steps += [*each(fact), *intents]

    def close(self) -> None:
        """Nothing to close."""

    def of(self, kind: type) -> list:
        return [step for step in self.steps if isinstance(step, kind)]

    def ended(self, order: OrderNo) -> int | None:
        """Where in the run an order was told to be cancelled."""
        for place, step in enumerate(self.steps):
            if isinstance(step, OrderNews) and step.order == order and step.news is News.CANCELED:
                return place
        return None


@pytest.fixture
def exchange() -> PaperExchange:
    """An exchange on which orders of an earlier session rest."""
    found = Paper().open(feed(), Queue(), WHOLE_BOOK, everything=False)
    size, before = parse_size("20"), Micros(NOON - SECOND)
    found.submit(
        [
            Place(before, order, MarketNo(0), outcome, side, parse_price(price), size, purpose, True, Reason("earlier"))
            for order, outcome, side, price, purpose in LEFT
        ],
        before,
    )
    told = found.due(NOON)
    assert [(news.order, news.news) for news in told] == [(order[0], News.RESTING) for order in LEFT]
    return found


def run(exchange: PaperExchange, **settings: bool) -> Watched:
    hooks = Hooks({"pricing": MakerFollow(), "sizing": Fixed(parse_size("20"))})
    watched = Watched()
    for _ in Simulation(Desk(hooks, DeskSettings(**settings)), exchange, [watched], "the feed ended").run():
        pass
    return watched


def rests(exchange: PaperExchange, order: OrderNo) -> bool:
    """Whether an order can still be cancelled."""
    at = Micros(NOON + 3600 * SECOND)
    exchange.submit([Cancel(at, order, Reason("look"))], at)
    told = exchange.due(Micros(at + SECOND))
    told += exchange.due(Micros(at + SECOND))  # the answer is on its way when the cancel has arrived
    return [(news.order, news.news) for news in told] == [(order, News.CANCELED)]


def test_stop_mode_cancels_the_bids_of_an_earlier_session_leaves_its_sell_and_places_nothing(exchange):
    watched = run(exchange, stop_only=True, clean_start=True)
    (cancel,) = watched.of(CancelAll)
    assert (cancel.side, cancel.reason.code) == (BUY, "stop_only")
    assert watched.of(Place) == watched.of(Cancel) == []
    assert all(watched.ended(order) is not None for order in BIDS), "it waits for the answers"
    assert watched.ended(SALE) is None
    assert rests(exchange, SALE)


def test_a_clean_start_cancels_the_bids_of_an_earlier_session_before_the_first_quote_and_leaves_its_sell(exchange):
    watched = run(exchange, clean_start=True, leave_hedges=True)
    first = next(step for step in watched.steps if isinstance(step, Place | Cancel | CancelAll))
    assert isinstance(first, CancelAll)
    assert (first.side, first.reason.code) == (BUY, "clean_start")
    assert watched.of(CancelAll) == [first]
    assert all(watched.ended(order) is not None for order in BIDS)
    assert {place.side for place in watched.of(Place)} == {BUY}
    assert watched.ended(SALE) is None
    assert rests(exchange, SALE)


def test_a_clean_start_does_not_reach_the_quotes_of_its_own_session(exchange):
    watched = run(exchange, clean_start=True)
    end = next(place for place, step in enumerate(watched.steps) if isinstance(step, FeedEnded))
    own = {place.order for place in watched.of(Place)}
    assert own
    assert [
        step.order for step in watched.steps[:end] if isinstance(step, OrderNews) and step.news is News.CANCELED
    ] == [*BIDS]


def test_without_either_what_an_earlier_session_left_stays_until_the_end_of_the_run(exchange):
    watched = run(exchange)
    end = next(place for place, step in enumerate(watched.steps) if isinstance(step, FeedEnded))
    assert [cancel.side for cancel in watched.of(CancelAll)] == [None]
    assert all(watched.ended(order) > end for order in (*BIDS, SALE))
