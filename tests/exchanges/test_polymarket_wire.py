"""Polymarket's frames and answers in our own invented messages: what they mean, and what is refused."""

import contextlib
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmrun.plugins.exchanges.common.book_hash import book_hash, is_whole, last_trade_text
from pmrun.plugins.exchanges.common.market_news import (
    BookSeen,
    LevelChange,
    LevelsSeen,
    MarketListed,
    MarketResolved,
    News,
    Parsed,
    PrintSeen,
    TickSeen,
    TouchSeen,
)
from pmrun.plugins.exchanges.polymarket import (
    wire_fields,
    wire_gamma,
    wire_markets,
    wire_orders,
    wire_pages,
    wire_prices,
    wire_rest,
)
from pmrun.plugins.exchanges.polymarket.news import (
    MakerFill,
    OrderKind,
    OrderSeen,
    OrderStatus,
    TraderSide,
    TradeSeen,
    TradeStatus,
)
from pmrun.plugins.exchanges.polymarket.wire import parse_frame
from pmrun.plugins.exchanges.polymarket.wire_orders import Verdict
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import ConditionId, FeeTerms, Market, RewardTerms, TokenId
from pmrun.runner.units import (
    Cash,
    HalfPrice,
    Micros,
    Price,
    Side,
    Size,
    format_price,
    format_size,
    parse_price,
    parse_size,
)

MESSAGES = Path(__file__).parent / "messages"
YES, NO, RAIN = TokenId("1001"), TokenId("1002"), ConditionId("0xc0ffee01")
SHARE = 1_000_000
NEW_YEAR = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


def message(name: str) -> str:
    return (MESSAGES / f"{name}.json").read_text()


def changed(name: str, **fields: Any) -> str:
    return json.dumps({**json.loads(message(name)), **fields})


def without(name: str, field: str) -> str:
    found = json.loads(message(name))
    del found[field]
    return json.dumps(found)


def only(raw: str | bytes) -> News:
    parsed = parse_frame(raw)
    assert parsed.unknown == ()
    (news,) = parsed.news
    return news


def at(milliseconds: int) -> Micros:
    return Micros(NEW_YEAR + milliseconds * 1000)


