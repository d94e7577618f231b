"""Shares and cash: each movement is applied once, and a failed one is taken back."""

import pytest
from scenes import BUY, FIRST, NO, NOON, SELL, YES, an_order, cash, filled_by, shares, told_of

from pmrun.runner.fills import Fill
from pmrun.runner.inventory import Account, Inventory
from pmrun.runner.market import Outcome
from pmrun.runner.orders import News, OrderNo, Settlement, TradeId
from pmrun.runner.units import HalfPrice, Price, Side, cash_paid, notional, parse_price

CONFIRMED, FAILED = Settlement.CONFIRMED, Settlement.FAILED


def a_fill(
    trade: str = "t1",
    outcome: Outcome = YES,
    side: Side = BUY,
    price: str = "0.40",
    size: str = "100",
    fee: str = "0",
    rebate: str = "0",
) -> Fill:
    moved = parse_price(price) * shares(size) // 10_000
    return Fill(
        trade=TradeId(trade),
        order=OrderNo(1),
        market=FIRST,
        outcome=outcome,
        side=side,
        price=parse_price(price),
        size=shares(size),
        cash=moved,
        fee=cash(fee),
        rebate=cash(rebate),
        maker=True,
        at=NOON,
    )


def an_account(*fills: Fill, settled: bool = True, funds: str = "1000") -> Account:
    account = Account()
    account.funds.total = cash(funds)
    for fill in fills:
        account.book(fill)
        if settled:
            account.settle(fill.trade, fill.order, CONFIRMED)
    return account


def everything(account: Account) -> dict[str, object]:
    """All that an account says of itself."""
    inventory = account.inventory(FIRST)
    return {
        "cash": account.funds.total,
        "locked": account.funds.locked,
        "realised": account.realised,
        "fees": account.fees,
        "rebates": account.rebates,
        "exposure": account.exposure,
        "filled": inventory.filled,
        "bids": inventory.bids,
    } | {
        f"{outcome} {name}": getattr(inventory.of(outcome), name)
        for outcome in Outcome
        for name in ("confirmed", "pending", "reserved", "cost")
    }


def test_a_bought_share_is_pending_until_it_is_confirmed():
    account = an_account(a_fill(), settled=False)
    held = account.inventory(FIRST).of(YES)
    assert (held.confirmed, held.pending, held.held, held.sellable) == (0, shares("100"), shares("100"), 0)
    assert account.funds.total == cash("960")
    assert account.settle(TradeId("t1"), OrderNo(1), CONFIRMED) is True
    assert (held.confirmed, held.pending, held.held, held.sellable) == (shares("100"), 0, shares("100"), shares("100"))
    assert account.funds.total == cash("960")


@pytest.mark.parametrize("step", [Settlement.MINED, Settlement.RETRYING])
def test_a_mined_or_retried_fill_is_still_pending(step):
    account = an_account(a_fill(), settled=False)
    assert account.settle(TradeId("t1"), OrderNo(1), step) is True
    assert account.inventory(FIRST).of(YES).pending == shares("100")


def test_a_confirmation_told_twice_counts_once():
    account = an_account(a_fill())
    before = everything(account)
    assert account.settle(TradeId("t1"), OrderNo(1), CONFIRMED) is False
    assert account.settle(TradeId("t1"), OrderNo(1), Settlement.MINED) is False
    assert everything(account) == before


def test_a_sold_share_is_gone_at_once_and_leaves_its_profit():
    account = an_account(a_fill(), a_fill("t2", side=SELL, price="0.50", size="40"))
    held = account.inventory(FIRST).of(YES)
    assert (held.held, held.cost) == (shares("60"), cash("24"))
    assert account.realised == cash("4")
    assert account.funds.total == cash("980")


def test_the_fee_of_a_fill_is_part_of_what_it_cost():
    account = an_account(a_fill(fee="1"), a_fill("t2", side=SELL, price="0.50", fee="2"))
    assert account.fees == cash("3")
    assert account.funds.total == cash("1007")
    assert account.realised == cash("7")


@pytest.mark.parametrize(
    "before",
    [
        [],
        [a_fill("t0", NO, price="0.55", size="70")],
        [a_fill("t0", price="0.40", size="30")],
        [a_fill("t0", price="0.50", size="100")],
    ],
    ids=["alone", "beside the complement", "at the price of another", "at another price than another"],
)
def test_a_failed_buy_leaves_the_account_as_if_it_had_never_been(before):
    account = an_account(*before)
    as_it_was = everything(account)
    failing = a_fill(fee="0.5", rebate="0.1") if not before or before[0].outcome is NO else a_fill()
    account.book(failing)
    assert account.settle(failing.trade, failing.order, FAILED) is True
    assert everything(account) == as_it_was


