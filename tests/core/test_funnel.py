"""What became of the scanned markets, from what the desk said of them (R1)."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import NOON, later, market

from pmrun.plugins.filters.expiry import Expiry
from pmrun.plugins.filters.rate import Rate
from pmrun.plugins.filters.rewarded import Rewarded
from pmrun.plugins.filters.spread import Spread
from pmrun.plugins.pricing.maker_follow import MakerFollow
from pmrun.runner.facts import FeedEnded, Listed, Together
from pmrun.runner.funnel import Funnel, Stage, words
from pmrun.runner.intents import CancelAll, Drop, Reason, Select
from pmrun.runner.market import MarketNo
from pmrun.runner.units import Side

CHAIN = {
    "pricing": MakerFollow(),
    "filters.rewarded": Rewarded(),
    "filters.spread": Spread(),
    "filters.expiry": Expiry(),
    "filters.rate": Rate(),
}
SOON = Reason("ends_too_soon", "filters.expiry", {"value": 0.25, "limit": 7.0, "margin": 6.75, "unit": "days"})
SOONER = Reason("ends_too_soon", "filters.expiry", {"value": 0.01, "limit": 7.0, "margin": 6.99, "unit": "days"})
WIDE = Reason("spread_out_of_range", "filters.spread", {"value": 0.3, "limit": 0.05, "margin": 0.25, "unit": "dollars"})
UNPAID = Reason("no_rewards", "filters.rewarded")
NO_BOOK = Reason("no_book", "universe")
RESOLVED = Reason("resolved", "universe")
FULL = Reason("max_markets", "universe", {"limit": 1, "rank": 0.5})
CHOSEN = Reason("selected", "universe", {"value": 2.5})


def a_funnel(markets: int) -> Funnel:
    funnel = Funnel(tuple(CHAIN), CHAIN)
    listed = tuple(Listed(NOON, MarketNo(no), market(slug=f"m{no}")) for no in range(markets))
    funnel.record(Together(NOON, listed), ())
    return funnel


def say(funnel: Funnel, *said: Reason, at: float = 0) -> Funnel:
    """Say something of the first markets, in order of listing."""
    numbered = [(MarketNo(no), reason) for no, reason in enumerate(said)]
    intents = [(Select if each.code == "selected" else Drop)(later(at), no, each) for no, each in numbered]
    funnel.record(FeedEnded(later(at)), intents)
    return funnel


def test_every_filter_is_a_stage_in_the_desks_order_and_what_is_left_goes_on():
    assert say(a_funnel(7), UNPAID, WIDE, SOON, SOON, FULL, CHOSEN).stages() == [
        Stage("filters.rewarded", 7, 1),
        Stage("book", 6, 1),  # the seventh: nothing was said of it yet
        Stage("filters.spread", 5, 1),
        Stage("filters.expiry", 4, 2),
        Stage("filters.rate", 2, 0),
        Stage("universe.max_markets", 2, 1),
    ]


def test_stages_that_are_no_filters_show_only_where_they_dropped_something():
    assert [stage.name for stage in say(a_funnel(1), CHOSEN).stages()] == [*list(CHAIN)[1:]]
    failed = Reason("component_failed", "filters", {"error": "KeyError: 3"})
    assert say(a_funnel(2), CHOSEN, failed).stages()[-1] == Stage("filters", 2, 1)


def test_without_a_filter_that_needs_the_book_the_book_comes_last():
    funnel = Funnel(("filters.rewarded",), CHAIN)
    funnel.record(Listed(NOON, MarketNo(0), market()), ())
    assert [stage.name for stage in funnel.stages()] == ["filters.rewarded", "book"]


REASONS = st.sampled_from([UNPAID, WIDE, SOON, NO_BOOK, RESOLVED, FULL, CHOSEN])


@given(st.lists(st.lists(REASONS, max_size=8), max_size=4))
def test_every_market_is_dropped_once_or_selected_whatever_is_said_of_it(scans):
    funnel = a_funnel(8)
    for scan in scans:
        say(funnel, *scan)
    stages = funnel.stages()
    for before, after in pairwise(stages):
        assert after.came == before.left
    assert stages[0].came == 8
    assert stages[-1].left == funnel.selected
    counted = Counter(verdict.stage for verdict in funnel.verdicts.values())
    assert {stage.name: stage.dropped for stage in stages if stage.dropped} == {
        name: count for name, count in counted.items() if name != "selected"
    }


def test_a_later_scan_decides():
    funnel = say(say(a_funnel(2), CHOSEN, SOON), SOON, CHOSEN, at=1200)
    assert [verdict.stage for verdict in funnel.verdicts.values()] == ["filters.expiry", "selected"]
    assert funnel.summary()["ever_selected"] == 2


@pytest.mark.parametrize("first", [CHOSEN, SOON, FULL])
def test_a_market_that_cannot_be_judged_any_more_keeps_its_verdict(first):
    (verdict,) = say(say(a_funnel(1), first), RESOLVED, at=1200).verdicts.values()
    assert (verdict.reason, verdict.since) == (first, "resolved")


def test_a_market_that_was_selected_and_has_resolved_makes_room_in_the_count_too():
    before, after = say(a_funnel(2), CHOSEN, FULL), say(say(a_funnel(2), CHOSEN, FULL), RESOLVED, CHOSEN, at=1200)
    assert (before.selected, after.selected) == (1, 1)
    assert after.stages()[-1] == Stage("resolved", 2, 1)
    assert after.summary()["rejected_by"] == after.summary()["ended"] == {"resolved": 1}
    assert after.summary()["ever_selected"] == 2


def test_a_market_without_a_book_is_waited_for_until_it_is_judged():
    funnel = a_funnel(1)
    assert funnel.waiting
    assert say(funnel, NO_BOOK).waiting
    assert not say(funnel, CHOSEN).waiting
    assert funnel.verdicts[MarketNo(0)].since == ""


def test_a_market_has_a_rank_once_it_came_so_far():
    funnel = say(a_funnel(4), CHOSEN, FULL, SOON)
    assert [verdict.rank for verdict in funnel.verdicts.values()] == [2.5, 0.5, None, None]


def test_where_nothing_is_left_the_worst_filter_is_named_with_the_market_nearest_to_passing():
    assert say(a_funnel(4), SOONER, SOON, WIDE, UNPAID).nothing_left() == (
        "no market passed the filters: filters.expiry dropped 2 of 4 (ends too soon: 0.25 days, at least 7 wanted); "
        "~filters.expiry leaves this filter out"
    )


def test_where_nothing_has_a_book_no_filter_is_blamed():
    said = say(a_funnel(2), NO_BOOK, RESOLVED).nothing_left()
    assert said == "no market was traded: 2 of 2 had no book to quote in (no book)"
    assert (
        say(a_funnel(3), NO_BOOK, NO_BOOK, SOON).nothing_left().startswith("no market passed the filters: filters.exp")
    )
    assert a_funnel(1).nothing_left() == "no market was traded: 1 of 1 had no book to quote in"
    assert a_funnel(0).nothing_left() == "the feed lists no market"


def test_a_filter_that_failed_is_none_that_could_be_left_out():
    failed = Reason("component_failed", "filters", {"error": "KeyError: 3"})
    said = say(a_funnel(1), failed).nothing_left()
    assert said == "no market passed the filters: filters dropped 1 of 1 (component failed: error KeyError: 3)"


def test_after_a_stop_no_filter_is_blamed_for_what_was_not_to_be_traded():
    stop = CancelAll(NOON, Reason("stop_only", "desk"), Side.BUY)
    funnel = say(a_funnel(2), SOON)
    assert funnel.nothing_left().startswith("no market passed the filters")
    funnel.record(FeedEnded(NOON), [CancelAll(NOON, Reason("clean_start", "desk"), Side.BUY)])
    assert funnel.nothing_left().startswith("no market passed the filters")
    funnel.record(FeedEnded(NOON), [stop])
    assert funnel.nothing_left() == "what an earlier session left bidding was to be cancelled, and nothing else"


def test_what_the_source_lacked_is_named_once():
    funnel = Funnel(tuple(CHAIN), CHAIN)
    for no, assumed in enumerate([("feeSchedule",), (), ("clobRewards", "feeSchedule")]):
        funnel.record(Listed(NOON, MarketNo(no), market(assumed=assumed)), ())
    assert funnel.summary()["assumed"] == ["clobRewards", "feeSchedule"]


def test_nothing_is_said_once_a_market_was_traded():
    assert say(say(a_funnel(1), CHOSEN), SOON, at=1200).nothing_left() is None


def test_what_a_summary_keeps():
    assert say(a_funnel(3), CHOSEN, SOON, SOON).summary() == {
        "scanned": 3,
        "selected": 1,
        "ever_selected": 1,
        "rejected_by": {"filters.expiry": 2},
        "stages": [
            {"stage": "filters.rewarded", "in": 3, "dropped": 0, "left": 3},
            {"stage": "filters.spread", "in": 3, "dropped": 0, "left": 3},
            {"stage": "filters.expiry", "in": 3, "dropped": 2, "left": 1},
            {"stage": "filters.rate", "in": 1, "dropped": 0, "left": 1},
        ],
        "ended": {},
        "nothing_left": None,
        "assumed": [],
    }


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (SOON, "ends too soon: 0.25 days, at least 7 wanted"),
        (WIDE, "spread out of range: 0.3 dollars, at most 0.05 wanted"),
        (UNPAID, "no rewards"),
        (Reason("blacklisted_question", "f", {"keyword": "Trump"}), "blacklisted question: keyword Trump"),
        (
            Reason("x", "f", {"value": 25000.0, "limit": 1e6, "margin": 975000.0}),
            "x: 25,000, at least 1,000,000 wanted",
        ),
        (
            Reason(
                "placement_unsafe", "f", {"value": 1, "limit": 2, "margin": 1, "unit": "sides", "buy": "a: b", "n": 7}
            ),
            "placement unsafe: 1 sides, at least 2 wanted; buy a: b",
        ),
    ],
)
def test_a_reason_reads_like_a_sentence(reason, said):
    assert words(reason) == said
