"""Counts the orders that buy in one market what covers a holding in another of its event (R9)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pmrun.runner.facts import Fact, Filled, each
from pmrun.runner.intents import Intent, Place
from pmrun.runner.orders import OrderNo, Purpose
from pmrun.runner.units import CASH_SCALE, SIZE_SCALE, Side


class Covers:
    """An observer: a purchase that is no quote covers what is held elsewhere."""

    takes_together = True

    def __init__(self) -> None:
        """Start at nothing."""
        self._placed: dict[OrderNo, str] = {}  # why each was placed
        self._filled: set[OrderNo] = set()
        self._shares = 0
        self._cash = 0

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        """Count one step."""
        for one in each(fact):
            if type(one) is Filled and one.order in self._placed:
                self._filled.add(one.order)
                self._shares += one.size
                self._cash += one.cash
        for intent in intents:
            if type(intent) is Place and intent.side is Side.BUY and intent.purpose is not Purpose.QUOTE:
                self._placed[intent.order] = intent.reason.code

    def close(self) -> None:
        """Nothing to finish."""

    def summary(self) -> dict[str, Any]:
        """Return how many were placed, and why; how many were filled at all, and for how much."""
        return {
            "placed": len(self._placed),
            "reasons": dict(Counter(self._placed.values()).most_common()),
            "filled": len(self._filled),
            "shares": self._shares / SIZE_SCALE,
            "usd": self._cash / CASH_SCALE,
        }


def covers_said(covers: Mapping[str, Any]) -> str:
    """Write them as a line at the end of a run."""
    reasons = ", ".join(f"{name} {count}" for name, count in covers["reasons"].items())
    why = f" ({reasons})" if reasons else ""
    came = f"{covers['filled']} filled: {covers['shares']:g} shares, ${covers['usd']:,.2f}"
    return f"{covers['placed']} placed{why}, {came}"
