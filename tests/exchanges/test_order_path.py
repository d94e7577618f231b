"""Orders on their way out and back: batches, lost answers, repeated cancels, what rests and must not (O2-O7)."""

from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from order_words import (
    BID,
    NOON,
    OWNER,
    TWENTY,
    after,
    answer,
    cancellation,
    listed,
    message,
    name,
    place,
    trade,
)
from polymarket_peers import market
from trio.testing import MockClock as Clock

from pmrun.plugins.exchanges.common.quarantine import Quarantine
from pmrun.plugins.exchanges.common.trading_terms import Caps
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction
from pmrun.plugins.exchanges.polymarket.life import OrderLife
from pmrun.plugins.exchanges.polymarket.news import OrderStatus
from pmrun.plugins.exchanges.polymarket.outcomes import CallFailed, IncompleteSnapshot, Lost, Rejected
from pmrun.plugins.exchanges.polymarket.trading import Trading
from pmrun.plugins.exchanges.polymarket.trading_terms import Pace, Told
from pmrun.plugins.exchanges.polymarket.wire_orders import CancelAnswer
from pmrun.runner.facts import Fact, MarketStatus, OrderNews, StatusChanged
from pmrun.runner.intents import Cancel, CancelAll, Reason
from pmrun.runner.market import FeeTerms, MarketNo
from pmrun.runner.orders import News, OrderNo
from pmrun.runner.units import SECOND, Cash, Micros, Side
from pmrun.runner.unsent import held_back

RICH = Caps(order=Cash(10**12), resting=Cash(10**12))
WHY = Reason("test")


def now() -> Micros:
    return Micros(NOON + int(trio.current_time() * SECOND))


class Exchange:
    """A stand-in for the exchange's REST interface: what it says next, and what it was asked."""

    def __init__(self) -> None:
        self.api_key = SimpleNamespace(key=OWNER)
        self.asked: list[tuple[float, str, tuple[str, ...]]] = []
        self.placings: Callable[[Sequence[str]], list[Any]] = lambda ids: [answer(int(each[7:])) for each in ids]
        self.cancels: list[Any] = []  # answers to cancels to come; all are canceled without
        self.resting: list[Any] = []
        self.traded: list[Any] = []
        self.unlisted = 0  # how many lists fail
        self.beats: list[Any] = []

    def _ask(self, what: str, ids: Sequence[str] = ()) -> None:
        self.asked.append((round(trio.current_time(), 1), what, tuple(ids)))

    def times(self, what: str) -> list[float]:
        return [at for at, said, _ in self.asked if said == what]

    async def place(self, submissions: Sequence[Any]) -> list[Any]:
        ids = [order.order_id for order, _ in submissions]
        self._ask("place", ids)
        await trio.sleep(0.1)
        return self.placings(ids)

    async def cancel(self, ids: Sequence[str]) -> Any:
        self._ask("cancel", ids)
        await trio.sleep(0.1)
        found = self.cancels.pop(0) if self.cancels else CancelAnswer(tuple(ids), {})
        if isinstance(found, CancelAnswer):
            self.resting = [order for order in self.resting if order.order_id not in found.canceled]
        return found

    async def cancel_all(self) -> Any:
        self._ask("cancel all")
        await trio.sleep(0.1)
        if self.cancels:
            return self.cancels.pop(0)
        gone, self.resting = self.resting, []
        return CancelAnswer(tuple(order.order_id for order in gone), {})

    async def open_orders(self) -> tuple[Any, ...]:
        self._ask("list")
        await trio.sleep(0.1)
        if self.unlisted:
            self.unlisted -= 1
            raise IncompleteSnapshot("page 1 has 0 rows and says 1")
        return tuple(self.resting)

    async def trades(self, since: Micros) -> tuple[Any, ...]:
        await trio.sleep(0.1)
        return tuple(self.traded)

    async def order(self, order_id: str) -> Any:
        self._ask("look up", [order_id])
        return next((order for order in self.resting if order.order_id == order_id), None)

    async def heartbeat(self, heartbeat_id: str) -> str:
        self._ask("heartbeat")
        found = self.beats.pop(0) if self.beats else "id"
        if found == "hangs":
            await trio.sleep_forever()
        if isinstance(found, Exception):
            raise found
        return str(found)


