"""What the parts of the PnL came to, beside what the account says that there is."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from msgspec.structs import asdict, astuple

from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.pnl_ledger import UNITS_PER_DOLLAR, Parts

DIGITS: Final = 11  # a unit is 0.00000000005 dollar


class MarketPnl(NamedTuple):
    """One market: its parts, and what its cash and its holdings at the mid changed by, in units."""

    parts: Parts
    made: int
    value: int  # of what is held, at the mid, rounded down to a base unit
    held: Mapping[Outcome, tuple[int, int]]  # by the facts, and by the account

    @property
    def unexplained(self) -> int:
        """What no part accounts for: anything but 0 is an error of ours."""
        return self.made - self.parts.total


class Result(NamedTuple):
    """All markets, and the wallet from the start to now, in units."""

    markets: Mapping[MarketNo, MarketPnl]
    opening: int  # cash, and holdings at what they had cost
    closing: int  # cash, and holdings at the mid, as the account says
    transfers: int  # what came or went without a trade of ours
    noticed: tuple[str, ...]  # of the wallet, and of single markets

    @property
    def parts(self) -> Parts:
        """The parts of all markets together."""
        columns = zip(*(astuple(market.parts) for market in self.markets.values()), strict=True)
        return Parts(*map(sum, columns))

    @property
    def total(self) -> int:
        """What was made: the change of the wallet, but for what came from outside."""
        return self.closing - self.opening - self.transfers

    @property
    def unexplained(self) -> int:
        """What no part accounts for."""
        return self.total - self.parts.total

    @property
    def complaints(self) -> tuple[str, ...]:
        """What does not add up, in words."""
        if self.unexplained and not self.noticed:
            return (f"{self.unexplained} units (1/20,000,000,000 dollar) are in no market",)
        return self.noticed

    @property
    def closes(self) -> bool:
        """Whether everything is accounted for, in every market and in the wallet."""
        return not self.complaints


def in_dollars(units: int) -> float:
    """Write units as dollars, with every digit they have."""
    return round(units / UNITS_PER_DOLLAR, DIGITS) + 0.0


def parts_in_dollars(parts: Parts) -> dict[str, float]:
    """Write parts by name."""
    return {name: in_dollars(amount) for name, amount in asdict(parts).items()}


def by_market(result: Result, slugs: Mapping[MarketNo, str]) -> dict[str, Any]:
    """Write the parts of each market in which something was held or traded."""
    return {
        str(no): {
            "slug": slugs.get(no, ""),
            "total": in_dollars(found.made),
            "parts": parts_in_dollars(found.parts),
        }
        for no, found in result.markets.items()
        if found.made or any(astuple(found.parts))
    }
