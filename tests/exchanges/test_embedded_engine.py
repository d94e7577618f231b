"""The engine of the embedded exchange: what it takes and refuses, how it matches, and where the money is."""

from itertools import count

import pytest
from msgspec.structs import replace

from pmrun.plugins.exchanges.embedded.admission import (
    BAD_EXPIRY,
    CROSSES,
    NO_BOOK,
    NO_MONEY,
    NOT_FILLED,
    NOT_MATCHED,
    NOT_POST_ONLY,
    NOT_READY,
)
from pmrun.plugins.exchanges.embedded.crowd import Crowd
from pmrun.plugins.exchanges.embedded.engine import ALREADY_CANCELED, ALREADY_MATCHED, NOT_FOUND, Engine
from pmrun.plugins.exchanges.embedded.ledger import (
    COLLATERAL,
    FEES,
    ISSUER,
    ROUNDING,
    VAULT,
    Account,
    Ledger,
    Movement,
    Part,
    Unbalanced,
)
from pmrun.plugins.exchanges.embedded.matching import MAKERS_PER_TRADE
from pmrun.plugins.exchanges.embedded.settlement import taker_leg
from pmrun.plugins.exchanges.embedded.terms import (
    BookReset,
    LevelMoved,
    OrderMoved,
    Placed,
    Printed,
    Refused,
    Resolved,
    Ticket,
    TickMoved,
    TimeInForce,
    TradeMoved,
)
from pmrun.plugins.feeds.rows import RowBuilder
from pmrun.runner.facts import MarketStatus, StatusChanged, TickChanged
from pmrun.runner.market import ConditionId, FeeTerms, Market, MarketNo, Outcome, TokenId
from pmrun.runner.orders import Settlement
from pmrun.runner.ports import FeedData, FeedInfo
from pmrun.runner.units import Cash, Micros, Price, Side, Size, parse_cash, parse_price, parse_size

BUY, SELL = Side.BUY, Side.SELL
YES, NO = TokenId("1001"), TokenId("1002")
MARKET = Market(
    condition=ConditionId("0x01"),
    question="Will it rain? (simulated)",
    slug="rain",
    yes=YES,
    no=NO,
    tick=Price(100),
    min_order_size=Size(5_000_000),
    fees=FeeTerms(rate_ppm=50_000),
)
OTHER = Market(
    condition=ConditionId("0x02"),
    question="Will it snow? (simulated)",
    slug="snow",
    yes=TokenId("2001"),
    no=TokenId("2002"),
    tick=Price(100),
    min_order_size=Size(5_000_000),
)
NOON = Micros(1_790_000_000_000_000)
SECOND = 1_000_000
ANNE, BOB = "0xanne", "0xbob"


def at(seconds: float) -> Micros:
    return Micros(NOON + round(seconds * SECOND))


@pytest.fixture
def engine():
    engine = Engine([MARKET, OTHER])
    for wallet in (ANNE, BOB):
        engine.deposit(wallet, parse_cash("1000"), NOON)
        for token in (YES, NO):
            engine.grant(wallet, token, parse_size("500"), NOON)
    return engine


_ids = count(1)


def ticket(wallet, side, price, size, token=YES, **terms):
    return Ticket(
        order_id=terms.pop("order_id", f"0x{next(_ids):064x}"),
        wallet=wallet,
        api_key=f"key of {wallet}",
        token=token,
        side=side,
        price=parse_price(price),
        size=parse_size(size),
        **terms,
    )


def place(engine, wallet, side, price, size, token=YES, when=NOON, **terms):
    """Place an order that is taken; return what was answered."""
    answer = engine.place(ticket(wallet, side, price, size, token, **terms), when)
    assert isinstance(answer, Placed), answer
    return answer


def refused(engine, wallet, side, price, size, token=YES, when=NOON, **terms):
    answer = engine.place(ticket(wallet, side, price, size, token, **terms), when)
    assert isinstance(answer, Refused), answer
    return answer.sentence


def cash(engine, wallet):
    return engine.balance(wallet, None)


def held(engine, wallet, part, token=None):
    return engine.ledger.of(Account(wallet, part), COLLATERAL if token is None else token)


def crowd(engine, side, price, size, when=NOON, market=0):
    engine.crowd_set(market, side, parse_price(price), parse_size(size), when)


def take(engine, side, price, size, when=NOON, market=0):
    engine.crowd_take(market, side, parse_price(price), parse_size(size), when)


def shown(levels):
    return [(price / 10_000, size / 1_000_000) for price, size in levels]


def kinds(events):
    return [event.kind if isinstance(event, OrderMoved) else type(event).__name__ for event in events]


# The ledger.


