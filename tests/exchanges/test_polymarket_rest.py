"""Every call has its deadline, every order call one of three outcomes, and no secret gets out."""

import base64
import gc
import hashlib
import hmac
import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
import trio
from order_words import unsaid

from pmrun.plugins.exchanges.common.calls import Exchanged, Kind
from pmrun.plugins.exchanges.common.secret import Secret
from pmrun.plugins.exchanges.polymarket.budget import Budget
from pmrun.plugins.exchanges.polymarket.credentials import ApiKey
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction
from pmrun.plugins.exchanges.polymarket.outcomes import CallFailed, IncompleteSnapshot, Lost, Rejected
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.signing import SignedOrder, Signer
from pmrun.plugins.exchanges.polymarket.transport import Urls
from pmrun.plugins.exchanges.polymarket.wire_orders import CancelAnswer, OrderAnswer, Verdict
from pmrun.runner.errors import ConfigError, ProtocolViolation
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import SECOND, Micros, Price, Side, Size

START = 1_795_226_314 * SECOND
SHARE = 1_000_000
TOKEN = TokenId("71321045679252212594626385532706912750332728571942532289631379312455583992563")
POSITION = TokenId(str((1 << 248) | (0xABCDEF << 104) | 1))
CONDITION = ConditionId("0x" + "c0" * 32)
URLS = Urls(clob="http://clob.test", gamma="http://gamma.test", data="http://data.test", geoblock="http://geo.test")

PRIVATE_KEY = "c3a5" * 16
API_SECRET = base64.urlsafe_b64encode(b"canary of the API secret").decode()
PASSPHRASE = "canary-of-the-passphrase"
CANARIES = (PRIVATE_KEY, API_SECRET, PASSPHRASE, str(bytes.fromhex(PRIVATE_KEY))[2:-1])
SIGNER = Signer(Secret("0x" + PRIVATE_KEY))
API_KEY = ApiKey("f4f247b7-4ac7-ff29-a152-04fda0a8755a", Secret(API_SECRET), Secret(PASSPHRASE))

HANGS = trio.sleep_forever
RESTING = {"errorMsg": "", "makingAmount": "", "takingAmount": "", "status": "live", "success": True}


class Reply(msgspec.Struct):
    body: Any = b""
    status: int = 200
    headers: dict[str, str] = {}
    after: float = 0


Answering = Reply | Exception | Callable[..., Any]


class Exchange:
    """Answers each path with what it was told to, one after another; the last answer stays."""

    def __init__(self) -> None:
        self.calls: list[httpx.Request] = []
        self.times: list[float] = []
        self.audited: list[Exchanged] = []
        self._says: dict[str, list[Answering]] = {}

    def says(self, call: str, *answers: Answering) -> None:
        self._says[call] = list(answers)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        self.times.append(trio.current_time())
        answers = self._says[f"{request.method} {request.url.path}"]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer() if answer is not HANGS else await HANGS()
        if isinstance(answer, Exception):
            raise answer
        await trio.sleep(answer.after)
        raw = answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)
        return httpx.Response(answer.status, content=raw, headers=answer.headers)

    def sent(self) -> list[str]:
        return [f"{call.method} {call.url.path}" for call in self.calls]

    def body(self, number: int = -1) -> Any:
        return json.loads(self.calls[number].content)


def now() -> Micros:
    return Micros(START + round(trio.current_time() * SECOND))


@asynccontextmanager
async def rest_of(
    exchange: Exchange, signer: Signer | None = SIGNER, key: ApiKey | None = API_KEY
) -> AsyncIterator[Rest]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(exchange.handle)) as http:
        yield Rest(http, URLS, signer, key, Budget(now), now, exchange.audited.append, chance=lambda: 0.0)


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
async def rest(exchange: Exchange, autojump_clock: trio.testing.MockClock) -> AsyncIterator[Rest]:
    async with rest_of(exchange) as made:
        yield made


def order(number: int = 1, **other: Any) -> SignedOrder:
    terms = (TOKEN, Side.BUY, Price(5200), Size(10 * SHARE), Price(100), False)
    return SIGNER.order(*terms, at=Micros(START), salt=number, **other)


def orders(count: int) -> list[tuple[SignedOrder, bool]]:
    return [(order(number), True) for number in range(count)]


def refusal(message: str, status: int = 400, **other: Any) -> Reply:
    return Reply({"error": message} | other, status)


# Orders.