ORDER = OrderSeen(
    order_id="0x0b1",
    condition=RAIN,
    token=YES,
    side=Side.BUY,
    price=Price(5200),
    original_size=Size(10 * SHARE),
    size_matched=Size(0),
    kind=OrderKind.PLACEMENT,
    status=OrderStatus.LIVE,
    status_text="LIVE",
    order_type="GTD",
    created_at=at(5000),
    expiration=at(3_605_000),
    at=at(5257),
    owner="key-a",
)
TRADE = TradeSeen(
    trade_id="trade-1",
    condition=RAIN,
    token=YES,
    taker_order_id="0x7a",
    taker_side=Side.BUY,
    price=Price(5200),
    size=Size(10 * SHARE),
    status=TradeStatus.MATCHED,
    matched_at=at(6000),
    at=at(6257),
    trader_side=TraderSide.MAKER,
    owner="key-b",
    maker_fills=(
        MakerFill(
            order_id="0x0b1",
            owner="key-a",
            token=YES,
            side=Side.SELL,
            price=Price(5200),
            size=Size(4_500_000),
            outcome="Yes",
        ),
        MakerFill(
            order_id="0x0b2",
            owner="key-c",
            token=NO,
            side=None,
            price=Price(4800),
            size=Size(5_500_000),
            outcome="No",
        ),
    ),
)
TOUCH = TouchSeen(token=YES, condition=RAIN, at=at(2000), best_bid=Price(7300), best_ask=Price(7725))
FINER = TickSeen(token=YES, condition=RAIN, at=at(1000), old=Price(100), new=Price(10))
EXPECTED: dict[str, News] = {
    "book": BookSeen(
        token=YES,
        condition=RAIN,
        at=at(123),
        bids=((Price(4550), Size(2_500_000)), (Price(4100), Size(10 * SHARE))),
        asks=((Price(5000), Size(1)), (Price(6200), Size(7 * SHARE))),
        hash="8a5e",
        tick=Price(50),
        min_order_size=Size(5 * SHARE),
        neg_risk=True,
        last_trade_price=Price(4600),
    ),
    "book_numbers": BookSeen(
        token=YES, condition=RAIN, at=at(123), bids=((Price(4100), Size(10 * SHARE)),), asks=(), hash=""
    ),
    "price_change": LevelsSeen(
        RAIN,
        at(456),
        (
            LevelChange(YES, Side.BUY, Price(4600), Size(0), "aa", Price(4550), Price(5000)),
            LevelChange(NO, Side.SELL, Price(5400), Size(12_250_000), "bb", None, None),
        ),
    ),
    "price_change_2024": LevelsSeen(
        RAIN,
        Micros(1_700_000_000_001_000),
        (
            LevelChange(YES, Side.SELL, Price(4000), Size(3300 * SHARE), "cc"),
            LevelChange(YES, Side.BUY, Price(3900), Size(SHARE), "cc"),
        ),
    ),
    "price_change_flat": LevelsSeen(
        RAIN,
        Micros(1_690_000_000_002_000),
        (LevelChange(YES, Side.BUY, Price(1230), Size(45_600_000), "dd"),),
    ),
    "last_trade_price": PrintSeen(
        token=YES,
        condition=RAIN,
        at=at(789),
        price=Price(4560),
        size=Size(19_217_767),
        taker_side=Side.SELL,
        fee_rate_bps=25,
        transaction="0xfeed",
    ),
    "tick_size_change": FINER,
    "best_bid_ask": TOUCH,
    "new_market": MarketListed(
        condition=RAIN,
        question="Will it rain in Ghent on Friday?",
        slug="rain-ghent-friday",
        tokens=(YES, NO),
        outcomes=("Yes", "No"),
        tick=Price(25),
        at=at(3000),
        event="ghent-weather",
        fees=FeeTerms(rate_ppm=50_000, rebate_ppm=250_000),
        tags=("weather",),
    ),
    "market_resolved": MarketResolved(
        condition=RAIN, tokens=(YES, NO), winning_token=NO, winning_outcome="No", at=at(4000)
    ),
    "order_placement": ORDER,
    "order_without_event_type": ORDER,
    "order_update": msgspec.structs.replace(
        ORDER,
        kind=OrderKind.UPDATE,
        size_matched=Size(4_500_000),
        status=OrderStatus.MATCHED,
        status_text="ORDER_STATUS_MATCHED",
        expiration=None,
    ),
    "order_cancellation": msgspec.structs.replace(
        ORDER,
        kind=OrderKind.CANCELLATION,
        status=OrderStatus.EXPIRED,
        status_text="CANCELED_EXPIRED_ORDER",
        created_at=None,
        expiration=None,
    ),
    "trade_matched": TRADE,
    "trade_failed": msgspec.structs.replace(
        TRADE, status=TradeStatus.FAILED, trader_side=TraderSide.TAKER, transaction="0xdead"
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_kind_of_event_is_read_exactly(name: str) -> None:
    assert only(message(name)) == EXPECTED[name]
    assert only(message(name).encode()) == EXPECTED[name]


def test_every_committed_message_is_asserted_somewhere() -> None:
    said = Path(__file__).read_text()
    assert all(f'"{path.stem}"' in said for path in MESSAGES.glob("*.json"))


def test_a_price_change_of_size_zero_removes_the_level() -> None:
    news = only(message("price_change"))
    assert isinstance(news, LevelsSeen)
    assert news.changes[0].size == 0


def test_a_price_of_zero_or_one_at_the_touch_means_that_nobody_is_there() -> None:
    news = only(changed("best_bid_ask", best_bid="0", best_ask="1"))
    assert isinstance(news, TouchSeen)
    assert (news.best_bid, news.best_ask) == (None, None)


def test_an_array_of_events_is_read_in_order_and_strangers_are_reported() -> None:
    parsed = parse_frame(message("array"))
    assert parsed.news == (TOUCH, FINER)
    assert parsed.unknown == ("weather_report",)
    assert parse_frame(f"[{message('best_bid_ask')},{message('tick_size_change')}]").news == (TOUCH, FINER)


@pytest.mark.parametrize("raw", ["[]", b"[]", "PONG", b"PONG", " PONG\n", " [ ] "])
def test_a_keepalive_and_an_empty_array_bring_no_news(raw: str | bytes) -> None:
    assert parse_frame(raw) == Parsed()


def test_an_object_without_a_type_is_reported_not_raised() -> None:
    assert parse_frame('{"hello": 1}').unknown == ("(no event_type)",)
    assert parse_frame('{"event_type": 7, "type": {}}').unknown == ("7",)


def test_an_unknown_reason_to_cancel_still_ends_the_order() -> None:
    news = only(changed("order_cancellation", status="CANCELED_order couldn't be fully filled."))
    assert isinstance(news, OrderSeen)
    assert (news.status, news.status_text) == (OrderStatus.CANCELED, "CANCELED_order couldn't be fully filled.")
    odd = only(changed("order_update", status="PONDERING"))
    assert isinstance(odd, OrderSeen)
    assert (odd.status, odd.status_text) == (OrderStatus.OTHER, "PONDERING")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("live", OrderStatus.LIVE),
        ("DELAYED", OrderStatus.DELAYED),
        ("unmatched", OrderStatus.UNMATCHED),
        ("INVALID", OrderStatus.INVALID),
        ("EXPIRED", OrderStatus.EXPIRED),
        ("CANCELED_MARKET_RESOLVED", OrderStatus.CANCELED),
        ("ORDER_STATUS_CANCELED", OrderStatus.CANCELED),
        ("", OrderStatus.OTHER),
    ],
)
def test_the_spellings_of_an_order_status_fold_into_one(text: str, status: OrderStatus) -> None:
    assert OrderStatus.of(text) is status


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1767225600", NEW_YEAR),
        (1767225600123, NEW_YEAR + 123_000),
        ("1767225600123456", NEW_YEAR + 123_456),
        ("1767225600123456789", NEW_YEAR + 123_456),
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        ("2026-01-01T01:00:00.000001+01:00", NEW_YEAR + 1),
        ("2026-01-01 00:00:00", NEW_YEAR),
    ],
)
def test_a_time_is_told_by_its_magnitude(text: str | int, microseconds: int) -> None:
    assert wire_fields.moment(text) == microseconds


