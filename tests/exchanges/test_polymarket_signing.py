"""Orders and requests are signed so that the exchange takes them, exactly for what was wanted; secrets stay secret."""

import base64
import copy
import hashlib
import hmac
import json
import math
import pickle
from dataclasses import asdict
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import assume, given
from hypothesis import strategies as st
from py_clob_client_v2.clob_types import ApiCreds, CreateOrderOptions, MarketOrderArgsV2, OrderArgsV2, RequestArgs
from py_clob_client_v2.headers import create_level_1_headers, create_level_2_headers
from py_clob_client_v2.order_builder import builder as library
from py_clob_client_v2.order_utils import SignatureTypeV2
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.signer import Signer as LibrarySigner

from pmrun.plugins.exchanges.common.secret import Secret
from pmrun.plugins.exchanges.polymarket.credentials import (
    ApiKey,
    parse_api_key,
    read_api_key,
    read_funder,
    read_private_key,
)
from pmrun.plugins.exchanges.polymarket.signing import SignedOrder, Signer, amounts, is_position, market_lot
from pmrun.runner.errors import ConfigError, ProtocolViolation
from pmrun.runner.grid import KNOWN_TICKS
from pmrun.runner.market import TokenId
from pmrun.runner.units import ONE, Micros, Price, Side, Size, format_price

KEY = "0x" + "5e" * 32
FUNDER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
TOKEN = TokenId("71321045679252212594626385532706912750332728571942532289631379312455583992563")
POSITION = TokenId(str((1 << 248) | (0xABCDEF << 104) | 1))
NOW = Micros(1_795_226_314_518_000)
SHARE = 1_000_000
CENT_SHARE = 10_000

SIGNERS = {
    kind: Signer(Secret(KEY), signature_type=kind, funder=None if kind == 0 else FUNDER) for kind in (0, 1, 2, 3)
}
ORDER_FIELDS = (
    "salt:uint256 maker:address signer:address tokenId:uint256 makerAmount:uint256 takerAmount:uint256 side:uint8 "
    "signatureType:uint8 timestamp:uint256 metadata:bytes32 builder:bytes32"
)
DOMAIN_FIELDS = "name:string version:string chainId:uint256 verifyingContract:address"
WRAPPING_FIELDS = "contents:Order name:string version:string chainId:uint256 verifyingContract:address salt:bytes32"


def fields(text: str) -> list[dict[str, str]]:
    return [dict(zip(("name", "type"), field.split(":"), strict=True)) for field in text.split()]


def typed(signed: SignedOrder) -> dict[str, Any]:
    """The order as the contract would see it, written down without the adapter."""
    order = signed.order
    contract = (
        "0xe2222d279d744050d28e00520010520000310F59"
        if signed.neg_risk
        else ("0xE111180000d2663C0091e4f400237545B87B996B")
    )
    version = "2"
    if signed.token == POSITION:
        contract, version = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa", "3"
    domain = {
        "name": "Polymarket CTF Exchange",
        "version": version,
        "chainId": 137,
        "verifyingContract": contract,
    }
    whole = ("salt", "tokenId", "makerAmount", "takerAmount", "timestamp")
    message = {name: int(order[name]) for name in whole} | {
        "maker": order["maker"],
        "signer": order["signer"],
        "side": {"BUY": 0, "SELL": 1}[order["side"]],
        "signatureType": order["signatureType"],
        "metadata": bytes(32),
        "builder": bytes(32),
    }
    types = {"EIP712Domain": fields(DOMAIN_FIELDS), "Order": fields(ORDER_FIELDS)}
    return {"primaryType": "Order", "types": types, "domain": domain, "message": message}


def digest(data: dict[str, Any]) -> str:
    encoded = encode_typed_data(full_message=data)
    return "0x" + keccak(b"\x19" + encoded.version + encoded.header + encoded.body).hex()


