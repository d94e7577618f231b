"""What trading is set to, and whom it tells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction
from pmrun.runner.facts import Fact
from pmrun.runner.market import MarketNo, TokenId
from pmrun.runner.units import SECOND, Cash, Micros


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the truth is asked for, in microseconds."""

    sweep: Micros = Micros(30 * SECOND)
    retry: Micros = Micros(1 * SECOND)  # after a look or a cancel that failed
    cancel_again: Micros = Micros(2 * SECOND)  # when an order still rests that was asked to leave
    heartbeat: Micros = Micros(5 * SECOND)
    heartbeat_within: Micros = Micros(2_500_000)  # its answer is not awaited longer: there has to be time for another
    heartbeat_lost: Micros = Micros(8 * SECOND)  # without one for so long, the exchange is about to cancel everything
    blind: Micros = Micros(20 * SECOND)  # without a complete snapshot for so long, nothing is quoted
    fill_missing: Micros = Micros(10 * SECOND)  # after so long a market with a fill that nobody shows is not quoted
    desk_alive: Micros = Micros(5 * SECOND)  # a desk that has not turned for so long protects nothing
    overlap: Micros = Micros(60 * SECOND)  # how far back trades are asked for again
    remember: Micros = Micros(1_800 * SECOND)  # an order that ended and is settled; the desk remembers longer


@dataclass(frozen=True, slots=True)
class Caps:
    """What no order passes, whatever the desk wants; the last valve before money leaves."""

    order: Cash  # notional of one order
    resting: Cash  # notional of all bids in play


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """How an account is traded."""

    signature_type: int
    folder: Path | None  # where its file is kept; None: where accounts are kept
    caps: Caps
    pace: Pace


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears of what: the session, its accounts, and the account's file."""

    written: Callable[[Sequence[Record]], None]  # returns once an intent cannot be lost any more (O2)
    tell: Callable[[Sequence[Fact]], None]
    trouble: Callable[[str, bool], None]  # what we know of our orders cannot, or can again, be trusted
    looked: Callable[[], None]  # a complete snapshot came, and what it says is told
    doubtful: Callable[[MarketNo, Reaction], None]  # a market's terms are not what we think
    unshown: Callable[[frozenset[MarketNo]], None]  # markets where a fill is missing that the exchange spoke of
    moved: Callable[[TokenId], None]  # an order that this session does not know traded
    forgotten: Callable[[Sequence[Record]], None]  # orders that nothing more can come of
    ours: Callable[[str], bool]  # whether an order is this account's, of this session or any before
