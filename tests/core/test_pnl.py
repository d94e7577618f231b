"""What each part of the PnL is, by hand: a quote, a hedge, a failed settlement, a merge, a resolution (P8)."""

import pytest
from scenes import (
    BUY,
    FIRST,
    NO,
    NOON,
    SELL,
    YES,
    an_order,
    book,
    book_at,
    cash,
    confirmed,
    fill_of,
    later,
    market,
    told,
)
from scenes import shares as size_of

from pmrun.runner.desk import Desk, DeskSettings
from pmrun.runner.facts import (
    Fact,
    Filled,
    FundsSeen,
    HoldingSeen,
    Listed,
    MarketStatus,
    Merged,
    Settled,
    StatusChanged,
    Together,
)
from pmrun.runner.hooks import Hooks
from pmrun.runner.intents import Merge, Reason
from pmrun.runner.orders import Order, OrderNo, Purpose, Settlement, TradeId
from pmrun.runner.pnl import Pnl
from pmrun.runner.pnl_ledger import UNITS_PER_DOLLAR
from pmrun.runner.pnl_result import parts_in_dollars
from pmrun.runner.units import ONE, Cash, Price, Size


class Day:
    """A desk that wants nothing, and who follows it."""

    def __init__(self, *opening: Fact) -> None:
        self.desk = Desk(Hooks({}), DeskSettings())
        self.pnl = Pnl(self.desk)
        self.tell(FundsSeen(NOON, cash("1000")), Listed(NOON, FIRST, market()), *opening)

    def tell(self, *facts: Fact) -> "Day":
        for fact in facts:
            self.pnl.record(fact, self.desk.handle(fact))
            assert self.pnl.result().complaints == ()
        return self

    def trade(self, no: int, outcome, side, price: str, shares: str, fee: str = "0", **more) -> Order:
        """Have an order that is filled at once."""
        order = an_order(no, outcome, side, price, shares, **more)
        self.desk.orders[order.no] = self.desk.markets[FIRST].orders[order.no] = order
        self.desk.account.reserve(order)
        self.tell(fill_of(order, shares, trade=f"t{no}", fee=fee))
        return order

    @property
    def parts(self) -> dict[str, float]:
        """Those that are not nothing."""
        return {name: amount for name, amount in parts_in_dollars(self.pnl.result().parts).items() if amount}

    @property
    def total(self) -> float:
        return self.pnl.result().total / UNITS_PER_DOLLAR


def failed(no: int) -> Settled:
    return Settled(NOON, OrderNo(no), TradeId(f"t{no}"), Settlement.FAILED)


def resolved(pays: str) -> StatusChanged:
    return StatusChanged(later(9), FIRST, MarketStatus.RESOLVED, Price(int(float(pays) * ONE)))


def test_the_example_of_the_documentation():
    """Page 17: bought at 0.40 around 0.42, sold at 0.38 around 0.39, paid 0.05 in fees, and 40 shares paid a dollar."""
    day = Day(book_at("0.40", "0.44"))
    day.trade(1, YES, BUY, "0.40", "100")
    assert day.parts == {"spread": 2.0}
    day.tell(confirmed(1, "t1"), book_at("0.38", "0.40", later(1)))
    assert day.parts == {"spread": 2.0, "markout": -3.0}
    day.trade(2, YES, SELL, "0.38", "60", fee="0.05", purpose=Purpose.HEDGE)
    assert day.parts == {"spread": 2.0, "markout": -3.0, "hedge": -0.6, "fees": -0.05}
    day.tell(book_at("0.47", "0.49", later(2)))
    assert day.parts == {"spread": 2.0, "markout": 0.6, "hedge": -0.6, "fees": -0.05}
    day.tell(resolved("1"))
    assert day.parts == {"spread": 2.0, "markout": 0.6, "hedge": -0.6, "fees": -0.05, "resolution": 20.8}
    assert day.total == pytest.approx(22.75, abs=1e-9)
    assert day.desk.account.funds.total == cash("1022.75")


def test_a_no_share_gains_as_the_mid_of_yes_falls():
    day = Day(book_at("0.40", "0.44"))
    day.trade(1, NO, BUY, "0.55", "10")
    day.tell(book_at("0.38", "0.42", later(1)))
    assert day.parts == {"spread": 0.3, "markout": 0.2}


@pytest.mark.parametrize("resolve", [False, True])
def test_what_failed_to_settle_leaves_no_trace_in_any_part(resolve):
    day = Day(book_at("0.40", "0.44"))
    day.trade(1, YES, BUY, "0.40", "33.33", fee="0.01")
    day.tell(book_at("0.30", "0.32", later(1)))
    if resolve:
        day.tell(resolved("0"))
    day.tell(failed(1), failed(1))
    assert day.parts == {}
    assert day.total == 0


def test_a_failure_that_overtakes_its_fill_counts_once():
    day = Day(book_at("0.40", "0.44"))
    order = an_order(1)
    day.desk.orders[order.no] = day.desk.markets[FIRST].orders[order.no] = order
    day.desk.account.reserve(order)
    day.tell(failed(1), Together(NOON, (fill_of(order, "100", trade="t1"), book_at("0.41", "0.43"))))
    assert day.parts == {}