# (message, changed fields, what the violation must say)
LEVEL = {"price": "0.5", "size": "1"}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("best_bid_ask", {"best_bid": "a lot"}, r"best_bid 'a lot' is not a number"),
    ("best_bid_ask", {"best_ask": "1.01"}, r"best_ask '1.01' is outside 0..1"),
    ("best_bid_ask", {"timestamp": "noon"}, r"timestamp 'noon' is not a time"),
    ("best_bid_ask", {"timestamp": -5}, r"timestamp -5 is not a time"),
    ("best_bid_ask", {"asset_id": ""}, r"asset_id"),
    ("last_trade_price", {"price": "0.45555"}, r"price.*0.45555.*finer than 1/10,000"),
    ("last_trade_price", {"price": "-0.1"}, r"price '-0.1' is outside 0..1"),
    ("last_trade_price", {"price": None}, r"price"),
    ("last_trade_price", {"price": "NaN"}, r"price 'NaN'"),
    ("last_trade_price", {"price": "1e999999999"}, r"price '1e999999999'"),
    ("last_trade_price", {"price": "0.50000000000000000000000000000000001"}, r"price '0.5000"),
    ("last_trade_price", {"size": "-3"}, r"size '-3' is negative"),
    ("last_trade_price", {"size": "0.0000001"}, r"size.*finer than 1/1,000,000"),
    ("last_trade_price", {"size": 1e12}, r"size 1000000000000.0 is too large"),
    ("last_trade_price", {"side": "HOLD"}, r"side 'HOLD' is neither BUY nor SELL"),
    ("last_trade_price", {"fee_rate_bps": "2.5"}, r"fee_rate_bps '2.5'"),
    ("tick_size_change", {"new_tick_size": "0.003"}, r"new_tick_size '0.003' does not divide"),
    ("tick_size_change", {"new_tick_size": "0"}, r"new_tick_size '0' does not divide"),
    ("book", {"bids": [LEVEL, {"price": "0.50", "size": "2"}]}, r"bids.price '0.5' is in the book twice"),
    ("book", {"asks": [{"price": "0.5"}]}, r"size.*asks"),
    ("book", {"asks": [{"price": "", "size": "1"}]}, r"asks.price ''"),
    ("book", {"bids": [{"price": "0.5", "size": "-1"}]}, r"bids.size '-1' is negative"),
    ("book", {"bids": None}, r"bids"),
    ("book", {"neg_risk": "perhaps"}, r"neg_risk"),
    ("price_change", {"price_changes": [{**LEVEL, "side": "BUY"}]}, r"asset_id is missing"),
    ("price_change", {"price_changes": [{**LEVEL, "asset_id": "1"}]}, r"side"),
    ("price_change", {"price_changes": [{**LEVEL, "asset_id": "1", "side": "buy"}]}, r"side 'buy'"),
    ("price_change_flat", {"size": None}, r"size is missing"),
    ("order_placement", {"type": "RUMOUR"}, r"type 'RUMOUR'"),
    ("order_placement", {"type": None}, r"type None"),
    ("order_placement", {"timestamp": None}, r"timestamp is missing"),
    ("order_placement", {"size_matched": "some"}, r"size_matched 'some'"),
    ("order_placement", {"side": ""}, r"side ''"),
    ("trade_matched", {"status": "SETTLED_MAYBE"}, r"status 'SETTLED_MAYBE'"),
    ("trade_matched", {"trader_side": "BOTH"}, r"trader_side 'BOTH'"),
    ("trade_matched", {"size": ""}, r"size ''"),
    ("trade_matched", {"maker_orders": [{"order_id": "1", "asset_id": "2", "price": "0.1"}]}, r"matched_amount"),
    ("new_market", {"order_price_min_tick_size": "fine"}, r"order_price_min_tick_size 'fine'"),
    ("new_market", {"fee_schedule": {"rate": 2}}, r"fee rate 2 is outside 0..1"),
]


