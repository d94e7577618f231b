"""What SatoriEx says and what it means to us: numbers, tokens, orders without ids, fees (V1-V3)."""

import json
from typing import Any

import httpx
import pytest
import trio

from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.common.secret import Secret
from pmrun.plugins.exchanges.satori.credentials import one_time_code, read_credentials, required
from pmrun.plugins.exchanges.satori.errors_table import HALTS, Reaction, rule
from pmrun.plugins.exchanges.satori.life import OrderLife
from pmrun.plugins.exchanges.satori.rest import Lost, Rejected, Rest
from pmrun.plugins.exchanges.satori.terms import FEES
from pmrun.plugins.exchanges.satori.wire import parse_order
from pmrun.plugins.exchanges.satori.wire_frames import parse_frame
from pmrun.plugins.exchanges.satori.wire_markets import parse_book, parse_market
from pmrun.runner.errors import ConfigError, ProtocolViolation
from pmrun.runner.facts import Filled, OrderNews
from pmrun.runner.intents import Place, Reason
from pmrun.runner.market import ConditionId, MarketNo, Outcome, TokenId
from pmrun.runner.orders import News, OrderNo, Purpose
from pmrun.runner.units import SECOND, Micros, Price, Side, Size

NOW = Micros(1_790_000_000_000_000)
URL = "http://memory/api/v1"


def order(**more: Any) -> bytes:
    """Return an order as the exchange writes it."""
    row = {
        "id": "o1",
        "market_id": "m1",
        "outcome_id": "m1-yes",
        "side": 1,
        "price": 4200,
        "quantity": 100,
        "filled_quantity": 0,
        "status": "open",
        "cancel_reason": None,
        "created_at": NOW // 1_000,
        "updated_at": NOW // 1_000,
    }
    return json.dumps({**row, **more}).encode()


def record(no: int = 1, at: Micros = NOW, quantity: int = 100) -> Record:
    """Return an order of ours that is about to be sent."""
    place = Place(
        at,
        OrderNo(no),
        MarketNo(0),
        Outcome.YES,
        Side.BUY,
        Price(4_200),
        Size(quantity * 10**6),
        Purpose.QUOTE,
        True,
        Reason("x"),
    )
    return Record(place, "", TokenId("m1-yes"), at)


def fill(trade: str = "t1", order_id: str = "o1", quantity: int = 100, **more: Any) -> str:
    """Return the frame of a fill."""
    row = {"id": trade, "price": 4200, "quantity": quantity, "fee_e6": 0, "rebate_e6": 21, "liquidity": "maker"}
    whole = json.loads(order(id=order_id, filled_quantity=quantity, status="partial" if quantity < 100 else "filled"))
    return json.dumps(
        {"type": "order_filled", "order_id": order_id, "trade": {**row, "timestamp": 1, **more}, "order": whole}
    )


# Numbers.


@pytest.mark.parametrize(
    ("status", "code", "reaction", "proven"),
    [
        (400, 3001, Reaction.FUNDS, True),
        (400, 5002, Reaction.REGRID, True),
        (400, 5004, Reaction.BUG, True),
        (409, 5007, Reaction.NOT_TRADING, True),
        (400, 5008, Reaction.HOLDINGS, True),
        (403, 2025, Reaction.TWO_FACTOR, True),
        (401, 2002, Reaction.RENEW, True),
        (429, 1029, Reaction.RETRY_LATER, True),
        (500, 50000, Reaction.LOOK_UP, False),
        (400, 777, Reaction.HALT_MARKET, False),  # nobody knows it: nothing is proven, and the market rests
        (502, None, Reaction.LOOK_UP, False),
        (403, 777, Reaction.ACCOUNT, True),
    ],
)
def test_each_number_has_its_reaction_and_an_unknown_one_proves_nothing(status, code, reaction, proven):
    ruling = rule(status, code)
    assert (ruling.reaction, ruling.proven) == (reaction, proven)


def test_what_halts_says_its_cure():
    assert all(rule(403, code).cure for code in (2001, 2002, 2025, 2030, 5004, 777))
    assert {rule(403, 2025).reaction, rule(400, 5004).reaction} <= HALTS


async def test_nobody_branches_on_the_sentence():
    said = iter(["余额不足", "Your balance is too low", "残高が不足しています", ""])

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"code": 3001, "msg": next(said), "data": None})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        rest = Rest(http, URL, lambda: NOW, required({"SATORI_TOKEN": "pat_1"}))
        for _ in range(4):
            found = await rest.place(record().place, ConditionId("m1"), TokenId("m1-yes"))
            assert isinstance(found, Rejected)
            assert found.reaction is Reaction.FUNDS


# Words that do not fit.