class Desk:
    """A trading, with notes of everything it tells."""

    def __init__(self, caps: Caps = RICH, pace: Pace = Pace()) -> None:
        self.exchange = Exchange()
        self.facts: list[Fact] = []
        self.written: list[str] = []
        self.troubles: list[tuple[float, str, bool]] = []
        self.unshown: list[frozenset[MarketNo]] = []
        self.moved: list[str] = []
        self.doubts: list[Reaction] = []
        self.known: set[str] = set()
        terms = market()
        self.life = OrderLife({terms.yes: FeeTerms(), terms.no: FeeTerms()})
        told = Told(
            written=lambda records: self.written.extend(record.order_id for record in records),
            tell=self.facts.extend,
            trouble=lambda name, there: self.troubles.append((round(trio.current_time(), 1), name, there)),
            looked=lambda: None,
            doubtful=lambda no, reaction: self.doubts.append(reaction),
            unshown=self.unshown.append,
            moved=self.moved.append,
            forgotten=lambda records: None,
            ours=lambda order_id: order_id in self.known,
        )
        signer = SimpleNamespace(order=self._signed)
        self._numbers = 0
        self.trading = Trading(self.exchange, signer, self.life, [terms], caps, told, now, pace)  # type: ignore[arg-type]

    def _signed(self, *_: Any, **__: Any) -> Any:
        self._numbers += 1
        return SimpleNamespace(order_id=name(self._numbers))

    def submit(self, *intents: Any) -> None:
        self.trading.submit(intents)

    def news(self, *kinds: News) -> list[tuple[int, str]]:
        found = [fact for fact in self.facts if isinstance(fact, OrderNews)]
        return [(fact.order, str(fact.news)) for fact in found if not kinds or fact.news in kinds]


@pytest.fixture
async def desk(autojump_clock: Clock) -> AsyncIterator[Desk]:
    made = Desk()
    async with trio.open_nursery() as nursery:
        await nursery.start(made.trading.run)
        yield made
        nursery.cancel_scope.cancel()


def cancel(no: int = 1) -> Cancel:
    return Cancel(NOON, OrderNo(no), WHY)


async def rests(desk: Desk, no: int = 1) -> None:
    """Have an order placed and resting."""
    desk.exchange.resting.append(listed(no))
    desk.submit(place(no))
    await trio.sleep(0.2)
    desk.trading.order_seen(message(no=no))


async def test_an_intent_is_on_disk_before_its_request_leaves(autojump_clock: Clock, desk: Desk) -> None:
    desk.exchange.placings = lambda ids: [answer() for _ in ids if desk.written == [name(1)]]
    desk.submit(place())
    await trio.sleep(0.5)
    assert desk.news() == [(1, "accepted")]


async def test_many_orders_leave_in_batches_of_fifteen(autojump_clock: Clock, desk: Desk) -> None:
    desk.submit(*(place(no) for no in range(1, 33)))
    await trio.sleep(0.5)
    assert sorted(len(ids) for _, what, ids in desk.exchange.asked if what == "place") == [2, 15, 15]
    assert len(desk.news(News.ACCEPTED)) == 32


async def test_each_leg_of_a_batch_has_its_own_outcome(autojump_clock: Clock, desk: Desk) -> None:
    crossed = Rejected(reason="invalid post-only order: order crosses book", reaction=Reaction.REPRICE, status=200)
    nobody_knows = Lost(why="could not insert order", status=200)
    desk.exchange.placings = lambda ids: [answer(1), crossed, nobody_knows]
    desk.submit(place(1), place(2), place(3))
    await trio.sleep(0.5)
    assert desk.news() == [(1, "accepted"), (2, "rejected"), (3, "unknown")]


async def test_nothing_is_ever_sent_twice(autojump_clock: Clock, desk: Desk) -> None:
    desk.exchange.placings = lambda ids: [Lost(why="no answer within 5 s")]
    desk.submit(place())
    await trio.sleep(60)
    assert len(desk.exchange.times("place")) == 1
    assert desk.news() == [(1, "unknown"), (1, "canceled")]
    assert 10 <= (desk.facts[-1].at - NOON) / SECOND <= 12


async def test_an_order_whose_answer_was_lost_is_found(autojump_clock: Clock, desk: Desk) -> None:
    desk.exchange.placings = lambda ids: [Lost(why="no answer within 5 s")]
    desk.exchange.resting.append(listed())
    desk.submit(place())
    await trio.sleep(1)
    assert desk.news() == [(1, "unknown"), (1, "resting")]


async def test_an_order_that_was_given_up_and_arrives_is_cancelled_at_once(autojump_clock: Clock, desk: Desk) -> None:
    desk.exchange.placings = lambda ids: [Lost(why="no answer within 5 s")]
    desk.submit(place())
    await trio.sleep(20)
    assert desk.news(News.CANCELED) == [(1, "canceled")]
    desk.exchange.resting.append(listed())
    desk.trading.look()
    await trio.sleep(1)
    assert desk.exchange.resting == []


