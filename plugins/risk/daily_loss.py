"""How much the account may lose in a day."""

from dataclasses import dataclass, field
from typing import Final

from pmrun.plugins.risk.equity_watch import (
    TOUCH,
    EquityWatch,
    at_risk,
    check_amount,
    check_haircut,
    read_carried,
    read_flag,
)
from pmrun.runner.facts import Carried, Fact, FundsSeen, HoldingSeen
from pmrun.runner.hooks import AccountView, Objection, hookimpl
from pmrun.runner.units import SECOND, Cash, Micros

DAY: Final = 86_400 * SECOND


@dataclass(slots=True, eq=False)
class DailyLoss:
    """The equity stays less than max_loss below that of the day's start (UTC); else no quotes until the next day (P9).

    What bids in play and in flight would pay counts as lost by `resting_haircut` of it. What the exchange tells us we
    have, other than by trading, is no profit. A restart goes on with the same day.
    """

    max_loss: Cash = Cash(25_000_000)
    resting_haircut: float = 0.05
    order: int | None = None
    _day: int | None = field(default=None, init=False, repr=False)
    _start: int = field(default=0, init=False, repr=False)  # the equity that counts as the day's start
    _tripped: bool = field(default=False, init=False, repr=False)
    _watch: EquityWatch = field(init=False, repr=False)

    depth = TOUCH
    observes = (Carried, FundsSeen, HoldingSeen)

    def __post_init__(self) -> None:
        """Refuse a limit of nothing."""
        check_amount("max_loss", self.max_loss)
        check_haircut(self.resting_haircut)
        self._watch = EquityWatch(self.max_loss // 100)

    @hookimpl
    def observe(self, fact: Fact) -> None:
        """Go on where the last session ended; or learn that the next change of the equity is not trading's."""
        if not isinstance(fact, Carried):
            self._watch.unwatched = True
            return
        day, start, low, high, tripped = read_carried(fact.values, "day", "start", "low", "high", "tripped")
        self._tripped = read_flag(tripped)
        self._watch.restore(low, high)
        self._day, self._start = day, start

    @hookimpl
    def carry(self) -> dict[str, int]:
        """Return the day, what it started with, and how it stands."""
        if self._day is None:
            return {}
        low, high = self._watch.carried
        return {"day": self._day, "start": self._start, "low": low, "high": high, "tripped": int(self._tripped)}

    @hookimpl
    def next_wake(self) -> Micros | None:
        """Wake at the end of a day on which the limit was reached."""
        return Micros((self._day + 1) * DAY) if self._tripped and self._day is not None else None

    @hookimpl
    def object_to_account(self, account: AccountView, at: Micros) -> Objection | None:
        """Object once the day has cost too much, until it is over."""
        equity = account.equity
        if equity is None:
            return Objection("equity_unknown")
        self._see(equity, at // DAY)
        lost, resting = self._start - equity, at_risk(account.locked, self.resting_haircut)
        if lost + resting >= self.max_loss:
            self._tripped = True
        if not self._tripped:
            return None
        return Objection("daily_loss", {"lost": lost, "at_risk": int(resting), "limit": int(self.max_loss)})

    def _see(self, equity: Cash, day: int) -> None:
        watch = self._watch
        if self._day is None:
            self._day, self._start = day, equity
        elif day > self._day:
            assert watch.high is not None
            self._day, self._start, self._tripped = day, watch.high, False
        self._start += watch.unearned(equity)
        watch.saw(equity)