@pytest.mark.parametrize(
    "broken", [{"status": "resting"}, {"side": 3}, {"price": 10_000}, {"quantity": -1}, {"price": 1.5}]
)
def test_an_order_that_does_not_fit_is_refused_and_not_guessed_at(broken):
    with pytest.raises(ProtocolViolation):
        parse_order(order(**broken))


def test_a_frame_of_an_unknown_type_is_counted_and_one_that_cannot_be_read_is_a_violation():
    assert parse_frame('{"type":"weather","x":1}').unknown == ("weather",)
    for text in ("[]", "{}", '{"type":"order_filled"}', '{"type":"market_status","status":"paused","market_id":"m1"}'):
        with pytest.raises(ProtocolViolation):
            parse_frame(text)


def test_books_are_whole_shares_in_basis_points_best_first():
    raw = {
        "market_id": "m1",
        "outcome_id": "m1-yes",
        "bids": [[4100, 5], [4200, 7]],
        "asks": [[4400, 1]],
        "timestamp": 9,
    }
    book = parse_book(json.dumps(raw).encode())
    assert book.bids == ((4_200, 7_000_000), (4_100, 5_000_000))
    assert book.at == 9_000


def test_a_market_lists_its_fees_and_takes_no_post_only_orders():
    raw = {
        "id": "m1",
        "question": "?",
        "outcomes": [{"id": "m1-yes", "name": "Yes"}, {"id": "m1-no", "name": "No"}],
        "status": "open",
        "seller_fee_bps": 150,
        "maker_rebate_bps": 5,
    }
    market = parse_market(json.dumps(raw).encode(), True).market
    assert market.fees == FEES
    assert not market.post_only
    assert (market.min_order_size, market.size_step, market.min_take) == (1_000_000, 1_000_000, 0)


# Fees.


def test_the_seller_pays_on_the_proceeds_and_the_maker_is_paid_on_the_notional_each_fill_by_itself():
    one, price = Size(1_000_000), Price(3_333)
    assert FEES.charged(Side.SELL, price, one, maker=False) == 5_000  # 4,999.5 rounded up
    assert FEES.charged(Side.BUY, price, one, maker=False) == 0
    assert FEES.charged(Side.BUY, price, one, maker=True) == -166  # 166.65 rounded down
    assert FEES.charged(Side.SELL, price, one, maker=True) == 5_000 - 166


# Orders without an id.


def test_a_fill_before_the_answer_waits_for_the_name_and_then_counts_once():
    life, mine = OrderLife(), record()
    life.send(mine)
    for news in parse_frame(fill(quantity=40)).own:
        told = life.fill_seen(news, NOW) if hasattr(news, "trade_id") else life.order_seen(news, NOW)
        assert told == []
    facts = life.answered(mine, parse_order(order(status="pending")), NOW)
    assert [fact.size for fact in facts if isinstance(fact, Filled)] == [40_000_000]
    assert [fact.news for fact in facts if isinstance(fact, OrderNews)] == [News.ACCEPTED, News.RESTING]
    for news in parse_frame(fill(quantity=40)).own:
        assert (life.fill_seen(news, NOW) if hasattr(news, "trade_id") else life.order_seen(news, NOW)) == []


