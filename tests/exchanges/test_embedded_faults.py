"""The script of faults: each one alone against a few lines of exchange, and the laws of all of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pmrun.plugins.exchanges.embedded.fault_acts import (
    Disconnect,
    FailSettlement,
    Resolve,
    RetrySettlement,
    SetStatus,
    SetTick,
)
from pmrun.plugins.exchanges.embedded.fault_script import load_script, read_script
from pmrun.plugins.exchanges.embedded.fault_terms import OF_POLYMARKET, OF_SATORI, TERMS, Name
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.plugins.exchanges.polymarket.wire import parse_frame
from pmrun.plugins.exchanges.polymarket.wire_orders import (
    Verdict,
    parse_open_orders,
    parse_order_answer,
    parse_own_trades,
)
from pmrun.plugins.exchanges.polymarket.wire_rest import parse_error
from pmrun.runner.errors import ConfigError, ProtocolViolation
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import ConditionId, Market, TokenId
from pmrun.runner.units import SECOND, Micros, Price, Size, seconds

START = Micros(1_780_000_000_000_000)
KEY = {"poly_api_key": "f4f247b7-4ac7-ff29-a152-04fda0a8755a"}


def market(number: int) -> Market:
    return Market(
        condition=ConditionId(f"0x{number:064x}"),
        question=f"Market {number} (simulated)",
        slug=f"market-{number}",
        yes=TokenId(f"{number}1"),
        no=TokenId(f"{number}2"),
        tick=Price(100),
        min_order_size=Size(5_000_000),
        simulated=True,
    )


class StandIn:
    """Three markets, the middle one without bids."""

    markets = tuple(market(number) for number in range(3))

    def levels(self, number):
        asks = ((Price(5200), Size(10_000_000)),)
        return (() if number == 1 else ((Price(5000), Size(10_000_000)),)), asks


def after(offset: float) -> Micros:
    return Micros(START + seconds(offset))


def script(*entries: dict, seed: int = 0) -> Faults:
    faults = Faults(read_script(list(entries)), seed)
    faults.bind(StandIn())
    return faults


def started(*entries: dict, seed: int = 0) -> Faults:
    faults = script(*entries, seed=seed)
    assert faults.advance(START) == []
    return faults


def order(post_only: bool = True) -> dict:
    return {"order": {"salt": 1}, "orderType": "GTC", "postOnly": post_only}


def post(post_only: bool = True) -> Request:
    return Request(method="POST", path="/order", headers=KEY, body=json.dumps(order(post_only)).encode())


def batch(*post_only: bool) -> Request:
    body = json.dumps([order(one) for one in post_only]).encode()
    return Request(method="POST", path="/orders", headers=KEY, body=body)


CANCEL = Request(method="DELETE", path="/order", headers=KEY, body=b'{"orderID":"0xaa"}')
ORDERS = Request(method="GET", path="/data/orders", headers=KEY)
TRADES = Request(method="GET", path="/data/trades", headers=KEY)
BOOK = Request(method="GET", path="/book", query={"token_id": ["01"]})
BEAT = Request(method="POST", path="/v1/heartbeats", headers=KEY, body=b'{"heartbeat_id":""}')


def as_json(message: object) -> Reply:
    return Reply(body=json.dumps(message).encode(), headers={"content-type": "application/json"})


TAKEN = as_json({"success": True, "errorMsg": "", "orderID": "0xaa", "status": "live", "makingAmount": ""})
NOT_TAKEN = as_json({"success": True, "errorMsg": "invalid nonce", "orderID": "", "status": ""})
CANCELED = as_json({"canceled": ["0xaa"], "not_canceled": {"0xbb": "Order not found"}})


def open_order(order_id: str = "0xaa") -> dict:
    return {
        "id": order_id,
        "market": market(0).condition,
        "asset_id": "01",
        "owner": "me",
        "side": "BUY",
        "price": "0.5",
        "original_size": "10",
        "size_matched": "0",
        "status": "LIVE",
        "created_at": 1780000000,
        "order_type": "GTC",
    }


def trade(trade_id: str = "t1", status: str = "MATCHED") -> dict:
    return {
        "event_type": "trade",
        "type": "TRADE",
        "id": trade_id,
        "taker_order_id": "0xcc",
        "market": market(0).condition,
        "asset_id": "01",
        "side": "SELL",
        "size": "10",
        "price": "0.5",
        "status": status,
        "trader_side": "TAKER",
        "owner": "me",
        "maker_orders": [],
        "timestamp": "1780000000000",
    }


def page(*rows: dict, cursor: str = "LTE=") -> Reply:
    return as_json({"limit": 100, "count": len(rows), "next_cursor": cursor, "data": list(rows)})


def order_frame(status: str = "LIVE") -> str:
    event = open_order() | {"event_type": "order", "type": "PLACEMENT", "status": status, "timestamp": "1780000000000"}
    return json.dumps(event)


def book_frame(number: int = 0) -> str:
    return json.dumps(
        {
            "event_type": "book",
            "asset_id": f"{number}1",
            "market": market(number).condition,
            "bids": [{"price": "0.48", "size": "30"}],
            "asks": [{"price": "0.52", "size": "25"}],
            "timestamp": "1780000000000",
            "hash": "ab",
        }
    )


def change_frame(number: int = 0) -> str:
    change = {"asset_id": f"{number}1", "price": "0.5", "size": "2", "side": "BUY", "hash": "ab"}
    return json.dumps(
        {
            "event_type": "price_change",
            "market": market(number).condition,
            "timestamp": "1780000000000",
            "price_changes": [change],
        }
    )


def serve(faults: Faults, call: Request, at: float, reply: Reply = TAKEN) -> tuple[Reply, bool]:
    """One call as the host serves it: what the caller gets, and whether the engine did it."""
    moment = after(at)
    answered = faults.before(call, moment)
    return faults.after(call, answered or reply, moment), answered is None


def texts(faults: Faults, channel: str, frame: str, at: float) -> list[str]:
    return [text for _, text in faults.frames(channel, frame, after(at))]


def error(reply: Reply) -> str:
    return parse_error(reply.body).message


# Laws of all faults.


@given(at=st.integers(0, 10_000), count=st.integers(0, 15))
def test_without_a_script_nothing_is_ever_changed(at, count):
    faults = Faults()
    faults.bind(StandIn())
    for now in (after(0), after(at)):
        assert faults.advance(now) == []
        assert faults.next_due(now) is None
        assert faults.before(post(), now) is None
        assert faults.legs(count, now) == [None] * count
        assert faults.after(post(), TAKEN, now) is TAKEN
        assert faults.frames("user", order_frame(), now) == [(0, order_frame())]
        assert faults.clock(now) == now
    assert not faults.fired


def a_session(seed: int) -> tuple[list, dict]:
    """A busy quarter of an hour under everything."""
    faults = Faults.load("everything", seed)
    faults.bind(StandIn())
    seen: list = []
    for tick in range(3_600):
        at = tick / 4
        seen += faults.advance(after(at))
        seen.append(
            serve(faults, (post(), CANCEL, ORDERS, BEAT)[tick % 4], at, (TAKEN, CANCELED, page(open_order()))[tick % 3])
        )
        seen.append(faults.frames(("market", "user")[tick % 2], (book_frame(), order_frame())[tick % 2], after(at)))
        seen.append(faults.legs(3, after(at)))
        seen.append(faults.clock(after(at)))
    return seen, dict(faults.fired)


def test_the_same_seed_and_calls_give_the_same_faults():
    assert a_session(5) == a_session(5)
    assert a_session(5) != a_session(6)


def test_nothing_happens_before_the_first_advance():
    faults = script({"fault": "lost_before", "at": 0, "for": 100}, {"fault": "gap", "chance": 1})
    assert faults.next_due(after(3)) == after(3)
    assert faults.before(post(), after(3)) is None
    assert texts(faults, "user", order_frame(), 3) == [order_frame()]
    faults.advance(after(10))
    assert faults.before(post(), after(10)) is not None
    assert texts(faults, "user", order_frame(), 10) == []


@given(opens=st.integers(0, 500), lasts=st.integers(1, 500), at=st.integers(0, 1_100))
def test_a_window_opens_and_closes_on_the_second(opens, lasts, at):
    faults = started({"fault": "rate_limited", "at": opens, "for": lasts})
    _, reached = serve(faults, post(), at)
    assert reached is not (opens <= at < opens + lasts)
    for edge, closed in ((opens, False), (opens + lasts, True)):
        faults = started({"fault": "rate_limited", "at": opens, "for": lasts})
        assert (faults.before(post(), after(edge)) is None) is closed
        assert faults.before(post(), Micros(after(edge) - 1)) is None or closed


@given(every=st.integers(12, 100), jitter=st.integers(0, 5), seed=st.integers(0, 9))
def test_windows_come_again_within_their_jitter(every, jitter, seed):
    faults = started({"fault": "rate_limited", "every": every, "jitter": jitter, "for": 1}, seed=seed)
    bitten = [at for at in range(every * 5 + every // 2) if not serve(faults, post(), at)[1]]
    assert len(bitten) == 5
    assert all(abs(at - every * (number + 1)) <= jitter + 1 for number, at in enumerate(bitten))


def test_a_fault_without_a_window_bites_once_each_time_it_is_due():
    faults = started({"fault": "lost_before", "every": 10})
    assert [serve(faults, post(), at)[1] for at in (5, 10, 11, 35, 36, 39, 40)] == [
        True,
        False,
        True,
        False,
        True,
        True,
        False,
    ]
    assert faults.fired == {"lost_before": 3}


def test_a_window_counts_once_and_one_with_nothing_to_bite_on_not_at_all():
    faults = started({"fault": "rate_limited", "every": 100, "for": 10})
    for at in (100, 101, 102, 250, 300):
        serve(faults, post(), at)
    assert faults.fired["rate_limited"] == 2
    assert faults.silent == ()


def test_a_fault_fires_at_most_as_often_as_its_times():
    faults = started(
        {"fault": "gap", "chance": 1, "times": 2}, {"fault": "rate_limited", "every": 10, "for": 5, "times": 1}
    )
    assert [len(texts(faults, "user", order_frame(), at)) for at in (1, 2, 3)] == [0, 0, 1]
    assert [serve(faults, post(), at)[1] for at in (10, 12, 20, 30)] == [False, False, True, True]
    assert faults.fired == {"gap": 2, "rate_limited": 1}


def test_a_chance_may_open_a_window():
    faults = started({"fault": "lost_before", "chance": 1, "for": 5, "times": 1})
    assert [serve(faults, post(), at)[1] for at in (7, 11.9, 12)] == [False, False, True]


def test_a_chance_is_about_as_frequent_as_it_says():
    faults = started({"fault": "gap", "chance": 0.1})
    passed = sum(len(texts(faults, "market", book_frame(), at / 100)) for at in range(2_000))
    assert 1_700 < passed < 1_900
    assert faults.fired["gap"] == 2_000 - passed


def test_the_first_fault_of_the_script_that_bites_answers():
    faults = started({"fault": "disabled", "at": 0, "for": 9}, {"fault": "rate_limited", "at": 0, "for": 9})
    assert serve(faults, post(), 1)[0].status == 503
    assert faults.fired == {"disabled": 1}
    assert faults.silent == ("rate_limited",)


# Sockets.


def test_a_frozen_socket_says_nothing_but_pong():
    faults = started({"fault": "freeze", "at": 10, "for": 30, "where": {"channel": "market"}})
    assert [len(texts(faults, "market", book_frame(), at)) for at in (9, 10, 39, 40)] == [1, 0, 0, 1]
    assert texts(faults, "market", "PONG", 20) == ["PONG"]
    assert texts(faults, "user", order_frame(), 20) == [order_frame()]
    assert faults.fired == {"freeze": 1}


def test_a_socket_opened_during_a_freeze_is_not_frozen():
    faults = started({"fault": "freeze", "at": 10, "for": 30})
    faults.opened("market#1", after(1))
    faults.opened("market#2", after(12))
    assert texts(faults, "market#1", book_frame(), 13) == []
    assert texts(faults, "market#2", book_frame(), 13) == [book_frame()]


def test_a_gap_can_be_aimed_at_one_market_and_one_event():
    faults = started({"fault": "gap", "at": 0, "for": 9, "where": {"market": 1, "event": "price_change"}})
    assert texts(faults, "market", change_frame(1), 1) == []
    assert texts(faults, "market", change_frame(0), 1) == [change_frame(0)]
    assert texts(faults, "market", book_frame(1), 1) == [book_frame(1)]


def test_a_frame_comes_twice():
    faults = started({"fault": "duplicate", "at": 5, "by": 3})
    assert faults.frames("user", order_frame(), after(6)) == [(0, order_frame()), (seconds(3), order_frame())]
    assert texts(faults, "user", order_frame(), 7) == [order_frame()]


def test_a_frame_is_overtaken_by_the_next_and_then_counted():
    faults = started({"fault": "reorder", "at": 5, "by": 0.5})
    [(late, _)] = faults.frames("user", "1", after(5))
    assert late == seconds(0.5)
    assert not faults.fired
    assert faults.frames("user", "2", after(5.1)) == [(0, "2")]
    assert faults.fired == {"reorder": 1}


def test_a_held_frame_that_nothing_overtakes_is_not_counted():
    faults = started({"fault": "reorder", "at": 5, "by": 0.5})
    faults.frames("user", "1", after(5))
    faults.frames("user", "2", after(6))
    assert not faults.fired


@given(st.lists(st.integers(0, 4_000), max_size=40), st.integers(1, 3_000))
def test_delayed_frames_keep_their_order(gaps, late):
    faults = started({"fault": "delay", "at": 5, "for": 20, "by": late / 1000, "where": {"channel": "user"}})
    now, arrivals = 0, []
    for gap in gaps:
        now += gap
        [(extra, _)] = faults.frames("user", order_frame(), after(now / 1000))
        assert 0 <= extra <= late * 1000
        arrivals.append(now * 1000 + extra)
    assert arrivals == sorted(arrivals)


def test_an_answer_comes_late():
    faults = started({"fault": "delay", "at": 5, "by": 2, "where": {"path": "/data/*"}})
    assert serve(faults, post(), 6)[0].delay == 0
    assert serve(faults, ORDERS, 6, page())[0].delay == seconds(2)
    assert texts(faults, "user", order_frame(), 6) == [order_frame()]


def test_a_socket_is_closed_at_its_moment():
    faults = started({"fault": "disconnect", "at": 10, "where": {"channel": "user"}})
    texts(faults, "user", order_frame(), 1)
    assert faults.next_due(after(1)) == after(10)
    assert faults.advance(after(9)) == []
    assert faults.advance(after(11)) == [Disconnect("user", 1012, "simulated fault: disconnect")]
    assert faults.next_due(after(11)) is None
    assert faults.fired == {"disconnect": 1}


def test_closing_sockets_that_never_spoke_is_not_counted():
    faults = started({"fault": "disconnect", "at": 10, "where": {"channel": "user"}})
    assert len(faults.advance(after(10))) == 1
    assert not faults.fired


def test_a_burst_is_cut_in_the_middle():
    faults = started({"fault": "disconnect", "at": 10, "burst": 2, "code": 1001})
    faults.advance(after(10))
    assert [len(texts(faults, "market#3", book_frame(), 11)) for _ in range(5)] == [1, 1, 0, 0, 0]
    assert texts(faults, "market#4", book_frame(), 11) == [book_frame()]
    assert faults.next_due(after(11)) == after(11)
    assert faults.advance(after(11)) == [Disconnect("market#3", 1001, "simulated fault: disconnect")]
    assert faults.fired == {"disconnect": 1}
    assert texts(faults, "market#3", book_frame(), 12) == [book_frame()]


# Answers.


def test_a_server_error_is_ambiguous_the_engine_may_have_done_it():
    faults = started({"fault": "server_error", "at": 0, "for": 500})
    replies = [serve(faults, post(), at) for at in range(40)]
    assert {reply.status for reply, _ in replies} == {500}
    assert {reached for _, reached in replies} == {True, False}
    assert all(error(reply) != "order timed out" for reply, reached in replies if reached)


@pytest.mark.parametrize(("reached", "engine"), [("never", False), ("always", True)])
def test_a_server_error_can_be_told_whether_the_engine_did_it(reached, engine):
    faults = started({"fault": "server_error", "at": 0, "reached": reached, "sentence": "could not insert order"})
    reply, done = serve(faults, post(), 1)
    assert (reply.status, error(reply), done) == (500, "could not insert order", engine)
    assert serve(faults, post(), 2) == (TAKEN, True)


def test_a_gateway_answers_in_html():
    faults = started({"fault": "server_error", "at": 0, "status": 502, "reached": "never"})
    reply, _ = serve(faults, post(), 1)
    assert (reply.status, reply.headers["content-type"]) == (502, "text/html")
    assert error(reply) == "<html>"


def test_a_restart_refuses_everything_and_then_takers_for_two_minutes():
    faults = started({"fault": "restarting", "at": 10, "for": 60, "retry_after": 2})
    reply, _ = serve(faults, CANCEL, 10)
    assert (reply.status, reply.headers["retry-after"]) == (425, "2")
    assert serve(faults, ORDERS, 20, page())[1]
    assert serve(faults, post(), 69)[0].status == 425
    assert serve(faults, post(post_only=True), 70)[1]
    assert serve(faults, CANCEL, 70, CANCELED)[1]
    reply, _ = serve(faults, post(post_only=False), 100)
    said = json.loads(reply.body)
    assert (reply.status, said["code"], said["retry_after_seconds"]) == (503, "post_only_mode", 90)
    assert serve(faults, post(post_only=False), 190)[1]
    assert faults.fired == {"restarting": 1}


def test_post_only_mode_judges_each_leg_of_a_batch():
    faults = started({"fault": "post_only", "at": 0, "for": 60})
    assert faults.before(batch(True, False), after(1)) is None
    assert [leg is None for leg in faults.legs(2, after(1))] == [True, False]
    faults.after(batch(True, False), TAKEN, after(1))
    assert faults.before(batch(True, True), after(2)) is None
    assert faults.legs(2, after(2)) == [None, None]


def test_too_many_requests():
    faults = started({"fault": "rate_limited", "at": 0, "retry_after": 3})
    reply, _ = serve(faults, post(), 1)
    assert (reply.status, reply.headers["retry-after"], error(reply)) == (429, "3", "Too Many Requests")


def test_cancel_only_takes_cancels_and_disabled_takes_nothing():
    faults = started({"fault": "cancel_only", "at": 0, "for": 10}, {"fault": "disabled", "at": 10, "for": 10})
    assert error(serve(faults, post(), 1)[0]).startswith("Trading is currently cancel-only.")
    assert serve(faults, CANCEL, 1, CANCELED) == (CANCELED, True)
    assert error(serve(faults, CANCEL, 11)[0]).startswith("Trading is currently disabled.")
    assert serve(faults, BEAT, 11)[1]


def test_an_answer_is_lost_only_when_the_order_was_taken():
    faults = started({"fault": "lost_after_accept", "at": 0})
    assert serve(faults, post(), 1, NOT_TAKEN) == (NOT_TAKEN, True)
    assert serve(faults, post(), 2, Reply(status=400)) == (Reply(status=400), True)
    assert serve(faults, post(), 3) == (replace(TAKEN, lost=True), True)


def test_the_answer_to_a_cancel_is_lost():
    faults = started({"fault": "lost_after_accept", "at": 0, "where": {"method": "DELETE"}})
    assert serve(faults, post(), 1) == (TAKEN, True)
    assert serve(faults, CANCEL, 1, CANCELED) == (replace(CANCELED, lost=True), True)


def test_a_request_is_lost_before_it_arrives():
    faults = started({"fault": "lost_before", "at": 0})
    reply, reached = serve(faults, post(), 1)
    assert reply.lost
    assert not reached


@given(count=st.integers(0, 15), seed=st.integers(0, 50))
def test_some_legs_of_a_batch_fail_never_all(count, seed):
    faults = started({"fault": "partial_batch", "at": 0, "sentence": "could not insert order"}, seed=seed)
    legs = faults.legs(count, after(1))
    assert len(legs) == count
    assert faults.fired["partial_batch"] == (count >= 2)
    if count >= 2:
        assert set(legs) == {None, "could not insert order"}


def test_a_snapshot_is_as_old_as_it_says():
    faults = started({"fault": "stale_snapshot", "at": 100, "for": 100, "age": 5})
    now, old, older = (page(open_order(name)) for name in ("0xcc", "0xbb", "0xaa"))
    serve(faults, ORDERS, 90, older)
    serve(faults, ORDERS, 95, old)
    assert serve(faults, TRADES, 100, now)[0] == now
    assert serve(faults, ORDERS, 102, now)[0].body == old.body
    assert serve(faults, ORDERS, 104, now)[0].body == old.body
    assert serve(faults, ORDERS, 107, now)[0].body == now.body
    assert faults.fired == {"stale_snapshot": 1}


def test_a_snapshot_is_never_somebody_elses():
    faults = started({"fault": "stale_snapshot", "at": 0, "for": 100})
    serve(faults, ORDERS, 1, page(open_order()))
    other = replace(ORDERS, headers={"poly_api_key": "another"})
    assert serve(faults, other, 50, page())[0] == page()
    assert not faults.fired


def test_a_page_has_fewer_rows_than_it_counts():
    faults = started({"fault": "incomplete_page", "at": 0, "kind": "short"})
    assert serve(faults, ORDERS, 1, page())[0] == page()
    found = json.loads(serve(faults, ORDERS, 2, page(open_order(), open_order("0xbb")))[0].body)
    assert (found["count"], len(found["data"]), found["next_cursor"]) == (2, 1, "LTE=")


def follow(faults: Faults, kind: str) -> tuple[Request, list[dict]]:
    rows = [open_order("0xaa"), open_order("0xbb")]
    found = json.loads(serve(faults, ORDERS, 1, page(*rows))[0].body)
    assert found["next_cursor"] != "LTE="
    return replace(ORDERS, query={"next_cursor": [found["next_cursor"]]}), found["data"]


def test_a_cursor_leads_nowhere():
    faults = started({"fault": "incomplete_page", "at": 0, "kind": "cursor"})
    call, rows = follow(faults, "cursor")
    assert len(rows) == 1
    for _ in range(3):
        reply, reached = serve(faults, call, 2)
        assert not reached
        assert parse_open_orders(reply.body).rows == ()
        assert json.loads(reply.body)["next_cursor"] == call.query["next_cursor"][0]


def test_the_second_page_fails():
    faults = started({"fault": "incomplete_page", "at": 0, "kind": "second_page"})
    call, _ = follow(faults, "second_page")
    assert serve(faults, call, 2)[0].status == 500


@pytest.mark.parametrize(("kind", "reached", "status"), [("error", False, 500), ("lost", False, 504)])
def test_heartbeats_do_not_arrive(kind, reached, status):
    faults = started({"fault": "heartbeat_loss", "at": 0, "kind": kind})
    reply, done = serve(faults, BEAT, 1)
    assert (done, reply.status, reply.lost) == (reached, status, kind == "lost")
    assert serve(faults, post(), 2)[1]


def test_the_answer_to_a_heartbeat_is_lost():
    faults = started({"fault": "heartbeat_loss", "at": 0, "kind": "lost_answer"})
    reply, done = serve(faults, BEAT, 1, as_json({"heartbeat_id": "one"}))
    assert done
    assert reply.lost


def test_a_heartbeat_is_called_stale_with_the_id_that_is_expected():
    faults = started({"fault": "heartbeat_loss", "at": 0, "kind": "invalid"})
    assert serve(faults, BEAT, 1, as_json({"heartbeat_id": "one"}))[1]
    reply, done = serve(faults, BEAT, 2)
    assert not done
    assert reply.status == 400
    assert json.loads(reply.body) == {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": "one"}


@pytest.mark.parametrize("by", [5, -2.5])
def test_the_clock_is_wrong_for_a_while(by):
    faults = started({"fault": "clock_skew", "at": 10, "for": 20, "by": by})
    assert [faults.clock(after(at)) - after(at) for at in (9, 10, 29, 30)] == [0, by * SECOND, by * SECOND, 0]
    assert faults.fired == {"clock_skew": 1}


# Acts.


def test_a_ghost_fill_is_counted_when_a_trade_has_failed():
    faults = started({"fault": "ghost_fill", "at": 10})
    assert faults.advance(after(10)) == [FailSettlement(1)]
    texts(faults, "user", json.dumps(trade()), 11)
    assert not faults.fired
    for _ in range(2):
        texts(faults, "user", json.dumps([trade(status="FAILED")]), 12)
    texts(faults, "user", json.dumps(trade("t2", "FAILED")), 13)
    assert faults.fired == {"ghost_fill": 1}


def test_a_failed_trade_that_only_rest_tells_of_is_counted_too():
    faults = started({"fault": "ghost_fill", "at": 1}, {"fault": "gap", "at": 0, "for": 100})
    faults.advance(after(1))
    serve(faults, TRADES, 20, page(trade(status="TRADE_STATUS_FAILED")))
    assert faults.fired["ghost_fill"] == 1


def test_a_trade_needs_a_second_try():
    faults = started({"fault": "retrying_trade", "at": 10, "count": 2})
    assert faults.advance(after(10)) == [RetrySettlement(2)]
    texts(faults, "user", json.dumps(trade(status="RETRYING")), 12)
    texts(faults, "user", json.dumps(trade("t2", "RETRYING")), 12)
    assert faults.fired == {"retrying_trade": 2}


def test_a_tick_changes_and_changes_back():
    faults = started({"fault": "tick_change", "at": 10, "for": 30, "where": {"market": 2}})
    assert faults.advance(after(10)) == [SetTick(2, Price(10))]
    assert faults.next_due(after(10)) == after(40)
    assert faults.advance(after(40)) == [SetTick(2, Price(100))]
    assert faults.fired == {"tick_change": 1}


def test_a_tick_that_is_there_already_is_no_change():
    faults = started({"fault": "tick_change", "every": 10, "tick": 0.001, "where": {"market": 0}})
    assert faults.advance(after(40)) == [SetTick(0, Price(10))]
    assert faults.fired == {"tick_change": 1}


def test_a_halted_market_trades_again():
    faults = started({"fault": "halted", "at": 10, "for": 30, "where": {"market": 1}})
    assert faults.advance(after(10)) == [SetStatus(1, MarketStatus.HALTED)]
    assert faults.advance(after(39)) == []
    assert faults.advance(after(40)) == [SetStatus(1, MarketStatus.TRADING)]


def test_an_advance_that_comes_late_hands_out_everything_in_order():
    faults = started(
        {"fault": "halted", "every": 100, "for": 30, "where": {"market": 0}},
        {"fault": "tick_change", "at": 120, "where": {"market": 1}},
    )
    kinds = [type(act).__name__ for act in faults.advance(after(230))]
    assert kinds == ["SetStatus", "SetTick", "SetStatus", "SetStatus", "SetStatus"]


@given(st.integers(0, 100))
def test_markets_with_a_whole_book_are_chosen_and_resolved_once(seed):
    faults = started({"fault": "resolved", "every": 10}, seed=seed)
    acts = faults.advance(after(100))
    assert all(isinstance(act, Resolve) and act.settled_yes in (0, 10_000) for act in acts)
    assert [act.market for act in acts[2:]] == [1]
    assert sorted(act.market for act in acts) == [0, 1, 2]
    assert faults.fired == {"resolved": 3}


def test_a_resolved_market_stays_as_it_is():
    faults = started(
        {"fault": "resolved", "at": 20, "settled": 1, "where": {"market": 0}},
        {"fault": "tick_change", "at": 10, "for": 30, "where": {"market": 0}},
        {"fault": "halted", "at": 30, "where": {"market": 0}},
    )
    assert faults.advance(after(100)) == [SetTick(0, Price(10)), Resolve(0, Price(10_000))]


# Schema drift, as the adapter reads it.


def test_unknown_fields_everywhere_change_nothing_that_is_read():
    faults = started({"fault": "new_field", "at": 0, "for": 60})
    frame = json.dumps([json.loads(book_frame()), json.loads(change_frame()), json.loads(order_frame()), trade()])
    [changed] = texts(faults, "market", frame, 1)
    assert changed.count("simulated_new_field") == 7
    assert parse_frame(changed) == parse_frame(frame)
    reply, _ = serve(faults, ORDERS, 2, page(open_order()))
    assert reply.body != page(open_order()).body
    (order,), (before,) = parse_open_orders(reply.body).rows, parse_open_orders(page(open_order()).body).rows
    assert replace(order, said="") == replace(before, said=""), "all but the words themselves"
    assert "simulated_new_field" in order.said
    reply, _ = serve(faults, CANCEL, 2, CANCELED)
    assert json.loads(reply.body)["not_canceled"] == {"0xbb": "Order not found"}
    assert faults.fired == {"new_field": 1}


def test_an_unknown_event_comes_beside_what_is_known():
    faults = started({"fault": "new_enum", "at": 0, "kind": "event"})
    unknown, known = texts(faults, "market", book_frame(), 1)
    assert known == book_frame()
    assert parse_frame(unknown).unknown == ("simulated_auction",)


@pytest.mark.parametrize(
    ("kind", "frame"),
    [("order_kind", order_frame()), ("trade_status", json.dumps(trade()))],
)
def test_an_unknown_word_about_money_is_refused_not_guessed(kind, frame):
    faults = started({"fault": "new_enum", "at": 0, "kind": kind})
    assert texts(faults, "market", book_frame(), 1) == [book_frame()]
    [changed] = texts(faults, "user", frame, 2)
    with pytest.raises(ProtocolViolation, match="SIMULATED_"):
        parse_frame(changed)


def test_an_unknown_status_of_an_order_is_kept_as_text():
    faults = started({"fault": "new_enum", "at": 0, "for": 9, "kind": "order_status"})
    [changed] = texts(faults, "user", order_frame(), 1)
    assert parse_frame(changed).news[0].status_text == "SIMULATED_PAUSED"
    reply, _ = serve(faults, ORDERS, 2, page(open_order()))
    assert parse_open_orders(reply.body).rows[0].status == "OTHER"


def test_an_unknown_answer_to_an_order_has_to_be_looked_up():
    faults = started({"fault": "new_enum", "at": 0, "kind": "answer_status"})
    assert serve(faults, post(), 1, NOT_TAKEN) == (NOT_TAKEN, True)
    reply, _ = serve(faults, post(), 2)
    assert parse_order_answer(reply.body).verdict is Verdict.UNSURE


def test_an_unknown_status_of_a_trade_in_a_page_is_refused():
    faults = started({"fault": "new_enum", "at": 0, "kind": "trade_status", "where": {"path": "/data/*"}})
    reply, _ = serve(faults, TRADES, 1, page(trade()))
    with pytest.raises(ProtocolViolation, match="SIMULATED_REORGANISED"):
        parse_own_trades(reply.body)


# Scripts.


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("freeze", "fault 1=freeze: a mapping with the key fault is allowed"),
        ({"fault": "freez", "at": 1}, "fault 1: fault=freez: one of freeze, gap, "),
        ({"fault": "gap", "at": 1, "fro": 2}, "fault 1 (gap): fro=2: unknown key; known: fault, at, every,"),
        ({"fault": "gap"}, "fault 1 (gap): trigger: exactly one of at, every, chance is allowed"),
        ({"fault": "gap", "at": 1, "every": 2}, "fault 1 (gap): at and every: exactly one of at, every, chance"),
        ({"fault": "halted", "chance": 0.5}, "fault 1 (halted): chance: exactly one of at, every is allowed"),
        ({"fault": "gap", "at": -1}, "fault 1 (gap): at=-1: a number of seconds from 0 to 604800 is allowed"),
        ({"fault": "gap", "at": True}, "fault 1 (gap): at=True: a number of seconds"),
        ({"fault": "gap", "at": float("nan")}, "fault 1 (gap): at=nan: a number of seconds"),
        ({"fault": "gap", "every": 0}, "fault 1 (gap): every=0: a number of seconds from 0.001"),
        ({"fault": "gap", "at": 1, "jitter": 2}, "fault 1 (gap): jitter=2: only beside every"),
        ({"fault": "gap", "every": 10, "jitter": 6}, "fault 1 (gap): jitter=6: half of every=10 at most is allowed"),
        ({"fault": "gap", "every": 10, "for": 11}, "fault 1 (gap): every=10: 11 seconds at least"),
        ({"fault": "restarting", "every": 100, "for": 30}, "fault 1 (restarting): every=100: 150 seconds at least"),
        ({"fault": "gap", "chance": 1.5}, "fault 1 (gap): chance=1.5: a probability above 0, 1 at most, is allowed"),
        ({"fault": "gap", "at": 1, "times": 0}, "fault 1 (gap): times=0: a whole number from 1 to 1000000 is allowed"),
        ({"fault": "resolved", "at": 1, "for": 3}, "fault 1 (resolved): for=3: it happens at one moment"),
        (
            {"fault": "gap", "at": 1, "where": {"path": "/order"}},
            "fault 1 (gap): where.path=/order: channel, event, market",
        ),
        (
            {"fault": "gap", "at": 1, "where": {"channel": "both"}},
            "fault 1 (gap): where.channel=both: one of market, user",
        ),
        ({"fault": "lost_before", "at": 1, "where": {"path": "order"}}, "where.path=order: a path that starts with /"),
        ({"fault": "halted", "at": 1, "where": {"market": 1.5}}, "where.market=1.5: a whole number from 0"),
        (
            {"fault": "delay", "at": 1, "where": {"path": "/x", "channel": "user"}},
            "either calls (path, method) or frames",
        ),
        ({"fault": "delay", "at": 1, "by": 0}, "fault 1 (delay): by=0: a number of seconds from 0.001 to 3600"),
        ({"fault": "tick_change", "at": 1, "tick": 0.02}, "tick=0.02: one of 0.1, 0.01, 0.005,"),
        ({"fault": "clock_skew", "at": 1, "by": 0}, "by=0: a number of seconds from -3600 to 3600 is allowed, not 0"),
    ],
)
def test_a_script_that_cannot_be_is_refused_in_one_line(entry, says):
    with pytest.raises(ConfigError) as refused:
        read_script([entry])
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_number_of_the_wrong_fault_is_said():
    with pytest.raises(ConfigError, match=r"^fault 2 \(gap\): at=-1: "):
        read_script([{"fault": "gap", "at": 1}, {"fault": "gap", "at": -1}])


def test_a_fault_cannot_be_aimed_at_a_market_that_is_not_there():
    faults = Faults(read_script([{"fault": "halted", "at": 1, "where": {"market": 3}}]))
    with pytest.raises(ConfigError, match=r"fault 1 \(halted\): where.market=3: a market from 0 to 2 is allowed"):
        faults.bind(StandIn())


def test_the_script_of_everything_names_every_fault_within_two_hours():
    found = load_script("everything")
    assert {fault.name for fault in found} == set(Name) - OF_SATORI == set(TERMS) - OF_SATORI
    assert all((fault.at or 0) + (fault.length or 0) < seconds(7200) for fault in found)
    assert all((fault.every or 0) < seconds(3600) for fault in found)


def test_the_script_of_satori_names_every_fault_that_fits_its_protocol_within_half_an_hour():
    found = load_script("satori")
    assert {fault.name for fault in found} == set(Name) - OF_POLYMARKET
    assert all((fault.at or 0) + (fault.length or 0) < seconds(1800) for fault in found)


def test_a_script_is_a_file_or_a_name(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("- {fault: gap, every: 60, jitter: 5}\n")
    assert [fault.name for fault in Faults.load(path).script] == ["gap"]
    for text, says in (
        ("{", "not YAML"),
        ("fault: gap", "a list of faults is allowed, this is dict"),
        ("", "this is nothing"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=says):
            load_script(path)
    with pytest.raises(ConfigError, match="a readable YAML file or one of everything, satori is allowed"):
        load_script("nothing")
