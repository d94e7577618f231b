"""However news arrives (late, doubled, out of order, lost and told again), the account comes to the same end."""

from random import Random
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st
from scenes import BUY, FIRST, NO, NOON, SELL, YES, an_order, book_at, fill_of, holding, make_desk, only

from pmrun.runner.desk import Desk
from pmrun.runner.facts import Fact, Filled, MarketStatus, Merged, OrderNews, Settled, StatusChanged
from pmrun.runner.intents import Intent, Merge
from pmrun.runner.market import Outcome
from pmrun.runner.orders import ENDED, News, Order, Settlement
from pmrun.runner.units import ONE, Cash, Price, Size, format_size

N = News
SHARE = 1_000_000
Histories = tuple[list[Order], list[Fact]]


def a_history(chance: Random, sells: bool, fails: bool) -> Histories:
    """What truly happened to some orders: accepted, resting, filled in parts, ended, settled."""
    orders, facts = [], []
    for number in range(1, chance.randint(1, 4) + 1):
        sold = sells and number % 2 == 0
        size = chance.randint(5 * SHARE, 60 * SHARE)
        order = an_order(
            number,
            chance.choice([YES, NO]),
            SELL if sold else BUY,
            f"{chance.randint(1, 99) / 100:.2f}",
            format_size(Size(size)),
        )
        orders.append(order)

        def say(what: News, order: Order = order) -> None:
            facts.append(OrderNews(NOON, order.no, what))

        if chance.random() < 0.2:
            say(N.UNKNOWN)
        if chance.random() < 0.1:
            say(N.REJECTED)
            continue
        say(N.ACCEPTED)
        say(N.RESTING)
        left = size
        for part in range(chance.randint(0, 3)):
            taken = left if chance.random() < 0.3 else chance.randint(0, left)
            if taken:
                left -= taken
                trade = f"{number}-{part}"
                facts.append(fill_of(order, format_size(Size(taken)), trade))
                end = Settlement.FAILED if fails and chance.random() < 0.4 else Settlement.CONFIRMED
                for status in (Settlement.MINED, end):
                    facts.append(Settled(NOON, order.no, facts_trade(facts), status))
        if left and chance.random() < 0.8:
            say(chance.choice([N.CANCELED, N.EXPIRED]))
        elif chance.random() < 0.3:
            say(N.CANCELED)  # too late: it is filled
    return orders, facts


def facts_trade(facts: list[Fact]) -> str:
    return next(fact.trade for fact in reversed(facts) if isinstance(fact, Filled))


def told(orders: list[Order], facts: list[Fact], held: bool, **settings: Any) -> Desk:
    """Tell a desk that has placed these orders."""
    desk, _ = make_desk(funds="100000", **settings)
    if held:
        for outcome in Outcome:
            holding(desk, outcome, "1000")
    for order in map(Order.copy, orders):  # each desk has its own
        desk.orders[order.no] = desk.markets[FIRST].orders[order.no] = order
        desk.account.reserve(order)
    for fact in facts:
        desk.handle(fact)
    return desk


def state_of(desk: Desk, money_only: bool) -> dict[str, object]:
    account, inventory = desk.account, desk.account.inventory(FIRST)
    cost = sum(each.cost for _, each in account.markets())
    found: dict[str, object] = {
        "cash": account.funds.total,
        "locked": account.funds.locked,
        "fees": account.fees,
        "bids": inventory.bids,
        "cost less profit": cost - account.realised,
        "in play": sorted(order.no for order in desk.in_play()),
    }
    found |= {str(n): (o.state, o.filled, o.paid) for n, o in sorted(desk.orders.items())}
    for outcome in Outcome:
        each = inventory.of(outcome)
        found |= {f"{outcome} {name}": getattr(each, name) for name in ("confirmed", "pending", "reserved")}
        if not money_only:
            found[f"{outcome} cost"] = each.cost
    if not money_only:
        found |= {"realised": account.realised, "filled": inventory.filled, "exposure": account.exposure}
    return found