def test_an_entry_that_does_not_sum_to_zero_is_refused():
    ledger = Ledger()
    with pytest.raises(Unbalanced, match="gift: the entry sums to 5 of pUSD, not to zero"):
        ledger.post(NOON, "gift", [Movement(Account(ANNE, Part.AVAILABLE), COLLATERAL, 5)])
    assert not ledger.entries


def test_a_wallet_cannot_be_overdrawn_but_the_issuer_can():
    ledger = Ledger()
    available = Account(ANNE, Part.AVAILABLE)
    with pytest.raises(Unbalanced, match="0xanne available would hold -5 of pUSD"):
        ledger.post(NOON, "theft", [Movement(available, COLLATERAL, -5), Movement(ISSUER, COLLATERAL, 5)])
    ledger.post(NOON, "deposit", [Movement(available, COLLATERAL, 5), Movement(ISSUER, COLLATERAL, -5)])
    assert ledger.balance(ANNE, None) == ledger.spendable(ANNE, None) == 5
    ledger.check()


# What is refused, in the exchange's words.


def test_a_post_only_order_that_crosses_is_refused(engine):
    crowd(engine, SELL, "0.50", "100")
    assert refused(engine, ANNE, BUY, "0.50", "10", post_only=True) == CROSSES
    assert refused(engine, ANNE, SELL, "0.50", "10", token=NO, post_only=True) == CROSSES
    place(engine, ANNE, BUY, "0.49", "10", post_only=True)


def test_a_post_only_order_that_crosses_our_own_is_refused(engine):
    place(engine, ANNE, BUY, "0.50", "10")
    assert refused(engine, ANNE, BUY, "0.50", "10", token=NO, post_only=True) == CROSSES


def test_what_is_promised_cannot_be_promised_again(engine):
    place(engine, ANNE, BUY, "0.50", "1500")
    assert refused(engine, ANNE, BUY, "0.51", "500") == NO_MONEY
    place(engine, ANNE, BUY, "0.50", "500")
    assert engine.spendable(ANNE, None) == 0
    assert cash(engine, ANNE) == parse_cash("1000")
    place(engine, ANNE, SELL, "0.60", "500")
    assert refused(engine, ANNE, SELL, "0.60", "5") == NO_MONEY


def test_a_taker_needs_its_fee_as_well(engine):
    crowd(engine, SELL, "0.50", "5000")
    assert refused(engine, ANNE, BUY, "0.50", "2000") == NO_MONEY
    place(engine, ANNE, BUY, "0.50", "1900")


def test_a_price_off_the_grid_or_outside_of_it_is_refused(engine):
    for price, said in (("0.455", "0.455"), ("0", "0"), ("1", "1")):
        sentence = refused(engine, ANNE, BUY, price, "10", order_id="0xabc")
        assert sentence == f"order 0xabc is invalid. Price ({said}) breaks minimum tick size rule: 0.01"


def test_a_small_order_is_refused(engine):
    sentence = refused(engine, ANNE, BUY, "0.5", "4.99", order_id="0xabc")
    assert sentence == "order 0xabc is invalid. Size (4.99) lower than the minimum: 5"


def test_the_same_order_is_not_taken_twice(engine):
    placed = place(engine, ANNE, BUY, "0.5", "10", order_id="0xabc")
    assert placed.status == "live"
    sentence = refused(engine, ANNE, BUY, "0.5", "10", order_id="0xabc")
    assert sentence == "order 0xabc is invalid. Duplicated."
    engine.cancel(f"key of {ANNE}", ["0xabc"], NOON)
    assert refused(engine, ANNE, BUY, "0.5", "10", order_id="0xabc") == sentence


def test_a_marketable_order_is_worth_a_dollar_at_least(engine):
    crowd(engine, SELL, "0.10", "100")
    sentence = refused(engine, ANNE, BUY, "0.10", "9")
    assert sentence == "invalid amount for a marketable BUY order ($0.9), min size: $1"
    place(engine, ANNE, BUY, "0.09", "9")
    place(engine, ANNE, BUY, "0.10", "10")


def test_a_fok_order_is_filled_whole_or_not_at_all(engine):
    crowd(engine, SELL, "0.50", "30")
    crowd(engine, SELL, "0.51", "30")
    before = engine.levels(0)
    assert refused(engine, ANNE, BUY, "0.51", "61", time_in_force=TimeInForce.FOK) == NOT_FILLED
    assert engine.levels(0) == before
    placed = place(engine, ANNE, BUY, "0.51", "60", time_in_force=TimeInForce.FOK)
    assert (placed.status, placed.making, placed.taking) == ("matched", parse_cash("30.3"), parse_size("60"))


