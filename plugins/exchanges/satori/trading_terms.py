"""What trading is set to, and whom it tells."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pmrun.plugins.exchanges.common import trading_terms as common
from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.common.trading_terms import Caps
from pmrun.plugins.exchanges.satori.errors_table import Reaction
from pmrun.runner.book import Book
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.units import SECOND, Micros


@dataclass(frozen=True, slots=True)
class Pace(common.Pace):
    """How often the truth is asked for, and how long things wait, in microseconds."""

    cancel_again: Micros = Micros(5 * SECOND)  # cancels wait for their turn
    patience: Micros = Micros(5 * SECOND)  # that a place waits for its turn
    funds_pause: Micros = Micros(5 * SECOND)  # without places after funds were short


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """How an account is traded."""

    folder: Path | None  # where its file is kept; None: where accounts are kept
    caps: Caps
    pace: Pace
    order_calls: int  # places and cancels a minute
    max_resting: int


@dataclass(frozen=True, slots=True)
class Told(common.Told):
    """Who hears of what: the session, its accounts, and the account's file."""

    doubtful: Callable[[Record, Reaction], None]  # a market, the funds or a holding are not what we think
    book: Callable[[MarketNo, Outcome], Book]  # the freshest there is
