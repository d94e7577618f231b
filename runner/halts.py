"""When quoting stopped, by what, how often and for how long (P9)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pmrun.runner.intents import Number, Reason
from pmrun.runner.market import MarketNo
from pmrun.runner.units import Micros


class Halted(NamedTuple):
    """Every time that one reason kept quotes away, in one market or (None) in all."""

    market: MarketNo | None
    reason: Reason  # with the numbers of the last time
    times: int
    first: Micros  # when it began for the first time
    last: Micros  # and for the last time
    lasted: Micros  # in all, up to now
    on: bool  # whether it does so still


@dataclass(slots=True)
class _Spells:
    reason: Reason
    first: Micros
    last: Micros
    times: int = 0
    lasted: int = 0
    on: bool = False


Key = tuple[str, str, MarketNo | None, Number]


@dataclass(slots=True)
class Halts:
    """Remembers what stopped quoting; nothing is decided by it."""

    _found: dict[Key, _Spells] = field(default_factory=dict)

    def began(self, reason: Reason, at: Micros, market: MarketNo | None = None) -> None:
        """Learn that a reason keeps quotes away from now on; told twice, it counts once."""
        spells = self._found.setdefault(_key(reason, market), _Spells(reason, at, at))
        if not spells.on:
            spells.reason, spells.last, spells.on = reason, at, True
            spells.times += 1

    def ended(self, by: str, code: str, at: Micros) -> None:
        """Learn that a component's reason is over."""
        for (its, what, _, _), spells in self._found.items():
            if (its, what) == (by, code) and spells.on:
                spells.lasted += at - spells.last
                spells.on = False

    def all(self, now: Micros) -> Iterator[Halted]:
        """Iterate over what stopped quoting so far, in the order in which it first did."""
        for (_, _, market, _), spells in self._found.items():
            lasted = Micros(spells.lasted + (now - spells.last if spells.on else 0))
            yield Halted(market, spells.reason, spells.times, spells.first, spells.last, lasted, spells.on)


def _key(reason: Reason, market: MarketNo | None) -> Key:
    """Tell apart what differs by its words, not by its numbers."""
    return reason.by, reason.code, market, reason.numbers.get("why", "")
