"""What faults ask of whoever runs the engine and the sockets, and when."""

from bisect import insort
from collections.abc import Sequence
from operator import itemgetter

import msgspec

from pmrun.plugins.exchanges.embedded.fault_terms import Fault
from pmrun.plugins.exchanges.embedded.fault_timing import Behaviour, Trigger
from pmrun.runner.errors import ConfigError
from pmrun.runner.facts import MarketStatus
from pmrun.runner.units import Micros, Price


class Disconnect(msgspec.Struct, frozen=True):
    """Close every socket of a channel, or the one socket that `channel` names ("market#7")."""

    channel: str
    code: int
    reason: str


class SetTick(msgspec.Struct, frozen=True):
    """Change the tick of a market."""

    market: int
    tick: Price


class SetStatus(msgspec.Struct, frozen=True):
    """Halt a market, or let it trade again."""

    market: int
    status: MarketStatus


class Resolve(msgspec.Struct, frozen=True):
    """Give a market its answer."""

    market: int
    settled_yes: Price


class FailSettlement(msgspec.Struct, frozen=True):
    """Let the next settlements fail: MATCHED, and later FAILED."""

    count: int


class RetrySettlement(msgspec.Struct, frozen=True):
    """Let the next settlements need a second try: MATCHED, RETRYING, and then on."""

    count: int


class ExpireTokens(msgspec.Struct, frozen=True):
    """Let every token of a sign-in be too old."""


class CancelByAdmin(msgspec.Struct, frozen=True):
    """Cancel orders that rest, the oldest first, as the exchange's own people would."""

    count: int


Act = Disconnect | SetTick | SetStatus | Resolve | FailSettlement | RetrySettlement | ExpireTokens | CancelByAdmin


class Acting(Behaviour):
    """A fault that hands out acts when they are due."""

    def __init__(self, fault: Fault, trigger: Trigger) -> None:
        super().__init__(fault, trigger)
        self._later: list[tuple[Micros, Act]] = []  # in order of time

    @property
    def due(self) -> Micros | None:
        """Return when it next has something to hand out."""
        moments = [moment for moment, _ in self._later[:1]]
        if self.trigger.schedule.due is not None and not self.trigger.spent:
            moments.append(self.trigger.schedule.due)
        return min(moments, default=None)

    def hand_out(self, moment: Micros) -> list[Act]:
        """Return what is due at this moment, which is `due`."""
        if self._later and self._later[0][0] <= moment:
            return self.finish(self._later.pop(0)[1])
        self.trigger.schedule.step()
        return self.strike(moment)

    def strike(self, moment: Micros) -> list[Act]:
        """Begin an occurrence."""
        raise NotImplementedError

    def finish(self, act: Act) -> list[Act]:
        """End an occurrence."""
        return [act]

    def hold(self, moment: Micros, act: Act) -> None:
        """Hand out an act at a later moment."""
        insort(self._later, (moment, act), key=itemgetter(0))


def check_markets(faults: Sequence[Fault], markets: int) -> None:
    """Raise ConfigError for a fault that is aimed at a market that there is not."""
    for number, fault in enumerate(faults, start=1):
        market = fault.where.market
        if market is not None and market >= markets:
            key = f"fault {number} ({fault.name}): where.market"
            raise ConfigError(key, market, f"a market from 0 to {markets - 1} is allowed")
