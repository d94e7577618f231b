"""What an account may do beyond its money: whether it may open, and what it lets the contracts take (reference 3.9)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pmrun.plugins.exchanges.embedded.admission import NO_MONEY
from pmrun.plugins.exchanges.embedded.terms import Ticket
from pmrun.runner.units import Side, cash_paid


@dataclass(frozen=True, slots=True)
class Permits:
    """Limits of every account; a contract that is not named may take any amount."""

    only_closing: bool = False
    allowances: Mapping[str, int] = field(default_factory=dict)  # base units, by contract

    def refusal(self, address: str, ticket: Ticket, contract: str) -> str:
        """Say why an account may not send an order, in the exchange's words; empty when it may."""
        if self.only_closing and ticket.side is Side.BUY:
            return f"'{address}' address in closed only mode"
        needed = cash_paid(ticket.price, ticket.size) if ticket.side is Side.BUY else ticket.size
        if needed > self.allowances.get(contract, needed):
            return f"{NO_MONEY}: the allowance is not enough -> spender: {contract}"
        return ""
