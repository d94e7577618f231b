"""What limits of the account's equity have in common: the last equity, what nobody earned, and what rests."""

from collections.abc import Mapping
from typing import Final

from pmrun.runner.hooks import Depth, Look
from pmrun.runner.units import Cash

TOUCH: Final = Depth(Look.PRICES, 1)  # holdings are valued at the mid
_MILLION: Final = 1_000_000


def check_haircut(share: float) -> None:
    """Refuse a share that is none; raises ValueError."""
    if not 0 <= share <= 1:
        raise ValueError("resting_haircut must be from 0 to 1 (a share of what bids in play would pay)")


def check_amount(name: str, amount: Cash) -> None:
    """Refuse a limit of nothing; raises ValueError."""
    if not 0 < amount < 10**15:
        raise ValueError(f"{name} must be above 0 and below 1,000,000,000 dollars")


def at_risk(locked: Cash, haircut: float) -> Cash:
    """Return what bids in play and in flight may lose if all of them fill, rounded up to a base unit."""
    return Cash(-(-locked * round(haircut * _MILLION) // _MILLION))


def read_carried(values: Mapping[str, int], *names: str) -> list[int]:
    """Return what was carried under exactly these names; raises ValueError for anything else."""
    if set(values) != set(names):
        raise ValueError(f"carried {sorted(values)}, expected {sorted(names)}")
    return [values[name] for name in names]


def read_flag(value: int) -> bool:
    """Return a carried yes or no; raises ValueError for anything else."""
    if value not in (0, 1):
        raise ValueError(f"carried {value} where 0 or 1 was expected")
    return bool(value)


class EquityWatch:
    """The equity seen last: exact while we watch, between two bounds after a restart.

    The bounds that are carried change only when the equity leaves them, since each change is a write to disk.
    """

    __slots__ = ("_kept", "_step", "high", "low", "unwatched")

    def __init__(self, step: int) -> None:
        """Take how far the carried bounds are from the equity when they are drawn."""
        self._step = max(1, step)
        self._kept: tuple[int, int] | None = None
        self.low: int | None = None
        self.high: int | None = None
        self.unwatched = False  # whether the next change is none that trading made

    def unearned(self, equity: Cash) -> int:
        """Return what the account gained unwatched: a deposit, most likely, which is no profit."""
        if not self.unwatched or self.low is None or self.high is None or equity <= self.high:
            return 0
        return equity - self.low

    def saw(self, equity: Cash) -> None:
        """Remember the equity."""
        self.low = self.high = equity
        self.unwatched = False
        if self._kept is None or not self._kept[0] <= equity <= self._kept[1]:
            self._kept = equity - self._step, equity + self._step

    @property
    def carried(self) -> tuple[int, int]:
        """The bounds to carry."""
        assert self._kept is not None, "nothing is carried before anything was seen"
        return self._kept

    def restore(self, low: int, high: int) -> None:
        """Take carried bounds back; raises ValueError for bounds that are none."""
        if low > high:
            raise ValueError(f"carried bounds {low} and {high} the wrong way round")
        self._kept = self.low, self.high = low, high
        self.unwatched = True
