"""Signed orders: what a body says, whether its signature holds, and the price and size that its amounts mean."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from eth_account.messages import SignableMessage, encode_typed_data
from eth_utils.crypto import keccak

from pmrun.plugins.exchanges.embedded.identity import DEPOSIT_WALLET, EOA, WALLET_KINDS, ApiKey, checksum, recover
from pmrun.plugins.exchanges.embedded.replies import CallRefused
from pmrun.plugins.exchanges.embedded.terms import TimeInForce
from pmrun.runner.market import Market
from pmrun.runner.units import ONE, PRICE_SCALE, Price, Side, Size, format_price

# Reference 1.4: the contract that verifies an order, by generation and kind of market.
EXCHANGE_V2 = "0xE111180000d2663C0091e4f400237545B87B996B"
NEG_RISK_EXCHANGE_V2 = "0xe2222d279d744050d28e00520010520000310F59"
EXCHANGE_V3 = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"

_ZERO = "0x" + "00" * 32
_UINT256 = 1 << 256
_POSITION_GAP = ((1 << 64) - 1) << 40  # bits 40..103 are zero in a Protocol V2 position id (reference 1.4)
_SHARE_DECIMALS = 2
_PRICE_DECIMALS = {1000: 1, 100: 2, 50: 3, 25: 4, 10: 3, 1: 4}  # by tick (reference 2.5)

ORDER_TYPE = (
    "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,"
    "uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)


def _fields(declared: str) -> list[dict[str, str]]:
    pairs = (field.split(" ") for field in declared.split(","))
    return [{"name": name, "type": kind} for kind, name in pairs]


_DOMAIN_FIELDS = _fields("string name,string version,uint256 chainId,address verifyingContract")
_ORDER_FIELDS = _fields(ORDER_TYPE.removeprefix("Order(").removesuffix(")"))
_WRAPPED_FIELDS = _fields(
    "Order contents,string name,string version,uint256 chainId,address verifyingContract,bytes32 salt"
)
_WRAPPING_TAIL = ORDER_TYPE.encode() + len(ORDER_TYPE).to_bytes(2, "big")


class OrderBody(msgspec.Struct, frozen=True, rename="camel"):
    """The signed part as sent (reference 3.1); the fields of the dead first generation give it away."""

    salt: int
    maker: str
    signer: str
    token_id: str
    maker_amount: str
    taker_amount: str
    side: Side
    signature_type: int
    signature: str
    timestamp: str = ""
    metadata: str = _ZERO
    builder: str = _ZERO
    expiration: str | None = "0"
    nonce: str | None = None
    fee_rate_bps: str | None = None


class Submission(msgspec.Struct, frozen=True, rename="camel"):
    """One order as submitted."""

    order: OrderBody
    owner: str
    order_type: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    defer_exec: bool = False


class Checked(msgspec.Struct, frozen=True):
    """A verified order: its id and the wallet that pays and receives."""

    order_id: str
    maker: str


def is_position(token: str) -> bool:
    """Whether a token id is a Protocol V2 position id, which Exchange V3 settles (reference 1.4)."""
    return int(token) & _POSITION_GAP == 0


def exchange_of(token: str, neg_risk: bool) -> tuple[str, str]:
    """Return the domain version and the contract that an order of a token is signed for (reference 1.4)."""
    if is_position(token):
        return "3", EXCHANGE_V3
    return "2", NEG_RISK_EXCHANGE_V2 if neg_risk else EXCHANGE_V2


def verify(order: OrderBody, key: ApiKey, market: Market, chain_id: int) -> Checked:
    """Return the order's id and maker; CallRefused in the exchange's words when it is not the caller's (3.9)."""
    if order.fee_rate_bps is not None or not order.timestamp:
        raise CallRefused(400, "order_version_mismatch")
    message = _message(order)
    version, contract = exchange_of(order.token_id, market.neg_risk)
    signable = _order_data(message, version, contract, chain_id)
    _check_signer(order, message, key)
    if not _signed_by(key.address, order, message, signable, version, contract, chain_id):
        raise CallRefused(400, _why_not(order, message, key, chain_id))
    digest = keccak(b"\x19" + signable.version + signable.header + signable.body)
    return Checked("0x" + digest.hex(), message["maker"])


def _message(order: OrderBody) -> dict[str, Any]:
    try:
        return {
            "salt": _number(str(order.salt)),
            "maker": checksum(order.maker),
            "signer": checksum(order.signer),
            "tokenId": _number(order.token_id),
            "makerAmount": _number(order.maker_amount),
            "takerAmount": _number(order.taker_amount),
            "side": 0 if order.side is Side.BUY else 1,
            "signatureType": WALLET_KINDS[WALLET_KINDS.index(order.signature_type)],
            "timestamp": _number(order.timestamp),
            "metadata": _bytes32(order.metadata),
            "builder": _bytes32(order.builder),
        }
    except ValueError:
        raise CallRefused(400, "Invalid order payload") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 78):
        raise ValueError(text)
    number = int(text)
    if number >= _UINT256:
        raise ValueError(text)
    return number


def _bytes32(text: str) -> bytes:
    raw = bytes.fromhex(text.removeprefix("0x"))
    if len(raw) != 32:
        raise ValueError(text)
    return raw


