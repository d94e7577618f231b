"""Markets as Gamma lists them, and as a tape keeps them (reference 6.1, 6.2)."""

from decimal import Decimal

import msgspec

from pmrun.plugins.exchanges.polymarket.wire_fields import (
    Condition,
    Scalar,
    decode,
    optional_moment,
    price,
    reported_cash,
    size,
    tick,
)
from pmrun.plugins.exchanges.polymarket.wire_pages import Page, is_open, open_page, pair, read_page
from pmrun.plugins.exchanges.polymarket.wire_terms import (
    WireFees,
    read_fees,
    reward_terms,
)
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import FeeTerms, Market, RewardTerms, TokenId
from pmrun.runner.units import Price, complement


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


_STRINGS = msgspec.json.Decoder(list[str])

_GAMMA = msgspec.json.Decoder(_Gamma)


def parse_gamma_page(raw: bytes | str, lenient: bool = False) -> Page[Market]:
    """Read a Gamma `/markets` answer of either kind, or a tape's markets.json (reference 6.1, 6.2)."""
    page = open_page(raw, "gamma markets")
    return read_page(page, lambda row: _gamma(decode(_GAMMA, row, "gamma market")), lenient)


def parse_gamma_markets(raw: bytes | str) -> tuple[Market, ...]:
    """Read Gamma markets, whatever they are wrapped in."""
    return parse_gamma_page(raw).rows


def _gamma(wire: _Gamma) -> Market:
    yes, no = _tokens(wire)
    outcomes = pair(_listed(wire.outcomes, "outcomes"), "outcomes", wire.condition_id)
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
        accepting_orders=bool(wire.accepting_orders and wire.enable_order_book) and is_open(wire),
        settled_yes=_settled(wire, outcomes),
        simulated=wire.simulated,
        assumed=tuple(wire.assumed or ()) + unknown_fees,
    )


def _tokens(wire: _Gamma) -> tuple[str, str]:
    """Choose the trading ids by protocol version (reference 1.4)."""
    if wire.version == "v2":
        return pair(wire.position_ids or [], "positionIds", wire.condition_id)
    if wire.version == "v1" or (wire.version is None and wire.clob_token_ids):
        return pair(_listed(wire.clob_token_ids, "clobTokenIds"), "clobTokenIds", wire.condition_id)
    raise ProtocolViolation(f"market {wire.condition_id}: version {wire.version!r} is neither v1 nor v2")


def _listed(text: str | list[str] | None, field: str) -> list[str]:
    """Read an array that Gamma sends as a string holding JSON (reference 6.2)."""
    return decode(_STRINGS, text, field) if isinstance(text, str) else text or []


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