def test_a_fak_order_takes_what_there_is_and_the_rest_is_killed(engine):
    assert refused(engine, ANNE, BUY, "0.51", "60", time_in_force=TimeInForce.FAK) == NOT_MATCHED
    crowd(engine, SELL, "0.50", "30")
    placed = place(engine, ANNE, BUY, "0.51", "60", time_in_force=TimeInForce.FAK)
    view = engine.order(placed.order_id)
    assert (placed.status, view.status, view.matched) == ("matched", "CANCELED", parse_size("30"))
    assert not engine.open_orders(f"key of {ANNE}")
    assert held(engine, ANNE, Part.ESCROW) == 0
    with_post_only = {"time_in_force": TimeInForce.FAK, "post_only": True}
    assert refused(engine, ANNE, BUY, "0.51", "60", **with_post_only) == NOT_POST_ONLY


def test_a_halted_market_takes_no_orders_but_cancels(engine):
    placed = place(engine, ANNE, BUY, "0.5", "10")
    engine.set_status(0, MarketStatus.HALTED, NOON)
    assert not engine.markets[0].accepting_orders
    assert refused(engine, ANNE, BUY, "0.5", "10") == NOT_READY
    assert engine.cancel(f"key of {ANNE}", [placed.order_id], NOON).canceled == (placed.order_id,)
    engine.set_status(0, MarketStatus.TRADING, NOON)
    place(engine, ANNE, BUY, "0.5", "10")


def test_an_unknown_token_has_no_book_and_an_expiry_in_the_past_is_invalid(engine):
    assert refused(engine, ANNE, BUY, "0.5", "10", token=TokenId("77")) == NO_BOOK
    for ends in (None, NOON):
        terms = {"time_in_force": TimeInForce.GTD, "expires_at": ends}
        assert refused(engine, ANNE, BUY, "0.5", "10", **terms) == BAD_EXPIRY


# Resting.


def test_a_cancelled_bid_gives_its_escrow_back(engine):
    placed = place(engine, ANNE, BUY, "0.37", "33.333333")
    assert held(engine, ANNE, Part.ESCROW) == parse_cash("12.333334")
    answer = engine.cancel(f"key of {ANNE}", [placed.order_id, placed.order_id, "0xnone"], NOON)
    assert answer.canceled == (placed.order_id,)
    assert answer.not_canceled == {"0xnone": NOT_FOUND}
    assert held(engine, ANNE, Part.ESCROW) == 0
    assert engine.spendable(ANNE, None) == parse_cash("1000")


def test_an_order_that_ended_says_how_when_it_is_cancelled(engine):
    filled = place(engine, ANNE, BUY, "0.5", "10").order_id
    gone = place(engine, ANNE, BUY, "0.4", "10").order_id
    take(engine, SELL, "0.5", "10")
    engine.cancel(f"key of {ANNE}", [gone], NOON)
    answer = engine.cancel(f"key of {ANNE}", [filled, gone], NOON)
    assert answer.not_canceled == {filled: ALREADY_MATCHED, gone: ALREADY_CANCELED}


def test_nobody_cancels_an_order_of_somebody_else(engine):
    placed = place(engine, ANNE, BUY, "0.5", "10")
    assert engine.cancel(f"key of {BOB}", [placed.order_id], NOON).not_canceled == {placed.order_id: NOT_FOUND}
    assert engine.cancel_where(f"key of {BOB}", NOON).canceled == ()
    assert engine.order(placed.order_id).status == "LIVE"


def test_orders_are_cancelled_by_market_by_token_or_all(engine):
    on_yes = place(engine, ANNE, BUY, "0.4", "10").order_id
    on_no = place(engine, ANNE, BUY, "0.4", "10", token=NO).order_id
    elsewhere = place(engine, ANNE, BUY, "0.4", "10", token=OTHER.yes).order_id
    key = f"key of {ANNE}"
    assert engine.cancel_where(key, NOON, token=NO).canceled == (on_no,)
    assert engine.cancel_where(key, NOON, condition=OTHER.condition).canceled == (elsewhere,)
    assert engine.cancel_where(key, NOON).canceled == (on_yes,)


def test_a_gtd_order_expires_at_its_time(engine):
    terms = {"time_in_force": TimeInForce.GTD, "expires_at": at(120)}
    placed = place(engine, ANNE, BUY, "0.5", "10", **terms)
    assert engine.next_due() == at(120)
    engine.drain()
    engine.advance(at(119.9))
    assert engine.order(placed.order_id).status == "LIVE"
    engine.advance(at(500))
    assert engine.order(placed.order_id).status == "CANCELED_EXPIRED_ORDER"
    assert engine.spendable(ANNE, None) == parse_cash("1000")
    moved, level = engine.drain()
    assert (moved.kind, moved.at, level.at, level.size) == ("CANCELLATION", at(120), at(120), 0)