@pytest.mark.parametrize(("name", "fields", "says"), REFUSED)
def test_a_malformed_event_is_refused_by_name_and_value(name: str, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ProtocolViolation, match=says):
        parse_frame(changed(name, **fields))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("book", "asks"),
        ("book", "timestamp"),
        ("price_change", "market"),
        ("last_trade_price", "price"),
        ("tick_size_change", "new_tick_size"),
        ("market_resolved", "winning_outcome"),
        ("order_placement", "original_size"),
        ("trade_matched", "maker_orders"),
        ("trade_matched", "status"),
    ],
)
def test_a_missing_field_is_named(name: str, field: str) -> None:
    with pytest.raises(ProtocolViolation, match=f"{field}"):
        parse_frame(without(name, field))


@pytest.mark.parametrize(
    "raw", ["", "null", "7", "HELLO", '{"event_type"', "[1]", b"\xff\xfe", '[{"event_type":"book"}]', "[" * 9999]
)
def test_what_is_no_frame_at_all_is_refused(raw: str | bytes) -> None:
    with pytest.raises(ProtocolViolation):
        parse_frame(raw)


# Laws


@given(st.integers(0, 10_000))
def test_a_formatted_price_reads_back_as_itself(value: int) -> None:
    assert wire_fields.price(format_price(Price(value))) == value
    assert wire_fields.price(value / 10_000) == value