async def test_an_order_goes_out_as_the_exchange_wants_it_and_rests(exchange, rest, autojump_clock):
    signed = order()
    exchange.says("POST /order", Reply(RESTING | {"orderID": signed.order_id}))
    [placed] = await rest.place([(signed, True)])
    assert isinstance(placed, OrderAnswer)
    assert (placed.verdict, placed.order_id) == (Verdict.ACCEPTED, signed.order_id)
    assert exchange.body() == {
        "deferExec": False,
        "order": signed.order,
        "orderType": "GTC",
        "owner": API_KEY.key,
        "postOnly": True,
    }
    [call] = exchange.calls
    text = f"{START // SECOND}POST/order".encode() + call.content
    expected = hmac.new(base64.urlsafe_b64decode(API_SECRET), text, hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(call.headers["POLY_SIGNATURE"]) == expected
    assert call.headers["POLY_ADDRESS"] == SIGNER.address
    assert call.headers["POLY_PASSPHRASE"] == PASSPHRASE
    assert call.headers["POLY_TIMESTAMP"] == str(START // SECOND)


NOT_TAKEN = [
    (400, "Invalid order payload", Reaction.HALT),
    (400, "order_version_mismatch", Reaction.RESIGN),
    (400, "invalid order version", Reaction.RESIGN),
    (400, "the order owner has to be the owner of the API KEY", Reaction.HALT),
    (400, "the order signer address has to be the address of the API KEY", Reaction.HALT),
    (400, "'0xaa' address banned", Reaction.HALT),
    (400, "'0xaa' address in closed only mode", Reaction.STOP_OPENING),
    (400, "order 0xaa is invalid. Price (0.525) breaks minimum tick size rule: 0.01", Reaction.REGRID),
    (400, "order 0xaa is invalid. Size (1) lower than the minimum: 5", Reaction.REGRID),
    (400, "invalid post-only order: order crosses book", Reaction.REPRICE),
    (400, "order 0xaa crosses the book", Reaction.REPRICE),
    (400, "not enough balance / allowance", Reaction.FUNDS),
    (400, "not enough balance / allowance: the allowance is not enough -> spender: 0xaa", Reaction.FUNDS),
    (400, "invalid nonce", Reaction.RESIGN),
    (400, "invalid expiration", Reaction.RESIGN),
    (400, "order couldn't be fully filled. FOK orders are fully filled or killed.", Reaction.UNMATCHED),
    (
        400,
        "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.",
        Reaction.UNMATCHED,
    ),
    (400, "the market is not yet ready to process new orders", Reaction.RETRY_LATER),
    (400, "order canceled in the CTF exchange contract", Reaction.RESIGN),
    (400, "Too many orders in payload: 20, max allowed: 15", Reaction.HALT),
    (400, "Invalid token id", Reaction.HALT_MARKET),
    (400, "Invalid side", Reaction.HALT),
    (400, "invalid signature", Reaction.HALT),
    (400, "Payload exceeds the limit", Reaction.HALT),
    (400, "maker address not allowed, please use the deposit wallet flow", Reaction.HALT),
    (401, "Unauthorized/Invalid api key", Reaction.HALT),
    (401, "Invalid L1 Request headers", Reaction.HALT),
    (401, "something new about credentials", Reaction.HALT),
    (403, "Trading restricted in your region", Reaction.HALT),
    (404, "No orderbook exists for the requested token id", Reaction.HALT_MARKET),
    (404, "market not found", Reaction.HALT_MARKET),
    (425, "the engine is restarting", Reaction.RETRY_LATER),
    (429, "Too Many Requests", Reaction.RETRY_LATER),
    (500, "order timed out", Reaction.RETRY_LATER),
    (503, "Trading is currently disabled. Check polymarket.com for updates", Reaction.RETRY_LATER),
    (
        503,
        "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.",
        Reaction.CANCEL_ONLY,
    ),
    (503, "post-only mode: only post-only orders and cancels are allowed", Reaction.POST_ONLY),
]
UNKNOWN = [
    (400, "order 0xaa is invalid. Duplicated.", Reaction.DUPLICATE),
    (400, "order match delayed due to market conditions", Reaction.LOOK_UP),
    (400, "context canceled", Reaction.LOOK_UP),
    (500, "could not insert order", Reaction.LOOK_UP),
    (500, "the trade contains rounding issues", Reaction.LOOK_UP),
    (500, "there are no matching orders", Reaction.LOOK_UP),
    (
        500,
        "the price of the taker's order has a discrepancy greater than allowed with the worst maker order",
        Reaction.LOOK_UP,
    ),
    (500, "Internal server error", Reaction.LOOK_UP),
    (500, "a sentence nobody has seen", Reaction.LOOK_UP),
    (503, "a sentence nobody has seen", Reaction.LOOK_UP),
    (400, "a sentence nobody has seen", Reaction.HALT_MARKET),
    (404, "some other thing not found", Reaction.HALT_MARKET),
    (418, "", Reaction.HALT_MARKET),
]


@pytest.mark.parametrize(("status", "sentence", "reaction"), NOT_TAKEN)
async def test_a_refusal_that_the_exchange_documents_proves_that_nothing_rests(
    exchange, rest, autojump_clock, status, sentence, reaction
):
    exchange.says("POST /order", refusal(sentence, status))
    [placed] = await rest.place(orders(1))
    assert placed == Rejected(
        reason=sentence, reaction=reaction, status=status, said=json.dumps({"error": sentence}, separators=(",", ":"))
    )
    assert len(exchange.calls) == 1


@pytest.mark.parametrize(("status", "sentence", "reaction"), UNKNOWN)
async def test_any_other_failure_leaves_the_order_to_be_looked_up_and_is_not_sent_again(
    exchange, rest, autojump_clock, status, sentence, reaction
):
    exchange.says("POST /order", refusal(sentence, status))
    [placed] = await rest.place(orders(1))
    assert isinstance(placed, Lost)
    assert (placed.reaction, placed.status) == (reaction, status)
    assert sentence in placed.why
    assert len(exchange.calls) == 1


@pytest.mark.parametrize(
    ("reply", "outcome", "reaction"),
    [
        (Reply(b"<html><title>403 Forbidden</title></html>", 403), Rejected, Reaction.HALT),
        (Reply(b"<html>error code: 1015</html>", 429), Rejected, Reaction.RETRY_LATER),
        (Reply(b"<html>502 Bad Gateway</html>", 502), Lost, Reaction.LOOK_UP),
        (Reply(b"<html>503</html>", 503), Lost, Reaction.LOOK_UP),
        (Reply(b"<html>404</html>", 404), Lost, Reaction.HALT_MARKET),
        (Reply(b"", 302, {"location": "http://elsewhere.test/"}), Lost, Reaction.LOOK_UP),
        (Reply(b"<html>all is well</html>"), Lost, Reaction.HALT_MARKET),
        (Reply(b'{"succ'), Lost, Reaction.HALT_MARKET),
        (Reply([RESTING]), Lost, Reaction.HALT_MARKET),
        (httpx.ReadError("broken"), Lost, Reaction.LOOK_UP),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), Lost, Reaction.LOOK_UP),
        (httpx.WriteError("broken"), Lost, Reaction.LOOK_UP),
        (trio.BrokenResourceError("broken"), Lost, Reaction.LOOK_UP),
        (OSError("no buffer space"), Lost, Reaction.LOOK_UP),
        (httpx.ConnectError("[Errno 111] Connection refused"), Rejected, Reaction.RETRY_LATER),
    ],
)
async def test_pages_of_html_and_broken_connections_are_judged_too(
    exchange, rest, autojump_clock, reply, outcome, reaction
):
    exchange.says("POST /order", reply)
    [placed] = await rest.place(orders(1))
    assert isinstance(placed, outcome)
    assert placed.reaction is reaction
    assert len(exchange.calls) == 1