def test_an_expired_order_is_not_matched_by_what_comes_later(engine):
    terms = {"time_in_force": TimeInForce.GTD, "expires_at": at(120)}
    placed = place(engine, ANNE, BUY, "0.5", "10", **terms)
    take(engine, SELL, "0.5", "10", when=at(121))
    assert engine.order(placed.order_id).matched == 0


def test_settlements_and_expiries_happen_in_order_of_time(engine):
    place(engine, ANNE, BUY, "0.40", "10", time_in_force=TimeInForce.GTD, expires_at=Micros(at(2) + 1))
    place(engine, ANNE, BUY, "0.50", "10")
    take(engine, SELL, "0.50", "10")
    engine.drain()
    engine.advance(at(60))
    assert kinds(engine.drain()) == ["TradeMoved", "CANCELLATION", "LevelMoved", "TradeMoved"]


def test_a_withdrawal_drops_the_newest_orders_it_leaves_uncovered(engine):
    old = place(engine, ANNE, BUY, "0.5", "1000").order_id
    new = place(engine, ANNE, BUY, "0.5", "800").order_id
    ask = place(engine, ANNE, SELL, "0.6", "100").order_id
    engine.withdraw(ANNE, None, parse_cash("300"), NOON)
    assert engine.order(new).status == "CANCELED_NOT_ENOUGH_BALANCE"
    assert {engine.order(old).status, engine.order(ask).status} == {"LIVE"}
    assert cash(engine, ANNE) == parse_cash("700")
    with pytest.raises(Unbalanced):
        engine.withdraw(ANNE, None, parse_cash("701"), NOON)


# Matching.


def test_a_normal_match_moves_cash_and_shares_when_it_is_confirmed(engine):
    place(engine, BOB, SELL, "0.40", "10")
    placed = place(engine, ANNE, BUY, "0.45", "10")
    assert placed.making == parse_cash("4")
    assert cash(engine, ANNE) == parse_cash("1000")  # on chain nothing has moved
    assert engine.spendable(ANNE, None) == parse_cash("995.88")  # 0.12 is the fee
    assert held(engine, ANNE, Part.PENDING) == parse_cash("4.12")
    assert held(engine, BOB, Part.PENDING, YES) == parse_size("10")
    engine.advance(at(10))
    assert cash(engine, ANNE) == parse_cash("995.88")
    assert cash(engine, BOB) == parse_cash("1004")
    assert engine.balance(ANNE, YES) == parse_size("510")
    assert engine.balance(BOB, YES) == parse_size("490")
    assert engine.ledger.of(FEES, COLLATERAL) == parse_cash("0.12")
    engine.ledger.check()


def test_two_buyers_of_opposite_tokens_mint_a_pair(engine):
    place(engine, BOB, BUY, "0.60", "10", token=NO)
    assert shown(engine.levels(0)[1]) == [(0.4, 10)]
    placed = place(engine, ANNE, BUY, "0.45", "10")
    assert placed.making == parse_cash("4")
    engine.advance(at(10))
    assert engine.ledger.of(VAULT, COLLATERAL) == parse_cash("10")
    assert engine.ledger.of(VAULT, YES) == engine.ledger.of(VAULT, NO) == -parse_size("10")
    assert cash(engine, BOB) == parse_cash("994")
    assert engine.balance(BOB, NO) == engine.balance(ANNE, YES) == parse_size("510")


def test_two_sellers_of_opposite_tokens_merge_a_pair(engine):
    place(engine, BOB, SELL, "0.60", "10", token=NO)
    assert shown(engine.levels(0)[0]) == [(0.4, 10)]
    placed = place(engine, ANNE, SELL, "0.40", "10")
    assert (placed.making, placed.taking) == (parse_size("10"), parse_cash("4"))
    engine.advance(at(10))
    assert engine.ledger.of(VAULT, COLLATERAL) == -parse_cash("10")
    assert cash(engine, ANNE) == parse_cash("1003.88")
    assert cash(engine, BOB) == parse_cash("1006")


def test_a_taker_gets_the_better_price_and_rests_with_what_is_left(engine):
    place(engine, BOB, SELL, "0.40", "10")
    place(engine, BOB, SELL, "0.42", "10")
    placed = place(engine, ANNE, BUY, "0.45", "30")
    assert placed.making == parse_cash("8.2")
    assert shown(engine.levels(0)[0]) == [(0.45, 10)]
    assert held(engine, ANNE, Part.ESCROW) == parse_cash("4.5")
    assert engine.order(placed.order_id).status == "LIVE"
    [trade] = engine.trades(f"key of {ANNE}")
    assert trade.price == parse_price("0.42")
    assert [part.price for part in trade.makers] == [parse_price("0.40"), parse_price("0.42")]


