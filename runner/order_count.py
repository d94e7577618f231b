"""What became of a run's orders: each is counted once, by how it ended."""

from collections import Counter
from typing import Final

from pmrun.runner.facts import Filled, OrderFound, OrderNews
from pmrun.runner.intents import Place
from pmrun.runner.orders import News
from pmrun.runner.unsent import never_sent

CANCELED: Final = News.CANCELED
REJECTED: Final = News.REJECTED
EXPIRED: Final = News.EXPIRED
REMEMBERED: Final = 10_000  # cancelled orders, at least, of which a fill may still be told


class OrderCount:
    """Counts orders. The law: placed + adopted = cancelled + filled + rejected + open; never sent is none of these."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.adopted = 0  # found resting, from an earlier session
        self.cancelled = 0
        self.filled = 0  # whole
        self.rejections: Counter[str] = Counter()
        self.unsent: Counter[str] = Counter()
        self._asked = 0
        self._last = 0  # the highest number of an order so far
        self._known: set[str] = set()  # ids of adopted orders: one may be told twice
        self._left: dict[int, int] = {}  # what is not filled of each order; of those cancelled it is negative
        self._room = 2 * REMEMBERED

    @property
    def placed(self) -> int:
        """How many orders were sent: asked for by the desk, and not kept from leaving."""
        return self._asked - sum(self.unsent.values())

    def summary(self) -> dict[str, int]:
        """Return the counts by their names."""
        return {
            "placed": self.placed,
            "adopted": self.adopted,
            "cancelled": self.cancelled,
            "filled": self.filled,
            "rejected": sum(self.rejections.values()),
            "open": sum(left > 0 for left in self._left.values()),
            "never_sent": sum(self.unsent.values()),
        }

    def asked_for(self, place: Place) -> None:
        """Count an order that the desk wants placed."""
        order = place.order
        self._asked += 1
        self._last = order
        self._left[order] = place.size
        if len(self._left) > self._room:
            self._forget()

    def _forget(self) -> None:
        """Forget the orders that were cancelled long ago."""
        late = self._last - REMEMBERED
        self._left = {order: left for order, left in self._left.items() if left > 0 or order > late}
        self._room = len(self._left) + REMEMBERED

    def found(self, fact: OrderFound) -> None:
        """Count an order that is taken over."""
        if fact.exchange_order_id in self._known or fact.filled >= fact.size:
            return
        self._known.add(fact.exchange_order_id)
        self.adopted += 1
        self._last = max(self._last + 1, fact.order)
        self._left[fact.order or self._last] = fact.size - fact.filled

    def fill(self, fact: Filled) -> None:
        """Count an order that is filled whole, also one that was cancelled before its last fill was told."""
        order = fact.order
        left = self._left.get(order, 0)
        if not left:
            return
        after = max(abs(left) - fact.size, 0)
        self._left[order] = after if left > 0 else -after
        if not after:
            self.filled += 1
            self.cancelled -= int(left < 0)

    def news(self, fact: OrderNews) -> None:
        """Count the end of an order, once; what it says besides is nothing to count."""
        news = fact.news
        if not (news is CANCELED or news is REJECTED or news is EXPIRED):
            return
        order, reason = fact.order, fact.reason
        left = self._left.get(order, 0)
        if left <= 0:
            return
        if news is not REJECTED and not (reason and never_sent(reason)):
            self.cancelled += 1
            self._left[order] = -left
            return
        self._left[order] = 0
        (self.unsent if never_sent(reason) else self.rejections)[reason] += 1
