"""How often SatoriEx may be asked: reads by the kind of their path; orders go by a budget of their own (P9)."""

from collections.abc import Callable

import msgspec

from pmrun.plugins.exchanges.common.order_budget import OrderBudget, Window
from pmrun.runner.units import Micros

__all__ = ["OrderBudget", "ReadBudget"]


class Read(msgspec.Struct, frozen=True):
    """How often one kind of read may be made a minute."""

    calls: int = 90  # of 100: others may look at the account too


class ReadBudget:
    """Keeps reads below the exchange's limit for each kind of path (100 a minute, reference 11)."""

    def __init__(self, now: Callable[[], Micros], each: Read = Read()) -> None:
        """Start with nothing used."""
        self._now = now
        self._each = each
        self._windows: dict[str, Window] = {}

    def take(self, template: str) -> Micros:
        """Return how long to wait before a read of a kind; nothing, and it is counted, where it may leave now."""
        window = self._windows.setdefault(template, Window(self._each.calls))
        now = self._now()
        if window.room(now) >= 1:
            window.spend(now)
            return Micros(0)
        return Micros(max(1_000, window.when(1, now) - now))

    def block(self, template: str, until: Micros) -> None:
        """Make none of a kind before a time."""
        self._windows.setdefault(template, Window(self._each.calls)).block(until)
