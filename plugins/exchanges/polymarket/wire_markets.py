"""Polymarket's own listings: CLOB rows, reward rows and their short forms (reference 4.2, 4.3, 7.3)."""

from decimal import Decimal

import msgspec

from pmrun.plugins.exchanges.polymarket.wire_fields import (
    Condition,
    Scalar,
    Token,
    decode,
    optional_moment,
    size,
    tick,
)
from pmrun.plugins.exchanges.polymarket.wire_pages import Page, is_open, open_page, pair, read_page
from pmrun.plugins.exchanges.polymarket.wire_terms import (
    fee_terms,
    reward_size,
    reward_spread,
    reward_terms,
)
from pmrun.runner.market import ConditionId, FeeTerms, Market, RewardTerms, TokenId
from pmrun.runner.units import Micros, Price, Size


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


_CLOB = msgspec.json.Decoder(_Clob)

_SIMPLIFIED = msgspec.json.Decoder(_Simplified)

_COMPACT = msgspec.json.Decoder(_Compact)

_REWARDS = msgspec.json.Decoder(_MarketRewards)


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
        accepting_orders=bool(wire.accepting_orders and wire.enable_order_book) and is_open(wire),
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
        accepting_orders=bool(wire.accepting_orders) and is_open(wire),
    )


def _clob_tokens(wire: _Simplified) -> tuple[TokenId, TokenId, tuple[str, str]]:
    yes, no = pair([token.token_id for token in wire.tokens], "tokens", wire.condition_id)
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
    yes, no = pair([token.t for token in wire.t], "t", wire.c or "?")
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
