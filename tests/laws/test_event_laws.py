"""What an event can lose, by brute force over every way it can end; and the checks that bound it and the exit (R8)."""

from collections.abc import Sequence
from itertools import product
from random import Random

from hypothesis import event, given
from hypothesis import strategies as st
from msgspec.structs import replace
from tapes import AT_ONCE, ON_A_CLOCK, QUEUES, SEEDS, Watch, compositions, papers, settings_of, tapes, trade

from pmrun.plugins.risk.event_loss import EventLoss
from pmrun.plugins.risk.exit_cost import ExitCost
from pmrun.runner.event_loss import stake, worst_case
from pmrun.runner.facts import Fact
from pmrun.runner.hooks import Wanted
from pmrun.runner.intents import Intent, Place
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import Outcome
from pmrun.runner.orders import Purpose
from pmrun.runner.ports import FeedData
from pmrun.runner.units import Cash, Price, Side, Size

SHARE = 1_000_000
CAP = 40_000_000
LOW = 5_000_000


def a_market(chance: Random) -> tuple[Inventory, list[tuple[Wanted, Size]]]:
    """Holdings bought at some price, and up to three orders; asks sell no more than is held."""
    inventory, orders = Inventory(), []
    for outcome in Outcome:
        holding = inventory.of(outcome)
        holding.confirmed = chance.choice([0, chance.randint(1, 50)]) * SHARE
        holding.cost = holding.confirmed * chance.randint(1, 9_999) // 10_000
        if holding.confirmed and chance.random() < 0.4:
            ask = Wanted(outcome, Side.SELL, Price(chance.randint(1, 9_999)), holding.held, Purpose.HEDGE, "test")
            orders.append((ask, ask.size))
    for _ in range(chance.randint(0, 2)):
        size = Size(chance.randint(1, 50) * SHARE)
        outcome, price = chance.choice(list(Outcome)), Price(chance.randint(1, 9_999))
        orders.append((Wanted(outcome, Side.BUY, price, size, Purpose.QUOTE, "test"), size))
    return inventory, orders


def lost(market: tuple[Inventory, list[tuple[Wanted, Size]]], filled: Sequence[bool], yes_pays: int) -> int:
    """What a market lost in the end, exactly, by its cash."""
    inventory, orders = market
    held = {outcome: int(inventory.of(outcome).held) for outcome in Outcome}
    cash = -int(inventory.cost) * 10_000
    for (order, size), is_filled in zip(orders, filled, strict=True):
        sign = (1 if order.side is Side.BUY else -1) * is_filled
        held[order.outcome] += sign * size
        cash -= sign * order.price * size
    return -(cash + held[Outcome.YES] * yes_pays + held[Outcome.NO] * (10_000 - yes_pays))


def worst_of(market: tuple[Inventory, list[tuple[Wanted, Size]]], yes_pays: int) -> int:
    ways = product([False, True], repeat=len(market[1]))
    return max(lost(market, filled, yes_pays) for filled in ways)


@given(SEEDS.map(Random), st.integers(1, 4), st.integers(0, 2))
def test_no_way_an_event_ends_loses_more_and_one_loses_as_much(chance, exclusive, alone):
    together = [a_market(chance) for _ in range(exclusive)]
    others = [a_market(chance) for _ in range(alone)]
    ends = [[10_000 if i == winner else 0 for i in range(exclusive)] for winner in range(-1, exclusive)]
    worst = max(sum(worst_of(each, pays) for each, pays in zip(together, end, strict=True)) for end in ends)
    worst += sum(max(worst_of(each, 0), worst_of(each, 10_000)) for each in others)
    assert worst_case([stake(*each) for each in together], [stake(*each) for each in others]) == worst


@given(SEEDS.map(Random), st.lists(st.integers(0, 10_000), min_size=1, max_size=3))
def test_what_is_paid_in_parts_loses_no_more(chance, pays):
    """A void market pays half a dollar for either token; the payments of an event sum to a dollar at most."""
    shares = [pay * 10_000 // max(10_000, sum(pays)) for pay in pays]
    together = [a_market(chance) for _ in pays]
    lost_then = sum(worst_of(each, pay) for each, pay in zip(together, shares, strict=True))
    assert lost_then <= worst_case([stake(*each) for each in together])


# Desks that are bounded.


def in_one_event(data: FeedData, negative_risk: bool) -> FeedData:
    markets = tuple(replace(each, event="rain", neg_risk=negative_risk) for each in data.markets)
    return replace(data, markets=markets)


def bounded(build):
    def components() -> dict[str, object]:
        return build() | {"risk.event": EventLoss(Cash(CAP)), "risk.exit": ExitCost(Cash(LOW), max_share=0.5)}

    return components


RICH = st.just(1_000_000)  # funds that run out are a law of their own
days = given(
    tapes(notes=False),
    compositions(timed=False),
    settings_of(AT_ONCE + ON_A_CLOCK),
    papers(RICH),
    QUEUES,
    st.booleans(),
)


@days
def test_gated_and_ungated_desks_act_alike_within_an_event(data, build, settings, paper, queue, exclude):
    data, build = in_one_event(data, exclude), bounded(build)
    settings = replace(settings, max_markets=0)
    gated, ungated = (trade(data, build, replace(settings, gated=gate), paper, queue) for gate in (True, False))
    assert gated.acted() == ungated.acted()
    refused = {reason.by for one in gated.intents for reason in getattr(one, "reasons", ())}
    for name in refused & {"risk.event", "risk.exit"}:
        event(name)
    event(f"placed: {min(3, len(gated.placed))}")


@days
def test_an_event_never_risks_more_than_its_cap_by_placing(data, build, settings, paper, queue, exclude):
    """Also while what was cancelled may still fill: cancels in flight count."""

    def look(watch: Watch, fact: Fact, intents: Sequence[Intent]) -> None:
        stakes = [
            stake(state.inventory, [(order, order.remaining) for order in state.orders.values()])
            for state in watch.desk.markets.values()
        ]
        risk = worst_case(stakes if exclude else (), () if exclude else stakes)
        bids = [one for one in intents if isinstance(one, Place) and one.side is Side.BUY]
        exits = [one for one in intents if isinstance(one, Place) and one.side is Side.SELL]
        if bids and not exits:
            assert risk <= CAP * 10_000

    settings = replace(settings, max_markets=0)
    watch = trade(in_one_event(data, exclude), bounded(build), settings, paper, queue, look)
    event(f"placed: {min(3, len(watch.placed))}")