@given(st.integers(0, 10**15))
def test_a_formatted_size_reads_back_as_itself(value: int) -> None:
    assert wire_fields.size(format_size(Size(value))) == value


NUMERALS = st.one_of(
    st.from_regex(r"[0-9]{0,20}\.?[0-9]{0,14}", fullmatch=True),
    st.decimals(0, 1, places=4).map(str),
    st.decimals(0, 10**9, places=6).map(str),
    st.text("0123456789.eE+-_ ", max_size=12),
    st.text(max_size=6),
)


@given(NUMERALS)
def test_the_fast_way_reads_what_the_exact_way_reads(text: str) -> None:
    for places, exact in ((4, parse_price), (6, parse_size)):
        fast = wire_fields.plain_decimal(text, places)
        assert fast is None or fast == exact(text)


@given(NUMERALS)
def test_a_number_is_read_exactly_or_refused(text: str) -> None:
    for read, exact in ((wire_fields.price, parse_price), (wire_fields.size, parse_size)):
        try:
            found = read(text)
        except ProtocolViolation:
            continue
        assert found == exact(text)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
EXTRAS = st.dictionaries(st.text(min_size=1).map(lambda name: f"x_{name}"), JSON, max_size=4)


@given(st.sampled_from(sorted(EXPECTED)), EXTRAS, st.randoms())
def test_unknown_fields_in_any_order_leave_the_news_unchanged(name: str, extras: dict[str, Any], random: Any) -> None:
    fields = [*json.loads(message(name)).items(), *extras.items()]
    random.shuffle(fields)
    assert only(json.dumps(dict(fields))) == EXPECTED[name]


SIDE_OF_BOOK = st.dictionaries(st.integers(1, 9999), st.integers(1, 10**12), max_size=8)


@given(SIDE_OF_BOOK, SIDE_OF_BOOK, st.randoms())
def test_a_book_reads_the_same_in_any_order_of_its_levels(
    bids: dict[int, int], asks: dict[int, int], random: Any
) -> None:
    def levels(side: dict[int, int]) -> list[dict[str, str]]:
        found = [{"price": format_price(Price(p)), "size": format_size(Size(s))} for p, s in side.items()]
        random.shuffle(found)
        return found

    news = only(changed("book", bids=levels(bids), asks=levels(asks)))
    assert isinstance(news, BookSeen)
    assert news.bids == tuple(sorted(bids.items(), reverse=True))
    assert news.asks == tuple(sorted(asks.items()))


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_no_bytes_raise_anything_but_a_protocol_violation(raw: bytes | str) -> None:
    with contextlib.suppress(ProtocolViolation):
        parse_frame(raw)


@given(st.sampled_from(sorted(EXPECTED)), st.data())
def test_no_damaged_event_raises_anything_but_a_protocol_violation(name: str, data: st.DataObject) -> None:
    fields = json.loads(message(name))
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(JSON)
    with contextlib.suppress(ProtocolViolation):
        parse_frame(json.dumps(fields))


def test_a_takers_trade_is_whole_without_its_makers() -> None:
    news = only(changed("trade_failed", maker_orders=None))
    assert isinstance(news, TradeSeen)
    assert (news.trader_side, news.maker_fills) == (TraderSide.TAKER, ())


# REST answers


def test_an_accepted_order_is_one_with_an_id_and_no_complaint() -> None:
    live = wire_orders.parse_order_answer(message("rest_order_live"))
    assert (live.verdict, live.order_id, live.status) == (Verdict.ACCEPTED, "0x0b1", OrderStatus.LIVE)
    assert (live.making, live.taking, live.trades) == (0, 0, ())


def test_success_with_an_error_text_is_a_rejection() -> None:
    refused = wire_orders.parse_order_answer(message("rest_order_rejected"))
    assert (refused.verdict, refused.order_id) == (Verdict.REJECTED, None)
    assert refused.reason == "invalid post-only order: order crosses book"


