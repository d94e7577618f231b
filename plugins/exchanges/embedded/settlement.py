"""What a match moves, and its way from matched to confirmed or failed; all of it is simulated."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from heapq import heappop, heappush
from typing import Final, NamedTuple

from msgspec.structs import replace

from pmrun.plugins.exchanges.embedded.ledger import (
    COLLATERAL,
    CROWD,
    FEES,
    ROUNDING,
    VAULT,
    Account,
    Ledger,
    Movement,
    Part,
    moved,
)
from pmrun.plugins.exchanges.embedded.terms import Custody, SettlementPace, TradeView
from pmrun.runner.market import Market, TokenId
from pmrun.runner.orders import Settlement
from pmrun.runner.units import ONE, Cash, Micros, Price, Side, Size, cash_paid, cash_received

MATCHED, MINED, RETRYING = Settlement.MATCHED, Settlement.MINED, Settlement.RETRYING
CONFIRMED, FAILED = Settlement.CONFIRMED, Settlement.FAILED


class Leg(NamedTuple):
    """One party's half of a match, in terms of its own token; `wallet` is None for the crowd."""

    wallet: str | None
    token: TokenId
    side: Side
    price: Price
    size: Size
    fee: Cash = Cash(0)
    rested: bool = False  # what it gives is in escrow
    rebate: Cash = Cash(0)  # what it gets back of the fees

    @property
    def gives(self) -> tuple[str, int]:
        """What it pays, in base units: cash rounded up with the fee on top, or shares."""
        if self.side is Side.BUY:
            return COLLATERAL, cash_paid(self.price, self.size) + self.fee
        return self.token, self.size

    @property
    def gets(self) -> tuple[str, int]:
        """What it receives, in base units: shares, or cash rounded down without the fee."""
        if self.side is Side.BUY:
            return self.token, self.size
        return COLLATERAL, cash_received(self.price, self.size) - self.fee

    def account(self, part: Part) -> Account:
        """Return a part of its wallet; the crowd has only one account."""
        return CROWD if self.wallet is None else Account(self.wallet, part)


class Match(NamedTuple):
    """Two halves that fit: a buyer and a seller of one token, or two buyers or two sellers of opposite tokens."""

    taker: Leg
    maker: Leg


def taker_leg(
    market: Market, wallet: str | None, token: TokenId, side: Side, price: Price, size: Size, rested: bool = False
) -> Leg:
    """Return the taker's half with its fee (reference 7.1), which never exceeds what a seller gets."""
    fee = market.fees.taker_fee(price, size)
    if side is Side.SELL:
        fee = min(fee, cash_received(price, size))
    return Leg(wallet, token, side, price, size, fee, rested)