async def test_an_order_that_is_not_answered_in_time_is_lost_and_sent_once(exchange, rest, autojump_clock):
    exchange.says("POST /order", HANGS)
    [placed] = await rest.place(orders(1))
    assert placed == Lost(why="no answer within 5 s")
    assert trio.current_time() == pytest.approx(5)
    assert len(exchange.calls) == 1


async def test_a_status_that_nobody_knows_makes_an_order_unsure(exchange, rest, autojump_clock):
    signed = order()
    exchange.says("POST /order", Reply(RESTING | {"orderID": signed.order_id, "status": "queued"}))
    [placed] = await rest.place([(signed, True)])
    assert isinstance(placed, OrderAnswer)
    assert placed.verdict is Verdict.UNSURE


async def test_an_order_that_the_exchange_calls_otherwise_stops_everything(exchange, rest, autojump_clock):
    exchange.says("POST /order", Reply(RESTING | {"orderID": "0x" + "ab" * 32}))
    [placed] = await rest.place(orders(1))
    assert isinstance(placed, Lost)
    assert placed.reaction is Reaction.HALT
    assert "we computed 0x" in placed.why


async def test_capitals_in_an_order_id_make_no_difference(exchange, rest, autojump_clock):
    signed = order()
    exchange.says("POST /order", Reply(RESTING | {"orderID": "0x" + signed.order_id[2:].upper()}))
    [placed] = await rest.place([(signed, True)])
    assert isinstance(placed, OrderAnswer)
    assert placed.order_id == signed.order_id


def leg(error: str) -> dict[str, Any]:
    return RESTING | {"orderID": "", "status": "", "errorMsg": error}


async def test_each_leg_of_a_batch_has_its_own_outcome(exchange, rest, autojump_clock):
    sent = orders(4)
    exchange.says(
        "POST /orders",
        Reply(
            [
                RESTING | {"orderID": sent[0][0].order_id},
                leg("not enough balance / allowance"),
                leg("order 0xaa is invalid. Duplicated."),
                leg("a sentence nobody has seen"),
            ]
        ),
    )
    first, second, third, fourth = await rest.place(sent)
    assert isinstance(first, OrderAnswer)
    assert unsaid(second) == Rejected(reason="not enough balance / allowance", reaction=Reaction.FUNDS, status=200)
    assert unsaid(third) == Lost(why="order 0xaa is invalid. Duplicated.", reaction=Reaction.DUPLICATE, status=200)
    assert unsaid(fourth) == Lost(why="a sentence nobody has seen", reaction=Reaction.HALT_MARKET, status=200)
    assert [each["order"]["salt"] for each in exchange.body()] == [0, 1, 2, 3]


async def test_a_batch_answered_in_part_or_out_of_order_is_told_apart_by_ids(exchange, rest, autojump_clock):
    sent = orders(3)
    answers = [RESTING | {"orderID": sent[number][0].order_id} for number in (2, 0)]
    exchange.says("POST /orders", Reply(answers), Reply([*answers, leg("not enough balance / allowance")]))
    for _ in range(2):
        first, second, third = await rest.place(sent)
        assert isinstance(first, OrderAnswer)
        assert second == Lost(why="the answer to a batch does not name this order")
        assert isinstance(third, OrderAnswer)
        assert (first.order_id, third.order_id) == (sent[0][0].order_id, sent[2][0].order_id)


