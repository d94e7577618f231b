"""How far the account may fall from its best."""

from dataclasses import dataclass, field

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
from pmrun.runner.units import Cash, Micros


@dataclass(slots=True, eq=False)
class Drawdown:
    """The equity stays less than max_drawdown below its peak; else no quotes any more, until a person resets it (P9).

    What bids in play and in flight would pay counts as lost by `resting_haircut` of it. What the exchange tells us we
    have, other than by trading, raises the peak as much as the equity. The peak survives a restart.
    """

    max_drawdown: Cash = Cash(50_000_000)
    resting_haircut: float = 0.05
    order: int | None = None
    _peak: int | None = field(default=None, init=False, repr=False)
    _kept: int = field(default=0, init=False, repr=False)  # at or a little above the peak: what is carried
    _tripped: bool = field(default=False, init=False, repr=False)
    _watch: EquityWatch = field(init=False, repr=False)

    depth = TOUCH
    observes = (Carried, FundsSeen, HoldingSeen)

    def __post_init__(self) -> None:
        """Refuse a limit of nothing."""
        check_amount("max_drawdown", self.max_drawdown)
        check_haircut(self.resting_haircut)
        self._watch = EquityWatch(self.max_drawdown // 100)

    @hookimpl
    def observe(self, fact: Fact) -> None:
        """Go on where the last session ended; or learn that the next change of the equity is not trading's."""
        if not isinstance(fact, Carried):
            self._watch.unwatched = True
            return
        peak, low, high, tripped = read_carried(fact.values, "peak", "low", "high", "tripped")
        self._tripped = read_flag(tripped)
        self._watch.restore(low, high)
        self._peak = self._kept = peak

    @hookimpl
    def carry(self) -> dict[str, int]:
        """Return the peak and how the account stands."""
        if self._peak is None:
            return {}
        low, high = self._watch.carried
        return {"peak": self._kept, "low": low, "high": high, "tripped": int(self._tripped)}

    @hookimpl
    def object_to_account(self, account: AccountView, at: Micros) -> Objection | None:
        """Object once the account fell too far."""
        equity = account.equity
        if equity is None:
            return Objection("equity_unknown")
        peak = self._see(equity)
        fallen, resting = peak - equity, at_risk(account.locked, self.resting_haircut)
        if fallen + resting >= self.max_drawdown:
            self._tripped = True
        if not self._tripped:
            return None
        return Objection("drawdown", {"fallen": fallen, "at_risk": int(resting), "limit": int(self.max_drawdown)})

    def _see(self, equity: Cash) -> int:
        before = equity if self._peak is None else self._peak + self._watch.unearned(equity)
        self._peak = peak = max(before, equity)
        if self._kept < peak:
            self._kept = peak + self.max_drawdown // 100
        self._watch.saw(equity)
        return peak
