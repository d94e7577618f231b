"""Hedging across an event: no share is sold and covered, no purchase adds to what the event can lose (P10, R8, R9)."""

from collections.abc import Sequence
from itertools import combinations
from random import Random

from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from scenes import an_order, book, market
from tapes import AT_ONCE, ON_A_CLOCK, QUEUES, SEEDS, Watch, compositions, papers, settings_of, tapes, trade

from pmrun.plugins.hedging.event_hedge import EventHedge
from pmrun.plugins.hedging.event_plan import plan
from pmrun.runner.book import Book
from pmrun.runner.desk import Desk
from pmrun.runner.event_loss import Stake, stake, worst_case
from pmrun.runner.facts import Fact
from pmrun.runner.hooks import Hooks, Sibling, Wanted
from pmrun.runner.intents import Intent, Place
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.orders import Order, OrderNo, Purpose
from pmrun.runner.ports import FeedData
from pmrun.runner.units import Cash, Price, Side, Size

NO, YES = Outcome.NO, Outcome.YES
SHARE = 1_000_000


def a_member(chance: Random, number: int) -> Sibling:
    """A market that holds something or nothing, with exits and purchases in play."""
    inventory, orders = Inventory(), []
    for outcome, odds in ((NO, 0.5 if number else 0.9), (YES, 0.1)):
        holding = inventory.of(outcome)
        if chance.random() < odds:
            holding.confirmed = chance.randint(1, 60) * SHARE
            holding.pending = chance.choice([0, chance.randint(1, 20) * SHARE])
            holding.cost = Cash(holding.held * chance.randint(30, 95) // 100)
            if chance.random() < 0.2:
                size = chance.randint(1, holding.confirmed // SHARE)
                orders.append(order(chance, 2, outcome, Side.SELL, size))
                holding.reserved = size * SHARE
    if chance.random() < 0.15:
        orders.append(order(chance, 1, NO, Side.BUY, chance.randint(5, 30)))
    shown = market(neg_risk=True, event="one")
    return Sibling(MarketNo(number), shown, a_shown_book(chance), inventory, orders, chance.random() < 0.9)


def order(chance: Random, no: int, outcome: Outcome, side: Side, size: int) -> Order:
    price = f"0.{chance.randint(10, 90)}"
    return an_order(no, outcome, side, price, str(size), purpose=Purpose.HEDGE, cancel_sent=chance.random() < 0.3)


def a_shown_book(chance: Random) -> Book | None:
    bid = chance.randint(10, 80)
    sizes = [chance.choice([3, 20, 500]) for _ in range(4)]
    bids = f"0.{bid}x{sizes[0]} 0.{bid - 1:02}x{sizes[1]}"
    ask = bid + chance.choice([1, 2, 9])
    return None if chance.random() < 0.05 else book(bids, f"0.{ask}x{sizes[2]} 0.{ask + 1}x{sizes[3]}")


def loss(members: Sequence[Sibling], more: Sequence[tuple[MarketNo, Wanted]] = ()) -> int:
    """The most that holdings, exits and purchases can lose."""
    stakes = list[Stake]()
    for each in members:
        orders = [(one, one.remaining) for one in each.orders]
        stakes.append(stake(each.inventory, orders + [(want, want.size) for no, want in more if no == each.no]))
    return worst_case(stakes)


@settings(max_examples=150)
@given(SEEDS.map(Random), st.integers(1, 4), st.booleans())
def test_no_share_is_in_two_places_and_no_purchase_adds_to_what_the_event_can_lose(chance, count, may_take):
    members = [a_member(chance, number) for number in range(count)]
    hedging = EventHedge(may_take=may_take, min_saving=Price(chance.choice([1, 100, 500])))
    found = plan(members, hedging._way_out, may_take, hedging.min_saving)
    held = {each.no: each.inventory.of(NO) for each in members}
    for no, holding in held.items():
        assert found.kept.get(no, 0) + found.away(no) <= max(0, holding.held)
    kept = [found.kept.get(no, 0) for no in held]
    assert sum(kept) >= 2 * max(kept), "a share covers one other share"
    bought = [(cover.market, want(cover.way, cover.free)) for cover in found.covers.values() if cover.free]
    assert loss(members, bought) <= loss(members)
    for some in combinations(bought, 1):
        assert loss(members, some) <= loss(members)
    for cover in found.covers.values():
        asks = sum(one.remaining for one in members[cover.holder].orders if one.outcome is NO and one.side is Side.SELL)
        assert cover.free + found.moving.get(cover.holder, 0) + asks + found.kept.get(cover.holder, 0) <= max(
            held[cover.holder].held, found.moving.get(cover.holder, 0) + asks + found.kept.get(cover.holder, 0)
        )
    event(f"bought: {len(bought)}")
    event(f"kept: {any(kept)}")


def want(way, size):
    return Wanted(NO, Side.BUY, way.price, size, way.purpose, way.basis, way.may_take)


# Whole runs.


def one_event(data: FeedData) -> FeedData:
    return replace(data, markets=tuple(replace(each, event="rain", neg_risk=True) for each in data.markets))


def hedged(build, may_take):
    def components() -> dict[str, object]:
        made = {name: each for name, each in build().items() if name != "hedging"}
        return made | {"hedging": EventHedge(may_take=may_take, min_saving=Price(100))}

    return components


RICH = st.just(10_000)
days = given(
    tapes(counts=(2, 3)),
    compositions(timed=False, cap=False),
    settings_of(AT_ONCE + ON_A_CLOCK),
    papers(RICH),
    QUEUES,
    st.booleans(),
)


@settings(max_examples=15)
@days
def test_gated_and_ungated_desks_hedge_alike_across_an_event(data, build, how, paper, queue, may_take):
    runs = [
        trade(one_event(data), hedged(build, may_take), replace(how, gated=gate), paper, queue)
        for gate in (True, False)
    ]
    assert runs[0].acted() == runs[1].acted()
    event(f"bought: {min(3, len(purchases(runs[0].intents)))}")


def purchases(intents: Sequence[Intent]) -> list[Place]:
    return [
        each for each in intents if isinstance(each, Place) and each.purpose is Purpose.HEDGE and each.side is Side.BUY
    ]


@settings(max_examples=15)
@days
def test_a_share_is_sold_or_covered_and_the_event_risks_no_more(data, build, how, paper, queue, may_take):
    def look(watch: Watch, fact: Fact, intents: Sequence[Intent]) -> None:
        bought = purchases(intents)
        sold = [each for each in intents if isinstance(each, Place) and each.side is Side.SELL and each.outcome is NO]
        if not bought and not sold:
            return
        states = watch.desk.markets
        open_ = {no: [one for one in state.orders.values() if one.covers_elsewhere] for no, state in states.items()}
        covers = {no: sum(one.remaining for one in orders) for no, orders in open_.items()}
        for no in {each.market for each in sold} if len(states) == 2 else ():
            holding = states[no].inventory.of(NO)
            assert holding.reserved + sum(size for other, size in covers.items() if other != no) <= holding.held
        for each in bought:
            there = states[each.market].inventory.of(NO).held + covers[each.market]
            others = (state.inventory.of(NO) for no, state in states.items() if no != each.market)
            assert any(holding.reserved + there <= holding.held for holding in others)
        new = {OrderNo(each.order) for each in bought}
        assert risk(watch, set()) <= risk(watch, new), "a purchase adds to what the event can lose"

    watch = trade(one_event(data), hedged(build, may_take), how, paper, queue, look)
    again = Desk(Hooks(hedged(build, may_take)()), how)
    assert [intent for fact in watch.told for intent in again.handle(fact)] == watch.intents, "a replay says the same"
    event(f"bought: {min(3, len(purchases(watch.intents)))}")


def risk(watch: Watch, without: set[OrderNo]) -> int:
    """The most that the holdings, exits and purchases of the event can lose."""
    stakes = list[Stake]()
    for state in watch.desk.markets.values():
        orders = [
            (one, Size(one.remaining))
            for one in state.orders.values()
            if one.purpose is not Purpose.QUOTE and one.no not in without
        ]
        stakes.append(stake(state.inventory, orders))
    return worst_case(stakes)