def custody_leg(
    custody: Custody, wallet: str, token: TokenId, side: Side, price: Price, size: Size, *, maker: bool
) -> Leg:
    """Return the half of a party whose money the exchange holds, already in escrow: with a seller's fee, or a rebate.

    The fee is rounded up to a base unit, the rebate down.
    """
    notional = cash_received(price, size)
    fee = -(-notional * custody.seller_fee_ppm // 1_000_000) if side is Side.SELL else 0
    rebate = notional * custody.maker_rebate_ppm // 1_000_000 if maker else 0
    return Leg(wallet, token, side, price, size, Cash(fee), True, Cash(rebate))


def reservation(matches: Iterable[Match]) -> list[Movement]:
    """Return what moves at the match: each wallet's share of it becomes pending."""
    movements: list[Movement] = []
    for leg in _wallets(matches):
        source = leg.account(Part.ESCROW if leg.rested else Part.AVAILABLE)
        movements += moved(source, leg.account(Part.PENDING), *leg.gives)
    return movements


def restoration(matches: Iterable[Match]) -> list[Movement]:
    """Return what moves when a settlement fails: what was pending is its owner's again."""
    movements: list[Movement] = []
    for leg in _wallets(matches):
        movements += moved(leg.account(Part.PENDING), leg.account(Part.AVAILABLE), *leg.gives)
    return movements


def delivery(matches: Iterable[Match]) -> list[Movement]:
    """Return what moves when a settlement is confirmed.

    Two buyers of opposite tokens mint: the vault takes a dollar for each pair. Two sellers merge: it gives it back.
    """
    movements: list[Movement] = []
    for match in matches:
        parts = [Movement(leg.account(Part.PENDING), leg.gives[0], -leg.gives[1]) for leg in match]
        parts += [Movement(leg.account(Part.AVAILABLE), *leg.gets) for leg in match]
        parts += _minted(match)
        parts += [Movement(leg.account(Part.AVAILABLE), COLLATERAL, leg.rebate) for leg in match if leg.rebate]
        fees = sum(leg.fee - leg.rebate for leg in match)
        if fees:
            parts.append(Movement(FEES, COLLATERAL, fees))
        over = -sum(part.amount for part in parts if part.asset == COLLATERAL)
        if over:
            parts.append(Movement(ROUNDING, COLLATERAL, over))
        movements += parts
    return movements


def redemption(ledger: Ledger, market: Market, settled_yes: Price) -> list[Movement]:
    """Return what moves when a resolved market pays: shares go to the vault for what their outcome is worth.

    Who is short pays. What is pending is paid once it is settled. What rounding leaves stays in the vault.
    """
    movements: list[Movement] = []
    for token, value in ((market.yes, settled_yes), (market.no, Price(ONE - settled_yes))):
        for account, held in ledger.holders(token):
            if account != VAULT and account.part is not Part.PENDING:
                movements += moved(account, VAULT, token, held)
                movements += moved(VAULT, account, COLLATERAL, cash_received(value, Size(held)))
    return movements


def _minted(match: Match) -> list[Movement]:
    taker, maker = match
    if taker.side is not maker.side:
        return []
    pairs = taker.size if taker.side is Side.BUY else -taker.size
    return [
        Movement(VAULT, COLLATERAL, pairs),
        Movement(VAULT, taker.token, -pairs),
        Movement(VAULT, maker.token, -pairs),
    ]


def _wallets(matches: Iterable[Match]) -> Iterable[Leg]:
    return (leg for match in matches for leg in match if leg.wallet is not None)


_TERMINAL: Final = frozenset({CONFIRMED, FAILED})


class Settlements:
    """All trades at their latest stage, and those under way by when they move on."""

    def __init__(self, ledger: Ledger, pace: SettlementPace) -> None:
        """Start without trades."""
        self._ledger = ledger
        self._pace = pace
        self._trades: dict[str, TradeView] = {}
        self._matches: dict[str, Sequence[Match]] = {}
        self._due: list[tuple[Micros, int, str]] = []
        self._turn = 0
        self._failures = 0
        self._retries = 0

    def start(self, trade: TradeView, matches: Sequence[Match]) -> None:
        """Reserve what a new trade moves, and send it on its way."""
        self._ledger.post(trade.matched_at, f"match {trade.trade_id}", reservation(matches))
        self._trades[trade.trade_id] = trade
        self._matches[trade.trade_id] = matches
        self._schedule(trade)

    def settle(self, trade: TradeView, matches: Sequence[Match]) -> list[TradeView]:
        """Carry out a new trade in one entry, and return its stages, all of them of this moment."""
        why = f"trade {trade.trade_id}"
        self._ledger.post(trade.matched_at, why, [*reservation(matches), *delivery(matches)])
        mined = replace(trade, status=MINED, transaction=f"0x{sha256(why.encode()).hexdigest()}")
        stages = [trade, mined, replace(mined, status=CONFIRMED)]
        self._trades[trade.trade_id] = stages[-1]
        return stages

    def trade(self, trade_id: str) -> TradeView:
        """Return a trade at its latest stage."""
        return self._trades[trade_id]

    def fail_next(self, count: int) -> None:
        """Let the next trades that would be mined fail instead."""
        self._failures += count

    def retry_next(self, count: int) -> None:
        """Let the next trades that would be mined be tried again first."""
        self._retries += count

    def next_due(self) -> Micros | None:
        """Return when the next trade moves on."""
        return self._due[0][0] if self._due else None

    def step(self) -> TradeView:
        """Move the next trade on, and return it at its new stage."""
        at, _, trade_id = heappop(self._due)
        before = self._trades[trade_id]
        status = self._next_stage(before.status)
        digest = sha256(f"{trade_id} {at}".encode()).hexdigest()
        mined = before.transaction if status is CONFIRMED else f"0x{digest}"
        trade = replace(before, status=status, updated_at=at, transaction=mined)
        self._trades[trade_id] = trade
        if status in _TERMINAL:
            matches = self._matches.pop(trade_id)
            movements = delivery(matches) if status is CONFIRMED else restoration(matches)
            self._ledger.post(at, f"{status.value} {trade_id}", movements)
        else:
            self._schedule(trade)
        return trade

    def _next_stage(self, stage: Settlement) -> Settlement:
        if stage is MINED:
            return CONFIRMED
        if stage is MATCHED and self._failures:
            self._failures -= 1
            return FAILED
        if stage is MATCHED and self._retries:
            self._retries -= 1
            return RETRYING
        return MINED

    def _schedule(self, trade: TradeView) -> None:
        wait = self._pace.confirmed_after if trade.status is MINED else self._pace.mined_after
        self._turn += 1
        heappush(self._due, (Micros(trade.updated_at + wait), self._turn, trade.trade_id))
