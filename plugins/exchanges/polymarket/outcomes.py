"""How a call to the exchange can end when it is not answered as we hoped."""

import msgspec

from pmrun.plugins.exchanges.polymarket.errors_table import Reaction
from pmrun.runner.errors import ExchangeError, ProtocolViolation
from pmrun.runner.units import Micros


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """Proven: nothing was done. `status` is None when the request never left us."""

    reason: str
    reaction: Reaction
    status: int | None = None
    retry_after: Micros | None = None
    said: str = ""  # the answer as it came


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody knows whether it was done: look it up, never send another one in its place (O7)."""

    why: str
    reaction: Reaction = Reaction.LOOK_UP
    status: int | None = None
    said: str = ""  # the answer as it came, where one did


def reason_of(outcome: Rejected | Lost) -> str:
    """Return what was said, or why nothing was."""
    return outcome.reason if isinstance(outcome, Rejected) else outcome.why


class CallFailed(ExchangeError):
    """A read, or a call that is no order's, was refused or not answered, after all its attempts."""

    def __init__(self, call: str, reason: str, reaction: Reaction, status: int | None = None) -> None:
        """Name the call, what was said, and what that means; `status` is None without an answer."""
        self.reason = reason
        self.reaction = reaction
        self.status = status
        super().__init__(f"{call}: {'' if status is None else f'{status} '}{reason}")


class IncompleteSnapshot(ProtocolViolation):
    """A list of our own orders or trades did not come whole: it proves nothing about what it lacks (O5)."""
