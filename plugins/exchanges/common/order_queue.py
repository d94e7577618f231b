"""Places and cancels that wait for their turn: what leaves next within the minute's calls (V5, P9)."""

from collections.abc import Callable, Iterable

from pmrun.plugins.exchanges.common.order_budget import OrderBudget
from pmrun.runner.intents import Place
from pmrun.runner.orders import OrderNo, Purpose
from pmrun.runner.units import Micros, Side


class OrderQueue:
    """Cancels first, then exits, then quotes in the order they were asked for; a place that waits too long is dropped.

    Pure: the time is given. A place that did not get its turn is asked of the desk again, at the prices of then.
    """

    def __init__(self, budget: OrderBudget, patience: Micros) -> None:
        """Wait for nothing yet."""
        self._budget = budget
        self._patience = patience
        self._places: list[tuple[Micros, Place]] = []
        self._cancels: dict[OrderNo, None] = {}
        self._held_until = Micros(0)

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._places or self._cancels)

    def place(self, place: Place, at: Micros) -> None:
        """Have an order wait; an exit goes in front of the quotes."""
        self._places.append((at, place))
        self._places.sort(key=lambda each: each[1].purpose is Purpose.QUOTE)

    def cancel(self, order: OrderNo) -> None:
        """Have a cancel wait."""
        self._cancels[order] = None

    def drop(self, order: OrderNo) -> Place | None:
        """Take back an order that waits; None where it does not."""
        return next(iter(self._taken(lambda place: place.order == order)), None)

    def drop_all(self, side: Side | None) -> list[Place]:
        """Take back all that wait, or all on one side."""
        return self._taken(lambda place: side in (None, place.side))

    def hold(self, until: Micros) -> None:
        """Let no place leave before a time."""
        self._held_until = max(self._held_until, until)

    def expired(self, at: Micros) -> list[Place]:
        """Take back the places whose patience is over."""
        late = {place.order for since, place in self._places if since + self._patience <= at}
        return self._taken(lambda place: place.order in late) if late else []

    def next_cancels(self, at: Micros, ready: Callable[[OrderNo], bool]) -> list[OrderNo]:
        """Return the cancels that leave now, counted; what is not `ready` keeps waiting."""
        found: list[OrderNo] = []
        for order in list(self._cancels):
            if not ready(order):
                continue
            if not self._budget.may_cancel(at):
                break
            self._budget.spend(at)
            del self._cancels[order]
            found.append(order)
        return found

    @property
    def cancels(self) -> set[OrderNo]:
        """The orders whose cancels wait."""
        return set(self._cancels)

    def unspend(self) -> None:
        """Take back the latest call: it was not made."""
        self._budget.unspend()

    def forget(self, orders: Iterable[OrderNo]) -> None:
        """Drop the cancels of orders that are over."""
        for order in orders:
            self._cancels.pop(order, None)

    def next_place(self, at: Micros, in_play: int) -> Place | None:
        """Return the place that leaves now, counted, while so many orders may rest; None for none."""
        if not self._places or at < self._held_until or not self._budget.may_place(at, in_play):
            return None
        self._budget.spend(at)
        return self._places.pop(0)[1]

    def next_at(self, at: Micros, in_play: int) -> Micros | None:
        """Return when something may leave, or be dropped; None while nothing waits."""
        moments: list[Micros] = []
        if self._cancels and (may := self._budget.cancel_when(at)) > at:
            moments.append(may)  # one that could leave now waits for its id: whoever brings it rings
        if self._places:
            moments.append(min(since + self._patience for since, _ in self._places))  # type: ignore[arg-type]
            due = self._budget.place_when(at, in_play)
            if due is not None:
                moments.append(max(due, self._held_until))
        return min(moments, default=None)

    def _taken(self, which: Callable[[Place], bool]) -> list[Place]:
        taken = [place for _, place in self._places if which(place)]
        self._places = [each for each in self._places if not which(each[1])]
        return taken
