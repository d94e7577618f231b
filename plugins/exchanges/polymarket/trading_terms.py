"""What trading is set to, and whom it tells."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pmrun.plugins.exchanges.common import trading_terms as common
from pmrun.plugins.exchanges.common.trading_terms import Caps
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction
from pmrun.runner.market import MarketNo, TokenId
from pmrun.runner.units import SECOND, Micros


@dataclass(frozen=True, slots=True)
class Pace(common.Pace):
    """How often the truth is asked for, in microseconds."""

    heartbeat: Micros = Micros(5 * SECOND)
    heartbeat_within: Micros = Micros(2_500_000)  # its answer is not awaited longer: there has to be time for another
    heartbeat_lost: Micros = Micros(8 * SECOND)  # without one for so long, the exchange is about to cancel everything
    desk_alive: Micros = Micros(5 * SECOND)  # a desk that has not turned for so long protects nothing
    overlap: Micros = Micros(60 * SECOND)  # how far back trades are asked for again


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """How an account is traded."""

    signature_type: int
    folder: Path | None  # where its file is kept; None: where accounts are kept
    caps: Caps
    pace: Pace


@dataclass(frozen=True, slots=True)
class Told(common.Told):
    """Who hears of what: the session, its accounts, and the account's file."""

    doubtful: Callable[[MarketNo, Reaction], None]  # a market's terms are not what we think
    moved: Callable[[TokenId], None]  # an order that this session does not know traded