async def test_what_an_earlier_session_left_is_cancelled_and_what_others_placed_is_left_alone(
    autojump_clock: Clock, desk: Desk
) -> None:
    desk.known = {name(7)}
    desk.exchange.resting = [listed(7), listed(8)]
    await trio.sleep(2)
    assert [order.order_id for order in desk.exchange.resting] == [name(8)]
    assert desk.trading.counts["buried"] == 1


async def test_an_order_is_looked_up_one_three_and_ten_seconds_after_it_was_sent_then_in_sweeps(
    autojump_clock: Clock, desk: Desk
) -> None:
    await trio.sleep(14)  # the looks after the start are over
    asked = len(desk.exchange.asked)
    await rests(desk)
    await trio.sleep(60)
    looks = [at - 14 for at, what, _ in desk.exchange.asked[asked:] if what == "list"]
    assert [round(at) for at in looks[:4]] == [1, 3, 10, 40]


async def test_a_cancel_is_repeated_until_it_is_answered(autojump_clock: Clock, desk: Desk) -> None:
    await rests(desk)
    desk.exchange.cancels = [Lost(why="no answer"), Rejected(reason="disabled", reaction=Reaction.RETRY_LATER)]
    desk.submit(cancel())
    await trio.sleep(5)
    assert len(desk.exchange.times("cancel")) == 3
    assert desk.news(News.CANCELED) == [(1, "canceled")]


async def test_a_cancel_that_the_socket_answers_is_not_repeated(autojump_clock: Clock, desk: Desk) -> None:
    await rests(desk)
    desk.exchange.cancels = [Lost(why="no answer")]
    desk.submit(cancel())
    await trio.sleep(0.5)
    desk.exchange.resting = []
    desk.trading.order_seen(cancellation())
    await trio.sleep(30)
    assert len(desk.exchange.times("cancel")) == 1


async def test_an_order_that_goes_on_resting_is_asked_to_leave_again_but_not_without_end(
    autojump_clock: Clock, desk: Desk
) -> None:
    await rests(desk)
    desk.exchange.cancels = [CancelAnswer((), {name(1): "the order is busy"})] * 3
    desk.submit(cancel())
    await trio.sleep(60)
    assert desk.exchange.resting == []
    times = desk.exchange.times("cancel")
    assert len(times) == 4
    assert min(later - earlier for earlier, later in pairwise(times)) >= 1.9


async def test_cancel_all_drops_what_has_not_been_sent(autojump_clock: Clock, desk: Desk) -> None:
    desk.submit(place(), CancelAll(NOON, WHY))
    await trio.sleep(1)
    assert desk.exchange.times("place") == []
    assert desk.news() == [(1, "canceled")]


async def test_an_order_that_is_under_way_when_all_are_cancelled_is_cancelled_when_it_shows(
    autojump_clock: Clock, desk: Desk
) -> None:
    desk.exchange.placings = lambda ids: [Lost(why="no answer")]
    desk.submit(place())
    await trio.sleep(0.05)
    desk.submit(CancelAll(NOON, WHY))
    await trio.sleep(0.5)
    desk.exchange.resting.append(listed())  # it arrives behind the cancel
    await trio.sleep(5)
    assert desk.exchange.resting == []


async def test_cancelling_one_side_leaves_the_other(autojump_clock: Clock, desk: Desk) -> None:
    await rests(desk)
    desk.exchange.resting.append(listed(9, side=Side.SELL))
    desk.submit(CancelAll(NOON, WHY, Side.BUY))
    await trio.sleep(1)
    assert [order.order_id for order in desk.exchange.resting] == [name(9)]


async def test_where_cancel_all_is_refused_everything_listed_is_cancelled(autojump_clock: Clock, desk: Desk) -> None:
    await rests(desk)
    desk.exchange.cancels = [Lost(why="no answer")]
    desk.exchange.unlisted = 1
    desk.submit(CancelAll(NOON, WHY))
    await trio.sleep(5)
    assert desk.exchange.resting == []


