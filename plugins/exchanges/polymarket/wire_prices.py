"""Answers to Polymarket's calls about books, prices and other people's trades (reference 4, 6.3)."""

from decimal import Decimal

import msgspec

from pmrun.plugins.exchanges.common.market_news import BookSeen
from pmrun.plugins.exchanges.polymarket.wire_book import WireBook, read_book
from pmrun.plugins.exchanges.polymarket.wire_fields import (
    Condition,
    Scalar,
    Token,
    decode,
    half_price,
    moment,
    price,
    side,
    size,
    tick,
)
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import HalfPrice, Micros, Price, Side


class LastTrade(msgspec.Struct, frozen=True):
    """The last trade of a token, by its taker's side."""

    price: Price
    side: Side


class PricePoint(msgspec.Struct, frozen=True):
    """One point of a price history: a report to look at, not to trade on."""

    at: Micros
    price: float


class ReportedTrade(msgspec.Struct, frozen=True, kw_only=True):
    """Anybody's trade as the Data API reports it: more decimals than the exchange's, never in the ledger."""

    token: TokenId
    condition: ConditionId
    side: Side
    size: Decimal
    price: Decimal
    at: Micros
    outcome: str = ""
    slug: str = ""
    event: str | None = None
    wallet: str | None = None
    transaction: str | None = None


class _Mid(msgspec.Struct):
    mid: Scalar | None = None
    mid_price: Scalar | None = None  # the OpenAPI's spelling


class _Last(msgspec.Struct):
    price: Scalar
    side: str


class _Point(msgspec.Struct):
    t: Scalar
    p: float


class _History(msgspec.Struct):
    history: list[_Point]


class _Tick(msgspec.Struct):
    minimum_tick_size: Scalar


class _NegRisk(msgspec.Struct):
    neg_risk: bool


class _FeeRate(msgspec.Struct):
    base_fee: Scalar


class _Reported(msgspec.Struct, rename="camel"):
    asset: Token
    condition_id: Condition
    side: str
    size: Decimal
    price: Decimal
    timestamp: Scalar
    outcome: str | None = None
    slug: str | None = None
    event_slug: str | None = None
    proxy_wallet: str | None = None
    transaction_hash: str | None = None


_BOOK = msgspec.json.Decoder(WireBook)

_BOOKS = msgspec.json.Decoder(list[WireBook])

_MID = msgspec.json.Decoder(_Mid)

_LAST = msgspec.json.Decoder(_Last)

_HISTORY = msgspec.json.Decoder(_History)

_TICK = msgspec.json.Decoder(_Tick)

_NEG_RISK = msgspec.json.Decoder(_NegRisk)

_FEE_RATE = msgspec.json.Decoder(_FeeRate)

_REPORTED = msgspec.json.Decoder(list[_Reported])


def parse_book(raw: bytes | str) -> BookSeen:
    """Read `GET /book` (reference 4.1)."""
    return read_book(decode(_BOOK, raw, "book"))


def parse_books(raw: bytes | str) -> tuple[BookSeen, ...]:
    """Read `POST /books`; tokens that the exchange does not know are missing from it."""
    return tuple([read_book(book) for book in decode(_BOOKS, raw, "books")])


def parse_reported_trades(raw: bytes | str) -> tuple[ReportedTrade, ...]:
    """Read the Data API's `/trades` (reference 6.3)."""
    return tuple([_reported(wire) for wire in decode(_REPORTED, raw, "reported trades")])


def _reported(wire: _Reported) -> ReportedTrade:
    for field, value in (("size", wire.size), ("price", wire.price)):
        if not value.is_finite() or value < 0:
            raise ProtocolViolation(f"reported trade: {field} {value} is not an amount")
    return ReportedTrade(
        token=wire.asset,
        condition=wire.condition_id,
        side=side(wire.side),
        size=wire.size,
        price=wire.price,
        at=moment(wire.timestamp),
        outcome=wire.outcome or "",
        slug=wire.slug or "",
        event=wire.event_slug,
        wallet=wire.proxy_wallet,
        transaction=wire.transaction_hash,
    )


def parse_midpoint(raw: bytes | str) -> HalfPrice:
    """Read `GET /midpoint`."""
    wire = decode(_MID, raw, "midpoint")
    text = wire.mid if wire.mid is not None else wire.mid_price
    if text is None:
        raise ProtocolViolation("midpoint: mid is missing")
    return half_price(text, "mid")


def parse_last_trade_price(raw: bytes | str) -> LastTrade | None:
    """Read `GET /last-trade-price`; None when the token never traded: price "0.5" and no side (reference 4)."""
    wire = decode(_LAST, raw, "last trade price")
    return LastTrade(price(wire.price), side(wire.side)) if wire.side else None


def parse_price_history(raw: bytes | str) -> tuple[PricePoint, ...]:
    """Read `GET /prices-history`."""
    points = decode(_HISTORY, raw, "price history").history
    return tuple([PricePoint(moment(point.t, "t"), point.p) for point in points])


def parse_tick_size(raw: bytes | str) -> Price:
    """Read `GET /tick-size`."""
    return tick(decode(_TICK, raw, "tick size").minimum_tick_size, "minimum_tick_size")


def parse_neg_risk(raw: bytes | str) -> bool:
    """Read `GET /neg-risk`."""
    return decode(_NEG_RISK, raw, "neg risk").neg_risk


def parse_fee_rate(raw: bytes | str) -> int:
    """Read `GET /fee-rate`: legacy basis points, not the fee formula (reference 4)."""
    found, rest = divmod(size(decode(_FEE_RATE, raw, "fee rate").base_fee, "base_fee"), 1_000_000)
    if rest:
        raise ProtocolViolation("fee rate: base_fee is not a whole number of basis points")
    return found
