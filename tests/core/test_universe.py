"""Which markets are traded: judged when listed, when their book is known, and at every rescan (R1, R12, R13)."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from scenes import (
    FIRST,
    NO,
    NOON,
    YES,
    Minds,
    bid,
    book,
    book_at,
    canceled,
    cancels,
    fill_of,
    later,
    make_desk,
    market,
    only,
    places,
    resting,
    tell,
    told,
    why,
)

from pmrun.plugins.filters.accepting import Accepting
from pmrun.plugins.risk.two_sided import TwoSided
from pmrun.runner.facts import FeedEnded, Listed, MarketStatus, StatusChanged, TimerDue, Together
from pmrun.runner.hooks import Objection, Rank, hookimpl
from pmrun.runner.intents import Cancel, CancelAll, Drop, Reason, Select
from pmrun.runner.market import MarketNo
from pmrun.runner.units import Side
from pmrun.runner.universe import Rescan

EVERY_20_MINUTES = Rescan(every=1_200_000_000)
KEEPING = Rescan(every=1_200_000_000, keep=True)
SECOND_MARKET, THIRD_MARKET = MarketNo(1), MarketNo(2)


@dataclass(eq=False)
class Ranks:
    """A ranking that says what the test last said, by slug."""

    values: dict[str, Any]

    @hookimpl
    def rank_market(self, market):
        return Rank(self.values[market.slug], {"why": market.slug})


@dataclass(eq=False)
class Rejects:
    """A filter that looks at books and rejects the slugs a test names."""

    slugs: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    @hookimpl
    def reject_market(self, market, book):
        self.asked.append(market.slug)
        return Objection("rejected", {"value": 1, "limit": 2, "margin": 1}) if market.slug in self.slugs else None


def three(*quotes, **more):
    """A desk with markets a, b and c."""
    return make_desk(*(quotes or (bid(YES, "0.40"),)), terms=[market(slug=slug) for slug in "abc"], **more)


def books(at=NOON):
    return Together(at, tuple(book_at("0.46", "0.54", at, no) for no in range(3)))


def selected(intents):
    return [intent.market for intent in only(Select, intents)]


def dropped(intents):
    return {intent.market: intent.reason.code for intent in only(Drop, intents)}


def test_the_best_are_taken_whatever_the_order_of_listing():
    desk, _ = three(components={"ranking": Ranks({"a": 1.0, "b": 3.0, "c": 2.0})}, max_markets=2)
    said = desk.handle(books())
    assert set(selected(said)) == {1, 2}
    (drop,) = only(Drop, said)
    assert (drop.market, drop.reason) == (
        0,
        Reason("max_markets", "universe", {"max_markets": 2, "value": 1.0, "limit": 2.0, "margin": 1.0}),
    )
    assert only(Select, said)[0].reason == Reason("selected", "universe", {"value": 3.0, "why": "b"})
    assert {intent.market for intent in said if hasattr(intent, "side")} == {1, 2}


def test_markets_of_equal_rank_are_taken_in_order_of_listing():
    desk, _ = three(components={"ranking": Ranks(dict.fromkeys("abc", 1.0))}, max_markets=2)
    assert set(selected(desk.handle(books()))) == {0, 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much"])
def test_a_rank_that_is_no_number_takes_no_market(value):
    desk, _ = three(components={"ranking": Ranks({"a": value, "b": 1.0, "c": 1.0})})
    said = desk.handle(books())
    assert dropped(said) == {0: "component_failed"}


def test_a_filter_that_looks_at_books_is_asked_when_the_book_is_known():
    rejects = Rejects({"b"})
    desk, _ = three(components={"filters.mine": rejects})
    assert rejects.asked == []
    said = desk.handle(books())
    assert dropped(said) == {1: "rejected"}
    assert only(Drop, said)[0].reason.numbers == {"value": 1, "limit": 2, "margin": 1}
    desk.handle(books(later(1)))
    assert rejects.asked == ["a", "b", "c"]


def test_a_filter_that_needs_no_book_drops_a_market_when_it_is_listed():
    desk, _ = make_desk(bid(YES, "0.40"), components={"filters.accepting": Accepting(), "filters.mine": Rejects()})
    said = desk.handle(Listed(NOON, SECOND_MARKET, market(accepting_orders=False)))
    assert dropped(said) == {1: "not_accepting_orders"}
    assert desk.handle(book_at("0.46", "0.54", no=1)) == []


def test_a_market_whose_book_comes_later_is_judged_then_while_there_is_room():
    desk, _ = three(max_markets=2)
    assert selected(desk.handle(book_at("0.46", "0.54", no=2))) == [2]
    assert selected(desk.handle(book_at("0.46", "0.54", later(5), no=0))) == [0]
    assert dropped(desk.handle(book_at("0.46", "0.54", later(9), no=1))) == {1: "max_markets"}


def test_a_rescan_cancels_all_quotes_and_selects_anew():
    ranks = Ranks({"a": 3.0, "b": 2.0, "c": 1.0})
    desk, _ = three(components={"ranking": ranks}, max_markets=2, rescan=EVERY_20_MINUTES)
    tell(desk, books(), resting(1), resting(2))
    ranks.values = {"a": 3.0, "b": 1.0, "c": 2.0}
    assert desk.wake == later(1200)
    assert desk.handle(book_at("0.46", "0.54", later(1199))) == []
    said = desk.handle(TimerDue(later(1200)))
    assert {intent.reason.code for intent in only(Cancel, said)} == {"rescan"}
    assert cancels(said) == [1, 2]
    assert set(selected(said)) == {0, 2}
    assert dropped(said) == {1: "max_markets"}
    tell(desk, canceled(1, later(1201)), canceled(2, later(1201)))
    assert {order.market for order in desk.in_play()} == {0, 2}
    assert desk.wake == later(2400)


def test_a_rescan_may_keep_the_quotes_of_markets_that_stay():
    ranks = Ranks({"a": 3.0, "b": 2.0, "c": 1.0})
    desk, _ = three(components={"ranking": ranks}, max_markets=2, rescan=KEEPING)
    tell(desk, books(), resting(1), resting(2))
    ranks.values = {"a": 3.0, "b": 1.0, "c": 2.0}
    said = desk.handle(TimerDue(later(1200)))
    assert cancels(said) == [2]  # of the market that lost its place
    assert [intent.market for intent in said if hasattr(intent, "post_only")] == [2]


def test_any_news_at_the_time_of_a_rescan_does_it():
    desk, _ = three(rescan=EVERY_20_MINUTES)
    tell(desk, books(), resting(1), resting(2), resting(3))
    assert len(cancels(desk.handle(book_at("0.46", "0.54", later(1200))))) == 3


def test_a_resolved_market_gives_its_place_to_another_at_the_next_rescan():
    desk, _ = three(max_markets=1, rescan=EVERY_20_MINUTES)
    tell(desk, books(), StatusChanged(later(60), FIRST, MarketStatus.RESOLVED))
    said = desk.handle(TimerDue(later(1200)))
    assert selected(said) == [1]
    assert dropped(said) == {0: "resolved", 2: "max_markets"}


def test_what_a_filter_said_outlives_the_book():
    rejects = Rejects({"a"})
    desk, _ = three(components={"filters.mine": rejects}, rescan=EVERY_20_MINUTES)
    tell(desk, books(), StatusChanged(later(60), FIRST, MarketStatus.RESOLVED))
    assert dropped(desk.handle(TimerDue(later(1200)))) == {0: "rejected"}


def test_a_market_without_a_book_at_a_rescan_is_judged_when_it_has_one_again():
    desk, _ = three(rescan=EVERY_20_MINUTES)
    tell(desk, books(), told(book("0.46x9 0.45x9", ""), later(1100)))
    assert dropped(desk.handle(TimerDue(later(1200)))) == {0: "one_sided_book"}
    assert selected(desk.handle(book_at("0.46", "0.54", later(1300)))) == [0]


def test_nothing_is_selected_after_the_end():
    desk, _ = three(rescan=EVERY_20_MINUTES)
    tell(desk, books(), FeedEnded(later(1)))
    assert desk.wake is None
    assert only(Select, desk.handle(TimerDue(later(1200)))) == []


# Starting and stopping (R13).


def test_the_first_answer_of_a_clean_start_cancels_the_bids():
    from pmrun.plugins.sizing.fixed import Fixed
    from pmrun.runner.desk import Desk, DeskSettings
    from pmrun.runner.facts import FundsSeen
    from pmrun.runner.hooks import Hooks
    from pmrun.runner.units import Cash, Size

    desk = Desk(Hooks({"pricing": Minds(), "sizing": Fixed(Size(5_000_000))}), DeskSettings(clean_start=True))
    first = desk.handle(FundsSeen(NOON, Cash(1)))
    assert first == [CancelAll(NOON, Reason("clean_start", "desk"), Side.BUY)]
    assert desk.handle(FundsSeen(later(1), Cash(1))) == []


def test_hedges_may_go_on_working_after_the_end():
    desk, _ = make_desk(bid(YES, "0.40"), leave_hedges=True)
    tell(desk, book_at("0.46", "0.54"), resting(1))
    said = desk.handle(FeedEnded(later(1)))
    assert only(CancelAll, said) == []
    assert cancels(said) == [1]


# Both sides or none (R3).


def both(quotes=(bid(YES, "0.05"), bid(NO, "0.90")), **checks):
    return make_desk(*quotes, components={"risk.both": TwoSided(), **checks})


def near_zero(at=NOON, ask="0.09"):
    """A book whose mid is at the threshold or above it."""
    return told(book("0.06x999 0.05x999 0.04x999", f"{ask}x999 0.14x999"), at)


def test_near_the_edge_one_unsafe_side_keeps_the_other_back():
    minds = Minds({NO})
    desk, _ = both(**{"risk.mine": minds})
    said = desk.handle(near_zero())
    assert places(said) == []
    assert set(why(said)) == {"minded", "other_side_unsafe"}
    minds.outcomes.clear()
    assert len(places(desk.handle(near_zero(later(1))))) == 2


def test_near_the_edge_a_side_that_becomes_unsafe_pulls_the_other():
    minds = Minds()
    desk, _ = both(**{"risk.mine": minds})
    tell(desk, near_zero(), resting(1), resting(2))
    minds.outcomes.add(YES)
    said = desk.handle(near_zero(later(1)))
    assert cancels(said) == [1, 2]
    assert [intent.reason.code for intent in only(Cancel, said)] == ["minded", "other_side_unsafe"]


@pytest.mark.parametrize(("ask", "alone"), [("0.14", 0), ("0.1402", 1)])
def test_a_mid_of_exactly_ten_cents_needs_both_sides(ask, alone):
    desk, _ = both(**{"risk.mine": Minds({NO})})
    assert len(places(desk.handle(near_zero(ask=ask)))) == alone


def test_a_side_that_waits_after_a_fill_does_not_pull_the_other():
    from pmrun.plugins.refill.after_fill import AfterFill
    from pmrun.runner.units import Micros

    desk, _ = both(refill=AfterFill(wait=Micros(5_000_000)))
    tell(desk, near_zero(), resting(1), resting(2))
    tell(desk, fill_of(desk.orders[1], "100", at=later(1)))
    said = desk.handle(near_zero(later(2)))
    assert cancels(said) == []
    assert {order.no for order in desk.in_play()} == {2}
