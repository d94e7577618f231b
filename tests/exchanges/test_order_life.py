"""The life of our orders at Polymarket: what is believed of what is said, and what is not (O3-O7)."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from order_words import (
    NOON,
    OWNER,
    TOKEN,
    TWENTY,
    after,
    answer,
    canceled,
    cancellation,
    listed,
    message,
    name,
    not_canceled,
    record,
    snapshot,
    trade,
)

from pmrun.plugins.exchanges.common.known_orders import SURE
from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.polymarket.fills import foreign_tokens
from pmrun.plugins.exchanges.polymarket.life import OrderLife
from pmrun.plugins.exchanges.polymarket.news import OrderKind, OrderSeen, OrderStatus, TradeSeen, TradeStatus
from pmrun.plugins.exchanges.polymarket.wire_orders import OpenOrder, Verdict
from pmrun.runner.facts import Fact, Filled, OrderNews, Settled
from pmrun.runner.market import FeeTerms
from pmrun.runner.orders import News, Settlement
from pmrun.runner.units import SECOND, Micros, Side, Size

HALF = TWENTY // 2


@pytest.fixture
def life() -> OrderLife:
    return OrderLife({TOKEN: FeeTerms()})


@pytest.fixture
def sent(life: OrderLife) -> Record:
    """An order whose request has just left."""
    order = record()
    life.send(order)
    return order


@pytest.fixture
def resting(life: OrderLife, sent: Record) -> Record:
    """An order that was accepted and seen on the book."""
    life.answered(sent, answer(), after(0.1))
    life.order_seen(message(), after(0.1))
    return sent


def words(facts: list[Fact]) -> list[str]:
    """Say facts in short."""
    said = []
    for fact in facts:
        match fact:
            case OrderNews():
                said.append(str(fact.news))
            case Filled():
                said.append(f"filled {fact.size // 1_000_000}")
            case Settled():
                said.append(str(fact.status))
    return said


# Placed has two layers (O3), and neither means filled.


def test_an_answer_says_accepted_and_only_the_book_says_resting(life, sent):
    assert words(life.answered(sent, answer(), after(0.1))) == ["accepted"]
    assert words(life.order_seen(message(), after(0.2))) == ["resting"]
    assert words(life.order_seen(message(), after(0.3))) == []


def test_the_socket_may_be_faster_than_the_answer(life, sent):
    assert words(life.order_seen(message(), after(0.1))) == ["resting"]
    assert words(life.answered(sent, answer(), after(0.2))) == []


def test_an_answer_of_matched_is_no_fill_but_asks_for_one(life, sent):
    assert words(life.answered(sent, answer(status=OrderStatus.MATCHED), after(0.1))) == ["accepted"]
    assert life.owed
    assert life.next_check() == after(0.1)


def test_an_answer_that_says_unmatched_or_delayed_has_the_order_looked_up(life, sent):
    said = life.answered(sent, answer(status=OrderStatus.UNMATCHED, verdict=Verdict.UNSURE), after(0.1))
    assert words(said) == ["unknown"]
    assert life.next_check() == after(0.1)


def test_an_answer_about_another_order_proves_nothing(life, sent):
    assert words(life.answered(sent, answer(no=2), after(0.1))) == ["unknown"]


# Fills (O6).


def test_a_fill_counts_by_its_trade_alone_once(life, resting):
    assert words(life.order_seen(message(OrderKind.UPDATE, matched=TWENTY), after(1))) == []
    assert life.owed
    assert words(life.trade_seen(trade(), after(2))) == ["filled 20"]
    assert not life.owed
    assert words(life.trade_seen(trade(), after(3))) == []
    assert not resting.in_play


def test_a_fill_may_be_told_before_the_answer_to_its_order(life, sent):
    assert words(life.trade_seen(trade(size=HALF), after(0.1))) == ["accepted", "filled 10"]
    assert words(life.answered(sent, answer(), after(0.2))) == []


def test_one_trade_at_two_orders_of_ours_is_two_fills(life, resting):
    other = record(no=2)
    life.send(other)
    one, two = trade(size=HALF), trade(size=HALF, no=2)
    both = TradeSeen(
        **{name: getattr(one, name) for name in one.__struct_fields__}
        | {"maker_fills": one.maker_fills + two.maker_fills}
    )
    assert words(life.trade_seen(both, after(1))) == ["filled 10", "accepted", "filled 10"]


def test_a_fill_that_the_socket_never_told_comes_by_rest(life, resting):
    judged = life.snapshot(snapshot(after(2), trade(at=after(1))), after(2.1))
    assert words(judged.facts) == ["filled 20"]


def test_a_trade_that_was_in_the_balances_at_the_start_is_no_fill():
    life = OrderLife({TOKEN: FeeTerms()}, before=frozenset({"trade1"}))
    life.adopt(record(), Size(HALF))
    assert life.trade_seen(trade(size=HALF), after(1)) == []
    assert words(life.trade_seen(trade(trade_id="trade2", size=HALF), after(1))) == ["filled 10"]
    assert life.in_play() == []


def test_a_trade_of_an_order_that_nobody_knows_says_which_token_moved(life):
    assert life.trade_seen(trade(), after(1)) == []
    assert foreign_tokens(trade(), life.by_id, OWNER) == [TOKEN]
    assert foreign_tokens(trade(), life.by_id, "another key") == []


# Settlement: forward only, a failed fill is reversed once.


def test_settlement_moves_forward_only(life, resting):
    life.trade_seen(trade(), after(1))
    assert words(life.trade_seen(trade(TradeStatus.MINED), after(3))) == ["mined"]
    assert words(life.trade_seen(trade(TradeStatus.MATCHED), after(4))) == []
    assert words(life.trade_seen(trade(TradeStatus.CONFIRMED), after(5))) == ["confirmed"]
    assert words(life.trade_seen(trade(TradeStatus.MINED), after(6))) == []
    assert not life.unsettled()


def test_a_failed_fill_is_reversed_once_and_its_order_stays_filled(life, resting):
    life.trade_seen(trade(), after(1))
    assert words(life.trade_seen(trade(TradeStatus.FAILED), after(3))) == ["failed"]
    assert words(life.trade_seen(trade(TradeStatus.FAILED), after(4))) == []
    assert words(life.trade_seen(trade(TradeStatus.CONFIRMED), after(5))) == []
    assert life.counts["impossible_settlements"] == 1
    assert not resting.in_play


def test_a_trade_first_heard_of_when_it_failed_is_a_fill_and_its_reversal(life, resting):
    assert words(life.trade_seen(trade(TradeStatus.FAILED), after(3))) == ["filled 20", "failed"]


def test_a_retried_settlement_may_still_go_either_way(life, resting):
    life.trade_seen(trade(), after(1))
    assert words(life.trade_seen(trade(TradeStatus.RETRYING), after(3))) == ["retrying"]
    assert life.unsettled()
    assert words(life.trade_seen(trade(TradeStatus.MINED), after(5))) == ["mined"]
    assert words(life.trade_seen(trade(TradeStatus.CONFIRMED), after(7))) == ["confirmed"]


# Cancels, and their races with fills.


def test_a_cancel_that_is_answered_and_told_ends_an_order_once(life, resting):
    assert words(life.cancelled(canceled(1), after(1))) == ["canceled"]
    assert words(life.order_seen(cancellation(), after(1.1))) == []


def test_a_fill_that_comes_after_the_cancel_is_a_fill(life, resting):
    life.cancelled(canceled(1), after(1))
    assert words(life.trade_seen(trade(size=HALF), after(1.2))) == ["filled 10"]


def test_a_cancelled_order_that_was_filled_in_part_is_owed_the_fill(life, resting):
    assert words(life.order_seen(cancellation(matched=HALF), after(1))) == ["canceled"]
    assert life.owed
    life.trade_seen(trade(size=HALF), after(2))
    assert not life.owed


def test_a_cancel_that_came_too_late_has_the_fill_looked_for(life, resting):
    assert life.cancelled(not_canceled(1, "matched orders can't be canceled"), after(0.5)) == []
    assert life.owed
    assert life.next_check() == after(0.5)


def test_a_placement_told_after_the_cancellation_changes_nothing(life, sent):
    life.answered(sent, answer(), after(0.1))
    life.order_seen(cancellation(), after(1))
    assert life.order_seen(message(), after(2)) == []
    assert not sent.in_play


def test_only_an_end_that_we_did_not_ask_for_has_a_reason(life, resting):
    (told,) = life.order_seen(cancellation(), after(1))
    assert told.reason == "CANCELED"
    other = record(no=2)
    life.send(other)
    other.cancel_asked = True
    (told,) = life.order_seen(cancellation(no=2), after(1))
    assert told.reason == ""


def test_an_expired_order_has_expired(life, resting):
    assert words(life.order_seen(message(OrderKind.CANCELLATION, status=OrderStatus.EXPIRED), after(1))) == ["expired"]


# Unknown (O7): looked up, never sent again.


def test_every_order_is_checked_one_three_and_ten_seconds_after_it_was_sent(life, sent):
    due = []
    while (at := life.next_check()) is not None:
        assert life.take_due(at)
        due.append((at - NOON) // SECOND)
    assert due == [1, 3, 10]


def test_an_order_that_ended_is_not_checked_any_more(life, resting):
    life.cancelled(canceled(1), after(0.5))
    assert life.next_check() is None


def test_a_lost_answer_makes_an_order_unknown_and_looked_up_at_once(life, sent):
    assert words(life.lost(sent, "no answer within 5 s", after(5))) == ["unknown"]
    assert life.take_due(after(5))
    assert words(life.lost(sent, "again", after(6))) == []


def test_an_unknown_order_that_is_found_rests(life, sent):
    life.lost(sent, "no answer", after(5))
    assert words(life.looked_up(sent, listed(), after(5.1))) == ["resting"]


def test_an_unknown_order_is_given_up_when_it_is_missing_twice_and_late(life, sent):
    life.lost(sent, "no answer", after(5))
    for at in (5.1, 6.2, 9.9):
        assert life.looked_up(sent, None, after(at)) == []
        assert sent.in_play
    (told,) = life.looked_up(sent, None, after(10.1))
    assert (told.news, told.reason) == (News.CANCELED, "it never arrived at the exchange")


def test_an_order_that_was_given_up_and_arrives_after_all_is_to_be_buried_and_its_fill_counts(life, sent):
    life.lost(sent, "no answer", after(5))
    for at in (9, 11):
        life.looked_up(sent, None, after(at))
    judged = life.snapshot(snapshot(after(12), listed()), after(12.1))
    assert (life.undead, judged.older) == ({name(1)}, False)
    assert words(life.trade_seen(trade(size=HALF), after(13))) == ["filled 10"]


def test_a_refusal_after_a_lost_answer_was_found_is_looked_up_not_believed(life, sent):
    life.order_seen(message(), after(0.1))
    assert life.refused(sent, "invalid order", after(0.2)) == []
    assert sent.in_play
    assert life.counts["refused_after_taken"] == 1


def test_an_order_that_disappeared_without_a_word_has_ended(life, resting):
    assert life.looked_up(resting, None, after(10)) == []
    (told,) = life.looked_up(resting, None, after(11))
    assert (told.news, told.reason) == (News.CANCELED, "gone from the exchange")


def test_a_sighting_between_two_misses_starts_the_count_anew(life, resting):
    life.looked_up(resting, None, after(11))
    life.looked_up(resting, listed(), after(12))
    assert life.looked_up(resting, None, after(13)) == []
    assert resting.in_play


def test_a_status_that_nobody_knows_ends_nothing_and_is_asked_again(life, sent):
    assert words(life.looked_up(sent, listed(status=OrderStatus.OTHER), after(1))) == ["accepted"]
    assert not sent.shown
    assert after(2) in sent.checks


# Snapshots add, and never undo (O5).


def test_a_snapshot_from_before_an_order_was_sent_says_nothing_of_it(life):
    order = record(at=after(5))
    life.send(order)
    assert life.snapshot(snapshot(after(4)), after(5.1)).absent == []


def test_an_order_that_a_snapshot_lacks_is_asked_for_and_does_not_end(life, resting):
    judged = life.snapshot(snapshot(after(2)), after(2.1))
    assert (judged.absent, judged.facts) == ([resting], [])
    assert resting.in_play


def test_a_snapshot_that_lacks_a_trade_we_know_is_older_and_proves_nothing(life, resting):
    life.trade_seen(trade(size=HALF, at=after(1)), after(1))
    judged = life.snapshot(snapshot(after(5)), after(5.1))
    assert (judged.older, judged.absent) == (True, [])


def test_a_trade_of_the_very_moment_may_be_missing_from_a_snapshot(life, resting):
    life.trade_seen(trade(size=HALF, at=after(4.5)), after(4.5))
    assert not life.snapshot(snapshot(after(5), listed()), after(5.1)).older


def test_a_snapshot_that_shows_an_order_we_saw_end_is_older(life, resting):
    life.cancelled(canceled(1), after(1))
    judged = life.snapshot(snapshot(after(3), listed()), after(3.1))
    assert (judged.older, life.undead) == (True, set())


def test_an_order_that_ended_while_we_looked_says_nothing_about_the_snapshot(life, resting):
    life.cancelled(canceled(1), after(3.05))
    assert not life.snapshot(snapshot(after(3), listed()), after(3.1)).older


def test_an_order_that_is_shown_long_after_its_end_rests_and_must_not(life, resting):
    life.cancelled(canceled(1), after(1))
    judged = life.snapshot(snapshot(Micros(after(1) + SURE + 1), listed()), after(12))
    assert (judged.older, life.undead) == (False, {name(1)})


def test_an_older_snapshot_may_still_tell_of_a_fill(life, resting):
    life.trade_seen(trade(size=HALF, at=after(1)), after(1))
    judged = life.snapshot(snapshot(after(5), trade(trade_id="trade2", size=HALF, at=after(0.5))), after(5.1))
    assert (judged.older, words(judged.facts)) == (True, ["filled 10"])


def test_a_match_that_an_order_speaks_of_is_looked_for_until_its_trade_is_there(life, resting):
    life.snapshot(snapshot(after(2), listed(matched=HALF)), after(2.1))
    life.debts.looked()
    assert life.owed
    assert [each.order_id for each in life.debts.overdue(after(3))] == [name(1)]
    life.snapshot(snapshot(after(4), listed(matched=HALF), trade(size=HALF, at=after(2))), after(4.1))
    assert not life.owed


def test_orders_that_others_placed_are_strangers(life):
    life.snapshot(snapshot(after(1), listed(no=7)), after(1))
    assert life.strangers == {name(7)}


# Memory.


def test_what_ended_and_is_settled_is_forgotten_after_a_while(life, resting):
    life.trade_seen(trade(), after(1))
    assert life.forget(after(100)) == []  # it may still fail
    life.trade_seen(trade(TradeStatus.CONFIRMED), after(5))
    assert life.forget(after(0.5)) == []
    assert life.forget(after(100)) == [resting]
    assert (life.records, life.by_id, life.fills, life.in_play()) == ({}, {}, {}, [])


# The law: whoever tells it, in whatever order, it is the same history.


@dataclass
class History:
    """What really happened to some orders at the exchange, second by second."""

    accepted: dict[int, float]
    trades: list[tuple[str, int, int, float, tuple[TradeStatus, ...]]]  # id, order, size, when matched, its stages
    cancelled: dict[int, float]
    told: list[tuple[float, OrderSeen | TradeSeen]] = field(default_factory=list)  # by the socket, in order

    def filled(self, no: int, at: float) -> int:
        return sum(size for _, order, size, when, _ in self.trades if order == no and when <= at)

    def rests(self, no: int, at: float) -> bool:
        if no not in self.accepted or self.accepted[no] > at or self.cancelled.get(no, at + 1) <= at:
            return False
        return self.filled(no, at) < TWENTY

    def order(self, no: int, at: float) -> OpenOrder | None:
        return listed(no, matched=self.filled(no, at)) if self.rests(no, at) else None

    def trade_rows(self, at: float, since: float) -> list[TradeSeen]:
        rows = []
        for trade_id, no, size, when, stages in self.trades:
            if since <= when <= at:
                stage = stages[min(int((at - when) // 2), len(stages) - 1)]
                rows.append(trade(stage, no, trade_id, size, after(when)))
        return rows

    def orders(self, at: float) -> list[OpenOrder]:
        return [found for no in self.accepted if (found := self.order(no, at)) is not None]


GOOD = (TradeStatus.MATCHED, TradeStatus.MINED, TradeStatus.CONFIRMED)
RETRIED = (TradeStatus.MATCHED, TradeStatus.RETRYING, TradeStatus.MINED, TradeStatus.CONFIRMED)
FAILED = (TradeStatus.MATCHED, TradeStatus.FAILED)
ORDERS = 3


@st.composite
def histories(draw: Any) -> History:
    history = History({}, [], {})
    for no in range(1, ORDERS + 1):
        if not draw(st.integers(0, 4)):
            continue  # its request never arrives
        at = draw(st.integers(1, 20)) / 10
        history.accepted[no] = at
        history.told.append((at, message(no=no)))
        ends = draw(st.sampled_from(["filled", "cancelled", "rests"]))
        for number in range(draw(st.integers(1 if ends == "filled" else 0, 2))):
            at += draw(st.integers(5, 60)) / 10
            size = TWENTY // 4
            if ends == "filled" and number == 0:
                size = TWENTY - 1_000_000
            elif ends == "filled":
                size = 1_000_000
            stages = draw(st.sampled_from([GOOD, GOOD, RETRIED, FAILED]))
            history.trades.append((f"trade {no}-{number}", no, size, at, stages))
            matched = history.filled(no, at)
            history.told.append((at, message(OrderKind.UPDATE, no, matched, at=after(at))))
            for stage, status in enumerate(stages):
                seen = trade(status, no, f"trade {no}-{number}", size, after(at))
                history.told.append((at + 2 * stage, seen))
        if ends == "cancelled":
            at += draw(st.integers(5, 60)) / 10
            history.cancelled[no] = at
            history.told.append((at, cancellation(no, history.filled(no, at))))
    return history


LATE = st.one_of(st.none(), st.integers(0, 120).map(lambda tenths: tenths / 10))  # None: never told
END = 60.0


@given(histories(), st.data())
def test_whoever_tells_it_in_whatever_order_it_is_the_same_history(history, data):
    life = OrderLife({TOKEN: FeeTerms()})
    records = {no: record(no, at=NOON) for no in range(1, ORDERS + 1)}
    facts: list[Fact] = []
    events: list[tuple[float, int, Any]] = []
    for at, seen in history.told:
        lates = (data.draw(LATE, "late"), data.draw(st.one_of(st.none(), LATE), "again"))
        events.extend((at + late, 1, seen) for late in lates if late is not None)
    for no in records:
        lost = no not in history.accepted or data.draw(st.booleans(), "lost")
        at = 5.0 if lost else history.accepted[no] + data.draw(st.integers(0, 20), "answer") / 10
        events.append((at, 0, (no, lost)))
    looks = [*range(1, 20, data.draw(st.integers(1, 4), "every")), *range(20, int(END), 2)]
    events += [(float(at), 2, data.draw(st.integers(0, 50), "stale") / 10 if at < END - 20 else 0.0) for at in looks]
    for order in records.values():
        life.send(order)
    for at, what, said in sorted(events, key=lambda event: event[:2]):
        moment = after(at)
        if what == 0:
            no, lost = said
            told = life.lost(records[no], "lost", moment) if lost else life.answered(records[no], answer(no), moment)
        elif what == 1:
            told = life.order_seen(said, moment) if isinstance(said, OrderSeen) else life.trade_seen(said, moment)
        else:
            shown = at - said
            rows = [*history.orders(shown), *history.trade_rows(shown, 0)]
            judged = life.snapshot(snapshot(moment, *rows), moment)
            told = list(judged.facts)
            for each in judged.absent:
                told += life.looked_up(each, history.order(each.no, shown), moment)
            if not judged.older:
                life.debts.looked()
        facts += told

    fills = Counter((fact.trade, fact.order, fact.size) for fact in facts if isinstance(fact, Filled))
    assert fills == Counter((trade_id, no, size) for trade_id, no, size, _, _ in history.trades)
    for trade_id, no, _, _, stages in history.trades:
        assert life.fills[trade_id, no] is (Settlement.FAILED if stages is FAILED else Settlement.CONFIRMED)
        ends = [fact.status for fact in facts if isinstance(fact, Settled) and fact.trade == trade_id]
        assert sum(status.final for status in ends) == 1
    assert {each.no for each in life.in_play()} == {no for no in records if history.rests(no, END)}
    ended = Counter(fact.order for fact in facts if isinstance(fact, OrderNews) and fact.news in ENDS)
    assert max(ended.values(), default=1) == 1
    assert not life.owed


ENDS = (News.CANCELED, News.REJECTED, News.EXPIRED)


def test_a_sell_is_told_by_its_own_side(life):
    order = record(no=3, side=Side.SELL)
    life.send(order)
    (_, told) = life.trade_seen(trade(no=3, side=Side.SELL, size=HALF), after(1))
    assert isinstance(told, Filled)
    assert (told.cash, told.size) == (4_000_000, HALF)