@st.composite
def limits(draw: st.DrawFn) -> tuple[Price, Price, Size]:
    tick = draw(st.sampled_from(KNOWN_TICKS))
    price = draw(st.integers(1, ONE // tick - 1)) * tick
    return Price(tick), Price(price), Size(draw(st.integers(1, 10_000_000)) * CENT_SHARE)


orders = st.tuples(
    limits(),
    st.sampled_from(list(Side)),
    st.sampled_from([0, 1, 2, 3]),
    st.booleans(),
    st.sampled_from([TOKEN, POSITION]),
    st.integers(0, 2**53 - 1),
)


def sign(order: Any) -> SignedOrder:
    (tick, price, size), side, kind, neg_risk, token, salt = order
    return SIGNERS[kind].order(token, side, price, size, tick, neg_risk, at=NOW, salt=salt)


@given(orders)
def test_what_is_signed_is_what_was_wanted_and_the_key_is_found_in_the_signature(order):
    (_, price, size), side, kind, _, token, salt = order
    signed = sign(order)
    data = typed(signed)
    cash = int(Decimal(price) / ONE * size)
    given_away, got = (cash, size) if side is Side.BUY else (size, cash)
    assert (signed.order["makerAmount"], signed.order["takerAmount"]) == (str(given_away), str(got))
    assert (signed.order["salt"], signed.order["tokenId"], signed.order["timestamp"]) == (salt, token, str(NOW // 1000))
    assert signed.order_id == digest(data)
    signature = bytes.fromhex(signed.order["signature"].removeprefix("0x"))
    if kind == 3:
        data = wrapped(data, signature)
    recovered = Account.recover_message(encode_typed_data(full_message=data), signature=signature[:65])
    assert recovered == SIGNERS[kind].address


def wrapped(data: dict[str, Any], signature: bytes) -> dict[str, Any]:
    """A deposit wallet signs the order inside of its own domain and says so behind the signature (reference 2.4)."""
    encoded = encode_typed_data(full_message=data)
    kind = f"Order({','.join(' '.join(reversed(field.split(':'))) for field in ORDER_FIELDS.split())})".encode()
    assert signature[65:] == encoded.header + encoded.body + kind + len(kind).to_bytes(2)
    message = {
        "contents": data["message"],
        "name": "DepositWallet",
        "version": "1",
        "chainId": 137,
        "verifyingContract": data["message"]["maker"],
        "salt": bytes(32),
    }
    types = data["types"] | {"TypedDataSign": fields(WRAPPING_FIELDS)}
    return data | {"primaryType": "TypedDataSign", "types": types, "message": message}


def by_the_library(order: Any, monkeypatch: pytest.MonkeyPatch, market: str | None = None) -> Any:
    """The library's own order, at our time and with our salt."""
    (tick, price, size), side, kind, neg_risk, token, salt = order
    monkeypatch.setattr(library, "time", SimpleNamespace(time_ns=lambda: NOW * 1000))
    monkeypatch.setattr(
        library, "ExchangeOrderBuilderV2", partial(ExchangeOrderBuilderV2, generate_salt=lambda: str(salt))
    )
    signature_type = SignatureTypeV2(kind)
    made = library.OrderBuilder(LibrarySigner(KEY, 137), signature_type, None if kind == 0 else FUNDER)
    asset: dict[str, Any] = {"token_id": token} if token == TOKEN else {"token_id": None, "position_id": token}
    options = CreateOrderOptions(tick_size=format_price(tick), neg_risk=neg_risk)
    if market is not None:
        amount = float(Decimal(price) * size / ONE / SHARE) if side is Side.BUY else size / SHARE
        arguments = MarketOrderArgsV2(**asset, amount=amount, side=side.value, price=price / ONE, order_type=market)
        return made.build_market_order(arguments, options)
    arguments = OrderArgsV2(**asset, price=price / ONE, size=size / SHARE, side=side.value)
    return made.build_order(arguments, options)


def survives_floats(size: Size) -> bool:
    """Whether the library's floats keep a size: 1.13 x 100 is 112.99999999999999, which it floors to 1.12."""
    return math.floor(size / SHARE * 100) * CENT_SHARE == size


@given(orders)
def test_the_exchange_s_own_library_signs_the_same_order_alike(order):
    assume(survives_floats(order[0][2]))
    with pytest.MonkeyPatch.context() as monkeypatch:
        theirs = by_the_library(order, monkeypatch)
    ours = sign(order)
    assert ours.order == vars(theirs) | {"salt": order[-1], "side": order[1].value, "signatureType": order[2]}


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("how", ["FOK", "FAK"])
def test_an_order_that_takes_has_the_amounts_of_the_library_s_market_order(how, side, monkeypatch):
    order = ((Price(100), Price(5200), Size(25 * SHARE)), side, 0, False, TOKEN, 7)
    theirs = by_the_library(order, monkeypatch, market=how)
    ours = SIGNERS[0].order(TOKEN, side, Price(5200), Size(25 * SHARE), 100, False, at=NOW, salt=7, time_in_force=how)
    assert ours.order["signature"] == theirs.signature


def test_a_size_that_floats_would_shrink_is_signed_in_full():
    size = Size(1_130_000)
    assert not survives_floats(size)
    signed = SIGNERS[0].order(TOKEN, Side.BUY, Price(5000), size, Price(100), False, at=NOW)
    assert (signed.order["makerAmount"], signed.order["takerAmount"]) == ("565000", "1130000")


@given(limits())
def test_a_buy_that_takes_in_steps_of_the_market_lot_costs_whole_cents(limit):
    tick, price, size = limit
    lot = market_lot(price)
    cash, shares = amounts(Side.BUY, price, Size(lot * (1 + size // SHARE)), tick, "FAK")
    assert cash % 10_000 == 0
    assert shares * price == cash * ONE
    assert lot == CENT_SHARE or (lot - CENT_SHARE) * price // ONE % 10_000


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("price 0.525 is off the tick 0.01", {"price": Price(5250)}),
        ("price 1 is off the tick 0.01", {"price": Price(10_000)}),
        ("price 0 is off the tick 0.01", {"price": Price(0)}),
        ("size 1.005 is not a positive number of hundredths", {"size": Size(1_005_000)}),
        ("size 0 is not a positive number of hundredths", {"size": Size(0)}),
        ("tick 0.02 is none of the exchange's", {"tick": Price(200)}),
        ("salt 9007199254740992 does not fit 53 bits", {"salt": 2**53}),
        ("a GTD order needs an expiration", {"time_in_force": "GTD"}),
        ("a GTC order has no expiration", {"expiration": NOW // 1_000_000 + 600}),
        ("is less than 180 s after signing", {"time_in_force": "GTD", "expiration": NOW // 1_000_000 + 180}),
        ("a FAK buy of 10.01 at 0.53 does not cost whole cents: its size has to be a multiple of 1$", {
            "time_in_force": "FAK", "price": Price(5300), "size": Size(10_010_000)
        }),
        ("'0xabc' is no number of 256 bits", {"token": TokenId("0xabc")}),
        ("is not a valid TimeInForce", {"time_in_force": "IOC"}),
    ],
)  # fmt: skip
def test_what_would_have_to_be_rounded_or_would_be_refused_is_not_signed(said, wrong):
    terms: dict[str, Any] = {
        "token": TOKEN,
        "side": Side.BUY,
        "price": Price(5200),
        "size": Size(10 * SHARE),
        "tick": Price(100),
        "neg_risk": False,
        "at": NOW,
    }
    SIGNERS[0].order(**terms)
    with pytest.raises(ValueError, match=said):
        SIGNERS[0].order(**terms | wrong)


def test_a_gtd_order_says_when_it_ends_and_signs_without_it():
    end = NOW // 1_000_000 + 181
    terms = (TOKEN, Side.BUY, Price(5200), Size(10 * SHARE), Price(100), False)
    timed = SIGNERS[0].order(*terms, at=NOW, salt=1, time_in_force="GTD", expiration=end)
    untimed = SIGNERS[0].order(*terms, at=NOW, salt=1)
    assert timed.order["expiration"] == str(end)
    assert timed.order_id == untimed.order_id


def test_two_orders_alike_have_different_ids():
    terms = (TOKEN, Side.BUY, Price(5200), Size(10 * SHARE), Price(100), False)
    ids = {SIGNERS[0].order(*terms, at=NOW).order_id for _ in range(20)}
    assert len(ids) == 20


def test_the_next_generation_s_positions_are_told_by_their_number():
    assert is_position(POSITION)
    assert not is_position(TOKEN)


@pytest.mark.parametrize(
    ("kind", "funder", "said"),
    [
        (1, None, "signature type 1 needs the wallet that pays for"),
        (3, SIGNERS[0].address, "signature type 3 needs the wallet that pays for"),
        (0, FUNDER, "with signature type 0 the key's own wallet 0x[0-9a-fA-F]{40} pays"),
        (4, FUNDER, "signature_type=4: one of 0, 1, 2, 3 is wanted"),
        (2, FUNDER.replace("E7E3", "e7E3"), "POLYMARKET_FUNDER=.*capitals are not those of its checksum"),
    ],
)
def test_a_wallet_that_does_not_fit_the_key_is_refused_by_its_address(kind, funder, said):
    with pytest.raises(ConfigError, match=said) as caught:
        Signer(Secret(KEY), signature_type=kind, funder=funder)
    assert KEY[2:] not in str(caught.value)


def test_who_signs_and_who_pays():
    assert (SIGNERS[0].maker, SIGNERS[3].maker) == (SIGNERS[0].address, FUNDER)
    order = (TOKEN, Side.BUY, Price(5200), Size(10 * SHARE), Price(100), False)
    signed = [SIGNERS[kind].order(*order, at=NOW).order for kind in range(4)]
    own = SIGNERS[0].address
    assert [each["maker"] for each in signed] == [own, FUNDER, FUNDER, FUNDER]
    assert [each["signer"] for each in signed] == [own, own, own, FUNDER]


API = ApiKey("f4f247b7-4ac7-ff29-a152-04fda0a8755a", Secret(base64.urlsafe_b64encode(b"k" * 32).decode()), Secret("pp"))


def test_requests_are_signed_as_the_library_signs_them():
    body = b'{"orderID":"0xaa"}'
    library_signer = LibrarySigner(KEY, 137)
    creds = ApiCreds(API.key, API.secret.reveal(), API.passphrase.reveal())
    request = RequestArgs("DELETE", "/order", serialized_body=body.decode())
    theirs = create_level_2_headers(library_signer, creds, request, NOW // 1_000_000)
    assert SIGNERS[0].l2_headers(API, "DELETE", "/order", body, NOW) == {
        name: str(value) for name, value in theirs.items()
    }
    assert SIGNERS[0].l1_headers(0, NOW) == create_level_1_headers(library_signer, 0, NOW // 1_000_000)


def test_a_body_with_an_apostrophe_is_signed_as_the_bytes_that_are_sent():
    body = b'{"note":"don\'t"}'
    expected = hmac.new(b"k" * 32, f"{NOW // 1_000_000}POST/order".encode() + body, hashlib.sha256).digest()
    headers = SIGNERS[0].l2_headers(API, "POST", "/order", body, NOW)
    assert base64.urlsafe_b64decode(headers["POLY_SIGNATURE"]) == expected


@pytest.mark.parametrize(
    "write",
    [
        repr,
        str,
        "{}".format,
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 (one of the ways in which a secret gets out)
        lambda secret: f"{secret} {secret!r}",
        lambda secret: repr(ApiKey("name", secret, secret)),
        lambda secret: repr({"a": [secret]}),
    ],
)
def test_a_secret_shows_nowhere(write):
    assert "hush" not in write(Secret("hush"))
    assert "<secret>" in write(Secret("hush"))


@pytest.mark.parametrize(
    "store",
    [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode, msgspec.msgpack.encode, vars],
)
def test_a_secret_is_not_stored_by_accident(store):
    with pytest.raises(TypeError) as caught:
        store(Secret("hush"))
    assert "hush" not in str(caught.value)


def test_an_api_key_is_not_turned_into_plain_data():
    with pytest.raises(TypeError, match="a secret is not written anywhere"):
        asdict(API)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "is not set"),
        ("0x" + "5e" * 31, "64 hexadecimal digits"),
        ("5e" * 31 + "zz", "64 hexadecimal digits"),
        ("0x" + "00" * 32, "outside the range of the curve"),
        ("ff" * 32, "outside the range of the curve"),
    ],
)
def test_a_malformed_private_key_is_refused_by_name_and_not_shown(key, said):
    with pytest.raises(ConfigError, match=f"^POLYMARKET_PRIVATE_KEY: .*{said}") as caught:
        read_private_key({"POLYMARKET_PRIVATE_KEY": key})
    assert not key or key.removeprefix("0x") not in str(caught.value)


@pytest.mark.parametrize("key", [KEY, KEY[2:], f"  {KEY}\n"])
def test_a_private_key_may_lack_its_prefix(key):
    assert Signer(read_private_key({"POLYMARKET_PRIVATE_KEY": key})).address == SIGNERS[0].address


def test_an_api_key_is_read_whole_or_not_at_all():
    names = {"POLYMARKET_API_KEY": "name", "POLYMARKET_API_SECRET": "aHVzaA==", "POLYMARKET_API_PASSPHRASE": "word"}
    found = read_api_key(names)
    assert found is not None
    assert (found.key, found.secret_bytes(), found.passphrase.reveal()) == ("name", b"hush", "word")
    assert read_api_key({}) is None
    with pytest.raises(ConfigError, match=r"^POLYMARKET_API_PASSPHRASE: is not set"):
        read_api_key(names | {"POLYMARKET_API_PASSPHRASE": " "})
    with pytest.raises(ConfigError, match=r"^POLYMARKET_API_SECRET: is no base64 text$"):
        read_api_key(names | {"POLYMARKET_API_SECRET": "hush!"})


def test_a_funder_is_an_address():
    assert read_funder({}) is None
    assert read_funder({"POLYMARKET_FUNDER": FUNDER}) == FUNDER
    with pytest.raises(ConfigError, match=r"^POLYMARKET_FUNDER: is no address"):
        read_funder({"POLYMARKET_FUNDER": KEY})


def test_an_api_key_answer_that_is_not_one_is_not_shown():
    assert parse_api_key(b'{"apiKey":"k","secret":"aHVzaA==","passphrase":"p"}').key == "k"
    for raw in (b'{"apiKey":"k","secret":"aHVzaA=="}', b"aHVzaA==", b'["aHVzaA=="]'):
        with pytest.raises(ProtocolViolation, match=r"^API key answer: ") as caught:
            parse_api_key(raw)
        assert "aHVz" not in str(caught.value)
    with pytest.raises(ConfigError, match="is no base64 text"):
        parse_api_key(b'{"apiKey":"k","secret":"hush!","passphrase":"p"}')
