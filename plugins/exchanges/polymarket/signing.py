"""Signs orders and requests; the only module that imports the exchange's client library (reference 2).

The library takes a second to load and opens a connection pool, so it is imported when a Signer is made.
"""

import base64
import hashlib
import hmac
import math
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pmrun.plugins.exchanges.common.secret import Secret
from pmrun.plugins.exchanges.polymarket.credentials import FUNDER, ApiKey, Wallet, private_key_bytes
from pmrun.runner.errors import ConfigError
from pmrun.runner.grid import KNOWN_TICKS, Grid
from pmrun.runner.market import TokenId
from pmrun.runner.units import (
    NOTIONAL_PER_CASH,
    PRICE_SCALE,
    SECOND,
    Micros,
    Price,
    Side,
    Size,
    format_price,
    format_size,
)

CHAINS = (137, 80002)  # Polygon and its test network
SHORTEST_LIFE = Micros(180 * SECOND)  # of a GTD order as sent; it ends a minute before (reference 3.1)

_LOT = 10_000  # sizes are signed with two decimals (reference 2.5)
_CENT = 10_000  # of a dollar, in base units
_SALT_BITS = 53  # a salt has to survive a JSON number (reference 2.4)
_LARGEST_TOKEN = 1 << 256
_POLY_1271 = 3
_ZERO_32 = "0x" + "0" * 64


