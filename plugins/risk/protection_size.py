"""Do not be among the first to be hit."""

from dataclasses import dataclass

from pmrun.plugins.risk.hysteresis import check_hysteresis, narrowed
from pmrun.runner.book import Book
from pmrun.runner.hooks import Depth, Look, Objection, Wanted, hookimpl
from pmrun.runner.units import Side

PPM = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class ProtectionSize:
    """bid1 + bid2 must hold at least min_protection_size_multiplier times the order (R6)."""

    min_protection_size_multiplier: float = 1.0
    hysteresis: float = 0.1
    order: int | None = None
    depth = Depth(Look.LEVELS, 2)

    def __post_init__(self) -> None:
        """Refuse a multiplier that is no number of times."""
        if not 0 <= self.min_protection_size_multiplier <= 1_000_000:
            raise ValueError("min_protection_size_multiplier must be from 0 to 1,000,000")
        check_hysteresis(self.hysteresis)

    @hookimpl
    def object_to_order(self, order: Wanted, book: Book, resting: bool) -> Objection | None:
        """Object to a bid with too little in the first two levels."""
        if order.side is not Side.BUY:
            return None
        there = sum(size for _, size in book.bids[:2])
        needed = order.size * round(self.min_protection_size_multiplier * PPM) // PPM
        limit = narrowed(needed, self.hysteresis, resting)
        if there < limit:
            return Objection("too_little_protection", {"size": there, "needed": limit})
        return None