async def test_a_whole_batch_is_refused_or_lost_together(exchange, rest, autojump_clock):
    exchange.says("POST /orders", refusal("the engine is restarting", 425), HANGS)
    assert [type(each) for each in await rest.place(orders(3))] == [Rejected] * 3
    await trio.sleep(2)
    assert [type(each) for each in await rest.place(orders(3))] == [Lost] * 3


async def test_more_orders_than_a_batch_holds_and_post_only_orders_that_take_are_mistakes(
    exchange, rest, autojump_clock
):
    for wrong in (orders(16), [], [(order(time_in_force="FAK"), True)]):
        with pytest.raises(ValueError, match=r"orders in one call|cannot be post-only"):
            await rest.place(wrong)
    assert exchange.calls == []


async def test_places_over_the_budget_are_shed_without_a_call(exchange, rest, autojump_clock):
    assert rest.budget.try_order(50)
    [placed, *_] = await rest.place(orders(15))
    assert isinstance(placed, Rejected)
    assert (placed.status, placed.reaction) == (None, Reaction.RETRY_LATER)
    assert exchange.calls == []


async def test_after_a_429_nothing_is_sent_until_the_exchange_allows_it(exchange, rest, autojump_clock):
    signed = order()
    exchange.says(
        "POST /order",
        Reply({"error": "Too Many Requests"}, 429, {"Retry-After": "3"}),
        Reply(RESTING | {"orderID": signed.order_id}),
    )
    await rest.place([(signed, True)])
    [held] = await rest.place([(signed, True)])
    assert isinstance(held, Rejected)
    assert (held.status, held.retry_after) == (None, 3 * SECOND)
    assert len(exchange.calls) == 1
    await trio.sleep(3)
    [placed] = await rest.place([(signed, True)])
    assert isinstance(placed, OrderAnswer)


POST_ONLY = "post-only mode: only post-only orders and cancels are allowed"


@pytest.mark.parametrize(
    "taught",
    [refusal(POST_ONLY, 503, code="post_only_mode", retry_after_seconds=79), Reply([leg(POST_ONLY), leg(POST_ONLY)])],
)
async def test_in_post_only_mode_orders_that_would_take_stay_at_home_and_others_go(
    exchange, rest, autojump_clock, taught
):
    taking, resting = order(1), order(2)
    exchange.says("POST /orders", taught)
    exchange.says("POST /order", Reply(RESTING | {"orderID": resting.order_id}))
    await rest.place([(taking, False), (order(3), False)])
    held, placed = await rest.place([(taking, False), (resting, True)])
    assert isinstance(held, Rejected)
    assert (held.status, held.reaction) == (None, Reaction.POST_ONLY)
    assert isinstance(placed, OrderAnswer)
    assert exchange.sent() == ["POST /orders", "POST /order"]


# Cancels.


async def test_one_or_several_orders_are_cancelled(exchange, rest, autojump_clock):
    exchange.says("DELETE /order", Reply({"canceled": ["0xaa"], "not_canceled": {}}))
    exchange.says("DELETE /orders", Reply({"canceled": ["0xaa"], "not_canceled": {"0xbb": "order already matched"}}))
    assert unsaid(await rest.cancel(["0xaa"])) == CancelAnswer(("0xaa",), {})
    assert exchange.body() == {"orderID": "0xaa"}
    both = CancelAnswer(("0xaa",), {"0xbb": "order already matched"})
    assert unsaid(await rest.cancel(["0xaa", "0xbb", "0xaa"])) == both
    assert exchange.body() == ["0xaa", "0xbb"]


async def test_more_cancels_than_the_bucket_ever_holds_go_in_several_calls(exchange, rest, autojump_clock):
    ids = [f"0x{number:03x}" for number in range(250)]

    def cancel() -> Reply:
        return Reply({"canceled": exchange.body(), "not_canceled": {}})

    exchange.says("DELETE /orders", cancel, refusal("Internal server error", 500), cancel)
    answer = await rest.cancel(ids)
    assert isinstance(answer, CancelAnswer)
    assert answer.canceled == (*ids[:108], *ids[216:])
    assert answer.not_canceled == dict.fromkeys(ids[108:216], "not answered: Internal server error")
    assert [len(json.loads(call.content)) for call in exchange.calls] == [108, 108, 34]


async def test_a_cancel_that_is_not_answered_is_lost_and_one_that_is_refused_is_not(exchange, rest, autojump_clock):
    exchange.says("DELETE /order", HANGS, refusal("the engine is restarting", 425), Reply(b"<html>"))
    assert await rest.cancel(["0xaa"]) == Lost(why="no answer within 5 s")
    assert isinstance(await rest.cancel(["0xaa"]), Rejected)
    assert isinstance(await rest.cancel(["0xaa"]), Lost)


async def test_a_cancel_that_finds_no_room_in_time_says_that_it_was_not_sent(exchange, rest, autojump_clock):
    rest.budget.block(Kind.CANCEL, Micros(60 * SECOND))
    answer = await rest.cancel(["0xaa"])
    assert isinstance(answer, Rejected)
    assert answer.reason == "not sent: no room for a cancel within 5 s"
    assert exchange.calls == []