def test_the_first_to_come_is_the_first_to_be_served(engine):
    crowd(engine, BUY, "0.50", "30")
    mine = place(engine, ANNE, BUY, "0.50", "20").order_id
    crowd(engine, BUY, "0.50", "60")
    take(engine, SELL, "0.50", "30")
    assert engine.order(mine).matched == 0
    take(engine, SELL, "0.50", "15")
    assert engine.order(mine).matched == parse_size("15")
    assert shown(engine.levels(0)[0]) == [(0.5, 35)]


def test_what_the_crowd_withdraws_leaves_from_before_and_behind_us_alike(engine):
    crowd(engine, BUY, "0.50", "30")
    mine = place(engine, ANNE, BUY, "0.50", "20").order_id
    crowd(engine, BUY, "0.50", "90")
    crowd(engine, BUY, "0.50", "45")  # of 30 before us 15 are left
    take(engine, SELL, "0.50", "16")
    assert engine.order(mine).matched == parse_size("1")


def test_what_the_crowd_withdraws_is_exact_however_oddly_it_divides(engine):
    crowd(engine, BUY, "0.50", "10.000001")
    place(engine, ANNE, BUY, "0.50", "20")
    crowd(engine, BUY, "0.50", "30.000004")
    crowd(engine, BUY, "0.50", "7")
    assert shown(engine.levels(0)[0]) == [(0.5, 27)]


def test_a_better_price_is_served_before_an_older_order(engine):
    old = place(engine, ANNE, BUY, "0.50", "10").order_id
    better = place(engine, BOB, SELL, "0.48", "10", token=NO).order_id  # a bid for YES at 0.52
    take(engine, SELL, "0.50", "15")
    assert engine.order(better).status == "MATCHED"
    assert engine.order(old).matched == parse_size("5")


def test_a_wallet_may_match_itself_and_only_pays_the_fee(engine):
    place(engine, ANNE, BUY, "0.60", "10", token=NO)
    place(engine, ANNE, BUY, "0.40", "10")
    place(engine, ANNE, SELL, "0.40", "10")
    engine.advance(at(10))
    engine.ledger.check()
    spent = parse_cash("1000") - cash(engine, ANNE)
    assert spent == parse_cash("10") + engine.ledger.of(FEES, COLLATERAL)
    assert engine.balance(ANNE, YES) == engine.balance(ANNE, NO) == parse_size("510")


def test_parts_that_round_up_never_leave_an_order_without_its_escrow(engine):
    """Three thirds of a unit each cost a unit: one more than the order reserved, and the wallet has no more."""
    poor = "0xpoor"
    engine.deposit(poor, Cash(1_650_001), NOON)
    placed = place(engine, poor, BUY, "0.33", "5.000001")
    assert engine.spendable(poor, None) == 0
    for size in ("1.000001", "1.000001"):
        take(engine, SELL, "0.33", size)
        engine.ledger.check()
    view = engine.order(placed.order_id)
    assert view.status == "CANCELED_NOT_ENOUGH_BALANCE"
    assert held(engine, poor, Part.ESCROW) == 0
    engine.advance(at(10))
    assert engine.ledger.of(ROUNDING, COLLATERAL) >= 0


def test_a_taker_whose_parts_round_up_needs_every_unit_of_it(engine):
    for _ in range(3):
        place(engine, BOB, SELL, "0.33", "5.000001")
    poor = "0xpoor"
    engine.deposit(poor, Cash(5_115_842), NOON)
    assert refused(engine, poor, BUY, "0.33", "15.000003") == NO_MONEY
    engine.deposit(poor, Cash(1), NOON)
    placed = place(engine, poor, BUY, "0.33", "15.000003")
    assert placed.making == 3 * 1_650_001
    assert engine.spendable(poor, None) == 0


def test_a_fee_never_exceeds_what_a_seller_gets():
    dear = replace(MARKET, fees=FeeTerms(rate_ppm=1_000_000))
    leg = taker_leg(dear, ANNE, YES, SELL, Price(1_000), Size(60))
    assert (leg.fee, leg.gets) == (6, (COLLATERAL, 0))


