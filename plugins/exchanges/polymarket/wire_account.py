"""Answers to Polymarket's calls about what an account holds and may do (reference 2.2, 3.5, 6.3)."""

from decimal import Decimal

import msgspec

from pmrun.plugins.exchanges.polymarket.wire_fields import (
    Condition,
    Token,
    decode,
    rounded,
)
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import ConditionId, TokenId
from pmrun.runner.units import Size

_UINT256_DIGITS = 78  # an unlimited allowance is the largest number of 256 bits


class BalanceAnswer(msgspec.Struct, frozen=True):
    """A balance and what each spender may take of it, in base units (reference 3.5)."""

    balance: int
    allowances: dict[str, int]


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A holding as the Data API reports it: late, for reconciliation and not for trading (reference 6.3)."""

    token: TokenId
    condition: ConditionId
    size: Size
    redeemable: bool
    mergeable: bool


class _Balance(msgspec.Struct):
    balance: str | int
    allowances: dict[str, str | int] | None = None
    allowance: str | int | None = None  # as older servers say it


class _Position(msgspec.Struct, rename="camel"):
    asset: Token
    condition_id: Condition
    size: Decimal
    redeemable: bool = False
    mergeable: bool = False


class _ClosedOnly(msgspec.Struct):
    closed_only: bool


_BALANCE = msgspec.json.Decoder(_Balance)

_POSITIONS = msgspec.json.Decoder(list[_Position])

_CLOSED_ONLY = msgspec.json.Decoder(_ClosedOnly)


def parse_balance(raw: bytes | str) -> BalanceAnswer:
    """Read `GET /balance-allowance` (reference 3.5); a server that names no spender gives one named ""."""
    wire = decode(_BALANCE, raw, "balance")
    allowances = {"": wire.allowance} if wire.allowances is None and wire.allowance is not None else wire.allowances
    if allowances is None:
        raise ProtocolViolation("balance: allowances are missing")
    allowed = {spender: _units(amount, "allowance") for spender, amount in allowances.items()}
    return BalanceAnswer(_units(wire.balance, "balance"), allowed)


def _units(amount: str | int, field: str) -> int:
    text = str(amount)
    if not (text.isascii() and text.isdigit() and len(text) <= _UINT256_DIGITS):
        raise ProtocolViolation(f"{field} {amount!r} is no number of base units")
    return int(text)


def parse_positions(raw: bytes | str) -> tuple[Position, ...]:
    """Read the Data API's `/positions` (reference 6.3)."""
    return tuple([_position(wire) for wire in decode(_POSITIONS, raw, "positions")])


def _position(wire: _Position) -> Position:
    return Position(
        token=wire.asset,
        condition=wire.condition_id,
        size=Size(rounded(wire.size, 1_000_000, "position size") or 0),
        redeemable=wire.redeemable,
        mergeable=wire.mergeable,
    )


def parse_closed_only(raw: bytes | str) -> bool:
    """Read `GET /auth/ban-status/closed-only` (reference 2.2)."""
    return decode(_CLOSED_ONLY, raw, "closed only").closed_only