async def test_everything_is_cancelled_and_paid_for_afterwards(exchange, rest, autojump_clock):
    ids = [f"0x{number}" for number in range(150)]
    exchange.says("DELETE /cancel-all", Reply({"canceled": ids, "not_canceled": {}}))
    answer = await rest.cancel_all()
    assert isinstance(answer, CancelAnswer)
    assert len(answer.canceled) == 150
    assert exchange.calls[0].content == b""
    assert rest.budget.cancel_wait(1) == pytest.approx(32 / 80 * SECOND, abs=1_000)


async def test_a_market_or_a_token_of_it_is_cancelled(exchange, rest, autojump_clock):
    exchange.says("DELETE /cancel-market-orders", Reply({"canceled": [], "not_canceled": {}}))
    await rest.cancel_market(condition=CONDITION)
    await rest.cancel_market(token=TOKEN)
    assert [json.loads(call.content) for call in exchange.calls] == [{"market": CONDITION}, {"asset_id": TOKEN}]
    with pytest.raises(ValueError, match="has to be named"):
        await rest.cancel_market()


# Reads of our own.


def row(number: int) -> dict[str, Any]:
    return {
        "id": f"0x{number:02x}",
        "market": CONDITION,
        "asset_id": TOKEN,
        "side": "BUY",
        "price": "0.52",
        "original_size": "10",
        "size_matched": "0",
        "status": "LIVE",
        "owner": API_KEY.key,
    }


def page(rows: list[dict[str, Any]], cursor: str = "LTE=", **other: Any) -> Reply:
    return Reply({"limit": 100, "count": len(rows), "next_cursor": cursor, "data": rows} | other)


async def test_open_orders_come_from_every_page(exchange, rest, autojump_clock):
    exchange.says("GET /data/orders", page([row(1), row(2)], "Mg=="), page([row(3)]))
    assert [each.order_id for each in await rest.open_orders()] == ["0x01", "0x02", "0x03"]
    assert [dict(call.url.params) for call in exchange.calls] == [{}, {"next_cursor": "Mg=="}]


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([page([row(1)], count=2)], "page 1 has 1 rows and says 2"),
        ([page([row(1)], "Mg=="), page([row(2)], "Mg==")], "leads on to 'Mg==', which does not end"),
        ([page([row(1)], "Mg=="), refusal("Internal server error", 500)], "500 Internal server error"),
        ([page([row(1)], "Mg=="), HANGS], "no answer within 30 s"),
        ([page([row(1)], "")], "neither leads on nor says that it is the last"),
        ([Reply([row(1)])], "neither leads on nor says that it is the last"),
        ([page([row(1) | {"side": "HOLD"}])], "side 'HOLD' is neither BUY nor SELL"),
        ([Reply(b'{"data": [{"id": "0x')], "open orders"),
        ([refusal("Unauthorized/Invalid api key", 401)], "401 Unauthorized/Invalid api key"),
    ],
)
async def test_a_list_of_open_orders_that_is_not_whole_is_no_list(exchange, rest, autojump_clock, pages, said):
    exchange.says("GET /data/orders", *pages)
    with pytest.raises(IncompleteSnapshot, match=r"^GET /data/orders: ") as caught:
        await rest.open_orders()
    assert said in str(caught.value)


async def test_cursors_that_never_end_are_not_followed_for_ever(exchange, rest, autojump_clock):
    numbers = iter(range(10_000))
    exchange.says("GET /data/orders", lambda: page([], f"c{next(numbers)}"))
    with pytest.raises(IncompleteSnapshot, match="page 500 of /data/orders leads on"):
        await rest.open_orders()


async def test_no_open_orders_are_none_only_when_the_exchange_says_so(exchange, rest, autojump_clock):
    exchange.says("GET /data/orders", page([]))
    assert await rest.open_orders() == ()


@pytest.mark.parametrize(
    "reply", [refusal("Order not found", 404), Reply(b"", 404), Reply(b"", 200), Reply(b"null"), Reply(b"{}")]
)
async def test_an_order_that_has_ended_is_not_there(exchange, rest, autojump_clock, reply):
    exchange.says("GET /data/order/0x01", reply)
    assert await rest.order("0x01") is None


async def test_an_order_is_read_and_another_s_answer_is_not_taken_for_it(exchange, rest, autojump_clock):
    exchange.says("GET /data/order/0x01", Reply(row(1)), Reply(row(2)), Reply(b"<html>404</html>", 404))
    found = await rest.order("0x01")
    assert found is not None
    assert (found.order_id, found.price, found.original_size) == ("0x01", 5200, 10 * SHARE)
    with pytest.raises(ProtocolViolation, match="not about this order alone"):
        await rest.order("0x01")
    with pytest.raises(CallFailed, match="404"):
        await rest.order("0x01")