def test_a_large_match_is_split_into_trades_with_ids_of_their_own(engine):
    for _ in range(MAKERS_PER_TRADE + 1):
        place(engine, BOB, SELL, "0.40", "5")
    placed = place(engine, ANNE, BUY, "0.40", "105")
    trades = engine.trades(f"key of {ANNE}")
    assert [trade.bucket_index for trade in trades] == [0, 1]
    assert [trade.size for trade in trades] == [parse_size("100"), parse_size("5")]
    assert placed.trades == tuple(trade.trade_id for trade in trades) == engine.order(placed.order_id).trades
    assert len(set(placed.trades)) == 2


# The crowd.


def test_the_crowd_crossing_us_trades_with_us_and_not_with_itself(engine):
    crowd(engine, SELL, "0.50", "100")
    mine = place(engine, ANNE, SELL, "0.52", "10").order_id
    crowd(engine, BUY, "0.52", "25")
    assert engine.order(mine).status == "MATCHED"
    assert shown(engine.levels(0)[0]) == [(0.52, 15)]
    assert shown(engine.levels(0)[1]) == [(0.5, 100)]
    [trade] = engine.trades(f"key of {ANNE}")
    assert (trade.taker_api_key, trade.makers[0].price) == ("", parse_price("0.52"))


def test_a_snapshot_replaces_the_crowd_and_leaves_us(engine):
    crowd(engine, BUY, "0.50", "100")
    place(engine, ANNE, BUY, "0.50", "10")
    engine.drain()
    levels = ((parse_price("0.48"), parse_size("7")),)
    engine.crowd_snapshot(0, levels, ((parse_price("0.55"), parse_size("9")),), NOON)
    assert shown(engine.levels(0)[0]) == [(0.5, 10), (0.48, 7)]
    assert shown(engine.levels(0)[1]) == [(0.55, 9)]
    assert engine.drain() == [BookReset(NOON, 0)]


def test_a_print_takes_no_more_than_it_says_and_the_rest_vanishes(engine):
    mine = place(engine, ANNE, BUY, "0.50", "10").order_id
    crowd(engine, BUY, "0.50", "10")
    crowd(engine, BUY, "0.49", "100")
    engine.drain()
    take(engine, SELL, "0.50", "40")
    assert engine.order(mine).status == "MATCHED"
    assert [event.size for event in engine.drain() if isinstance(event, Printed)] == [parse_size("20")]
    assert shown(engine.levels(0)[0]) == [(0.49, 100)]
    assert engine.last_trade(0) == (parse_price("0.50"), SELL)


def test_about_half_of_the_matches_with_the_crowd_are_complement_matches(engine):
    for n in range(100):
        place(engine, ANNE, BUY, "0.50", "5")
        take(engine, SELL, "0.50", "5", when=at(10 * n))
    trades = engine.trades(f"key of {ANNE}")
    minted = sum(trade.token == NO for trade in trades)
    assert 30 < minted < 70
    assert all(trade.side is (BUY if trade.token == NO else SELL) for trade in trades)


def test_what_crossed_in_a_halt_trades_when_the_market_opens(engine):
    mine = place(engine, ANNE, SELL, "0.50", "10").order_id
    engine.set_status(0, MarketStatus.HALTED, NOON)
    crowd(engine, BUY, "0.51", "25")
    take(engine, BUY, "0.51", "25")
    assert engine.order(mine).matched == 0
    engine.set_status(0, MarketStatus.TRADING, NOON)
    assert engine.order(mine).status == "MATCHED"
    assert shown(engine.levels(0)[0]) == [(0.51, 15)]


# News.


def test_the_news_of_a_match_comes_in_order(engine):
    place(engine, BOB, SELL, "0.40", "10")
    engine.drain()
    place(engine, ANNE, BUY, "0.45", "30")
    events = engine.drain()
    expected = ["PLACEMENT", "UPDATE", "UPDATE", "TradeMoved", "Printed", "LevelMoved", "LevelMoved", "BookReset"]
    assert kinds(events) == expected
    levels = [(event.side, event.price, event.size) for event in events if isinstance(event, LevelMoved)]
    assert levels == [
        (SELL, parse_price("0.40"), 0),
        (BUY, parse_price("0.45"), parse_size("20")),
    ]
    assert events[1].order.matched == parse_size("10")


def test_prints_and_levels_are_told_in_terms_of_yes(engine):
    place(engine, BOB, BUY, "0.60", "10", token=NO)
    engine.drain()
    place(engine, ANNE, SELL, "0.60", "10", token=NO)
    printed = next(event for event in engine.drain() if isinstance(event, Printed))
    assert (printed.side, printed.price) == (BUY, parse_price("0.40"))


