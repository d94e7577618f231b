"""maker_follow on recorded markets: what was placed and pulled is what the books asked for (M2, M3).

What ought to have happened is worked out here from the books the desk was shown, by rules of this module's own.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pmrun.plugins.hedging.maker_round import ROUNDING
from pmrun.runner.assembly import plan
from pmrun.runner.compose import compose_config
from pmrun.runner.desk import Desk
from pmrun.runner.facts import BookChanged, Fact, OrderNews, StatusChanged, TimerDue, each
from pmrun.runner.intents import Cancel, CancelAll, Intent, Place, Refuse
from pmrun.runner.market import Outcome
from pmrun.runner.orders import ENDED, News, Purpose, State
from pmrun.runner.simulate import Simulation
from pmrun.runner.units import SECOND, Side

TAPES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tapes"
POLL, LATE = 10 * SECOND, 500_000
PROFIT = 100
TAPE = {
    "btc_15m": ["tape=btc_15m"],
    "books-and-prints-updown": ["feed=tape", f"feed.path={TAPES / 'books-and-prints-updown'}"],
    "btc-15m-1hz": ["feed=tape", f"feed.path={TAPES / 'btc-15m-1hz'}"],
}


@dataclass
class Watch:
    """Holds every step against the books."""

    desk: Desk
    books: dict[int, Any] = field(default_factory=dict)
    orders: dict[int, Place] = field(default_factory=dict)
    rests: set[int] = field(default_factory=set)  # bids that were answered, and not asked to leave
    should_follow: set[int] = field(default_factory=set)
    followed: set[int] = field(default_factory=set)
    again: Counter[tuple[int, Outcome]] = field(default_factory=Counter)  # follows not placed anew yet
    counts: Counter[str] = field(default_factory=Counter)
    waits: dict[tuple[int, Outcome], int] = field(default_factory=dict)  # below the floor, since
    unsold: set[tuple[int, Outcome]] = field(default_factory=set)
    ended: bool = False

    def record(self, fact: Fact, intents: list[Intent]) -> None:
        decided = False
        for one in each(fact):
            if isinstance(one, BookChanged):
                self.books[one.market] = one.book
            decided |= isinstance(one, BookChanged | TimerDue)
            if isinstance(one, OrderNews) and one.order in self.orders:
                self._news(one)
            if isinstance(one, StatusChanged):
                self.counts[str(one.status)] += 1
        gone = {no for no in self.rests if self.desk.orders[no].state in ENDED}
        self.rests -= gone
        if decided and not any(isinstance(intent, CancelAll) for intent in intents):
            self._look(fact.at, intents)
        for intent in intents:
            if isinstance(intent, Place):
                self._place(intent)
            elif isinstance(intent, Cancel):
                self._cancel(intent)
            elif isinstance(intent, Refuse) and intent.reasons[0].code == "left_unsold":
                self.unsold.add((intent.market, intent.outcome))
        self._offers()

    def _news(self, news: OrderNews) -> None:
        order = self.orders[news.order]
        if news.news is News.RESTING and order.side is Side.BUY and self.desk.orders[news.order].state is State.LIVE:
            self.rests.add(news.order)

    def _look(self, at: int, intents: list[Intent]) -> None:
        """Find the bids that are due for a look now, and lie a tick or more below the touch."""
        pulled = {each.order for each in intents if isinstance(each, Cancel) and each.reason.code != "moved"}
        for no in self.rests - pulled:
            order = self.orders[no]
            state = self.desk.markets[order.market]
            seen = self.books[order.market].seen_by(order.outcome)
            since = at - order.at
            due = since >= POLL and since % POLL < LATE
            if due and seen.two_sided and seen.best_bid >= order.price + state.terms.tick:
                self.should_follow.add(no)

    def _place(self, order: Place) -> None:
        self.orders[order.order] = order
        seen = self.books[order.market].seen_by(order.outcome)
        key = order.market, order.outcome
        assert order.post_only
        self.counts[f"{order.side} {order.reason.code}"] += 1
        if order.side is Side.BUY:
            assert order.price <= seen.best_bid, "a buy above the best bid"
            if order.reason.code == "follow" and self.again[key]:
                self.again[key] -= 1
            return
        assert order.price > seen.best_bid, "a sell that crosses"
        assert seen.best_ask >= self.floor(*key), "offered while the ask was below the floor"
        assert order.price >= max(self.floor(*key), 0)
        if (since := self.waits.pop(key, None)) is not None:
            self.counts["waited"] += 1
            assert (order.at - since) % POLL < LATE, "offered again at a moment that is no look"

    def _cancel(self, intent: Cancel) -> None:
        order = self.orders[intent.order]
        self.rests.discard(intent.order)
        self.counts[f"cancel {order.side} {intent.reason.code}"] += 1
        if order.side is Side.BUY and intent.reason.code == "moved":
            self.followed.add(intent.order)
            self.again[order.market, order.outcome] += 1
        if order.side is Side.SELL and intent.reason.code == "moved":
            assert intent.reason.numbers["to"] < intent.reason.numbers["from"], "an offer was raised"
        if order.side is Side.SELL and intent.reason.code == "below_floor":
            self.waits[order.market, order.outcome] = intent.at

    def floor(self, market: int, outcome: Outcome) -> int:
        holding = self.desk.markets[market].inventory.of(outcome)  # type: ignore[index]
        tick = self.desk.markets[market].terms.tick  # type: ignore[index]
        average = -(-(holding.cost - ROUNDING) * 10_000 // holding.held)
        return min(-(-(average + PROFIT) // tick) * tick, 10_000 - tick)

    def _offers(self) -> None:
        """Look at what rests: none below its floor where the ask is, but what could not be placed again."""
        for order in self.desk.in_play():
            if order.side is not Side.SELL or order.cancel_sent or order.submitted_at is None:
                continue
            state = self.desk.markets[order.market]
            if (
                state.blocked()
                or order.remaining < state.terms.min_order_size
                or order.market in self.desk._known.dirty
            ):
                continue
            ask = self.books[order.market].seen_by(order.outcome).best_ask
            assert ask >= self.floor(order.market, order.outcome), "an offer rests while the ask is below the floor"

    def close(self) -> None:
        pass


def traded(overrides: list[str]) -> Watch:
    made = plan(compose_config(["strategy=maker_follow", *overrides, "report=none", "store=none"]))
    desk = made.desk("tape")
    watch = Watch(desk)
    data = made.feed.open()
    exchange = made.executor.open(data, made.fill, made.depth(desk.hooks), False)
    for _ in Simulation(desk, exchange, [watch], "over").run():
        pass
    return watch


@pytest.mark.parametrize("name", TAPE)
def test_on_tapes_bids_join_and_follow_the_touch_and_offers_wait_above_their_floor(name) -> None:
    if name != "btc_15m" and not (TAPES / name).is_dir():
        pytest.skip("the tape is not here")
    watch = traded(TAPE[name])
    assert watch.counts["BUY best_bid"] > 3
    assert watch.counts["SELL best_ask"] > 3
    assert watch.counts["cancel SELL below_floor"] > 1
    assert watch.counts["waited"] > 0
    assert watch.followed == watch.should_follow
    assert len(watch.followed) > 3
    # Each bid that made way was placed again for what was left, unless the buying was over by then.
    assert sum(watch.again.values()) <= 1 + watch.counts["resolved"]
    held = {
        (no, outcome)
        for no, state in watch.desk.markets.items()
        for outcome in Outcome
        if state.inventory.of(outcome).held > 0
    }
    assert held == watch.unsold  # what is left is said, and why
    assert not list(watch.desk.in_play())
    assert {order.purpose for order in watch.orders.values() if order.side is Side.SELL} == {Purpose.HEDGE}