class TimeInForce(StrEnum):
    """How long an order lives (reference 3.1)."""

    GTC = "GTC"
    GTD = "GTD"
    FOK = "FOK"
    FAK = "FAK"


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order that is ready to be sent; `order_id` is what the exchange will call it (reference 2.4)."""

    order_id: str
    token: TokenId
    side: Side
    price: Price
    size: Size
    neg_risk: bool
    time_in_force: TimeInForce
    expiration: int | None  # Unix seconds, as sent
    salt: int
    signed_at: Micros
    order: dict[str, Any] = field(repr=False)  # as reference 3.1 sends it


class _Key:
    """The private key as the library asks for it, revealed only while it signs."""

    def __init__(self, secret: Secret, chain_id: int) -> None:
        from eth_account import Account

        self._secret = secret
        self._chain_id = chain_id
        self._address = str(Account.from_key(private_key_bytes(secret)).address)

    @property
    def private_key(self) -> bytes:
        return private_key_bytes(self._secret)

    def address(self) -> str:
        return self._address

    def get_chain_id(self) -> int:
        return self._chain_id

    def sign(self, message_hash: str) -> str:
        from eth_account import Account

        signed = Account.unsafe_sign_hash(bytes.fromhex(message_hash.removeprefix("0x")), private_key=self.private_key)
        return bytes(signed.signature).hex()


class Signer:
    """Signs with one key for one wallet."""

    def __init__(
        self, private_key: Secret, chain_id: int = 137, signature_type: int = 0, funder: str | None = None
    ) -> None:
        """Take the key and say whose money it moves (reference 2.3); ConfigError when the two do not fit."""
        if chain_id not in CHAINS:
            raise ConfigError("chain_id", chain_id, f"one of {', '.join(map(str, CHAINS))} is wanted")
        self.private_key = private_key
        self._key = _Key(private_key, chain_id)
        maker = _maker(self._key.address(), signature_type, funder)
        self.wallet = Wallet(self._key.address(), maker, signature_type, chain_id)
        self._builders = {
            (False, False): self._builder("exchange_v2", "2"),
            (True, False): self._builder("neg_risk_exchange_v2", "2"),
            (False, True): self._builder("exchange_v3", "3"),
            (True, True): self._builder("exchange_v3", "3"),  # makes no distinction (reference 1.4)
        }

    @property
    def address(self) -> str:
        """The address of the key: what POLY_ADDRESS says."""
        return self.wallet.address

    @property
    def maker(self) -> str:
        """The address of the wallet that pays."""
        return self.wallet.funder

    def order(
        self,
        token: TokenId,
        side: Side,
        price: Price,
        size: Size,
        tick: Price,
        neg_risk: bool,
        *,
        at: Micros,
        time_in_force: str = TimeInForce.GTC,
        expiration: int | None = None,
        salt: int | None = None,
    ) -> SignedOrder:
        """Sign an order; without a salt, one is drawn.

        Raises ValueError for what would have to be rounded (an off-tick price, a size finer than 1/100 share) and
        for an expiration that the exchange would refuse: rounding is the desk's.
        """
        how = TimeInForce(time_in_force)
        check_expiration(how, expiration, at)
        maker_amount, taker_amount = amounts(side, price, size, tick, how)
        chosen = secrets.randbits(_SALT_BITS) if salt is None else salt
        if not 0 <= chosen < 1 << _SALT_BITS:
            raise ValueError(f"salt {chosen} does not fit {_SALT_BITS} bits")
        order_id, order = self._sign(
            self._builders[neg_risk, is_position(token)],
            {
                "maker": self.wallet.funder,
                "tokenId": token,
                "makerAmount": str(maker_amount),
                "takerAmount": str(taker_amount),
                "side": 0 if side is Side.BUY else 1,
                "signer": self.wallet.funder if self.wallet.signature_type == _POLY_1271 else self.wallet.address,
                "timestamp": str(at // 1_000),
                "expiration": str(expiration or 0),
            },
            chosen,
        )
        return SignedOrder(
            order_id, token, side, price, size, neg_risk, how, expiration, salt=chosen, signed_at=at, order=order
        )

    def l1_headers(self, nonce: int, at: Micros) -> dict[str, str]:
        """Return the headers that prove the key itself (reference 2.1)."""
        from py_clob_client_v2.signing.eip712 import sign_clob_auth_message

        stamp = at // SECOND
        return {
            "POLY_ADDRESS": self.address,
            "POLY_SIGNATURE": sign_clob_auth_message(self._key, stamp, nonce),
            "POLY_TIMESTAMP": str(stamp),
            "POLY_NONCE": str(nonce),
        }

    def l2_headers(self, api_key: ApiKey, method: str, path: str, body: bytes, at: Micros) -> dict[str, str]:
        """Return the headers that prove an API key; `path` is without the query (reference 2.1).

        Our own HMAC: the library's rewrites apostrophes, and what is signed has to be the bytes that are sent.
        """
        stamp = str(at // SECOND)
        text = f"{stamp}{method}{path}".encode() + body
        digest = hmac.new(api_key.secret_bytes(), text, hashlib.sha256).digest()
        return {
            "POLY_ADDRESS": self.address,
            "POLY_SIGNATURE": base64.urlsafe_b64encode(digest).decode(),
            "POLY_TIMESTAMP": stamp,
            "POLY_API_KEY": api_key.key,
            "POLY_PASSPHRASE": api_key.passphrase.reveal(),
        }

    def _builder(self, contract: str, version: str) -> Any:
        from py_clob_client_v2.config import get_contract_config
        from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2

        chain_id = self.wallet.chain_id
        address = getattr(get_contract_config(chain_id), contract)
        return ExchangeOrderBuilderV2(address, chain_id, self._key, domain_version=version)

    def _sign(self, builder: Any, terms: dict[str, Any], salt: int) -> tuple[str, dict[str, Any]]:
        from py_clob_client_v2.order_utils import OrderDataV2, OrderV2, SignatureTypeV2

        data = OrderDataV2(**terms, signatureType=SignatureTypeV2(self.wallet.signature_type))
        order = OrderV2(**vars(data) | {"salt": str(salt), "metadata": _ZERO_32, "builder": _ZERO_32})
        typed = builder.build_order_typed_data(order)
        order_id = str(builder.build_order_hash(typed))
        if self.wallet.signature_type == _POLY_1271:
            signature = builder.build_order_signature(typed)
        else:
            # What the library signs here is this very hash; it would encode the order a second time to find it.
            signature = "0x" + self._key.sign(order_id)
        wire = vars(order) | {
            "salt": salt,
            "side": "BUY" if order.side == 0 else "SELL",
            "signatureType": self.wallet.signature_type,
            "signature": signature,
        }
        return order_id, wire


def amounts(side: Side, price: Price, size: Size, tick: Price, how: TimeInForce = TimeInForce.GTC) -> tuple[int, int]:
    """Return what is given and what is got, in base units, exactly (reference 2.5).

    A tick's decimals and two of the size make at most six, so that nothing is ever rounded.
    """
    if tick not in KNOWN_TICKS:
        raise ValueError(f"tick {format_price(tick)} is none of the exchange's")
    if price not in Grid(tick):
        raise ValueError(f"price {format_price(price)} is off the tick {format_price(tick)}, or outside of it")
    if size <= 0 or size % _LOT:
        raise ValueError(f"size {format_size(size)} is not a positive number of hundredths of a share")
    cash = price * size // NOTIONAL_PER_CASH
    if side is Side.SELL:
        return size, cash
    if how in (TimeInForce.FOK, TimeInForce.FAK) and cash % _CENT:
        step = format_size(market_lot(price))
        raise ValueError(
            f"a {how} buy of {format_size(size)} at {format_price(price)} does not cost whole cents: "
            f"its size has to be a multiple of {step}"
        )
    return cash, size


def market_lot(price: Price) -> Size:
    """Return the step of sizes at which a FOK or FAK buy costs whole cents, as it has to (reference 2.5)."""
    return Size(_LOT * PRICE_SCALE // math.gcd(price, PRICE_SCALE))


def is_position(token: TokenId) -> bool:
    """Whether a token is a Protocol V2 position, traded on Exchange V3 (reference 1.4)."""
    if not (token.isascii() and token.isdigit()) or int(token) >= _LARGEST_TOKEN:
        raise ValueError(f"token {token!r} is no number of 256 bits")
    return (int(token) >> 40) % (1 << 64) == 0


def check_expiration(how: TimeInForce, expiration: int | None, at: Micros) -> None:
    """Raise ValueError for an expiration that the exchange would refuse (reference 3.1)."""
    if (how is TimeInForce.GTD) != (expiration is not None):
        raise ValueError(f"a {how} order {'needs an' if expiration is None else 'has no'} expiration")
    if expiration is not None and expiration * SECOND < at + SHORTEST_LIFE:
        raise ValueError(f"expiration {expiration} is less than {SHORTEST_LIFE // SECOND} s after signing")


def _maker(address: str, signature_type: int, funder: str | None) -> str:
    from eth_utils.address import is_address, to_checksum_address

    if signature_type not in range(4):
        raise ConfigError("signature_type", signature_type, "one of 0, 1, 2, 3 is wanted (reference 2.3)")
    if funder is not None and not is_address(funder):
        raise ConfigError(FUNDER, funder, "is no address")
    paying = None if funder is None else str(to_checksum_address(funder))
    if funder is not None and paying != funder and funder not in (funder.lower(), "0x" + funder[2:].upper()):
        raise ConfigError(FUNDER, funder, "its capitals are not those of its checksum: there is a mistake in it")
    if signature_type == 0 and paying not in (None, address):
        raise ConfigError(FUNDER, paying, f"with signature type 0 the key's own wallet {address} pays")
    if signature_type != 0 and paying in (None, address):
        raise ConfigError(FUNDER, paying, f"signature type {signature_type} needs the wallet that pays for {address}")
    return paying or address