def test_an_unmatched_order_has_to_be_looked_up() -> None:
    unsure = wire_orders.parse_order_answer(message("rest_order_unmatched"))
    assert (unsure.verdict, unsure.status) == (Verdict.UNSURE, OrderStatus.UNMATCHED)
    assert (unsure.making, unsure.taking) == (2_600_000, 5_000_000)


def test_a_batch_is_answered_leg_by_leg() -> None:
    legs = wire_orders.parse_order_answers(f"[{message('rest_order_live')},{message('rest_order_rejected')}]")
    assert [leg.verdict for leg in legs] == [Verdict.ACCEPTED, Verdict.REJECTED]


def test_a_cancel_says_what_it_could_not_cancel() -> None:
    answer = wire_orders.parse_cancel_answer(message("rest_cancel"))
    assert answer == wire_orders.CancelAnswer(("0x0b1",), {"0x0b2": "order already matched"}, answer.said)
    assert "order already matched" in answer.said


def test_open_orders_come_in_shares_and_seconds() -> None:
    page = wire_orders.parse_open_orders(message("rest_open_orders"))
    assert page.next_cursor is None
    (order,) = page.rows
    assert (order.side, order.price, order.original_size, order.size_matched) == ("SELL", 5200, 10 * SHARE, 2 * SHARE)
    assert (order.created_at, order.expiration, order.trades) == (at(5000), None, ("trade-1",))
    assert (order.status, order.status_text, order.token) == (OrderStatus.LIVE, "ORDER_STATUS_LIVE", YES)


def test_an_empty_page_may_be_null() -> None:
    assert wire_orders.parse_open_orders('{"data": null, "next_cursor": "LTE="}') == wire_pages.Page((), says_last=True)
    assert wire_orders.parse_open_orders('{"data": []}').rows == ()


def test_own_trades_read_as_the_user_channel_tells_them() -> None:
    page = wire_orders.parse_own_trades(message("rest_own_trades"))
    assert page.next_cursor == "MTA="
    (row,) = page.rows
    assert row == msgspec.structs.replace(
        TRADE, status=TradeStatus.CONFIRMED, matched_at=Micros(NEW_YEAR + 6_123_456), at=at(7000), said=row.said
    )
    assert row.trade_id in row.said


def test_a_gamma_market_becomes_exact_terms() -> None:
    first, second = wire_gamma.parse_gamma_markets(message("gamma_markets"))
    assert first == Market(
        condition=RAIN,
        question="Will it rain in Ghent on Friday?",
        slug="rain-ghent-friday",
        yes=YES,
        no=NO,
        tick=Price(10),
        min_order_size=Size(5 * SHARE),
        fees=FeeTerms(rate_ppm=50_000, rebate_ppm=250_000),
        rewards=RewardTerms(min_size=Size(20 * SHARE), max_spread=Price(350), daily_rate=Cash(3_500_000)),
        ends_at=Micros(1_767_960_000_000_000),
        volume_24h=Cash(610_199_739),
        liquidity=Cash(12_000_000),
        neg_risk=True,
        event="ghent-weather",
    )
    assert (second.yes, second.no) == ("2001", "2002"), "protocol v2 trades position ids"
    assert (second.rewards, second.accepting_orders, second.settled_yes) == (None, False, 10_000)
    assert second.assumed == ("endDate", "feeSchedule"), "fees are charged but the object does not say how much"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"version": "v3"}, "version 'v3'"),
        ({"version": None, "clobTokenIds": None}, "version None"),
        ({"clobTokenIds": '["1001"]'}, "clobTokenIds"),
        ({"clobTokenIds": "oops"}, "clobTokenIds"),
        ({"outcomes": '["A", "B", "C"]'}, "outcomes"),
        ({"orderPriceMinTickSize": 0.003}, "orderPriceMinTickSize"),
        ({"rewardsMaxSpread": 0.001}, "rewards max spread"),
        ({"feeSchedule": {"rate": 0.00000005}}, "fee rate"),
        ({"endDate": "someday"}, "endDate"),
        ({"conditionId": None}, "conditionId"),
        ({"liquidityNum": -1}, "liquidityNum"),
    ],
)
def test_a_gamma_market_that_cannot_be_traded_by_is_refused(fields: dict[str, Any], says: str) -> None:
    market = json.loads(message("gamma_markets"))[0]
    with pytest.raises(ProtocolViolation, match=says):
        wire_gamma.parse_gamma_markets(json.dumps([{**market, **fields}]))