def test_a_fill_is_valued_at_the_mid_of_its_moment_not_at_that_of_the_step():
    day = Day(book_at("0.40", "0.44"))
    order = an_order(1)
    day.desk.orders[order.no] = day.desk.markets[FIRST].orders[order.no] = order
    day.desk.account.reserve(order)
    day.tell(Together(NOON, (fill_of(order, "100", trade="t1"), book_at("0.50", "0.52"))))
    assert day.parts == {"spread": 2.0, "markout": 9.0}


def test_a_fill_told_twice_counts_once():
    day = Day(book_at("0.40", "0.44"))
    order = day.trade(1, YES, BUY, "0.40", "100")
    day.tell(fill_of(order, "100", trade="t1"))
    assert day.parts == {"spread": 2.0}


def test_money_from_elsewhere_is_no_profit():
    day = Day(book_at("0.40", "0.44"))
    day.trade(1, YES, BUY, "0.40", "100")
    day.tell(FundsSeen(later(1), Cash(day.desk.account.funds.total + cash("500"))))
    assert day.total == 2.0
    assert day.pnl.result().transfers == 500 * UNITS_PER_DOLLAR
    day.tell(FundsSeen(later(2), Cash(day.desk.account.funds.total - cash("200"))))
    assert (day.total, day.pnl.result().transfers) == (2.0, 300 * UNITS_PER_DOLLAR)


def test_shares_from_elsewhere_come_at_the_mid_and_earn_from_then_on():
    day = Day(book_at("0.40", "0.44"))
    day.tell(HoldingSeen(later(1), FIRST, YES, size_of("10"), cash("10")))  # what they had cost nobody knows
    assert (day.total, day.pnl.result().transfers) == (0, 4.2 * UNITS_PER_DOLLAR)
    day.tell(book_at("0.42", "0.46", later(2)))
    assert day.parts == {"markout": 0.2}


def test_what_was_held_at_the_start_is_valued_apart():
    day = Day(HoldingSeen(NOON, FIRST, YES, size_of("10"), cash("3")))
    assert (day.parts, day.total) == ({}, 0)  # at cost, as long as no price is known
    day.tell(book_at("0.40", "0.44"))
    assert day.parts == {"adopted": 1.2}
    day.tell(book_at("0.42", "0.46", later(1)))
    assert day.parts == {"adopted": 1.2, "markout": 0.2}


def test_a_market_whose_price_was_never_known_counts_at_cost():
    day = Day(HoldingSeen(NOON, FIRST, YES, size_of("10"), cash("3")))
    day.trade(1, YES, SELL, "0.50", "4")
    assert day.parts == {"unpriced": 0.8}
    day.tell(resolved("1"))
    assert day.parts == {"unpriced": 5.0}


def test_the_first_price_explains_what_waited_for_it():
    day = Day(HoldingSeen(NOON, FIRST, YES, size_of("10"), cash("3")))
    day.trade(1, YES, SELL, "0.50", "4", purpose=Purpose.HEDGE)
    day.tell(book_at("0.50", "0.54"))
    assert day.parts == {"adopted": 2.2, "hedge": -0.08}


def test_odd_amounts_are_rounded_and_the_rounding_is_a_part():
    day = Day(told(book("0.4x100", "0.45x100")))
    day.trade(1, YES, BUY, "0.41", "3.333333")
    parts = day.pnl.result().parts
    assert parts.rounding < 0
    assert parts.total == day.pnl.result().total


def test_merged_pairs_make_nothing_but_what_was_paid_for_them():
    day = Day(book_at("0.40", "0.44"))
    for number, outcome, price in ((1, YES, "0.40"), (2, NO, "0.55")):
        day.trade(number, outcome, BUY, price, "100")
        day.tell(confirmed(number, f"t{number}"))
    assert day.parts == {"spread": 5.0}
    asked = Merge(later(1), 1, FIRST, size_of("100"), Reason("pairs", "desk"))
    day.desk._acting.merges = 1
    day.desk.markets[FIRST].merging = asked
    day.desk.account.promise_pairs(FIRST, asked.size)
    day.pnl.asked_to_merge(asked)
    answer = Merged(later(2), 1, FIRST, asked.size, cash("99.99"))
    day.tell(answer, answer)
    assert day.parts == {"spread": 5.0, "merge": -0.01}
    assert day.total == pytest.approx(4.99)


def test_the_last_word_of_the_exchange_on_a_resolved_market_counts_as_well():
    day = Day(book_at("0.40", "0.44"))
    order = an_order(1)
    day.desk.orders[order.no] = day.desk.markets[FIRST].orders[order.no] = order
    day.desk.account.reserve(order)
    day.tell(resolved("1"), fill_of(order, "100", trade="t1"))
    assert day.parts == {"spread": 2.0, "resolution": 58.0}


def test_a_unit_that_nothing_explains_is_said_aloud():
    day = Day(book_at("0.40", "0.44"))
    day.trade(1, YES, BUY, "0.40", "100")
    day.desk.account.funds.total += 1
    found = day.pnl.result()
    assert not found.closes
    assert found.complaints == ("the cash is 1 base units more than what moved it explains",)
    day.desk.account.funds.total -= 1
    day.desk.account.inventory(FIRST).of(NO).confirmed += Size(3)
    assert any("3" in complaint for complaint in day.pnl.result().complaints)


def test_a_fill_the_desk_refused_is_in_no_part():
    day = Day(book_at("0.40", "0.44"))
    day.tell(Filled(NOON, OrderNo(77), TradeId("x"), Price(4_000), size_of("10"), cash("4")))
    assert day.parts == {}