def _check_signer(order: OrderBody, message: Mapping[str, Any], key: ApiKey) -> None:
    """An EOA, proxy or safe order names the key's address as signer, a deposit wallet's names the wallet (2.3)."""
    expected = message["maker"] if order.signature_type == DEPOSIT_WALLET else key.address
    if message["signer"] != expected:
        raise CallRefused(400, "the order signer address has to be the address of the API KEY")
    if order.signature_type == EOA and message["maker"] != message["signer"]:
        raise CallRefused(400, "invalid signature")


def _signed_by(
    address: str,
    order: OrderBody,
    message: Mapping[str, Any],
    signable: SignableMessage,
    version: str,
    contract: str,
    chain_id: int,
) -> bool:
    if order.signature_type != DEPOSIT_WALLET:
        return recover(signable, order.signature) == address
    try:
        signature = bytes.fromhex(order.signature.removeprefix("0x"))
    except ValueError:
        return False
    # Reference 2.4: what follows the inner signature repeats what was signed; it has to be exactly that.
    if signature[65:] != signable.header + signable.body + _WRAPPING_TAIL:
        return False
    wrapped = _wrapped_data(message, version, contract, chain_id)
    return recover(wrapped, "0x" + signature[:65].hex()) == address


def _why_not(order: OrderBody, message: Mapping[str, Any], key: ApiKey, chain_id: int) -> str:
    """A signature that holds for another generation is told apart from one that holds for nothing."""
    for version, contract in (("2", EXCHANGE_V2), ("2", NEG_RISK_EXCHANGE_V2), ("3", EXCHANGE_V3)):
        signable = _order_data(message, version, contract, chain_id)
        same = version == ("3" if is_position(order.token_id) else "2")
        if not same and _signed_by(key.address, order, message, signable, version, contract, chain_id):
            return "order_version_mismatch"
    return "invalid signature"


def _domain(version: str, contract: str, chain_id: int) -> dict[str, Any]:
    return {
        "name": "Polymarket CTF Exchange",
        "version": version,
        "chainId": chain_id,
        "verifyingContract": contract,
    }


def _order_data(message: Mapping[str, Any], version: str, contract: str, chain_id: int) -> SignableMessage:
    return encode_typed_data(
        full_message={
            "types": {"EIP712Domain": _DOMAIN_FIELDS, "Order": _ORDER_FIELDS},
            "primaryType": "Order",
            "domain": _domain(version, contract, chain_id),
            "message": message,
        }
    )


def _wrapped_data(message: Mapping[str, Any], version: str, contract: str, chain_id: int) -> SignableMessage:
    return encode_typed_data(
        full_message={
            "types": {"EIP712Domain": _DOMAIN_FIELDS, "TypedDataSign": _WRAPPED_FIELDS, "Order": _ORDER_FIELDS},
            "primaryType": "TypedDataSign",
            "domain": _domain(version, contract, chain_id),
            "message": {
                "contents": message,
                "name": "DepositWallet",
                "version": "1",
                "chainId": chain_id,
                "verifyingContract": message["signer"],
                "salt": bytes(32),
            },
        }
    )


def price_and_size(order: OrderBody, order_id: str, market: Market, time_in_force: TimeInForce) -> tuple[Price, Size]:
    """Return the price and the shares that an order's amounts mean (reference 2.5).

    A market order's share amount is rounded by its client: its price is the one on the tick that gives that amount.
    CallRefused in the exchange's words when the amounts are too fine, or the price is off the tick.
    """
    paid, got = int(order.maker_amount), int(order.taker_amount)
    cash, shares = (paid, got) if order.side is Side.BUY else (got, paid)
    if not cash or not shares:
        raise CallRefused(400, "Invalid order payload")
    at_once = time_in_force in (TimeInForce.FOK, TimeInForce.FAK)
    cents = _SHARE_DECIMALS + _PRICE_DECIMALS[market.tick]
    _check_accuracy(order, at_once, cents)
    price, rest = divmod(cash * PRICE_SCALE, shares)
    if at_once and rest:
        found = _price_behind(cash, shares, market.tick, 10 ** (6 - cents))
        price, rest = (found, 0) if found else (price, rest)
    if rest or price % market.tick or not market.tick <= price <= ONE - market.tick:
        shown = format(round(Decimal(cash) / Decimal(shares), 6).normalize(), "f")
        raise CallRefused(
            400,
            f"order {order_id} is invalid. Price ({shown}) breaks minimum tick size rule: {format_price(market.tick)}",
        )
    return Price(price), Size(shares)


def _check_accuracy(order: OrderBody, at_once: bool, cents: int) -> None:
    """Shares have 2 decimals, dollars those of the tick; a market buy states its dollars to 2 (reference 2.5)."""
    buying = order.side is Side.BUY
    maker, taker = (cents, _SHARE_DECIMALS) if buying and not at_once else (_SHARE_DECIMALS, cents)
    if int(order.maker_amount) % 10 ** (6 - maker) or int(order.taker_amount) % 10 ** (6 - taker):
        kind = f"{'market ' if at_once else ''}{'buy' if buying else 'sell'}"
        raise CallRefused(
            400,
            f"invalid amounts, the {kind} orders maker amount supports a max accuracy of {maker} decimals, "
            f"taker amount a max of {taker} decimals",
        )


def _price_behind(cash: int, shares: int, tick: Price, unit: int) -> int | None:
    """Return the price on the tick at which the dollars buy these shares, to the unit that the client rounded to."""
    below = cash * PRICE_SCALE // shares // tick * tick
    for price in (below, below + tick):
        if price and abs(cash * PRICE_SCALE - shares * price) < unit * price:
            return price
    return None