def test_a_gamma_page_ends_where_the_cursor_is_absent() -> None:
    page = wire_gamma.parse_gamma_page(f'{{"markets": {message("gamma_markets")}, "next_cursor": "abc"}}')
    assert (len(page.rows), page.next_cursor) == (2, "abc")
    assert wire_gamma.parse_gamma_page('{"markets": []}') == wire_pages.Page(())


def test_clob_listings_read_in_all_three_lengths() -> None:
    page = wire_markets.parse_clob_page(message("clob_markets"))
    (market,) = page.rows
    assert page.next_cursor is None
    assert (market.tick, market.ends_at, market.accepting_orders) == (100, None, True)
    assert market.rewards == RewardTerms(min_size=Size(200 * SHARE), max_spread=Price(350), daily_rate=Cash(30_000_000))
    short = wire_markets.parse_simplified_page(message("clob_simplified"))
    assert short.next_cursor == "MTAw"
    assert (short.rows[0].yes, short.rows[0].rewards, short.rows[0].accepting_orders) == (YES, None, False)
    (terms,) = wire_markets.parse_market_terms(message("clob_terms"))
    assert (terms.condition, terms.tick, terms.min_order_size) == (RAIN, 25, 5 * SHARE)
    assert terms.fees == FeeTerms(rate_ppm=70_000)
    assert (terms.reward_min_size, terms.reward_max_spread) == (100 * SHARE, 450)
    assert (terms.reward_min_age, terms.neg_risk) == (4_000_000, False)


def test_a_reward_listing_keeps_what_sponsors_pay_apart() -> None:
    page = wire_markets.parse_rewards_page(message("rewards_markets"))
    both, sponsored_only, native_only = page.rows
    assert (both.condition, both.sponsors, page.next_cursor) == ("0xrain", 2, None)
    assert both.rewards == RewardTerms(
        min_size=Size(20 * SHARE),
        max_spread=Price(350),
        daily_rate=Cash(10_500_000),
        sponsored_rate=Cash(2_250_000),
    )
    for row, native, sponsored in ((sponsored_only, 0, 7_000_000), (native_only, 4_500_000, 0)):
        assert row.rewards is not None
        assert (row.rewards.daily_rate, row.rewards.sponsored_rate) == (native, sponsored)


@pytest.mark.parametrize(
    ("fields", "pays"),
    [
        ({}, True),
        ({"native_daily_rate": 0}, False),
        ({"rewards_max_spread": 0}, False),
        ({"rewards_max_spread": None}, False),
    ],
)
def test_a_market_pays_rewards_with_a_spread_and_a_rate(fields: dict[str, Any], pays: bool) -> None:
    row = {"condition_id": "0x1", "rewards_max_spread": 3, "rewards_min_size": 20, "native_daily_rate": 5} | fields
    (read,) = wire_markets.parse_rewards_page(json.dumps([row])).rows
    assert (read.rewards is not None) is pays


def test_a_reward_listing_with_a_negative_rate_is_refused() -> None:
    row = {"condition_id": "0x1", "rewards_max_spread": 3, "native_daily_rate": 5, "sponsored_daily_rate": -1}
    with pytest.raises(ProtocolViolation, match="sponsored_daily_rate"):
        wire_markets.parse_rewards_page(json.dumps([row]))


def test_a_reported_trade_keeps_every_decimal_and_its_own_type() -> None:
    (trade,) = wire_prices.parse_reported_trades(message("data_api_trades"))
    assert (trade.size, trade.price) == (Decimal("24.21"), Decimal("0.7199998559995968"))
    assert (trade.at, trade.side, trade.event) == (at(8000), Side.BUY, "ghent-weather")