async def test_trades_are_asked_for_from_a_time_on(exchange, rest, autojump_clock):
    trade = {
        "id": "t1",
        "taker_order_id": "0x02",
        "market": CONDITION,
        "asset_id": TOKEN,
        "side": "SELL",
        "size": "10",
        "price": "0.52",
        "status": "TRADE_STATUS_CONFIRMED",
        "match_time": "1795226300",
        "last_update": "1795226310",
        "trader_side": "MAKER",
        "owner": "other",
        "maker_orders": [
            {"order_id": "0x01", "owner": API_KEY.key, "matched_amount": "4", "price": "0.52", "asset_id": TOKEN}
        ],
    }
    exchange.says("GET /data/trades", page([trade], "Mg=="), page([trade | {"id": "t2"}]))
    found = await rest.trades(after=Micros(1_795_226_000_999_999))
    assert [each.trade_id for each in found] == ["t1", "t2"]
    assert dict(exchange.calls[0].url.params) == {"after": "1795226000"}
    assert dict(exchange.calls[1].url.params) == {"after": "1795226000", "next_cursor": "Mg=="}
    path_only = f"{exchange.calls[1].headers['POLY_TIMESTAMP']}GET/data/trades".encode()
    expected = hmac.new(base64.urlsafe_b64decode(API_SECRET), path_only, hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(exchange.calls[1].headers["POLY_SIGNATURE"]) == expected


UNLIMITED = str(2**256 - 1)


@pytest.mark.parametrize(
    ("token", "asked"),
    [
        (None, {"asset_type": "COLLATERAL", "signature_type": "0"}),
        (TOKEN, {"asset_type": "CONDITIONAL", "token_id": TOKEN, "signature_type": "0"}),
        (POSITION, {"asset_type": "CONDITIONAL-V2", "token_id": POSITION, "signature_type": "0"}),
    ],
)
async def test_a_balance_is_asked_for_by_its_kind(exchange, rest, autojump_clock, token, asked):
    exchange.says(
        "GET /balance-allowance", Reply({"balance": "1000000", "allowances": {"0xe1": UNLIMITED, "0xe2": "0"}})
    )
    exchange.says("GET /balance-allowance/update", Reply(b""))
    found = await rest.balance(token)
    await rest.update_balance(token)
    assert (found.balance, found.allowances) == (1_000_000, {"0xe1": 2**256 - 1, "0xe2": 0})
    assert [dict(call.url.params) for call in exchange.calls] == [asked, asked]


@pytest.mark.parametrize(
    "body", [{"balance": "-1", "allowances": {}}, {"balance": "1e6", "allowances": {}}, {"balance": "1"}]
)
async def test_a_balance_that_cannot_be_read_is_not_guessed(exchange, rest, autojump_clock, body):
    exchange.says("GET /balance-allowance", Reply(body))
    with pytest.raises(ProtocolViolation):
        await rest.balance()


async def test_a_stale_heartbeat_is_put_right_at_once(exchange, rest, autojump_clock):
    stale = Reply({"error_msg": "Invalid Heartbeat ID", "heartbeat_id": "two"}, 400)
    exchange.says("POST /v1/heartbeats", Reply({"heartbeat_id": "one"}), stale, Reply({"heartbeat_id": "three"}), stale)
    assert await rest.heartbeat() == "one"
    assert await rest.heartbeat("one") == "three"
    assert [json.loads(call.content)["heartbeat_id"] for call in exchange.calls] == ["", "one", "two"]
    assert trio.current_time() == 0
    with pytest.raises(CallFailed, match="400 Invalid Heartbeat ID"):
        await rest.heartbeat("three")


async def test_a_heartbeat_that_is_not_answered_has_failed(exchange, rest, autojump_clock):
    exchange.says("POST /v1/heartbeats", HANGS)
    with pytest.raises(CallFailed, match="no answer within 5 s"):
        await rest.heartbeat()
    assert len(exchange.calls) == 1


async def test_scoring_and_closed_only_are_read(exchange, rest, autojump_clock):
    exchange.says("POST /orders-scoring", Reply({"0xaa": True, "0xbb": False}))
    exchange.says("GET /auth/ban-status/closed-only", Reply({"closed_only": False}))
    assert await rest.order_scoring(["0xaa", "0xbb"]) == {"0xaa": True, "0xbb": False}
    assert exchange.body() == ["0xaa", "0xbb"]
    assert await rest.closed_only() is False


NEW_KEY = {"apiKey": "new", "secret": base64.urlsafe_b64encode(b"fresh").decode(), "passphrase": "fresh-passphrase"}


async def test_a_key_is_created_and_used(exchange, autojump_clock):
    async with rest_of(exchange, key=None) as rest:
        exchange.says("POST /auth/api-key", Reply(NEW_KEY))
        exchange.says("GET /data/orders", page([]))
        with pytest.raises(ConfigError, match="GET /data/orders: needs the API key"):
            await rest.transport.read(rest._own("/data/orders"))
        assert (await rest.create_or_derive_key()).key == "new"
        await rest.open_orders()
    assert exchange.calls[0].headers["POLY_NONCE"] == "0"
    assert exchange.calls[1].headers["POLY_API_KEY"] == "new"
    assert "fresh" not in repr(exchange.audited)


@pytest.mark.parametrize("first", [refusal("Could not create api key"), HANGS, Reply(b"<html>", 502)])
async def test_a_key_that_cannot_be_created_is_derived(exchange, autojump_clock, first):
    async with rest_of(exchange, key=None) as rest:
        exchange.says("POST /auth/api-key", first)
        exchange.says("GET /auth/derive-api-key", Reply(NEW_KEY))
        assert (await rest.create_or_derive_key()).key == "new"
    assert len(exchange.calls) == 2


async def test_without_a_key_only_what_is_public_can_be_asked(exchange, autojump_clock):
    async with rest_of(exchange, signer=None, key=None) as rest:
        exchange.says("GET /time", Reply(b"1795226314"))
        assert await rest.time() == START
        for call in (rest.cancel_all, rest.balance, rest.create_or_derive_key, lambda: rest.place(orders(1))):
            with pytest.raises(ConfigError, match=r"needs the (private|API) key"):
                await call()


# What everybody may read.


async def test_a_read_is_tried_three_times_with_longer_waits(exchange, rest, autojump_clock):
    exchange.says("GET /version", Reply(b"<html>", 502), httpx.ReadError("broken"), Reply({"version": 2}))
    assert await rest.version() == 2
    assert exchange.times == pytest.approx([0, 0.5, 1.5])


async def test_a_read_gives_up_after_three_attempts_of_thirty_seconds(exchange, rest, autojump_clock):
    exchange.says("GET /time", HANGS)
    with pytest.raises(CallFailed, match=r"^GET /time: no answer within 30 s$"):
        await rest.time()
    assert exchange.times == pytest.approx([0, 30.5, 61.5])


async def test_a_read_that_is_refused_is_not_repeated(exchange, rest, autojump_clock):
    exchange.says("GET /tick-size", refusal("No orderbook exists for the requested token id", 404))
    with pytest.raises(CallFailed, match="404 No orderbook exists") as caught:
        await rest.tick_size(TOKEN)
    assert caught.value.reaction is Reaction.HALT_MARKET
    assert len(exchange.calls) == 1


async def test_a_read_waits_as_long_as_a_429_says(exchange, rest, autojump_clock):
    exchange.says("GET /time", Reply({"error": "Too Many Requests"}, 429, {"Retry-After": "7"}), Reply(b"1795226314"))
    await rest.time()
    assert exchange.times == pytest.approx([0, 7], abs=0.01)


BOOK = {"market": CONDITION, "asset_id": TOKEN, "timestamp": "1795226314518", "hash": "ab", "bids": [], "asks": []}


async def test_books_are_asked_for_in_lots_of_five_hundred(exchange, rest, autojump_clock):
    exchange.says("POST /books", Reply([BOOK]))
    assert len(await rest.books([TOKEN] * 1_001)) == 3
    assert [len(json.loads(call.content)) for call in exchange.calls] == [500, 500, 1]


async def test_terms_of_a_market_are_read(exchange, rest, autojump_clock):
    exchange.says("GET /tick-size", Reply({"minimum_tick_size": 0.01}))
    exchange.says("GET /neg-risk", Reply({"neg_risk": True}))
    terms = {"c": CONDITION, "t": [{"t": "1", "o": "Yes"}, {"t": "2", "o": "No"}], "mts": 0.01, "mos": 5}
    exchange.says(f"GET /clob-markets/{CONDITION}", Reply(terms), Reply(terms | {"c": "0xother"}))
    assert await rest.tick_size(TOKEN) == 100
    assert dict(exchange.calls[0].url.params) == {"token_id": TOKEN}
    assert await rest.neg_risk(TOKEN) is True
    assert (await rest.clob_market(CONDITION)).tick == 100
    with pytest.raises(ProtocolViolation, match="not about this market alone"):
        await rest.clob_market(CONDITION)


GAMMA = {
    "conditionId": CONDITION,
    "version": "v1",
    "outcomes": '["Yes","No"]',
    "clobTokenIds": '["1","2"]',
    "orderPriceMinTickSize": 0.01,
    "orderMinSize": 5,
}


async def test_gamma_is_read_to_its_last_page_and_names_what_it_could_not_read(exchange, rest, autojump_clock):
    exchange.says(
        "GET /markets/keyset",
        Reply({"markets": [GAMMA, GAMMA | {"version": "v9"}], "next_cursor": "n"}),
        Reply({"markets": [GAMMA]}),
    )
    found = await rest.gamma_markets({"closed": "false", "condition_ids": ["0x1", "0x2"]})
    assert len(found.markets) == 2
    assert found.unreadable == (f"market {CONDITION}: version 'v9' is neither v1 nor v2",)
    asked = [call.url.params.multi_items() for call in exchange.calls]
    filters = [("limit", "100"), ("closed", "false"), ("condition_ids", "0x1"), ("condition_ids", "0x2")]
    assert asked == [filters, [*filters, ("after_cursor", "n")]]
    assert exchange.calls[0].url.host == "gamma.test"


async def test_rewards_are_read_to_their_last_page(exchange, rest, autojump_clock):
    short = {"condition_id": CONDITION, "tokens": [{"token_id": "1"}, {"token_id": "2"}]}
    clob = short | {"minimum_tick_size": 0.01, "minimum_order_size": 5}
    exchange.says("GET /sampling-markets", page([clob], "Mg=="), page([clob, {}]))
    exchange.says("GET /sampling-simplified-markets", page([short]))
    exchange.says("GET /rewards/markets/current", page([{"condition_id": CONDITION, "native_daily_rate": 5}]))
    listing = await rest.sampling_markets()
    assert (len(listing.markets), len(listing.unreadable)) == (2, 1)
    assert len(await rest.rewarded_markets()) == 1
    assert [each.condition for each in await rest.rewards()] == [CONDITION]


async def test_holdings_and_the_geoblock_are_read_where_they_are(exchange, rest, autojump_clock):
    held = {"asset": TOKEN, "conditionId": CONDITION, "size": 12.345678, "redeemable": False, "mergeable": True}
    exchange.says("GET /positions", Reply([held] * 500), Reply([held]))
    exchange.says("GET /api/geoblock", Reply({"blocked": True, "ip": "1.2.3.4", "country": "US", "region": "NY"}))
    positions = await rest.positions(SIGNER.address)
    assert (len(positions), positions[0].size) == (501, 12_345_678)
    assert [call.url.params["offset"] for call in exchange.calls] == ["0", "500"]
    where = await rest.geoblock()
    assert (where.blocked, where.country) == (True, "US")
    assert (exchange.calls[0].url.host, exchange.calls[-1].url.host) == ("data.test", "geo.test")


# The audit, and what must not be in it or anywhere.


async def test_every_call_and_answer_is_kept_without_what_could_be_used_against_us(exchange, rest, autojump_clock):
    exchange.says("POST /order", Reply(RESTING | {"orderID": order().order_id}, after=0.25), HANGS)
    exchange.says("GET /data/orders", page([]))
    await rest.place(orders(1))
    await rest.place([(order(), True)])
    await rest.open_orders()
    placed, lost, listed = exchange.audited
    assert (placed.method, placed.url, placed.kind) == ("POST", "http://clob.test/order", Kind.PLACE)
    assert (placed.at, placed.took, placed.status) == (START, 250_000, 200)
    assert (placed.address, listed.address) == (SIGNER.address, SIGNER.address)
    assert json.loads(placed.request)["order"] == order(0).order | {"signature": "<signature>"}
    assert json.loads(placed.answer)["orderID"] == order().order_id
    assert (lost.status, lost.why) == (None, "no answer within 5 s")
    assert json.loads(listed.answer)["count"] == 0


async def test_a_call_given_up_by_a_stop_is_kept_too(exchange, rest, autojump_clock):
    exchange.says("POST /order", HANGS)
    with trio.move_on_after(1):
        await rest.place(orders(1))
    assert [(each.status, each.why) for each in exchange.audited] == [(None, "given up")]


def reachable(start: list[Any]) -> Iterator[Any]:
    """Everything that hangs from some objects, but what a secret keeps to itself."""
    seen: set[int] = set()
    waiting = start
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, (type, Secret)) or type(found).__name__ in ("module", "function"):
            continue
        seen.add(id(found))
        yield found
        if type(found).__module__.startswith("pmrun") or isinstance(found, (dict, list, tuple, set)):
            waiting.extend(gc.get_referents(found))