def test_a_tick_that_changes_is_told_and_then_the_book(engine):
    mine = place(engine, ANNE, BUY, "0.45", "10").order_id
    engine.drain()
    engine.set_tick(0, Price(10), NOON)
    engine.set_tick(0, Price(10), NOON)
    assert engine.drain() == [TickMoved(NOON, 0, Price(100), Price(10)), BookReset(NOON, 0)]
    place(engine, ANNE, BUY, "0.455", "10")
    assert engine.order(mine).status == "LIVE"


# Settlement.


def stages(engine, api_key):
    return [
        (event.trade.status, event.at)
        for event in engine.drain()
        if isinstance(event, TradeMoved) and api_key in (event.trade.taker_api_key, event.trade.makers[0].api_key)
    ]


def test_a_trade_is_matched_then_mined_then_confirmed(engine):
    place(engine, ANNE, BUY, "0.50", "10")
    take(engine, SELL, "0.50", "10", when=at(1))
    engine.advance(at(60))
    expected = [(Settlement.MATCHED, at(1)), (Settlement.MINED, at(3)), (Settlement.CONFIRMED, at(5))]
    assert stages(engine, f"key of {ANNE}") == expected
    [trade] = engine.trades(f"key of {ANNE}")
    assert trade.transaction.startswith("0x")
    assert len(trade.transaction) == 66


def test_a_failed_settlement_gives_everything_back_but_the_order_stays_filled(engine):
    bid = place(engine, ANNE, BUY, "0.50", "10").order_id
    engine.fail_next_settlement()
    place(engine, BOB, SELL, "0.50", "10")
    engine.advance(at(60))
    assert [status for status, _ in stages(engine, f"key of {ANNE}")] == [Settlement.MATCHED, Settlement.FAILED]
    for wallet in (ANNE, BOB):
        assert engine.spendable(wallet, None) == parse_cash("1000")
        assert engine.spendable(wallet, YES) == parse_size("500")
    assert engine.order(bid).status == "MATCHED"


def test_a_retried_settlement_is_confirmed_in_the_end(engine):
    engine.retry_next_settlement()
    place(engine, ANNE, BUY, "0.50", "10")
    take(engine, SELL, "0.50", "10")
    engine.advance(at(60))
    seen = [status for status, _ in stages(engine, f"key of {ANNE}")]
    assert seen == [Settlement.MATCHED, Settlement.RETRYING, Settlement.MINED, Settlement.CONFIRMED]
    assert engine.balance(ANNE, YES) == parse_size("510")


def test_a_resolved_market_cancels_what_rests_and_pays_who_holds(engine):
    bid = place(engine, ANNE, BUY, "0.50", "10").order_id
    place(engine, BOB, SELL, "0.60", "10")
    take(engine, SELL, "0.50", "4")
    engine.drain()
    engine.resolve(0, Price(10_000), at(1))
    assert kinds(engine.drain()) == ["CANCELLATION", "CANCELLATION", "BookReset", "Resolved"]
    assert engine.order(bid).status == "CANCELED_MARKET_RESOLVED"
    assert cash(engine, BOB) == parse_cash("1500")
    assert engine.markets[0].settled_yes == 10_000
    engine.advance(at(60))  # the four shares that were on their way are paid as well
    assert cash(engine, ANNE) == parse_cash("1502")
    assert engine.balance(ANNE, YES) == engine.balance(ANNE, NO) == 0
    assert refused(engine, ANNE, BUY, "0.5", "10") == NOT_READY
    engine.resolve(0, Price(0), at(61))
    assert not engine.drain()[3:]
    assert cash(engine, ANNE) == parse_cash("1502")
    engine.ledger.check()


def test_a_closed_market_drops_its_orders_and_pays_nobody(engine):
    bid = place(engine, ANNE, BUY, "0.50", "10").order_id
    engine.set_status(0, MarketStatus.CLOSED, NOON)
    assert engine.order(bid).status == "CANCELED"
    assert engine.balance(ANNE, YES) == parse_size("500")


# A feed as the crowd.


def feed(rows, notes=()):
    info = FeedInfo(
        name="test",
        source="",
        simulated=True,
        data_hash="",
        frames=0,
        prints=0,
        first_at=NOON,
        last_at=NOON,
    )
    return FeedData(markets=(MARKET, OTHER), steps=(100, 100), rows=rows.build(), notes=tuple(notes), info=info)


def level(rows, when, side, price, size, sent=None):
    sent = when if sent is None else sent
    rows.level(when, sent, 0, 0, Outcome.YES, side, parse_price(price), parse_size(size))


def trade(rows, when, side, price, size, sent=None):
    sent = when if sent is None else sent
    rows.trade(when, sent, 0, 0, Outcome.YES, side, parse_price(price), parse_size(size))