def test_a_lost_order_is_the_one_with_its_terms_that_was_not_there_before_and_is_nobody_else_s():
    life, mine = OrderLife(), record()
    life.order_seen(parse_order(order(id="old")), Micros(NOW - SECOND))  # there before it was sent
    life.send(mine)
    life.lost(mine, "timeout", NOW)
    life.order_seen(parse_order(order(id="dearer", price=4300)), NOW)
    life.order_seen(parse_order(order(id="earlier", created_at=(NOW - 10 * SECOND) // 1_000)), NOW)
    assert mine.order_id == ""
    life.order_seen(parse_order(order(id="it")), NOW)
    assert mine.order_id == "it"


def test_while_a_twin_is_unanswered_nobody_guesses_which_of_the_two_was_lost():
    life, first, second = OrderLife(), record(1), record(2)
    life.send(first)
    life.send(second)
    life.lost(first, "timeout", NOW)
    life.order_seen(parse_order(order(id="a")), NOW)
    assert first.order_id == "", "it may be the second's"
    life.answered(second, parse_order(order(id="a")), NOW)
    assert (first.order_id, second.order_id) == ("", "a")
    life.order_seen(parse_order(order(id="b")), NOW)
    assert first.order_id == "b"


def test_an_order_that_failed_validation_has_never_been_and_one_that_rested_has():
    for status, news in (("pending", News.REJECTED), ("open", News.CANCELED)):
        life, mine = OrderLife(), record()
        life.send(mine)
        life.answered(mine, parse_order(order(status=status)), NOW)
        (told,) = life.order_seen(parse_order(order(status="cancelled", cancel_reason="validation")), NOW)
        assert told.news is news


@pytest.mark.parametrize(
    ("cause", "said"), [("admin", "admin"), ("market_resolved", "resolved"), ("whim", "does not say")]
)
def test_why_an_order_was_cancelled_is_kept_apart(cause, said):
    life, mine = OrderLife(), record()
    life.send(mine)
    life.answered(mine, parse_order(order()), NOW)
    (told,) = life.order_seen(parse_order(order(status="cancelled", cancel_reason=cause)), NOW)
    assert told.news is News.CANCELED
    assert said in told.reason


def test_an_order_given_up_that_arrives_after_all_is_found_again_and_has_to_go():
    life, mine = OrderLife(), record()
    life.send(mine)
    life.lost(mine, "timeout", NOW)
    for after in (11, 12):
        life.missing(mine, Micros(NOW + after * SECOND))
    assert not mine.in_play
    life.order_seen(parse_order(order(id="late")), Micros(NOW + 13 * SECOND))
    assert life.undead == {"late": mine}


# Tokens.


class Exchange:
    """Answers logins and refreshes, and takes one token at a time."""

    def __init__(self) -> None:
        self.good = "jwt-1"
        self.calls: list[str] = []
        self.number = 1

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a call after a while."""
        path = request.url.path.removeprefix("/api/v1")
        self.calls.append(path)
        await trio.sleep(0.1)
        if path in ("/auth/login", "/auth/refresh"):
            self.number += path == "/auth/refresh"
            self.good = f"jwt-{self.number}"
            data = {"access_token": self.good, "refresh_token": f"rt-{self.number}", "expires_in": 900}
            return httpx.Response(200, json={"code": 0, "msg": "ok", "data": data})
        if request.headers.get("authorization") != f"Bearer {self.good}":
            return httpx.Response(401, json={"code": 2002, "msg": "期限切れ", "data": None})
        if request.method == "POST":
            placed = {"order": json.loads(order(status="pending")), "trades": []}
            return httpx.Response(202, json={"code": 0, "msg": "ok", "data": placed})
        return httpx.Response(200, json={"code": 0, "msg": "ok", "data": {"id": "u1"}})


LOGIN = {"SATORI_EMAIL": "anne@example.com", "SATORI_PASSWORD": "secret"}


async def test_a_token_that_runs_out_in_a_burst_is_renewed_once_and_no_order_is_sent_twice(autojump_clock):
    there = Exchange()
    async with httpx.AsyncClient(transport=httpx.MockTransport(there.answer)) as http:
        rest = Rest(http, URL, lambda: Micros(NOW + int(trio.current_time() * SECOND)), required(LOGIN))
        await rest.me()
        there.good = "nobody's"
        answers: list[object] = []

        async def place() -> None:
            answers.append(await rest.place(record().place, ConditionId("m1"), TokenId("m1-yes")))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(place)
    assert not any(isinstance(each, (Rejected, Lost)) for each in answers)
    assert there.calls.count("/auth/refresh") == 1
    assert there.calls.count("/auth/login") == 1
    assert there.calls.count("/orders") == 10, "five that were proven not to be taken, and five that were"


async def test_a_personal_token_that_is_refused_halts_and_says_what_to_set(autojump_clock):
    there = Exchange()
    async with httpx.AsyncClient(transport=httpx.MockTransport(there.answer)) as http:
        rest = Rest(http, URL, lambda: NOW, required({"SATORI_TOKEN": "pat_old"}))
        found = await rest.place(record().place, ConditionId("m1"), TokenId("m1-yes"))
    assert isinstance(found, Rejected)
    assert found.reaction in HALTS
    assert "SATORI_TOKEN" in found.reason
    assert there.calls == ["/orders"]


def test_one_time_codes_are_those_of_the_standard():
    secret = Secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")  # RFC 6238, appendix B
    assert one_time_code(secret, Micros(59 * SECOND)) == "287082"
    assert one_time_code(secret, Micros(1_111_111_109 * SECOND)) == "081804"
    assert one_time_code(Secret("123456"), NOW) == "123456"


@pytest.mark.parametrize(
    "environment",
    [
        {"SATORI_TOKEN": "hush hush"},
        {"SATORI_EMAIL": "a@b.c"},
        {"SATORI_TOTP": "hush"},
        {**LOGIN, "SATORI_TOTP": "h0sh!"},
    ],
)
def test_credentials_that_cannot_be_are_named_and_never_shown(environment):
    with pytest.raises(ConfigError, match="SATORI_") as caught:
        read_credentials(environment)
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(read_credentials({"SATORI_TOKEN": "hush"}))