@pytest.mark.parametrize(
    ("caps", "why"),
    [
        (Caps(order=Cash(7_999_999), resting=Cash(10**9)), "over the cap live.max_order_usd"),
        (Caps(order=Cash(8_000_000), resting=Cash(15_999_999)), "over the cap live.max_resting_usd"),
    ],
)
async def test_no_order_passes_a_cap(autojump_clock: Clock, caps: Caps, why: str) -> None:
    desk = Desk(caps)
    async with trio.open_nursery() as nursery:
        await nursery.start(desk.trading.run)
        desk.submit(place(1), place(2), place(3, side=Side.SELL))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert (BID * TWENTY, why) == (8_000_000 * 10_000, desk.facts[0].reason if "order" in why else why)
    refused = [fact for fact in desk.facts if fact.news is News.REJECTED]
    assert {fact.reason for fact in refused} == {why}
    assert all(held_back(fact.reason) for fact in refused), "the exchange never saw them: no error (P9)"
    assert (3, "accepted") in desk.news()


async def test_an_order_of_an_unknown_session_that_trades_has_its_token_compared(
    autojump_clock: Clock, desk: Desk
) -> None:
    desk.trading.trade_seen(trade(no=5))
    desk.trading.trade_seen(trade(no=5))
    assert desk.moved == ["1000"]


# Doubt.


