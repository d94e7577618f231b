"""Only markets in which an order could rest."""

from dataclasses import dataclass

from pmrun.plugins.risk.two_sided import check_threshold, has_cheap_token
from pmrun.runner.book import Book
from pmrun.runner.hooks import Depth, Look, Objection, Prospect, hookimpl
from pmrun.runner.intents import Number
from pmrun.runner.units import Price, Side

TOO_EARLY = frozenset({"too_few_points"})  # a check that has not seen enough yet, as always at the first scan


@dataclass(frozen=True, slots=True, eq=False)
class PlacementSafety:
    """Drop markets in which the checks let no order rest (R1).

    One side is enough, unless either token's mid is at or below mid_threshold: then both must pass (R3). A check that
    has not seen enough yet does not drop a market; it refuses the orders, until it has.
    """

    mid_threshold: Price = Price(1_000)
    order: int | None = None
    depth = Depth(Look.PRICES, 1)

    def __post_init__(self) -> None:
        """Refuse a threshold that is none."""
        check_threshold(self.mid_threshold)

    @hookimpl
    def reject_market(self, book: Book, prospect: Prospect) -> Objection | None:
        """Reject a market with too few sides that pass, and say what stands against each."""
        refusals = prospect.refusals
        against = {side: [each for each in refusals[side] if each.code not in TOO_EARLY] for side in Side}
        passing = sum(not reasons for reasons in against.values())
        needed = 2 if has_cheap_token(book, self.mid_threshold) else 1
        if passing >= needed:
            return None
        numbers: dict[str, Number] = {"value": passing, "limit": needed, "margin": needed - passing, "unit": "sides"}
        for side, reasons in ((side.lower(), reasons) for side, reasons in against.items() if reasons):
            numbers[side] = ", ".join(f"{each.by}: {each.code}" for each in reasons)
            for each in reasons:
                numbers |= {f"{side}.{each.by}.{name}": number for name, number in each.numbers.items()}
        return Objection("placement_unsafe", numbers)
