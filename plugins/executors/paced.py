"""Paper orders at an exchange that takes few order calls a minute: they wait for their turn as live ones do (V5)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pmrun.plugins.exchanges.common.order_budget import OrderBudget
from pmrun.plugins.exchanges.common.order_queue import OrderQueue
from pmrun.runner.intents import Cancel, CancelAll, Intent, Place, Reason
from pmrun.runner.orders import OrderNo
from pmrun.runner.units import SECOND, Micros, Side
from pmrun.runner.unsent import NO_TURN, PULLED

PATIENCE: Final = Micros(5 * SECOND)  # that a place waits for its turn
Dropped = tuple[OrderNo, str]  # an order that never left, and why


def orders(count: int) -> str:
    """Write how many orders."""
    return f"{count} order{'s' if count != 1 else ''}"


class Paced:
    """Holds intents back until the exchange takes them; what it knows of orders in play is told by the caller."""

    def __init__(self, calls: int) -> None:
        """Take how many places and cancels a minute there are."""
        self._queue = OrderQueue(OrderBudget(calls), PATIENCE)
        self._dropped: list[Dropped] = []
        self._at = Micros(0)
        self._calls = calls
        self.without_a_turn = 0

    def submit(self, intents: Sequence[Intent], at: Micros, in_play: Mapping[OrderNo, Side]) -> list[Intent]:
        """Take intents; those that are no order calls are returned, to leave at once."""
        self._at = at
        others: list[Intent] = []
        for intent in intents:
            if type(intent) is Place:
                self._queue.place(intent, at)
            elif type(intent) is Cancel:
                self._cancel(intent.order)
            elif type(intent) is CancelAll:
                self._dropped += [(place.order, PULLED) for place in self._queue.drop_all(intent.side)]
                for order, side in in_play.items():
                    if intent.side in (None, side):
                        self._queue.cancel(order)
            else:
                others.append(intent)
        return others

    def _cancel(self, order: OrderNo) -> None:
        if self._queue.drop(order) is None:
            self._queue.cancel(order)
        else:
            self._dropped.append((order, PULLED))

    def leaving(
        self, at: Micros, in_play: Mapping[OrderNo, Side], refused: Callable[[Place], str]
    ) -> tuple[list[Intent], list[tuple[Place, str]], list[Dropped]]:
        """Return what leaves now, what is refused instead, and what never had its turn; a refusal costs no call."""
        self._at = max(self._at, at)
        dropped, self._dropped = self._dropped, []
        late = self._queue.expired(at)
        self.without_a_turn += len(late)
        dropped += [(place.order, NO_TURN) for place in late]
        self._queue.forget(self._queue.cancels - in_play.keys())
        reason, playing = Reason("pulled"), len(in_play)
        sent: list[Intent] = [Cancel(at, order, reason) for order in self._queue.next_cancels(at, lambda order: True)]
        refusals: list[tuple[Place, str]] = []
        while (place := self._queue.next_place(at, playing)) is not None:
            why = refused(place)
            if why:
                self._queue.unspend()
                refusals.append((place, why))
            else:
                sent.append(place)
                playing += 1
        return sent, refusals, dropped

    def remarks(self) -> list[str]:
        """Say how often orders waited in vain, where any did."""
        count, calls = self.without_a_turn, self._calls
        return [f"{calls} order calls a minute: {orders(count)} had no turn in time and never left"] if count else []

    def next_at(self, in_play: int) -> Micros | None:
        """Return when something may leave, or be dropped."""
        return self._at if self._dropped else self._queue.next_at(self._at, in_play)