def shuffled(chance: Random, facts: list[Fact]) -> list[Fact]:
    """Any order, some things doubled; what was lost at first is told again at last."""
    jumbled = facts + chance.choices(facts, k=chance.randint(0, 8))
    chance.shuffle(jumbled)
    lost = chance.sample(jumbled, k=chance.randint(0, len(jumbled) // 2))
    return [fact for fact in jumbled if fact not in lost] + lost


SEEDS = st.integers(0, 2**48)


@given(seed=SEEDS, mix=SEEDS)
def test_purchases_told_in_any_order_come_to_the_same_account(seed, mix):
    orders, facts = a_history(Random(seed), sells=False, fails=False)
    straight = told(orders, facts, held=False)
    jumbled = told(orders, shuffled(Random(mix), facts), held=False)
    assert state_of(jumbled, money_only=False) == state_of(straight, money_only=False)
    event(f"fills: {min(3, len(straight.account.fills))}")


@given(seed=SEEDS, mix=SEEDS)
def test_purchases_some_of_which_fail_told_in_any_order_come_to_the_same_account(seed, mix):
    orders, facts = a_history(Random(seed), sells=False, fails=True)
    straight = told(orders, facts, held=False)
    jumbled = told(orders, shuffled(Random(mix), facts), held=False)
    assert state_of(jumbled, money_only=False) == state_of(straight, money_only=False)


@given(seed=SEEDS, mix=SEEDS)
def test_sales_told_in_any_order_come_to_the_same_cash_and_shares(seed, mix):
    # What a sale realises depends on what was held when it was told; cost less profit does not.
    orders, facts = a_history(Random(seed), sells=True, fails=False)
    straight = told(orders, facts, held=True)
    jumbled = told(orders, shuffled(Random(mix), facts), held=True)
    assert state_of(jumbled, money_only=True) == state_of(straight, money_only=True)


@given(seed=SEEDS, mix=SEEDS)
def test_failures_told_in_any_order_come_to_the_same_cash_and_shares(seed, mix):
    orders, facts = a_history(Random(seed), sells=True, fails=True)
    straight = told(orders, facts, held=True)
    jumbled = told(orders, shuffled(Random(mix), facts), held=True)
    assert state_of(jumbled, money_only=True) == state_of(straight, money_only=True)


@given(seed=SEEDS)
def test_what_failed_moves_no_cash_and_no_shares(seed):
    orders, facts = a_history(Random(seed), sells=True, fails=True)
    lost = {fact.trade for fact in facts if isinstance(fact, Settled) and fact.status is Settlement.FAILED}
    desk = told(orders, facts, held=True)
    kept = [fact for fact in facts if isinstance(fact, Filled) and fact.trade not in lost]
    money = sum((1 if orders[f.order - 1].side is SELL else -1) * f.cash - f.fee for f in kept)
    assert desk.account.funds.total == 100_000 * 10**6 - 2 * 400 * 10**6 + money
    for outcome in Outcome:
        bought = sum(
            (1 if orders[f.order - 1].side is BUY else -1) * f.size
            for f in kept
            if orders[f.order - 1].outcome is outcome
        )
        each = desk.account.inventory(FIRST).of(outcome)
        assert each.held == 1000 * SHARE + bought
        assert each.pending == 0


@given(seed=SEEDS, mix=SEEDS)
def test_whatever_is_told_and_how_often_nothing_ended_keeps_anything(seed, mix):
    orders, facts = a_history(Random(seed), sells=True, fails=False)
    desk = told(orders, shuffled(Random(mix), facts), held=True)
    account = desk.account
    in_play = [order for order in desk.orders.values() if order.state not in ENDED]
    assert account.funds.locked == sum(order.locked for order in in_play)
    assert account.inventory(FIRST).bids == sum(order.price * order.remaining for order in in_play if order.side is BUY)


@given(seed=SEEDS, resolves=st.booleans())
def test_merges_among_fills_and_failures_move_what_they_say_and_nothing_else(seed, resolves):
    chance = Random(seed)
    orders, facts = a_history(chance, sells=True, fails=True)
    desk = told(orders, [], held=True, merge_from=Size(SHARE))
    account, asked, merged = desk.account, list[Merge](), 0

    def tell(fact: Fact) -> None:
        asked.extend(only(Merge, list[Intent](desk.handle(fact))))

    if resolves:
        facts.insert(chance.randint(0, len(facts)), StatusChanged(NOON, FIRST, MarketStatus.RESOLVED, Price(ONE)))
    for number, fact in enumerate([*facts, None]):
        tell(book_at("0.46" if number % 2 else "0.47", "0.54"))
        if asked and (chance.random() < 0.3 or fact is None):
            merge = asked.pop(0)
            pairs = chance.choice([0, merge.size // 2, merge.size])
            merged += pairs
            tell(Merged(NOON, merge.no, FIRST, Size(pairs), Cash(pairs)))
        if fact is not None:
            tell(fact)
        cost = sum(each.cost for _, each in account.markets())
        assert account.funds.total + cost - account.realised == 100_000 * 10**6
    event(f"merged: {merged > 0}")
    inventory = account.inventory(FIRST)
    for outcome in Outcome:
        of_it = [fill for fill in account.fills.values() if fill.outcome is outcome]
        kept = sum(fill.shares for fill in of_it if fill.status is not Settlement.FAILED)
        assert inventory.of(outcome).held == (0 if resolves else kept - merged)
        promised = sum(each.reserved for each in desk.in_play() if each.outcome is outcome)
        assert inventory.of(outcome).reserved == promised + sum(each.size for each in asked)
