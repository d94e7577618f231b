"""The embedded exchange by REST: the exchange's own client trades on it unmodified, and what is wrong is refused."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import httpx
import msgspec
import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    AssetType,
    BalanceAllowanceParams,
    BookParams,
    MarketOrderArgsV2,
    OpenOrderParams,
    OrderArgsV2,
    OrderMarketCancelParams,
    OrderPayload,
    OrderScoringParams,
    OrdersScoringParams,
    OrderType,
    PostOrdersV2Args,
    PricesHistoryParams,
    TradeParams,
)
from py_clob_client_v2.exceptions import PolyApiException
from py_clob_client_v2.http_helpers import helpers
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import order_to_json_v2

from pmrun.plugins.exchanges.common.book_hash import is_whole
from pmrun.plugins.exchanges.embedded.buckets import TIERS, Bucket
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.host import Host
from pmrun.plugins.exchanges.embedded.identity import ApiKey
from pmrun.plugins.exchanges.embedded.modes import Mode
from pmrun.plugins.exchanges.embedded.replies import CallRefused
from pmrun.plugins.exchanges.embedded.settings import HostSettings
from pmrun.plugins.exchanges.embedded.signed_orders import (
    EXCHANGE_V2,
    EXCHANGE_V3,
    NEG_RISK_EXCHANGE_V2,
    OrderBody,
    is_position,
    price_and_size,
)
from pmrun.plugins.exchanges.embedded.terms import Reply, Request, TimeInForce
from pmrun.plugins.exchanges.polymarket import wire_gamma, wire_markets, wire_orders, wire_prices, wire_rest
from pmrun.plugins.exchanges.polymarket.news import OrderStatus, TraderSide, TradeStatus
from pmrun.runner.errors import ConfigError
from pmrun.runner.facts import MarketStatus
from pmrun.runner.market import ConditionId, FeeTerms, Market, RewardTerms, TokenId
from pmrun.runner.units import ONE, SECOND, Cash, Micros, Price, Side, Size

NOON = 1_772_366_400 * SECOND
SHARE = 1_000_000
KEY, OTHER_KEY = "0x" + "11" * 32, "0x" + "22" * 32
ADDRESS = Account.from_key(KEY).address
FUNDER = Account.from_key("0x" + "33" * 32).address
UNAUTHORIZED = "Unauthorized/Invalid api key"


def market(name: str, **terms: Any) -> Market:
    digest = hashlib.sha256(name.encode()).hexdigest()
    number = int(digest, 16)
    given: dict[str, Any] = {
        "condition": ConditionId(f"0x{digest}"),
        "question": f"Will it {name}?",
        "slug": name,
        "yes": TokenId(str(number | 1)),
        "no": TokenId(str(number & ~1)),
        "tick": Price(100),
        "min_order_size": Size(5 * SHARE),
        "simulated": True,
    }
    return Market(**(given | terms))


RAIN = market(
    "rain",
    fees=FeeTerms(rate_ppm=50_000, rebate_ppm=250_000),
    rewards=RewardTerms(min_size=Size(20 * SHARE), max_spread=Price(350), daily_rate=Cash(30_000_000)),
    ends_at=Micros(NOON + 30 * 86_400 * SECOND),
    volume_24h=Cash(610_199_738),
    liquidity=Cash(12_000_000),
    event="weather",
)
SNOW = market("snow", neg_risk=True, tick=Price(10), event="weather", outcomes=("Up", "Down"))
# Protocol V2: bits 40..103 of a position id are zero, the module is on top and the outcome below (reference 1.4).
HAIL = market("hail", yes=TokenId(str((1 << 248) | (7 << 104))), no=TokenId(str((1 << 248) | (7 << 104) | 1)))


class Scene:
    """An exchange at noon, and the client of its users."""

    def __init__(self, *markets: Market, **settings: Any) -> None:
        self.at = Micros(NOON)
        self.engine = Engine(markets or (RAIN, SNOW, HAIL), seed=3)
        self.host = Host(self.engine, lambda: self.at, settings=HostSettings(**settings), seed=3)
        self.calls: list[Request] = []
        self.tamper = lambda request: request

    def answer(self, request: httpx.Request) -> httpx.Response:
        call = Request(
            method=request.method,
            path=request.url.path,
            query=parse_qs(request.url.query.decode(), keep_blank_values=True),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.content,
        )
        self.calls.append(call)
        reply = self.host.answer(self.tamper(call))
        return httpx.Response(reply.status, headers=dict(reply.headers), content=reply.body)

    def client(self, key: str = KEY, **options: Any) -> ClobClient:
        client = ClobClient("http://exchange", 137, key=key, use_server_time=True, **options)
        client.set_api_creds(client.create_or_derive_api_key())
        return client

    def wait(self, seconds: float) -> None:
        self.at = Micros(self.at + round(seconds * SECOND))
        self.host.pump()

    def crowd(self, bid: int = 4800, ask: int = 5200, shares: int = 100, number: int = 0) -> None:
        self.engine.crowd_set(number, Side.BUY, Price(bid), Size(shares * SHARE), self.at)
        self.engine.crowd_set(number, Side.SELL, Price(ask), Size(shares * SHARE), self.at)

    def get(self, path: str, **query: Any) -> Reply:
        listed = {name: value if isinstance(value, list) else [str(value)] for name, value in query.items()}
        return self.host.answer(Request(method="GET", path=path, query=listed))


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    scene = Scene()
    with httpx.Client(transport=httpx.MockTransport(lambda request: scene.answer(request))) as transport:
        monkeypatch.setattr(helpers, "_http_client", transport)
        yield scene


def bid(price: float = 0.4, size: float = 10, token: TokenId = RAIN.yes, side: str = "BUY", **more: Any) -> OrderArgsV2:
    if is_position(token):
        return OrderArgsV2(position_id=token, price=price, size=size, side=side, **more)
    return OrderArgsV2(token_id=token, price=price, size=size, side=side, **more)


def refused(error: pytest.ExceptionInfo[PolyApiException]) -> tuple[int | None, Any]:
    message = error.value.error_msg
    return error.value.status_code, message.get("error") if isinstance(message, dict) else message


# Who calls.


def test_the_unmodified_client_gets_keys_and_derives_the_same_ones_again(scene: Scene) -> None:
    client = ClobClient("http://exchange", 137, key=KEY, use_server_time=True)
    made = client.create_api_key()
    assert made == client.derive_api_key() == client.create_or_derive_api_key()
    with pytest.raises(PolyApiException) as error:
        client.create_api_key()
    assert refused(error) == (400, "Could not create api key")
    with pytest.raises(PolyApiException) as error:
        client.derive_api_key(nonce=7)
    assert refused(error) == (400, "Could not derive api key!")
    client.set_api_creds(made)
    assert client.get_api_keys() == {"apiKeys": [made.api_key]}
    assert client.get_closed_only_mode() == {"closed_only": False}
    assert client.delete_api_key() == "OK"
    with pytest.raises(PolyApiException) as error:
        client.get_api_keys()
    assert refused(error) == (401, UNAUTHORIZED)


def test_readonly_keys_are_made_listed_and_forgotten(scene: Scene) -> None:
    client = scene.client()
    made = client.create_readonly_api_key()["apiKey"]
    assert client.get_readonly_api_keys() == {"readonlyApiKeys": [made]}
    assert client.delete_readonly_api_key(made) == "OK"
    assert client.get_readonly_api_keys() == {"readonlyApiKeys": []}


def test_a_clock_that_is_far_off_is_refused_at_both_levels(scene: Scene) -> None:
    client = scene.client()
    client.use_server_time = False  # its own clock is not at noon of that day
    with pytest.raises(PolyApiException) as error:
        client.derive_api_key()
    assert refused(error) == (401, "Invalid L1 Request headers")
    with pytest.raises(PolyApiException) as error:
        client.get_open_orders()
    assert refused(error) == (401, UNAUTHORIZED)


@pytest.mark.parametrize("header", ["poly_address", "poly_signature", "poly_nonce", "poly_timestamp"])
def test_a_tampered_wallet_signature_gets_no_key(scene: Scene, header: str) -> None:
    def tamper(request: Request) -> Request:
        if "poly_signature" not in request.headers:
            return request
        found = request.headers[header]
        changed = found[:-1] + ("1" if found[-1] != "1" else "2")
        return msgspec.structs.replace(request, headers={**request.headers, header: changed})

    scene.tamper = tamper
    with pytest.raises(PolyApiException) as error:
        ClobClient("http://exchange", 137, key=KEY, use_server_time=True).create_api_key()
    assert refused(error) == (401, "Invalid L1 Request headers")


@pytest.mark.parametrize(
    "header", ["poly_signature", "poly_passphrase", "poly_address", "poly_timestamp", "poly_api_key"]
)
def test_a_tampered_hmac_is_refused_in_the_exchanges_words(scene: Scene, header: str) -> None:
    client = scene.client()

    def tamper(request: Request) -> Request:
        found = request.headers.get(header, "")
        changed = (
            found[:-2] + ("AA" if found[-2:] != "AA" else "BB")
            if header != "poly_timestamp"
            else str(NOON // SECOND + 1)
        )
        return msgspec.structs.replace(request, headers={**request.headers, header: changed})

    order = client.create_order(bid())
    scene.tamper = lambda request: tamper(request) if request.path == "/order" else request
    with pytest.raises(PolyApiException) as error:
        client.post_order(order)
    assert refused(error) == (401, UNAUTHORIZED)
    assert scene.engine.open_orders(client.creds.api_key) == []


def test_the_hmac_covers_the_exact_bytes_of_the_body(scene: Scene) -> None:
    client = scene.client()
    order = client.create_order(bid())
    scene.tamper = lambda request: msgspec.structs.replace(request, body=request.body.replace(b'","', b'", "'))
    with pytest.raises(PolyApiException) as error:
        client.post_order(order)
    assert refused(error) == (401, UNAUTHORIZED)


def test_secrets_of_a_key_do_not_show() -> None:
    key = ApiKey("name", ADDRESS, 0, secret="canary-secret", passphrase="canary-phrase")
    assert "canary" not in repr(key) + str(key)


# Orders.


@pytest.mark.parametrize("token", [RAIN.yes, RAIN.no, SNOW.yes, HAIL.no])
@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_every_wallet_kind_signs_orders_of_every_generation_and_the_id_is_the_hash(
    scene: Scene, kind: int, token: TokenId
) -> None:
    client = scene.client(signature_type=kind, funder=FUNDER if kind else None)
    order = client.create_order(bid(token=token))
    answered = client.post_order(order, OrderType.GTC, post_only=True)
    assert answered["status"] == "live"
    assert answered["orderID"] == hash_of(client, order, token)
    (resting,) = scene.engine.open_orders(client.creds.api_key)
    assert resting.wallet == (FUNDER if kind else ADDRESS)
    assert (resting.price, resting.size, resting.token) == (4000, 10 * SHARE, token)


def hash_of(client: ClobClient, order: Any, token: TokenId) -> str:
    version = "3" if is_position(token) else "2"
    contract = EXCHANGE_V3 if version == "3" else NEG_RISK_EXCHANGE_V2 if token == SNOW.yes else EXCHANGE_V2
    builder = ExchangeOrderBuilderV2(contract, 137, client.signer, domain_version=version)
    return str(builder.build_order_hash(builder.build_order_typed_data(order)))


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
@pytest.mark.parametrize("field", ["salt", "makerAmount", "takerAmount", "side", "timestamp", "metadata", "builder"])
def test_a_tampered_order_is_refused_in_the_exchanges_words(scene: Scene, kind: int, field: str) -> None:
    client = scene.client(signature_type=kind, funder=FUNDER if kind else None)
    order = client.create_order(bid())
    changed = {"side": 1, "metadata": "0x" + "01" * 32, "builder": "0x" + "01" * 32}
    value = changed[field] if field in changed else str(int(getattr(order, field)) + 10_000)
    setattr(order, field, value)
    with pytest.raises(PolyApiException) as error:
        client.post_order(order)
    assert refused(error) == (400, "invalid signature")


def test_an_order_signed_for_the_other_market_kind_has_an_invalid_signature(scene: Scene) -> None:
    client = scene.client()
    options = type("Options", (), {"tick_size": "0.001", "neg_risk": False})()
    order = client.create_order(bid(token=SNOW.yes), options)
    with pytest.raises(PolyApiException) as error:
        client.post_order(order)
    assert refused(error) == (400, "invalid signature")


@pytest.mark.parametrize("kind", [0, 3])
def test_an_order_of_the_wrong_generation_is_told_so(scene: Scene, kind: int) -> None:
    client = scene.client(signature_type=kind, funder=FUNDER if kind else None)
    for token, as_position in ((RAIN.yes, True), (HAIL.yes, False)):
        name = "position_id" if as_position else "token_id"
        order = client.create_order(OrderArgsV2(**{name: token}, price=0.4, size=10, side="BUY"))
        with pytest.raises(PolyApiException) as error:
            client.post_order(order)
        assert refused(error) == (400, "order_version_mismatch")


def test_an_order_of_the_first_generation_is_told_so(scene: Scene) -> None:
    client = scene.client()
    body = order_to_json_v2(client.create_order(bid()), client.creds.api_key, OrderType.GTC)
    del body["order"]["timestamp"]
    body["order"] |= {"nonce": "0", "feeRateBps": "0", "taker": "0x" + "00" * 20}
    assert sentence(post(scene, client, "/order", body)) == (400, "order_version_mismatch")


def test_an_order_of_somebody_else_is_refused(scene: Scene) -> None:
    client, other = scene.client(), scene.client(OTHER_KEY)
    order = client.create_order(bid())
    body = order_to_json_v2(order, other.creds.api_key, OrderType.GTC)
    assert sentence(post(scene, client, "/order", body)) == (400, "the order owner has to be the owner of the API KEY")
    with pytest.raises(PolyApiException) as error:
        other.post_order(order)
    assert refused(error) == (400, "the order signer address has to be the address of the API KEY")


def test_a_wallet_belongs_to_whom_it_came_with(scene: Scene) -> None:
    scene.host.add_account(ADDRESS, Cash(5_000_000), 3, FUNDER)
    thief = scene.client(OTHER_KEY, signature_type=3, funder=FUNDER)
    with pytest.raises(PolyApiException) as error:
        thief.post_order(thief.create_order(bid()))
    assert refused(error)[1].startswith("maker address not allowed")


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"order"',
        b"{}",
        b"\xff\xfe",
        b"[" * 5000,
        b'{"order":{"salt":"x"},"owner":"a"}',
    ],
)
@pytest.mark.parametrize("path", ["/order", "/orders"])
def test_a_body_that_is_no_order_is_an_invalid_payload(scene: Scene, path: str, damage: bytes) -> None:
    client = scene.client()
    assert sentence(post(scene, client, path, damage)) == (400, "Invalid order payload")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("makerAmount", "0"),
        ("makerAmount", "-1"),
        ("takerAmount", "1e9"),
        ("takerAmount", "9" * 90),
        ("maker", "0x12"),
        ("metadata", "0x12"),
        ("signatureType", 4),
        ("signatureType", -1),
        ("salt", -5),
        ("timestamp", "soon"),
        ("side", "HOLD"),
    ],
)
def test_a_field_that_cannot_be_is_an_invalid_payload(scene: Scene, field: str, value: Any) -> None:
    client = scene.client()
    body = order_to_json_v2(client.create_order(bid()), client.creds.api_key, OrderType.GTC)
    body["order"][field] = value
    status, words = sentence(post(scene, client, "/order", body))
    assert (status, words) in ((400, "Invalid order payload"), (400, "invalid signature"))


@pytest.mark.parametrize("signature", ["", "0x", "0x12", "zz", "0x" + "00" * 65, "0x" + "ff" * 65])
@pytest.mark.parametrize("kind", [0, 3])
def test_what_is_no_signature_is_an_invalid_one(scene: Scene, signature: str, kind: int) -> None:
    client = scene.client(signature_type=kind, funder=FUNDER if kind else None)
    order = client.create_order(bid())
    order.signature = signature
    with pytest.raises(PolyApiException) as error:
        client.post_order(order)
    assert refused(error) == (400, "invalid signature")


def post(scene: Scene, client: ClobClient, path: str, body: Any, method: str = "POST") -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    stamp = str(scene.at // SECOND)
    creds = client.creds
    digest = hmac.new(base64.urlsafe_b64decode(creds.api_secret), f"{stamp}{method}{path}".encode() + raw, "sha256")
    headers = {
        "poly_address": client.get_address(),
        "poly_signature": base64.urlsafe_b64encode(digest.digest()).decode(),
        "poly_timestamp": stamp,
        "poly_api_key": creds.api_key,
        "poly_passphrase": creds.api_passphrase,
    }
    return scene.host.answer(Request(method=method, path=path, headers=headers, body=raw))


def sentence(reply: Reply) -> tuple[int, str]:
    return reply.status, wire_rest.parse_error(reply.body).message


def test_an_order_off_the_tick_is_refused_with_the_price_it_meant(scene: Scene) -> None:
    client = scene.client()
    options = type("Options", (), {"tick_size": "0.01", "neg_risk": True})()
    scene.engine.set_tick(1, Price(100), scene.at)
    order = client.create_order(bid(token=SNOW.yes, price=0.45), options)
    assert client.post_order(order)["status"] == "live"
    scene.engine.set_tick(1, Price(50), scene.at)
    fine = scene.client(OTHER_KEY)  # its own cache of ticks
    order = fine.create_order(bid(token=SNOW.yes, price=0.007))  # it rounds to decimals, not to the tick
    with pytest.raises(PolyApiException) as error:
        fine.post_order(order)
    status, words = refused(error)
    assert status == 400
    assert words.endswith("is invalid. Price (0.007) breaks minimum tick size rule: 0.005")


def test_an_order_below_the_least_size_is_refused(scene: Scene) -> None:
    client = scene.client()
    with pytest.raises(PolyApiException) as error:
        client.post_order(client.create_order(bid(size=4.99)))
    assert refused(error)[1].endswith("is invalid. Size (4.99) lower than the minimum: 5")


def test_the_same_order_twice_is_a_duplicate(scene: Scene) -> None:
    client = scene.client()
    order = client.create_order(bid())
    known = client.post_order(order)["orderID"]
    with pytest.raises(PolyApiException) as error:
        client.post_order(order)
    assert refused(error) == (400, f"order {known} is invalid. Duplicated.")


def test_money_that_is_not_there_cannot_be_bid(scene: Scene) -> None:
    scene.host.add_account(ADDRESS, Cash(4_000_000))
    client = scene.client()
    assert client.post_order(client.create_order(bid(price=0.4, size=10)))["status"] == "live"
    with pytest.raises(PolyApiException) as error:
        client.post_order(client.create_order(bid(price=0.4, size=10)))
    assert refused(error) == (400, "not enough balance / allowance")


def test_a_post_only_order_that_crosses_is_refused_and_without_it_trades(scene: Scene) -> None:
    scene.crowd()
    client = scene.client()
    with pytest.raises(PolyApiException) as error:
        client.post_order(client.create_order(bid(price=0.55)), post_only=True)
    assert refused(error) == (400, "invalid post-only order: order crosses book")
    answered = client.post_order(client.create_order(bid(price=0.55)), defer_exec=True)
    parsed = wire_orders.parse_order_answer(json.dumps(answered))
    assert (parsed.verdict, parsed.status) == (wire_orders.Verdict.ACCEPTED, OrderStatus.MATCHED)
    assert (parsed.making, parsed.taking) == (5_200_000, 10 * SHARE)
    assert len(parsed.trades) == 1


def test_a_market_order_is_filled_or_killed(scene: Scene) -> None:
    scene.crowd(shares=50)
    client = scene.client()
    args = MarketOrderArgsV2(token_id=RAIN.yes, amount=20, side="BUY", price=0.53)
    assert client.post_order(client.create_market_order(args), OrderType.FOK, defer_exec=True)["status"] == "matched"
    with pytest.raises(PolyApiException) as error:
        client.post_order(client.create_market_order(args), OrderType.FOK)
    assert refused(error) == (400, "order couldn't be fully filled. FOK orders are fully filled or killed.")
    answered = client.post_order(client.create_market_order(args), OrderType.FAK, defer_exec=True)
    assert answered["status"] == "matched"
    with pytest.raises(PolyApiException) as error:
        client.post_order(client.create_market_order(args), OrderType.FAK)
    assert refused(error)[1].startswith("no orders found to match with FAK order.")
    assert client.get_open_orders() == []


def test_a_market_buy_for_less_than_a_dollar_is_refused(scene: Scene) -> None:
    scene.crowd()
    client = scene.client()
    order = client.create_market_order(MarketOrderArgsV2(token_id=RAIN.yes, amount=0.5, side="BUY", price=0.53))
    with pytest.raises(PolyApiException) as error:
        client.post_order(order, OrderType.FAK)
    assert refused(error)[1].startswith("invalid amount for a marketable BUY order")


def test_a_market_buy_whose_dollars_are_too_fine_is_refused(scene: Scene) -> None:
    client = scene.client()
    order = client.create_order(bid(price=0.53, size=10.07))
    with pytest.raises(PolyApiException) as error:
        client.post_order(order, OrderType.FAK)
    assert refused(error)[1].startswith(
        "invalid amounts, the market buy orders maker amount supports a max accuracy of 2"
    )


def test_a_gtd_order_lives_until_a_minute_before_it_says(scene: Scene) -> None:
    client = scene.client()
    now = scene.at // SECOND
    with pytest.raises(PolyApiException) as error:
        client.post_order(client.create_order(bid(expiration=now + 179)), OrderType.GTD)
    assert refused(error) == (400, "invalid expiration")
    with pytest.raises(PolyApiException) as error:
        client.post_order(client.create_order(bid(expiration=now + 600)), OrderType.GTC)
    assert refused(error) == (400, "invalid expiration")
    client.post_order(client.create_order(bid(expiration=now + 180)), OrderType.GTD)
    (order,) = wire_orders.parse_open_orders(json.dumps(client.get_open_orders())).rows
    assert (order.order_type, order.expiration) == ("GTD", NOON + 180 * SECOND)
    scene.wait(119.9)
    assert len(client.get_open_orders()) == 1
    scene.wait(0.1)
    assert client.get_open_orders() == []


def test_a_batch_has_a_result_for_each_order_even_when_some_fail(scene: Scene) -> None:
    client = scene.client()
    orders = [client.create_order(bid(price=price)) for price in (0.41, 0.42, 0.43)]
    orders[1].signature = orders[0].signature
    answers = client.post_orders([PostOrdersV2Args(order, OrderType.GTC) for order in orders], post_only=True)
    parsed = wire_orders.parse_order_answers(json.dumps(answers))
    assert [one.verdict for one in parsed] == ["ACCEPTED", "REJECTED", "ACCEPTED"]
    assert (answers[1]["success"], answers[1]["orderID"], parsed[1].reason) == (True, "", "invalid signature")


def test_a_batch_of_more_than_fifteen_is_refused(scene: Scene) -> None:
    client = scene.client()
    order = client.create_order(bid())
    with pytest.raises(PolyApiException) as error:
        client.post_orders([PostOrdersV2Args(order, OrderType.GTC)] * 16)
    assert refused(error) == (400, "Too many orders in payload: 16, max allowed: 15")


@given(
    tick=st.sampled_from([1000, 100, 50, 25, 10, 1]),
    steps=st.integers(1, 9_999),
    hundredths=st.integers(500, 10**7),
    side=st.sampled_from(Side),
)
def test_amounts_mean_the_price_and_size_they_were_made_of(tick: int, steps: int, hundredths: int, side: Side) -> None:
    price = min(steps * tick, ONE - tick) // tick * tick
    cash, shares = price * hundredths, hundredths * 10_000
    assert price * shares // 10_000 == cash
    paid, got = (cash, shares) if side is Side.BUY else (shares, cash)
    terms = market("law", tick=Price(tick))
    body = OrderBody(
        salt=1,
        maker=ADDRESS,
        signer=ADDRESS,
        token_id=terms.yes,
        maker_amount=str(paid),
        taker_amount=str(got),
        side=side,
        signature_type=0,
        signature="",
    )
    assert price_and_size(body, "0x1", terms, TimeInForce.GTC) == (price, shares)
    wrong = msgspec.structs.replace(body, **{"maker_amount" if side is Side.BUY else "taker_amount": str(cash + 1)})
    with pytest.raises(CallRefused, match=r"invalid amounts|breaks minimum tick size"):
        price_and_size(wrong, "0x1", terms, TimeInForce.GTC)


@given(tick=st.sampled_from(["0.1", "0.01", "0.005", "0.0025", "0.001", "0.0001"]), data=st.data())
def test_what_the_client_rounds_for_a_market_order_is_read_as_it_was_meant(tick: str, data: st.DataObject) -> None:
    from py_clob_client_v2.order_builder.builder import ROUNDING_CONFIG, OrderBuilder

    steps = round(1 / float(tick))
    step = data.draw(st.integers(1, steps - 1))
    price = Decimal(tick) * step
    side = data.draw(st.sampled_from(Side))
    amount = data.draw(st.integers(100, 10**6)) / 100
    _, maker, taker = OrderBuilder(None).get_market_order_amounts(side, amount, float(price), ROUNDING_CONFIG[tick])
    terms = market("law", tick=Price(int(Decimal(tick) * ONE)))
    # The client floors price x 10^decimals in floats, so what it means may be a tick lower than what it was given.
    meant = Decimal(str(int(float(price) * 10 ** ROUNDING_CONFIG[tick].price))) / 10 ** ROUNDING_CONFIG[tick].price
    body = OrderBody(
        salt=1,
        maker=ADDRESS,
        signer=ADDRESS,
        token_id=terms.yes,
        maker_amount=str(maker),
        taker_amount=str(taker),
        side=side,
        signature_type=0,
        signature="",
    )
    if meant != price or not taker:
        return
    assert price_and_size(body, "0x1", terms, TimeInForce.FAK)[0] == int(price * ONE)


# Cancels.


def test_the_four_cancels(scene: Scene) -> None:
    client = scene.client()

    def place(token: TokenId) -> str:
        return str(client.post_order(client.create_order(bid(token=token)))["orderID"])

    first, second, third, fourth, fifth = (place(t) for t in (RAIN.yes, RAIN.yes, RAIN.no, SNOW.yes, SNOW.yes))
    assert client.cancel_order(OrderPayload(orderID=first)) == {"canceled": [first], "not_canceled": {}}
    answered = client.cancel_orders([first, second, second, "0xnone"])
    assert answered["canceled"] == [second]
    assert set(answered["not_canceled"]) == {first, "0xnone"}
    assert client.cancel_market_orders(OrderMarketCancelParams(asset_id=RAIN.no))["canceled"] == [third]
    assert client.cancel_market_orders(OrderMarketCancelParams(market=SNOW.condition))["canceled"] == [fourth, fifth]
    assert client.cancel_all() == {"canceled": [], "not_canceled": {}}
    sixth = place(RAIN.yes)
    assert client.cancel_all()["canceled"] == [sixth]
    assert wire_orders.parse_cancel_answer(json.dumps(answered)).canceled == (second,)


def test_nobody_cancels_the_orders_of_others(scene: Scene) -> None:
    client, other = scene.client(), scene.client(OTHER_KEY)
    known = client.post_order(client.create_order(bid()))["orderID"]
    assert other.cancel_order(OrderPayload(orderID=known))["not_canceled"] == {known: "Order not found"}
    assert other.cancel_all()["canceled"] == []
    assert len(client.get_open_orders()) == 1


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/order", {}, "Invalid order payload"),
        ("/order", {"orderID": ""}, "Invalid orderID"),
        ("/orders", {"a": 1}, "Invalid order payload"),
        ("/orders", [""], "Invalid orderID"),
        ("/orders", ["0x1"] * 1001, "Too many orders in payload: 1001, max allowed: 1000"),
        ("/cancel-market-orders", {}, "invalid order params payload"),
    ],
)
def test_a_cancel_that_names_nothing_is_refused(scene: Scene, path: str, body: Any, words: str) -> None:
    assert sentence(post(scene, scene.client(), path, body, "DELETE")) == (400, words)


# What a caller reads of itself.


def test_open_orders_are_listed_in_pages_and_an_ended_one_is_not_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(page_size=2)
    with httpx.Client(transport=httpx.MockTransport(scene.answer)) as transport:
        monkeypatch.setattr(helpers, "_http_client", transport)
        client = scene.client()
        ids = [client.post_order(client.create_order(bid(size=10 + i)))["orderID"] for i in range(5)]
        listed = client.get_open_orders()
        assert [one["id"] for one in listed] == ids
        cursors = [call.query["next_cursor"][0] for call in scene.calls if call.path == "/data/orders"]
        assert cursors == ["MA==", "Mg==", "NA=="]
        assert [one["id"] for one in client.get_open_orders(OpenOrderParams(id=ids[3]))] == [ids[3]]
        assert client.get_open_orders(OpenOrderParams(market=SNOW.condition)) == []
        one = wire_orders.parse_open_orders(json.dumps(client.get_order(ids[0]))).rows[0]
        assert (one.price, one.original_size, one.status) == (4000, 10 * SHARE, OrderStatus.LIVE)
        assert (one.created_at, one.expiration, one.owner) == (NOON, None, client.creds.api_key)
        client.cancel_order(OrderPayload(orderID=ids[0]))
        with pytest.raises(PolyApiException) as error:
            client.get_order(ids[0])
        assert refused(error) == (404, "Order not found")


def test_a_maker_and_a_taker_read_the_same_trade_each_as_its_own(scene: Scene) -> None:
    maker, taker = scene.client(), scene.client(OTHER_KEY)
    resting = maker.post_order(maker.create_order(bid(price=0.4, token=RAIN.yes)))["orderID"]
    crossing = taker.post_order(taker.create_order(bid(price=0.6, token=RAIN.no)), defer_exec=True)
    assert crossing["status"] == "matched"
    (mine,) = wire_orders.parse_own_trades(json.dumps(maker.get_trades())).rows
    (theirs,) = wire_orders.parse_own_trades(json.dumps(taker.get_trades(TradeParams(id=mine.trade_id)))).rows
    assert (mine.trader_side, theirs.trader_side) == (TraderSide.MAKER, TraderSide.TAKER)
    assert mine.status is TradeStatus.MATCHED
    (fill,) = mine.maker_fills
    assert (fill.order_id, fill.token, fill.price, fill.size) == (resting, RAIN.yes, 4000, 10 * SHARE)
    assert (theirs.token, theirs.price, theirs.taker_order_id) == (RAIN.no, 6000, crossing["orderID"])
    assert maker.get_trades(TradeParams(asset_id=RAIN.yes)) and maker.get_trades(TradeParams(asset_id=SNOW.yes)) == []
    assert maker.get_trades(TradeParams(after=NOON // SECOND + 1)) == []
    scene.wait(10)
    (settled,) = maker.get_trades()
    assert settled["status"] == "TRADE_STATUS_CONFIRMED"
    assert settled["transaction_hash"]


def test_balances_are_what_is_on_chain_in_base_units(scene: Scene) -> None:
    scene.host.add_account(ADDRESS, Cash(7_000_000), holdings={RAIN.yes: Size(3 * SHARE), HAIL.no: Size(SHARE)})
    scene.host.add_account(ADDRESS, Cash(9_000_000), 2, FUNDER)
    client, safe = scene.client(), scene.client(signature_type=2, funder=FUNDER)

    def balance(of: ClobClient, kind: str, token: str | None = None) -> str:
        return str(of.get_balance_allowance(BalanceAllowanceParams(asset_type=kind, token_id=token))["balance"])

    client.post_order(client.create_order(bid()))
    assert balance(client, AssetType.COLLATERAL) == "7000000"
    assert balance(safe, AssetType.COLLATERAL) == "9000000"
    assert balance(client, AssetType.CONDITIONAL, RAIN.yes) == "3000000"
    assert balance(client, "CONDITIONAL-V2", HAIL.no) == "1000000"
    for kind, token, words in (("GOLD", None, "Invalid asset type"), ("CONDITIONAL", "12", "Invalid token id")):
        with pytest.raises(PolyApiException) as error:
            balance(client, kind, token)
        assert refused(error) == (400, words)
    client.update_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.COLLATERAL))
    allowances = client.get_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.COLLATERAL))["allowances"]
    assert set(allowances) == {EXCHANGE_V2, NEG_RISK_EXCHANGE_V2, EXCHANGE_V3}


def test_a_large_order_near_the_mid_scores_and_others_do_not(scene: Scene) -> None:
    scene.crowd()
    client = scene.client()
    near, far, small = (
        client.post_order(client.create_order(bid(price=price, size=size)))["orderID"]
        for price, size in ((0.48, 20), (0.4, 20), (0.48, 19))
    )
    assert client.is_order_scoring(OrderScoringParams(orderId=near)) == {"scoring": True}
    assert client.are_orders_scoring(OrdersScoringParams(orderIds=[near, far, small])) == {
        near: True,
        far: False,
        small: False,
    }
    with pytest.raises(PolyApiException) as error:
        client.is_order_scoring(OrderScoringParams(orderId="0x1"))
    assert refused(error) == (404, "market not found")


# The dead man's switch.


def test_a_missed_heartbeat_cancels_everything_within_fifteen_seconds(scene: Scene) -> None:
    client, other = scene.client(), scene.client(OTHER_KEY)
    for one in (client, other):
        one.post_order(one.create_order(bid()))
    beat = client.post_heartbeat("")["heartbeat_id"]
    scene.wait(9)
    beat = client.post_heartbeat(beat)["heartbeat_id"]
    scene.wait(9.9)
    assert len(client.get_open_orders()) == 1
    scene.wait(5.2)
    assert client.get_open_orders() == []
    assert len(other.get_open_orders()) == 1  # who never began has no switch
    assert scene.host.fired["heartbeat_missed"] == 1
    with pytest.raises(PolyApiException) as error:
        client.post_heartbeat(beat)
    assert error.value.error_msg == {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": ""}


def test_a_stale_heartbeat_is_told_the_id_it_should_have_had_and_keeps_nothing_alive(scene: Scene) -> None:
    client = scene.client()
    client.post_order(client.create_order(bid()))
    expected = client.post_heartbeat("")["heartbeat_id"]
    for _ in range(3):
        scene.wait(5)
        with pytest.raises(PolyApiException) as error:
            client.post_heartbeat("stale")
        assert error.value.status_code == 400
    assert error.value.error_msg["heartbeat_id"] in (expected, "")
    assert client.get_open_orders() == []


# Modes and limits.


def test_a_restart_answers_425_then_takes_only_post_only_orders_for_two_minutes(scene: Scene) -> None:
    client = scene.client()
    plain, quiet = client.create_order(bid()), client.create_order(bid(size=11))
    scene.host.restart(Micros(90 * SECOND))
    with pytest.raises(PolyApiException) as error:
        client.post_order(quiet, post_only=True)
    assert error.value.status_code == 425
    with pytest.raises(PolyApiException) as error:
        client.cancel_all()
    assert error.value.status_code == 425
    scene.wait(90)
    with pytest.raises(PolyApiException) as error:
        client.post_order(plain)
    assert error.value.error_msg == {
        "error": "post-only mode: only post-only orders and cancels are allowed",
        "code": "post_only_mode",
        "retry_after_seconds": 120,
    }
    assert client.post_order(quiet, post_only=True)["status"] == "live"
    (leg,) = client.post_orders([PostOrdersV2Args(plain, OrderType.GTC)])
    assert leg["errorMsg"].startswith("post-only mode")
    assert len(client.cancel_all()["canceled"]) == 1
    scene.wait(120)
    assert client.post_order(plain)["status"] == "live"


def test_cancel_only_takes_cancels_and_disabled_takes_nothing(scene: Scene) -> None:
    client = scene.client()
    client.post_order(client.create_order(bid()))
    scene.host.set_mode(Mode.CANCEL_ONLY)
    with pytest.raises(PolyApiException) as error:
        client.post_order(client.create_order(bid(size=12)))
    assert refused(error)[0] == 503
    assert refused(error)[1].startswith("Trading is currently cancel-only.")
    scene.host.set_mode(Mode.DISABLED)
    with pytest.raises(PolyApiException) as error:
        client.cancel_all()
    assert refused(error) == (503, "Trading is currently disabled. Check polymarket.com for updates")
    assert len(client.get_open_orders()) == 1
    scene.host.set_mode(Mode.RUNNING)
    assert len(client.cancel_all()["canceled"]) == 1


def test_a_halted_market_takes_no_orders(scene: Scene) -> None:
    client = scene.client()
    scene.engine.set_status(0, MarketStatus.HALTED, scene.at)
    with pytest.raises(PolyApiException) as error:
        client.post_order(client.create_order(bid()))
    assert refused(error) == (400, "the market is not yet ready to process new orders")


def test_more_orders_than_the_tier_allows_are_429_and_cancels_have_a_bucket_of_their_own(scene: Scene) -> None:
    client = scene.client()
    batch = [PostOrdersV2Args(client.create_order(bid(size=20)), OrderType.GTC) for _ in range(15)]
    for _ in range(4):
        client.post_orders(batch)  # the same orders: refused, and paid for all the same
    with pytest.raises(PolyApiException) as error:
        client.post_order(batch[0].order)
    assert refused(error) == (429, "Too Many Requests")
    reply = post(scene, client, "/orders", [], "DELETE")
    assert (reply.status, reply.headers["poly-ratelimit-tier"]) == (200, "Standard")
    assert len(client.cancel_all()["canceled"]) == 15
    scene.wait(0.025)
    assert post(scene, client, "/order", b"{}").status == 400  # a token has come back: the payload is looked at


def test_a_cancel_of_many_may_leave_the_bucket_owing_and_then_cancels_wait() -> None:
    tier = TIERS["Standard"]
    bucket = Bucket(tier.cancel_rate, tier.cancel_burst, Micros(NOON))
    assert bucket.take(1)
    bucket.owe(199, may_owe=True)
    assert bucket.tokens == -80
    assert not bucket.take(1)
    assert bucket.wait_for(1) == 2
    bucket.refill(Micros(NOON + 2 * SECOND))
    assert bucket.take(80)
    bucket.owe(10, may_owe=False)
    assert bucket.tokens == 0


@given(st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(1, 70)), max_size=40))
def test_a_bucket_never_gives_more_than_its_burst_and_what_came_back(asked: list[tuple[int, int]]) -> None:
    bucket, at, given_out = Bucket(40, 60, Micros(NOON)), NOON, 0
    for pause, tokens in asked:
        at += pause
        bucket.refill(Micros(at))
        given_out += tokens if bucket.take(tokens) else 0
        assert given_out * SECOND <= 60 * SECOND + 40 * (at - NOON)
        assert bucket.tokens <= 60


# What everybody reads.


def test_books_carry_their_best_levels_last_and_the_hash_that_the_client_computes(scene: Scene) -> None:
    scene.crowd()
    scene.crowd(4700, 5300, 7)
    scene.engine.crowd_take(0, Side.BUY, Price(5200), Size(SHARE), scene.at)
    client = scene.client()
    for token in (RAIN.yes, RAIN.no):
        raw = client.get_order_book(token)
        sent = dict(raw)
        assert client.get_order_book_hash(raw) == sent["hash"]
        seen = wire_prices.parse_book(json.dumps(sent))
        assert is_whole(seen, tick=RAIN.tick, min_order_size=RAIN.min_order_size, neg_risk=False)
        assert [level["price"] for level in sent["bids"]][-1] == "0.48"
        assert [level["price"] for level in sent["asks"]][-1] == "0.52"
    two = wire_prices.parse_books(
        json.dumps(client.get_order_books([BookParams(RAIN.yes), BookParams("1"), BookParams(RAIN.no)]))
    )
    assert [one.token for one in two] == [RAIN.yes, RAIN.no]
    assert two[0].bids == ((4800, 100 * SHARE), (4700, 7 * SHARE))
    with pytest.raises(PolyApiException) as error:
        client.get_order_book("12345")
    assert refused(error) == (404, "No orderbook exists for the requested token id")


def test_prices_are_text_and_terms_are_numbers(scene: Scene) -> None:
    scene.crowd(4900, 5200)
    client = scene.client()
    both = [BookParams(RAIN.yes), BookParams(RAIN.no)]
    assert client.get_midpoint(RAIN.yes) == {"mid": "0.505"}
    assert client.get_midpoints(both) == {RAIN.yes: "0.505", RAIN.no: "0.495"}
    assert client.get_price(RAIN.yes, "BUY") == {"price": "0.52"}
    assert client.get_prices([BookParams(RAIN.yes, "SELL")]) == {RAIN.yes: {"SELL": "0.49"}}
    assert client.get_spread(RAIN.yes) == {"spread": "0.03"}
    assert client.get_spreads(both) == {RAIN.yes: "0.03", RAIN.no: "0.03"}
    assert client.get_last_trade_price(RAIN.yes) == {"price": "0.5", "side": ""}
    assert client.get_last_trades_prices(both) == []
    scene.engine.crowd_take(0, Side.BUY, Price(5200), Size(SHARE), scene.at)
    assert client.get_last_trade_price(RAIN.no) == {"price": "0.48", "side": "SELL"}
    assert client.get_last_trades_prices(both)[0] == {"token_id": RAIN.yes, "price": "0.52", "side": "BUY"}
    history = client.get_prices_history(PricesHistoryParams(market=RAIN.yes, interval="1d"))
    assert history == {"history": [{"t": NOON // SECOND, "p": 0.52}]}
    fresh = ClobClient("http://exchange", 137)
    assert fresh.get_tick_size(SNOW.yes) == "0.001"
    assert fresh.get_neg_risk(SNOW.no) is True
    assert fresh.get_fee_rate_bps(RAIN.yes) == 0
    assert fresh.get_ok() == "OK"
    assert fresh.get_server_time() == NOON // SECOND
    assert fresh.get_version() == 2
    with pytest.raises(PolyApiException) as error:
        fresh.get_price(RAIN.yes, "HOLD")
    assert refused(error) == (400, "Invalid side")
    with pytest.raises(PolyApiException) as error:
        fresh.get_order_books([BookParams("1")] * 501)
    assert refused(error) == (400, "Payload exceeds the limit")


def test_the_compact_market_holds_what_signing_needs(scene: Scene) -> None:
    (terms,) = wire_markets.parse_market_terms(scene.get(f"/clob-markets/{RAIN.condition}").body)
    assert (terms.yes, terms.no, terms.tick, terms.min_order_size) == (RAIN.yes, RAIN.no, RAIN.tick, 5 * SHARE)
    assert terms.fees == FeeTerms(rate_ppm=50_000)
    assert (terms.reward_min_size, terms.reward_max_spread, terms.neg_risk) == (20 * SHARE, 350, False)
    (snow,) = wire_markets.parse_market_terms(scene.get(f"/clob-markets/{SNOW.condition}").body)
    assert snow.neg_risk
    found = json.loads(scene.get(f"/markets-by-token/{SNOW.no}").body)
    assert found["condition_id"] == SNOW.condition
    assert sentence(scene.get("/markets-by-token/17")) == (404, "market not found")


def test_the_clob_lists_its_markets_and_those_with_rewards(scene: Scene) -> None:
    listed = wire_markets.parse_clob_markets(scene.get("/markets").body)
    assert [one.condition for one in listed] == [RAIN.condition, SNOW.condition, HAIL.condition]
    assert (listed[0].rewards, listed[0].ends_at) == (RAIN.rewards, RAIN.ends_at)
    (sampled,) = wire_markets.parse_clob_markets(scene.get("/sampling-markets", next_cursor="MA==").body)
    assert sampled.condition == RAIN.condition
    (short,) = wire_markets.parse_simplified_page(scene.get("/sampling-simplified-markets").body).rows
    assert (short.rewards, short.outcomes) == (RAIN.rewards, ("Yes", "No"))
    (one,) = wire_markets.parse_clob_markets(scene.get(f"/markets/{SNOW.condition}").body)
    assert one.outcomes == ("Up", "Down")
    assert sentence(scene.get("/markets/0x12")) == (404, "market not found")
    for cursor in ("LTE=", "####", "eHg="):
        assert scene.get("/sampling-markets", next_cursor=cursor).status == 400


def test_rewards_are_listed_and_nothing_was_earned(scene: Scene) -> None:
    client = scene.client()
    (row,) = wire_markets.parse_rewards_page(json.dumps({"data": client.get_current_rewards()})).rows
    assert (row.condition, row.rewards, row.sponsors) == (RAIN.condition, RAIN.rewards, 0)
    assert len(client.get_raw_rewards_for_market(RAIN.condition)) == 1
    (found,) = json.loads(scene.get("/rewards/markets/multi", q="RAIN", page_size=500).body)["data"]
    assert found["question"] == RAIN.question
    assert client.get_earnings_for_user_for_day("2026-03-01")[0]["earnings"] == 0
    assert client.get_total_earnings_for_user_for_day("2026-03-01")[0]["earnings"] == 0
    assert client.get_user_earnings_and_markets_config("2026-03-01")[0]["earning_percentage"] == 0
    assert client.get_reward_percentages() == {RAIN.condition: 0.0}
    assert scene.get("/rebates/current", date="2026-03-01").body == b"[]"


@pytest.mark.parametrize("listed", [RAIN, SNOW, HAIL, market("fog", fees=FeeTerms(rate_ppm=72_500, exponent=2))])
def test_a_market_survives_its_gamma_listing(listed: Market) -> None:
    scene = Scene(listed)
    (found,) = wire_gamma.parse_gamma_page(scene.get("/markets/keyset").body).rows
    assert found == listed
    (found,) = wire_gamma.parse_gamma_markets(scene.get("/markets", limit=5).body)
    assert found == listed
    row = json.loads(scene.get(f"/markets/slug/{listed.slug}").body)
    assert json.loads(row["outcomes"]) == list(listed.outcomes)
    assert json.loads(scene.get(f"/markets/{row['id']}").body) == row
    scene.engine.resolve(0, ONE, scene.at)
    assert wire_gamma.parse_gamma_page(scene.get("/markets/keyset").body).rows == ()
    (settled,) = wire_gamma.parse_gamma_page(scene.get("/markets/keyset", closed="true").body).rows
    assert (settled.settled_yes, settled.accepting_orders) == (ONE, False)


def test_gamma_lists_in_pages_that_end_without_a_cursor(scene: Scene) -> None:
    first = wire_gamma.parse_gamma_page(scene.get("/markets/keyset", limit=2).body)
    rest = wire_gamma.parse_gamma_page(scene.get("/markets/keyset", limit=2, after_cursor=first.next_cursor).body)
    assert [one.slug for one in (*first.rows, *rest.rows)] == ["rain", "snow", "hail"]
    assert rest.next_cursor is None
    assert scene.get("/markets/keyset", offset=2).status == 422
    assert scene.get("/markets/keyset", after_cursor="nonsense").status == 422

    def slugs(**query: Any) -> list[str]:
        return [one.slug for one in wire_gamma.parse_gamma_page(scene.get("/markets/keyset", **query).body).rows]

    assert slugs(condition_ids=[RAIN.condition, SNOW.condition]) == ["rain", "snow"]
    assert slugs(clob_token_ids=[SNOW.no]) == ["snow"]
    assert slugs(clob_token_ids=[SNOW.no[:10]]) == []
    assert slugs(position_ids=[HAIL.yes]) == ["hail"]
    assert slugs(order="volumeNum", ascending="false")[0] == "rain"
    events = json.loads(scene.get("/events/keyset").body)["events"]
    assert [(event["slug"], len(event["markets"])) for event in events] == [("weather", 2)]


def test_the_data_api_reports_what_is_held_and_traded(scene: Scene) -> None:
    scene.host.add_account(ADDRESS, Cash(0), holdings={RAIN.no: Size(30 * SHARE), SNOW.yes: Size(SHARE // 2)})
    scene.crowd()
    (large,) = json.loads(scene.get("/positions", user=ADDRESS.lower()).body)
    assert (large["asset"], large["size"], large["curPrice"], large["outcome"]) == (RAIN.no, 30, 0.5, "No")
    assert len(json.loads(scene.get("/positions", user=ADDRESS, sizeThreshold=0).body)) == 2
    second = json.loads(scene.get("/v2/positions", user=ADDRESS).body)
    assert [row["current_size"] for row in second["data"]] == [30, 0.5]
    assert second["pagination"]["has_more"] is False
    assert json.loads(scene.get("/value", user=ADDRESS).body)[0]["value"] == 15.25
    scene.engine.crowd_take(0, Side.SELL, Price(4800), Size(SHARE), scene.at)
    (trade,) = wire_prices.parse_reported_trades(scene.get("/trades", market=RAIN.condition).body)
    assert (trade.token, trade.price, trade.side) == (RAIN.yes, Decimal("0.48"), Side.SELL)
    assert scene.get("/positions", user="me").status == 400


def test_where_one_calls_from_is_told(scene: Scene) -> None:
    assert json.loads(scene.get("/api/geoblock").body)["blocked"] is False
    assert json.loads(Scene(geoblocked=True).get("/api/geoblock").body)["blocked"] is True


def test_a_path_that_is_not_there_is_404(scene: Scene) -> None:
    assert scene.get("/nothing").status == 404
    assert scene.host.answer(Request(method="PUT", path="/order")).status == 404


@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=st.sampled_from(
        [
            "/book",
            "/books",
            "/midpoints",
            "/prices",
            "/order",
            "/orders",
            "/cancel-all",
            "/data/orders",
            "/data/trades",
            "/data/order/x",
            "/positions",
            "/prices-history",
            "/markets",
            "/markets/keyset",
            "/markets/x",
            "/trades",
            "/v2/positions",
            "/auth/api-key",
            "/v1/heartbeats",
            "/auth/derive-api-key",
            "/rewards/markets/multi",
            "/tick-size",
            "/balance-allowance",
            "/orders-scoring",
            "/events",
        ]
    ),
    body=st.one_of(st.binary(max_size=40), st.sampled_from([b"[]", b"{}", b"[{}]", b'[{"token_id":"1"}]', b"null"])),
    values=st.dictionaries(
        st.sampled_from(
            [
                "token_id",
                "next_cursor",
                "limit",
                "offset",
                "order",
                "user",
                "market",
                "startTs",
                "after_cursor",
                "page_size",
            ]
        ),
        st.lists(st.text(max_size=8), max_size=2),
        max_size=3,
    ),
    headers=st.dictionaries(
        st.sampled_from(
            ["poly_address", "poly_signature", "poly_timestamp", "poly_nonce", "poly_api_key", "poly_passphrase"]
        ),
        st.one_of(st.text(max_size=12), st.just(str(NOON // SECOND)), st.just(ADDRESS)),
        max_size=6,
    ),
)
def test_nothing_that_is_sent_makes_the_exchange_fall_over(
    method: str, path: str, body: bytes, values: dict[str, list[str]], headers: dict[str, str]
) -> None:
    reply = FALLEN.host.answer(Request(method=method, path=path, query=values, headers=headers, body=body))
    assert reply.status in (200, 400, 401, 404, 422)
    json.loads(reply.body)


FALLEN = Scene()


def test_a_token_that_cannot_be_signed_is_not_listed() -> None:
    with pytest.raises(ConfigError, match="token=rain-yes: orders sign a token id as a number"):
        Scene(market("odd", yes=TokenId("rain-yes")))


def test_an_account_that_cannot_be_is_refused(scene: Scene) -> None:
    with pytest.raises(ConfigError, match="funder"):
        scene.host.add_account(ADDRESS, Cash(1), 1)
    with pytest.raises(ConfigError, match="signature_type=9"):
        scene.host.add_account(ADDRESS, Cash(1), 9)
    with pytest.raises(ConfigError, match="'0x12' is not an address"):
        scene.host.add_account("0x12", Cash(1))
    with pytest.raises(ConfigError, match="tier=Wood: one of Standard"):
        Scene(tier="Wood")