async def test_a_fill_that_nobody_shows_puts_its_market_aside_until_it_comes(autojump_clock: Clock, desk: Desk) -> None:
    await rests(desk)
    desk.exchange.resting = [listed(matched=TWENTY // 2)]
    await trio.sleep(40)
    assert desk.unshown[-1] == {0}
    desk.exchange.traded = [trade(size=TWENTY // 2)]
    await trio.sleep(5)
    assert desk.unshown[-1] == set()


async def test_without_a_complete_snapshot_for_long_nothing_is_quoted(autojump_clock: Clock, desk: Desk) -> None:
    desk.exchange.unlisted = 30
    await trio.sleep(60)
    assert [(name, there) for _, name, there in desk.troubles][:1] == [("our orders cannot be looked up", True)]
    assert desk.troubles[-1][1:] == ("our orders cannot be looked up", False)
    assert 20 <= desk.troubles[0][0] <= 23


async def test_a_refusal_of_our_credentials_stops_the_quoting_for_good(autojump_clock: Clock, desk: Desk) -> None:
    refused = Rejected(reason="Unauthorized/Invalid api key", reaction=Reaction.HALT, status=401)
    desk.exchange.placings = lambda ids: [refused]
    desk.submit(place())
    await trio.sleep(100)
    assert [there for _, name, there in desk.troubles if "Unauthorized" in name] == [True]


async def test_a_refusal_that_nobody_understands_puts_the_market_in_doubt(autojump_clock: Clock, desk: Desk) -> None:
    desk.exchange.placings = lambda ids: [Lost(why="your shoes are untied", reaction=Reaction.HALT_MARKET, status=400)]
    desk.submit(place())
    await trio.sleep(1)
    assert desk.doubts == [Reaction.HALT_MARKET]


# Heartbeats.


async def beating(desk: Desk, seconds: float) -> list[float]:
    """Let an order rest and the desk turn for so long; return when heartbeats were sent."""
    await rests(desk)
    for _ in range(int(seconds)):
        desk.trading.turned(now())
        await trio.sleep(1)
    return desk.exchange.times("heartbeat")


async def test_heartbeats_leave_often_enough_though_one_hangs(autojump_clock: Clock, desk: Desk) -> None:
    desk.exchange.beats = ["a", "hangs", "b", CallFailed("POST /v1/heartbeats", "500", Reaction.LOOK_UP, 500), "c"]
    times = await beating(desk, 60)
    answered = [at for number, at in enumerate(times) if number not in (1, 3)]
    assert max(later - earlier for earlier, later in pairwise(answered)) < 10


async def test_a_desk_that_does_not_turn_sends_no_heartbeats(autojump_clock: Clock, desk: Desk) -> None:
    await rests(desk)
    await trio.sleep(60)
    assert [at for at in desk.exchange.times("heartbeat") if at > 6] == []


async def test_heartbeats_that_go_on_failing_are_trouble(autojump_clock: Clock, desk: Desk) -> None:
    failed = CallFailed("POST /v1/heartbeats", "Internal server error", Reaction.LOOK_UP, 500)
    desk.exchange.beats = ["a", "b"] + [failed] * 20
    await beating(desk, 25)
    assert ("no heartbeat", True) in [said[1:] for said in desk.troubles]


# The end.


def nothing(record: Any) -> bool:
    return False


async def test_the_end_is_verified_twice(autojump_clock: Clock, desk: Desk) -> None:
    before = len(desk.exchange.times("list"))
    assert await desk.trading.finish(nothing, 20) == []
    assert len(desk.exchange.times("list")) - before >= 2


async def test_what_rests_at_the_end_is_cancelled(autojump_clock: Clock, desk: Desk) -> None:
    await rests(desk)
    assert await desk.trading.finish(nothing, 20) == []
    assert desk.exchange.resting == []


async def test_an_order_that_may_still_arrive_is_waited_for(autojump_clock: Clock, desk: Desk) -> None:
    desk.exchange.placings = lambda ids: [Lost(why="no answer")]
    desk.submit(place())
    await trio.sleep(0.3)
    desk.exchange.cancels = [CancelAnswer((), {name(1): "order not found"})] * 30
    began = trio.current_time()
    assert await desk.trading.finish(nothing, 20) == []
    assert trio.current_time() - began > 9


async def test_what_the_exchange_does_not_say_may_rest(autojump_clock: Clock, desk: Desk) -> None:
    desk.exchange.unlisted = 10**6
    (said,) = await desk.trading.finish(nothing, 5)
    assert said.startswith("the exchange does not say what rests")


async def test_an_order_that_cannot_be_cancelled_may_rest(autojump_clock: Clock, desk: Desk) -> None:
    await rests(desk)
    desk.exchange.cancels = [Rejected(reason="disabled", reaction=Reaction.RETRY_LATER)] * 1000
    assert await desk.trading.finish(nothing, 5) == [f"order {name(1)}"]


async def test_an_exit_that_the_exchange_delays_is_waited_for_though_it_is_neither_listed_nor_cancelled(
    autojump_clock: Clock, desk: Desk
) -> None:
    """A delayed order rests nowhere, cannot be cancelled, and may rest a moment later (reference 3.1)."""
    desk.exchange.placings = lambda ids: [answer(1, OrderStatus.DELAYED)]
    desk.submit(place(side=Side.SELL, post_only=False))
    await trio.sleep(0.5)
    refused = CancelAnswer((), {name(1): "order is delayed"})
    desk.exchange.cancels = [refused] * 6

    async def placed_after_the_delay() -> None:
        await trio.sleep(3)
        desk.exchange.resting.append(listed(1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(placed_after_the_delay)
        assert await desk.trading.finish(lambda record: False, 20) == []
    assert desk.exchange.resting == []


async def test_hedges_that_are_to_stay_are_left(autojump_clock: Clock, desk: Desk) -> None:
    await rests(desk)
    assert await desk.trading.finish(lambda record: True, 20) == []
    assert len(desk.exchange.resting) == 1


# Quarantine.


class Hands:
    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> Micros:
        return self.at


def statuses(facts: Sequence[Fact]) -> list[str]:
    return [str(fact.status) for fact in facts if isinstance(fact, StatusChanged)]


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def told() -> list[Fact]:
    return []


@pytest.fixture
def quarantine(clock: Hands, told: list[Fact]) -> Quarantine:
    return Quarantine(told.extend, clock)


def test_a_market_that_was_refused_is_tried_again_later_and_later(
    quarantine: Quarantine, clock: Hands, told: list[Fact]
) -> None:
    waits = []
    for _ in range(3):
        quarantine.refused(MarketNo(0))
        began = clock.at
        while statuses(told)[-1] == "halted":
            clock.at = Micros(clock.at + SECOND)
            quarantine.turned(clock.at)
        waits.append((clock.at - began) // SECOND)
    assert waits == [60, 120, 240]


def test_after_a_calm_while_a_refusal_counts_as_the_first(quarantine: Quarantine, clock: Hands) -> None:
    quarantine.refused(MarketNo(0))
    clock.at = after(3_600)
    quarantine.turned(clock.at)
    quarantine.refused(MarketNo(0))
    quarantine.turned(after(3_661))
    assert quarantine.times == 2


def test_a_market_in_doubt_is_not_brought_back_by_the_exchange_nor_one_that_it_halted_by_us(
    quarantine: Quarantine, clock: Hands, told: list[Fact]
) -> None:
    quarantine.refused(MarketNo(0))
    quarantine.stated(StatusChanged(NOON, MarketNo(0), MarketStatus.HALTED))
    quarantine.turned(after(61))
    assert statuses(told) == ["halted", "halted"]
    quarantine.stated(StatusChanged(NOON, MarketNo(0), MarketStatus.TRADING))
    assert statuses(told)[-1] == "trading"


def test_two_doubts_have_to_be_lifted_both(quarantine: Quarantine, told: list[Fact]) -> None:
    quarantine.refused(MarketNo(0))
    quarantine.unshown([MarketNo(0)])
    quarantine.turned(after(61))
    assert statuses(told) == ["halted"]
    quarantine.unshown([])
    assert statuses(told) == ["halted", "trading"]
