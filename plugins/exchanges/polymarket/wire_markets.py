"""Polymarket's market listings: Gamma objects, CLOB rows and their short forms (reference 4.2, 4.3, 6)."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec

from pmrun.plugins.exchanges.polymarket.wire_fields import (
    Condition,
    Scalar,
    Token,
    decode,
    optional_moment,
    price,
    reported_cash,
    size,
    tick,
)
from pmrun.plugins.exchanges.polymarket.wire_terms import (
    WireFees,
    fee_terms,
    read_fees,
    reward_size,
    reward_spread,
    reward_terms,
)
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import ConditionId, FeeTerms, Market, RewardTerms, TokenId
from pmrun.runner.units import Micros, Price, Size, complement

T = TypeVar("T")

_LAST_CURSOR = "LTE="


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list; `next_cursor` is None on the last (reference 4: "LTE=", 6.1: absent).

    `count` is how many rows it claims to have, `says_last` whether it said "LTE=" in so many words; `unreadable`
    says what was wrong with rows that were left out, where the reader allows it.
    """

    rows: tuple[T, ...]
    next_cursor: str | None = None
    count: int | None = None
    says_last: bool = False
    unreadable: tuple[str, ...] = ()


class RewardedMarket(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `/sampling-simplified-markets`: tokens and rewards, no terms."""

    condition: ConditionId
    yes: TokenId
    no: TokenId
    outcomes: tuple[str, str]
    rewards: RewardTerms | None
    accepting_orders: bool


class MarketRewards(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the reward listings: what a market pays, by who pays it (reference 7.3)."""

    condition: ConditionId
    rewards: RewardTerms | None
    sponsors: int


class MarketTerms(msgspec.Struct, frozen=True, kw_only=True):
    """A `/clob-markets` object: the terms to sign and size orders by; it knows no daily rate (reference 4.2)."""

    condition: ConditionId | None
    yes: TokenId
    no: TokenId
    outcomes: tuple[str, str]
    tick: Price
    min_order_size: Size
    fees: FeeTerms
    neg_risk: bool
    accepting_orders: bool | None
    reward_min_size: Size | None
    reward_max_spread: Price | None
    reward_min_age: Micros | None
    clears_book_on_start: bool


class _Event(msgspec.Struct):
    slug: str | None = None


class _ClobReward(msgspec.Struct, rename="camel"):
    rewards_daily_rate: Decimal | None = None


class _Settlement(msgspec.Struct):
    outcome_up: str
    payout_up: Scalar


class _Gamma(msgspec.Struct, rename="camel"):
    condition_id: Condition
    order_price_min_tick_size: Scalar
    order_min_size: Scalar
    question: str = ""
    slug: str = ""
    version: str | None = None
    outcomes: str | list[str] | None = None
    clob_token_ids: str | list[str] | None = None
    position_ids: list[str] | None = None
    end_date: str | None = None
    active: bool | None = None
    closed: bool | None = None
    archived: bool | None = None
    accepting_orders: bool | None = None
    enable_order_book: bool | None = None
    neg_risk: bool | None = None
    fees_enabled: bool | None = None
    fee_schedule: WireFees | None = None
    rewards_min_size: Decimal | None = None
    rewards_max_spread: Decimal | None = None
    clob_rewards: list[_ClobReward] | None = None
    volume24hr: Decimal | None = None
    liquidity_num: Decimal | None = None
    events: list[_Event] | None = None
    assumed: list[str] | None = msgspec.field(default=None, name="_assumed")
    settlement: _Settlement | None = msgspec.field(default=None, name="_settlement")
    simulated: bool = msgspec.field(default=False, name="_simulated")


class _Rate(msgspec.Struct):
    rewards_daily_rate: Decimal | None = None


class _Rewards(msgspec.Struct):
    rates: list[_Rate] | None = None
    min_size: Decimal | None = None
    max_spread: Decimal | None = None


class _RewardConfig(msgspec.Struct):
    rate_per_day: Decimal | None = None


class _MarketRewards(msgspec.Struct):
    condition_id: Condition
    rewards_max_spread: Decimal | None = None
    rewards_min_size: Decimal | None = None
    rewards_config: list[_RewardConfig] | None = None
    native_daily_rate: Decimal | None = None
    sponsored_daily_rate: Decimal | None = None
    sponsors_count: int | None = None


class _ClobToken(msgspec.Struct):
    token_id: Token
    outcome: str = ""


class _Simplified(msgspec.Struct):
    condition_id: Condition
    tokens: list[_ClobToken]
    rewards: _Rewards | None = None
    active: bool | None = None
    closed: bool | None = None
    archived: bool | None = None
    accepting_orders: bool | None = None


class _Clob(_Simplified, kw_only=True):
    minimum_tick_size: Scalar
    minimum_order_size: Scalar
    question: str = ""
    market_slug: str = ""
    end_date_iso: str | None = None
    neg_risk: bool | None = None
    enable_order_book: bool | None = None


class _CompactToken(msgspec.Struct):
    t: Token
    o: str = ""


class _CompactFees(msgspec.Struct):
    r: Decimal
    e: Decimal = Decimal(1)
    to: bool = True


class _CompactRewards(msgspec.Struct):
    mi: Decimal | None = None
    ma: Decimal | None = None
    moas: int | None = None


class _Compact(msgspec.Struct):
    t: list[_CompactToken]
    mts: Scalar
    mos: Scalar
    c: ConditionId | None = None
    fd: _CompactFees | None = None
    r: _CompactRewards | None = None
    nr: bool | None = None
    ao: bool | None = None
    cbos: bool | None = None


_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_STRINGS = msgspec.json.Decoder(list[str])
_GAMMA = msgspec.json.Decoder(_Gamma)
_CLOB = msgspec.json.Decoder(_Clob)
_SIMPLIFIED = msgspec.json.Decoder(_Simplified)
_COMPACT = msgspec.json.Decoder(_Compact)
_REWARDS = msgspec.json.Decoder(_MarketRewards)


class _Envelope(msgspec.Struct):
    data: list[msgspec.Raw] | None | msgspec.UnsetType = msgspec.UNSET
    markets: list[msgspec.Raw] | None | msgspec.UnsetType = msgspec.UNSET
    next_cursor: str | None = None
    count: int | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def open_page(raw: bytes | str, what: str) -> Page[bytes]:
    """Split an answer into its rows, undecoded: a bare array, `{"data": […]}`, `{"markets": […]}` or one object."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    if text.lstrip().startswith("["):
        return Page(tuple([bytes(row) for row in decode(_ROWS, raw, what)]))
    page = decode(_ENVELOPE, raw, what)
    rows = page.markets if page.data is msgspec.UNSET else page.data
    if rows is msgspec.UNSET:
        return Page((text.encode(),))
    says_last = page.next_cursor == _LAST_CURSOR
    cursor = None if says_last else page.next_cursor or None
    return Page(tuple([bytes(row) for row in rows or ()]), cursor, page.count, says_last)


def read_page(page: Page[bytes], read: Callable[[bytes], T], lenient: bool = False) -> Page[T]:
    """Read every row of a page; where lenient, a row that cannot be read is left out and named, not fatal.

    Leniency is for listings of what may be traded, where a row left out is a market not traded.
    """
    rows: list[T] = []
    unreadable: list[str] = []
    for row in page.rows:
        try:
            rows.append(read(row))
        except ProtocolViolation as violation:
            if not lenient:
                raise
            unreadable.append(str(violation))
    return Page(tuple(rows), page.next_cursor, page.count, page.says_last, tuple(unreadable))


def parse_gamma_page(raw: bytes | str, lenient: bool = False) -> Page[Market]:
    """Read a Gamma `/markets` answer of either kind, or a tape's markets.json (reference 6.1, 6.2)."""
    page = open_page(raw, "gamma markets")
    return read_page(page, lambda row: _gamma(decode(_GAMMA, row, "gamma market")), lenient)


def parse_gamma_markets(raw: bytes | str) -> tuple[Market, ...]:
    """Read Gamma markets, whatever they are wrapped in."""
    return parse_gamma_page(raw).rows


def parse_clob_page(raw: bytes | str, lenient: bool = False) -> Page[Market]:
    """Read `/markets`, `/sampling-markets` or one `/markets/{condition}` (reference 4.3)."""
    page = open_page(raw, "clob markets")
    return read_page(page, lambda row: _clob(decode(_CLOB, row, "clob market")), lenient)


def parse_clob_markets(raw: bytes | str) -> tuple[Market, ...]:
    """Read CLOB markets, whatever they are wrapped in."""
    return parse_clob_page(raw).rows


def parse_simplified_page(raw: bytes | str, lenient: bool = False) -> Page[RewardedMarket]:
    """Read `/sampling-simplified-markets` (reference 4)."""
    page = open_page(raw, "simplified markets")
    return read_page(page, lambda row: _simplified(decode(_SIMPLIFIED, row, "market")), lenient)


def parse_rewards_page(raw: bytes | str, lenient: bool = False) -> Page[MarketRewards]:
    """Read `/rewards/markets/current`, `/rewards/markets/multi` or `/rewards/markets/{condition}` (reference 7.3)."""
    page = open_page(raw, "rewards")
    return read_page(page, lambda row: _market_rewards(decode(_REWARDS, row, "rewards")), lenient)


def parse_market_terms(raw: bytes | str) -> tuple[MarketTerms, ...]:
    """Read one `/clob-markets/{condition}` object or an array of them (reference 4.2)."""
    page = open_page(raw, "clob-markets")
    return tuple([_compact(decode(_COMPACT, row, "clob-markets")) for row in page.rows])


def _gamma(wire: _Gamma) -> Market:
    yes, no = _tokens(wire)
    outcomes = _pair(_listed(wire.outcomes, "outcomes"), "outcomes", wire.condition_id)
    fees, unknown_fees = _gamma_fees(wire)
    return Market(
        condition=wire.condition_id,
        question=wire.question,
        slug=wire.slug,
        yes=TokenId(yes),
        no=TokenId(no),
        outcomes=outcomes,
        tick=tick(wire.order_price_min_tick_size, "orderPriceMinTickSize"),
        min_order_size=size(wire.order_min_size, "orderMinSize"),
        fees=fees,
        rewards=_gamma_rewards(wire),
        ends_at=optional_moment(wire.end_date, "endDate"),
        volume_24h=reported_cash(wire.volume24hr, "volume24hr"),
        liquidity=reported_cash(wire.liquidity_num, "liquidityNum"),
        neg_risk=bool(wire.neg_risk),
        event=wire.events[0].slug if wire.events else None,
        accepting_orders=bool(wire.accepting_orders and wire.enable_order_book) and _open(wire),
        settled_yes=_settled(wire, outcomes),
        simulated=wire.simulated,
        assumed=tuple(wire.assumed or ()) + unknown_fees,
    )


def _open(wire: Any) -> bool:
    """Whether a market still trades; `accepting_orders` may stay true on a closed one (reference 4.3)."""
    return wire.active is not False and not wire.closed and not wire.archived


def _tokens(wire: _Gamma) -> tuple[str, str]:
    """Choose the trading ids by protocol version (reference 1.4)."""
    if wire.version == "v2":
        return _pair(wire.position_ids or [], "positionIds", wire.condition_id)
    if wire.version == "v1" or (wire.version is None and wire.clob_token_ids):
        return _pair(_listed(wire.clob_token_ids, "clobTokenIds"), "clobTokenIds", wire.condition_id)
    raise ProtocolViolation(f"market {wire.condition_id}: version {wire.version!r} is neither v1 nor v2")


def _listed(text: str | list[str] | None, field: str) -> list[str]:
    """Read an array that Gamma sends as a string holding JSON (reference 6.2)."""
    return decode(_STRINGS, text, field) if isinstance(text, str) else text or []


def _pair(values: list[str], field: str, condition: str) -> tuple[str, str]:
    if len(values) != 2 or not all(values):
        raise ProtocolViolation(f"market {condition}: {field} {values!r} are not two")
    return values[0], values[1]


def _gamma_fees(wire: _Gamma) -> tuple[FeeTerms, tuple[str, ...]]:
    """Return the fees, and what had to be assumed: older objects charge fees without saying how much."""
    if wire.fees_enabled is False:
        return FeeTerms(), ()
    if wire.fee_schedule is not None:
        return read_fees(wire.fee_schedule), ()
    return FeeTerms(), ("feeSchedule",) if wire.fees_enabled else ()


def _gamma_rewards(wire: _Gamma) -> RewardTerms | None:
    daily = [reward.rewards_daily_rate or Decimal(0) for reward in wire.clob_rewards or ()]
    return reward_terms(wire.rewards_min_size, wire.rewards_max_spread, daily)


def _settled(wire: _Gamma, outcomes: tuple[str, str]) -> Price | None:
    """Return what the first outcome paid, where a tape knows it."""
    if wire.settlement is None:
        return None
    paid = price(wire.settlement.payout_up, "payout_up")
    return paid if wire.settlement.outcome_up == outcomes[0] else complement(paid)


def _clob(wire: _Clob) -> Market:
    yes, no, outcomes = _clob_tokens(wire)
    return Market(
        condition=wire.condition_id,
        question=wire.question,
        slug=wire.market_slug,
        yes=yes,
        no=no,
        outcomes=outcomes,
        tick=tick(wire.minimum_tick_size, "minimum_tick_size"),
        min_order_size=size(wire.minimum_order_size, "minimum_order_size"),
        rewards=_clob_rewards(wire.rewards),
        ends_at=optional_moment(wire.end_date_iso, "end_date_iso"),
        neg_risk=bool(wire.neg_risk),
        accepting_orders=bool(wire.accepting_orders and wire.enable_order_book) and _open(wire),
        assumed=("feeSchedule",),  # a CLOB row does not carry it
    )


def _simplified(wire: _Simplified) -> RewardedMarket:
    yes, no, outcomes = _clob_tokens(wire)
    return RewardedMarket(
        condition=wire.condition_id,
        yes=yes,
        no=no,
        outcomes=outcomes,
        rewards=_clob_rewards(wire.rewards),
        accepting_orders=bool(wire.accepting_orders) and _open(wire),
    )


def _clob_tokens(wire: _Simplified) -> tuple[TokenId, TokenId, tuple[str, str]]:
    yes, no = _pair([token.token_id for token in wire.tokens], "tokens", wire.condition_id)
    return TokenId(yes), TokenId(no), (wire.tokens[0].outcome, wire.tokens[1].outcome)


def _clob_rewards(wire: _Rewards | None) -> RewardTerms | None:
    if wire is None:
        return None
    return reward_terms(
        wire.min_size, wire.max_spread, [rate.rewards_daily_rate or Decimal(0) for rate in wire.rates or ()]
    )


def _market_rewards(wire: _MarketRewards) -> MarketRewards:
    """Read one row; without a native rate, the configured rates are what the exchange pays."""
    if wire.native_daily_rate is not None:
        native = [wire.native_daily_rate]
    else:
        native = [config.rate_per_day or Decimal(0) for config in wire.rewards_config or ()]
    return MarketRewards(
        condition=wire.condition_id,
        rewards=reward_terms(wire.rewards_min_size, wire.rewards_max_spread, native, wire.sponsored_daily_rate),
        sponsors=wire.sponsors_count or 0,
    )


def _compact(wire: _Compact) -> MarketTerms:
    yes, no = _pair([token.t for token in wire.t], "t", wire.c or "?")
    age = wire.r.moas if wire.r else None
    return MarketTerms(
        condition=wire.c,
        yes=TokenId(yes),
        no=TokenId(no),
        outcomes=(wire.t[0].o, wire.t[1].o),
        tick=tick(wire.mts, "mts"),
        min_order_size=size(wire.mos, "mos"),
        fees=fee_terms(wire.fd.r, wire.fd.e, wire.fd.to, Decimal(0)) if wire.fd else FeeTerms(),
        neg_risk=bool(wire.nr),
        accepting_orders=wire.ao,
        reward_min_size=reward_size(wire.r.mi) if wire.r else None,
        reward_max_spread=reward_spread(wire.r.ma) if wire.r else None,
        reward_min_age=None if age is None else Micros(age * 1_000_000),
        clears_book_on_start=bool(wire.cbos),
    )