def snapshot(rows, when, bids, asks, sent=None, outcome=Outcome.YES):
    sides = [tuple((parse_price(price), parse_size(size)) for price, size in side) for side in (bids, asks)]
    rows.book(when, when if sent is None else sent, 0, 0, outcome, *sides)


def test_a_feed_is_played_up_to_a_time(engine):
    rows = RowBuilder()
    snapshot(rows, at(0), [("0.50", "100")], [("0.52", "80")])
    level(rows, at(1), BUY, "0.51", "30")
    trade(rows, at(2), SELL, "0.51", "10")
    level(rows, at(2), BUY, "0.51", "20")
    played = Crowd(engine, feed(rows))
    assert played.next_at() == at(0)
    played.advance(at(1))
    assert shown(engine.levels(0)[0]) == [(0.51, 30), (0.5, 100)]
    assert played.next_at() == at(2)
    played.advance(at(5))
    assert shown(engine.levels(0)[0]) == [(0.51, 20), (0.5, 100)]
    assert played.next_at() is None


def test_the_notes_of_a_feed_change_ticks_and_end_markets(engine):
    notes = [
        TickChanged(at(1), MarketNo(0), Price(10)),
        StatusChanged(at(2), MarketNo(1), MarketStatus.HALTED),
        StatusChanged(at(3), MarketNo(0), MarketStatus.RESOLVED, Price(0)),
    ]
    played = Crowd(engine, feed(RowBuilder(), notes))
    played.advance(at(2))
    assert engine.markets[0].tick == 10
    assert engine.status(1) is MarketStatus.HALTED
    played.advance(at(3))
    assert engine.status(0) is MarketStatus.RESOLVED
    assert Resolved(at(3), 0, Price(0)) in engine.drain()
    assert engine.spendable(ANNE, None) == parse_cash("1500")  # 500 NO


def test_a_stale_level_is_left_out_and_a_late_snapshot_keeps_what_is_newer(engine):
    rows = RowBuilder()
    level(rows, at(1), BUY, "0.50", "30", sent=at(1))
    level(rows, at(2), BUY, "0.50", "99", sent=at(0.5))
    snapshot(rows, at(3), [("0.50", "77"), ("0.49", "5")], [], sent=at(0.9))
    level(rows, at(4), BUY, "0.48", "99", sent=at(0.8))
    played = Crowd(engine, feed(rows))
    played.advance(at(9))
    assert shown(engine.levels(0)[0]) == [(0.5, 30), (0.49, 5)]


def test_a_print_that_comes_after_its_level_takes_the_queue_once(engine):
    """The new level first, as recordings often have it: 40 of the 100 before us were traded, not cancelled."""
    rows = RowBuilder()
    level(rows, at(0), BUY, "0.50", "100")
    level(rows, at(1), BUY, "0.50", "60")
    trade(rows, at(1.01), SELL, "0.50", "40", sent=at(1))
    played = Crowd(engine, feed(rows))
    played.advance(at(0))
    mine = place(engine, ANNE, BUY, "0.50", "10").order_id
    played.advance(at(2))
    assert shown(engine.levels(0)[0]) == [(0.5, 70)]
    take(engine, SELL, "0.50", "61", when=at(3))
    assert engine.order(mine).matched == parse_size("1")


def test_an_order_of_ours_gets_its_share_of_what_a_feed_prints(engine):
    rows = RowBuilder()
    snapshot(rows, at(0), [("0.48", "60")], [("0.50", "100")], outcome=Outcome.NO)
    trade(rows, at(2), BUY, "0.52", "130")
    level(rows, at(2), SELL, "0.52", "0")
    played = Crowd(engine, feed(rows))
    played.advance(at(0))
    mine = place(engine, ANNE, SELL, "0.52", "50", when=at(1)).order_id
    played.advance(at(2))
    assert engine.order(mine).status == "MATCHED"
    prints = [event.size for event in engine.drain() if isinstance(event, Printed)]
    assert prints == [parse_size("110")]


@pytest.mark.parametrize(("later", "same"), [(0.0, True), (0.000001, False)])
def test_an_exchange_that_was_started_again_gives_no_trade_an_id_it_gave_before(later, same):
    """A fill with an id that an account file knows counts as told before (O5)."""

    def traded(when):
        engine = Engine([MARKET, OTHER])
        for wallet in (ANNE, BOB):
            engine.deposit(wallet, parse_cash("100"), when)
        place(engine, ANNE, BUY, "0.50", "10", when=when)
        place(engine, BOB, BUY, "0.50", "10", token=NO, when=when)
        (trade,) = engine.trades(f"key of {ANNE}")
        return trade.trade_id

    assert (traded(NOON) == traded(at(later))) is same