SMALL: list[tuple[Callable[[str], Any], str, Any]] = [
    (wire_prices.parse_midpoint, '{"mid": "0.00005"}', HalfPrice(1)),
    (wire_prices.parse_midpoint, '{"mid_price": 0.455}', HalfPrice(9100)),
    (wire_prices.parse_last_trade_price, '{"price": "0.5", "side": ""}', None),
    (
        wire_prices.parse_last_trade_price,
        '{"price": "0.45", "side": "SELL"}',
        wire_prices.LastTrade(Price(4500), Side.SELL),
    ),
    (
        wire_prices.parse_price_history,
        '{"history": [{"t": 1767225600, "p": 0.5}]}',
        (wire_prices.PricePoint(at(0), 0.5),),
    ),
    (wire_prices.parse_tick_size, '{"minimum_tick_size": 0.0025}', 25),
    (wire_prices.parse_neg_risk, '{"neg_risk": true}', True),
    (wire_prices.parse_fee_rate, '{"base_fee": "30"}', 30),
    (wire_prices.parse_fee_rate, '{"base_fee": 0}', 0),
    (wire_rest.parse_error, '{"error": "Too Many Requests"}', wire_rest.ErrorAnswer("Too Many Requests")),
    (wire_rest.parse_error, "<html>\n<b>no</b>", wire_rest.ErrorAnswer("<html>")),
    (
        wire_rest.parse_error,
        '{"error": "post-only mode", "code": "post_only_mode", "retry_after_seconds": 79}',
        wire_rest.ErrorAnswer("post-only mode", "post_only_mode", Micros(79_000_000)),
    ),
]


@pytest.mark.parametrize(("parse", "raw", "expected"), SMALL)
def test_small_answers_are_read_exactly(parse: Callable[[str], Any], raw: str, expected: Any) -> None:
    assert parse(raw) == expected


@pytest.mark.parametrize(
    ("parse", "raw", "says"),
    [
        (wire_prices.parse_midpoint, "{}", "mid is missing"),
        (wire_prices.parse_midpoint, '{"mid": "0.00001"}', "mid '0.00001'"),
        (wire_prices.parse_tick_size, '{"minimum_tick_size": 0.03}', "minimum_tick_size"),
        (wire_prices.parse_neg_risk, "{}", "neg_risk"),
        (wire_prices.parse_fee_rate, '{"base_fee": "0.5"}', "base_fee"),
        (wire_orders.parse_order_answer, "<html>", "order answer"),
        (wire_orders.parse_cancel_answer, "{}", "canceled"),
    ],
)
def test_a_small_answer_that_is_wrong_is_refused(parse: Callable[[str], Any], raw: str, says: str) -> None:
    with pytest.raises(ProtocolViolation, match=says):
        parse(raw)


# The checksum


def test_a_book_is_whole_when_its_own_hash_says_so() -> None:
    book = only(message("book"))
    assert isinstance(book, BookSeen)
    assert not is_whole(book, tick=Price(50), min_order_size=Size(5 * SHARE), neg_risk=True)
    said = book_hash(book, tick=Price(50), min_order_size=Size(5 * SHARE), neg_risk=True, last_trade_price="0.460")
    sealed = msgspec.structs.replace(book, hash=said)
    assert is_whole(sealed, tick=Price(50), min_order_size=Size(5 * SHARE), neg_risk=True)
    holed = msgspec.structs.replace(sealed, bids=book.bids[1:])
    assert not is_whole(holed, tick=Price(50), min_order_size=Size(5 * SHARE), neg_risk=True)


def test_a_last_trade_price_is_hashed_with_three_decimals() -> None:
    assert [last_trade_text(Price(p)) for p in (8600, 10, 4815, 10_000, 0)] == [
        "0.860",
        "0.001",
        "0.4815",
        "1.000",
        "0.000",
    ]
