"""Matches that the exchange spoke of and whose trades it has not shown: asked for until they are there (O6)."""

from dataclasses import dataclass

from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.runner.units import SECOND, Micros

EVERY = Micros(2 * SECOND)  # between looks for a trade that is missing


@dataclass(slots=True)
class _Debt:
    record: Record
    since: Micros
    look_at: Micros


class Debts:
    """Which orders are owed trades, and when to look for them."""

    def __init__(self) -> None:
        """Owe nothing."""
        self._debts: dict[str, _Debt] = {}

    def __bool__(self) -> bool:
        """Whether anything is owed."""
        return bool(self._debts)

    def owe(self, record: Record, at: Micros) -> None:
        """Have an order's trades looked for, at once and then again and again."""
        if record.order_id not in self._debts:
            self._debts[record.order_id] = _Debt(record, at, at)

    hint = owe  # a word of a match that names no size: a look that does not bear it out settles it

    def paid(self, record: Record) -> None:
        """Learn that nothing is missing."""
        self._debts.pop(record.order_id, None)

    def next_look(self) -> Micros | None:
        """Return when to look next."""
        return min((debt.look_at for debt in self._debts.values()), default=None)

    def take_due(self, at: Micros) -> bool:
        """Say whether a look is due now, and put the next one off."""
        due = [debt for debt in self._debts.values() if debt.look_at <= at]
        for debt in due:
            debt.look_at = Micros(at + EVERY)
        return bool(due)

    def looked(self) -> None:
        """Forget, after a complete snapshot, what was a hint only; what an order says of itself stays owed."""
        for order_id, debt in list(self._debts.items()):
            if not debt.record.owed:
                del self._debts[order_id]

    def overdue(self, before: Micros) -> list[Record]:
        """Return the orders that have been owed a trade since before a time."""
        return [debt.record for debt in self._debts.values() if debt.since < before]
