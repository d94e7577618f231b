"""What trading is set to, and whom it tells, as far as it is the same everywhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.runner.facts import Fact
from pmrun.runner.market import MarketNo
from pmrun.runner.units import SECOND, Cash, Micros


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the truth is asked for, in microseconds."""

    sweep: Micros = Micros(30 * SECOND)
    retry: Micros = Micros(1 * SECOND)  # after a look or a cancel that failed
    cancel_again: Micros = Micros(2 * SECOND)  # when an order still rests that was asked to leave
    blind: Micros = Micros(20 * SECOND)  # without a complete look for so long, nothing is quoted
    fill_missing: Micros = Micros(10 * SECOND)  # after so long a market with a fill that nobody shows is not quoted
    remember: Micros = Micros(1_800 * SECOND)  # an order that ended and is settled; the desk remembers longer


@dataclass(frozen=True, slots=True)
class Caps:
    """What no order passes, whatever the desk wants; the last valve before money leaves."""

    order: Cash  # notional of one order
    resting: Cash  # notional of all bids in play


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears of what: the session, its accounts, and the account's file."""

    written: Callable[[Sequence[Record]], None]  # returns once an intent cannot be lost any more (O2)
    tell: Callable[[Sequence[Fact]], None]
    trouble: Callable[[str, bool], None]  # what we know of our orders cannot, or can again, be trusted
    looked: Callable[[], None]  # a complete look came, and what it says is told
    unshown: Callable[[frozenset[MarketNo]], None]  # markets where a fill is missing that the exchange spoke of
    forgotten: Callable[[Sequence[Record]], None]  # orders that nothing more can come of
    ours: Callable[[str], bool]  # whether an order is this account's, of this session or any before