def test_a_failed_buy_stays_on_record():
    account = an_account(a_fill(), settled=False)
    account.settle(TradeId("t1"), OrderNo(1), FAILED)
    assert account.fills[TradeId("t1"), OrderNo(1)].status is FAILED
    assert account.settle(TradeId("t1"), OrderNo(1), FAILED) is False


def test_a_failed_sale_brings_the_shares_and_the_cash_back():
    account = an_account(a_fill())
    account.book(a_fill("t2", side=SELL, price="0.50", fee="1"))
    account.settle(TradeId("t2"), OrderNo(1), FAILED)
    held = account.inventory(FIRST).of(YES)
    assert (held.confirmed, held.sellable) == (shares("100"), shares("100"))
    assert account.funds.total == cash("960")
    assert account.fees == 0


def test_a_failed_sale_keeps_cash_plus_cost_less_profit_where_it_was():
    account = an_account(a_fill())
    account.book(a_fill("t2", side=SELL, price="0.50"))
    account.settle(TradeId("t2"), OrderNo(1), FAILED)
    assert account.funds.total + account.inventory(FIRST).cost - account.realised == cash("1000")


def test_a_failed_sale_leaves_the_account_as_if_it_had_never_been():
    account = an_account(a_fill())
    as_it_was = everything(account)
    account.book(a_fill("t2", side=SELL, price="0.50"))
    account.settle(TradeId("t2"), OrderNo(1), FAILED)
    assert everything(account) == as_it_was


def test_a_final_settlement_is_not_contradicted():
    account = an_account(a_fill())
    before = everything(account)
    assert account.settle(TradeId("t1"), OrderNo(1), FAILED) is None
    assert account.settle(TradeId("never"), OrderNo(1), CONFIRMED) is None
    assert everything(account) == before


def test_a_bid_in_play_locks_cash_until_it_ends():
    account, order = an_account(), an_order(price="0.40", size="100")
    account.reserve(order)
    assert (account.funds.total, account.funds.locked, account.funds.available) == (
        cash("1000"),
        cash("40"),
        cash("960"),
    )
    rests = told_of(order, News.RESTING)
    account.reserve(rests, order.kept)
    assert account.funds.locked == cash("40")
    part = filled_by(rests, shares("25"), cash("10"))
    account.reserve(part, rests.kept)
    assert account.funds.locked == cash("30")
    account.reserve(told_of(part, News.CANCELED), part.kept)
    assert account.funds.locked == 0


def test_what_is_locked_is_enough_in_how_many_parts_ever_the_order_is_filled():
    account, order = an_account(funds="3.333"), an_order(price="0.3333", size="10")
    account.reserve(order)
    assert account.funds.available == 0
    for part in ("3.333333", "3.333333", "3.333333"):
        moved = cash_paid(order.price, shares(part))
        after = filled_by(order, shares(part), moved)
        account.reserve(after, order.kept)
        account.funds.total -= moved
        order = after
        assert account.funds.locked <= account.funds.total


@pytest.mark.parametrize("end", [News.CANCELED, News.EXPIRED, News.REJECTED])
def test_however_a_bid_ends_its_cash_is_free_again(end):
    account, order = an_account(), an_order()
    account.reserve(order)
    account.reserve(told_of(order, end), order.kept)
    assert (account.funds.locked, account.inventory(FIRST).bids, account.exposure) == (0, 0, 0)


def test_an_ask_in_play_reserves_shares_and_no_cash():
    account, order = an_account(a_fill()), an_order(side=SELL, size="60")
    held = account.inventory(FIRST).of(YES)
    account.reserve(order)
    assert (held.reserved, held.sellable, held.held) == (shares("60"), shares("40"), shares("100"))
    assert (account.funds.locked, account.inventory(FIRST).bids) == (0, 0)
    account.reserve(told_of(order, News.CANCELED), order.kept)
    assert held.sellable == shares("100")


def test_nothing_unsettled_can_be_promised():
    account = an_account(a_fill(), settled=False)
    assert account.inventory(FIRST).of(YES).sellable == 0


def test_a_pair_is_a_dollar_whatever_happens():
    account = an_account(a_fill(size="100"), a_fill("t2", NO, price="0.55", size="60"))
    inventory = account.inventory(FIRST)
    assert (inventory.pairs, inventory.net) == (shares("60"), shares("40"))
    paired = an_account(a_fill(size="60"), a_fill("t2", NO, price="0.55", size="60")).inventory(FIRST)
    assert [paired.value(HalfPrice(half)) for half in (0, 9300, 20_000)] == [cash("60")] * 3


