"""Faults of an exchange that takes orders first and matches them later: SatoriEx's (V1, V2)."""

from pmrun.plugins.exchanges.embedded.fault_acts import Act, Acting, CancelByAdmin, ExpireTokens
from pmrun.plugins.exchanges.embedded.fault_timing import Behaviour
from pmrun.runner.units import Micros


class TokensExpired(Acting):
    """Every token of a sign-in is too old at once."""

    def strike(self, moment: Micros) -> list[Act]:
        """Let them expire."""
        self.trigger.strike()
        return [ExpireTokens()]


class AdminCancel(Acting):
    """Orders are cancelled by the exchange's own people; a firing is an order that was."""

    def strike(self, moment: Micros) -> list[Act]:
        """Ask for it; it is counted when there was an order."""
        self.trigger.uses += 1
        return [CancelByAdmin(self.fault.number("count"))]


class LateFill(Behaviour):
    """Fills are told later than they were matched: after the answer to a cancel, where one comes between."""

    def late(self, at: Micros) -> int:
        """Say by how much, for the fill that was just matched."""
        return self.fault.number("by") if self.trigger.bites(at) else 0


class RejectedLater(Behaviour):
    """Orders that were taken fail their last validation when they are to be matched."""

    def rejects(self, at: Micros) -> bool:
        """Say whether the order whose turn it is fails."""
        return self.trigger.bites(at)