async def test_a_canary_in_every_secret_is_found_nowhere(exchange, autojump_clock, caplog):
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    kept: list[Any] = []
    echo = f"bad headers: {PASSPHRASE} {API_SECRET} 0x{PRIVATE_KEY}"

    async def attempt(call: Callable[[], Any]) -> None:
        try:
            kept.append(await call())
        except Exception as error:
            shown.extend((str(error), repr(error), traceback.format_exc()))
            frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
            shown.extend(repr(frame.f_locals) for frame in frames if "polymarket/" in frame.f_code.co_filename)
            kept.append(error)

    async with rest_of(exchange) as rest:
        exchange.says("POST /auth/api-key", Reply({"apiKey": "k", "secret": API_SECRET, "passphrase": PASSPHRASE}))
        failures = (
            refusal(echo, 400),
            Reply(echo.encode(), 500),
            HANGS,
            httpx.ReadError("broken"),
            RuntimeError("bug"),
        )
        for failure in failures:
            for path in ("POST /order", "DELETE /cancel-all", "GET /data/orders", "POST /v1/heartbeats", "GET /time"):
                exchange.says(path, failure)
            for call in (rest.cancel_all, rest.open_orders, rest.heartbeat, rest.time, lambda: rest.place(orders(1))):
                await attempt(call)
            await trio.sleep(60)
        await attempt(rest.create_or_derive_key)
        exchange.says("POST /auth/api-key", Reply(b"%s, so to say" % API_SECRET.encode()))
        await attempt(rest.create_or_derive_key)
        await attempt(lambda: Signer(Secret(PRIVATE_KEY + "!")))
        shown += [repr(found) for found in reachable([rest, SIGNER, API_KEY, kept, exchange.audited])]
        shown += [str(found) for found in reachable([kept])]
    shown += [repr(vars(record)) for record in caplog.records] + [caplog.text]
    assert len(exchange.audited) > 20
    assert any("<secret>" in text for text in shown)
    for text in shown:
        for canary in CANARIES:
            assert canary not in text, text[:300]