def test_a_holding_is_worth_its_mid_and_the_complement_the_rest_of_a_dollar():
    mid = HalfPrice(9300)  # 0.465
    assert an_account(a_fill()).inventory(FIRST).value(mid) == cash("46.5")
    assert an_account(a_fill(outcome=NO)).inventory(FIRST).value(mid) == cash("53.5")


# Exposure (R8).


def test_a_bid_counts_as_exposure_from_the_moment_it_is_placed():
    account, order = an_account(), an_order(price="0.40", size="50")
    account.reserve(order)
    inventory = account.inventory(FIRST)
    assert inventory.exposure == inventory.bids == notional(Price(4000), shares("50"))
    assert account.exposure == inventory.exposure


def test_a_fill_turns_a_bids_exposure_into_filled_exposure():
    account, order = an_account(), an_order(price="0.40", size="50")
    account.reserve(order)
    before = account.inventory(FIRST).exposure
    part = filled_by(order, shares("20"), cash("8"))
    account.reserve(part, order.kept)
    account.book(a_fill(size="20"))
    inventory = account.inventory(FIRST)
    assert (inventory.bids, inventory.filled) == (
        notional(Price(4000), shares("30")),
        notional(Price(4000), shares("20")),
    )
    assert inventory.exposure == account.exposure == before


def test_a_confirmed_cancel_removes_exposure_and_a_sale_removes_what_was_filled():
    account, order = an_account(a_fill(size="50")), an_order(price="0.40", size="50")
    account.reserve(order)
    account.reserve(told_of(order, News.CANCELED), order.kept)
    assert account.inventory(FIRST).exposure == notional(Price(4000), shares("50"))
    account.book(a_fill("t2", side=SELL, price="0.30", size="50"))
    assert account.inventory(FIRST).exposure == account.exposure == 0
    assert account.exposure_max == notional(Price(4000), shares("100"))


def test_asks_count_as_no_exposure():
    account = an_account(a_fill(size="50"))
    before = account.exposure
    account.reserve(an_order(side=SELL, size="50", price="0.60"))
    assert account.exposure == account.inventory(FIRST).exposure == before


def test_only_what_is_not_paired_is_exposed():
    account = an_account(a_fill(size="100", price="0.40"), a_fill("t2", NO, price="0.55", size="60"))
    assert account.inventory(FIRST).filled == notional(Price(4000), shares("40"))


def test_exposure_of_all_markets_is_the_sum_of_each():
    account = Account()
    account.reserve(an_order(1, price="0.40", size="50"))
    account.reserve(an_order(2, outcome=NO, price="0.30", size="10"))
    assert account.exposure == notional(Price(4000), shares("50")) + notional(Price(3000), shares("10"))
    assert [no for no, _ in account.markets()] == [FIRST]


# Resolution.


@pytest.mark.parametrize(("paid", "back"), [("1", "100"), ("0", "60"), ("0.5", "80")])
def test_a_resolved_market_pays_what_is_held(paid, back):
    account = an_account(a_fill(size="100", price="0.40"), a_fill("t2", NO, price="0.55", size="60"))
    before = account.funds.total
    account.redeem(FIRST, parse_price(paid))
    assert account.funds.total - before == cash(back)
    assert account.realised == cash(back) - cash("40") - cash("33")
    inventory = account.inventory(FIRST)
    assert (inventory.exposure, inventory.cost, account.exposure, inventory.net) == (0, 0, 0, 0)


def test_a_resolution_told_twice_pays_once():
    account = an_account(a_fill())
    account.redeem(FIRST, Price(10_000))
    before = everything(account)
    account.redeem(FIRST, Price(10_000))
    assert everything(account) == before


@pytest.mark.parametrize("news", [CONFIRMED])
def test_a_fill_that_settles_after_the_resolution_moves_no_shares(news):
    account = an_account(a_fill(), settled=False)
    account.redeem(FIRST, Price(10_000))
    account.settle(TradeId("t1"), OrderNo(1), news)
    held = account.inventory(FIRST).of(YES)
    assert (held.pending, held.confirmed, held.sellable) == (0, 0, 0)


def test_an_empty_inventory_is_worth_nothing():
    inventory = Inventory()
    assert (inventory.pairs, inventory.net, inventory.exposure, inventory.cost, inventory.refresh()) == (0, 0, 0, 0, 0)
    assert inventory.value(HalfPrice(9999)) == 0
