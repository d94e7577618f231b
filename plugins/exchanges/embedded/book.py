"""The order book of one market in terms of YES: our orders and the crowd's share one queue per price."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pmrun.plugins.exchanges.embedded.terms import Levels
from pmrun.runner.units import Price, Side, Size


class Entry:
    """What rests at one place in a queue: an order, or a chunk of the crowd's (no order id)."""

    __slots__ = ("left", "order_id")

    def __init__(self, order_id: str | None, left: int) -> None:
        """Take a place at the tail."""
        self.order_id = order_id
        self.left = left


class Hit(NamedTuple):
    """What a taker gets from one entry."""

    entry: Entry
    price: Price
    size: Size


class Queue:
    """Everything that rests at one price, first come first served."""

    __slots__ = ("crowd", "entries", "lot", "ours", "total")

    def __init__(self, lot: int = 1) -> None:
        """Start empty; `lot` is what every size is a multiple of."""
        self.lot = lot
        self.entries: list[Entry] = []
        self.total = 0
        self.crowd = 0
        self.ours = 0  # how many entries are orders

    def join(self, order_id: str | None, size: int) -> Entry:
        """Put something at the tail; the crowd's last chunk grows when nothing stands behind it."""
        self.total += size
        if order_id is None:
            self.crowd += size
            if self.entries and self.entries[-1].order_id is None:
                self.entries[-1].left += size
                return self.entries[-1]
        else:
            self.ours += 1
        entry = Entry(order_id, size)
        self.entries.append(entry)
        return entry

    def reduce(self, entry: Entry, size: int) -> None:
        """Take from an entry; it leaves when nothing of it is left."""
        entry.left -= size
        self.total -= size
        if entry.order_id is None:
            self.crowd -= size
        if not entry.left:
            self.entries.remove(entry)
            self.ours -= entry.order_id is not None

    def shrink_crowd(self, size: int) -> None:
        """Leave `size` of the crowd, every chunk giving up the same share of itself."""
        before, seen, kept = self.crowd, 0, 0
        for entry in [entry for entry in self.entries if entry.order_id is None]:
            seen += entry.left
            left = seen * size // before // self.lot * self.lot - kept
            kept += left
            self.reduce(entry, entry.left - left)


class BookSide:
    """The queues of one side by price."""

    def __init__(self, side: Side, lot: int = 1) -> None:
        """Start empty."""
        self._lot = lot
        self._sign = -1 if side is Side.BUY else 1  # the best price has the lowest rank
        self._queues: dict[Price, Queue] = {}
        self._ranks: list[int] = []
        self._ours: list[int] = []  # ranks of the prices at which orders rest
        self._levels: Levels | None = None

    def levels(self) -> Levels:
        """Return the total at each price, best first."""
        if self._levels is None:
            prices = [Price(self._sign * rank) for rank in self._ranks]
            self._levels = tuple((price, Size(self._queues[price].total)) for price in prices)
        return self._levels

    def total(self, price: Price) -> Size:
        """Return everything that rests at a price."""
        queue = self._queues.get(price)
        return Size(queue.total if queue else 0)

    def crowd(self, price: Price) -> Size:
        """Return what the crowd has at a price."""
        queue = self._queues.get(price)
        return Size(queue.crowd if queue else 0)

    def crowd_levels(self) -> dict[Price, Size]:
        """Return what the crowd has at each price."""
        return {price: Size(queue.crowd) for price, queue in self._queues.items() if queue.crowd}

    def join(self, price: Price, order_id: str | None, size: int) -> Entry:
        """Put an order, or more of the crowd, at the tail of a price."""
        self._levels = None
        queue = self._queues.get(price)
        if queue is None:
            queue = self._queues[price] = Queue(self._lot)
            insort(self._ranks, self._sign * price)
        if order_id is not None and not queue.ours:
            insort(self._ours, self._sign * price)
        return queue.join(order_id, size)

    def reduce(self, price: Price, entry: Entry, size: int) -> None:
        """Take from an entry at a price."""
        queue = self._queues[price]
        had = queue.ours
        queue.reduce(entry, size)
        self._tidy(price, queue, had)

    def set_crowd(self, price: Price, size: int) -> None:
        """Make the crowd's whole size at a price `size`: more joins the tail, less leaves pro rata."""
        now = self.crowd(price)
        if size > now:
            self.join(price, None, size - now)
        elif size < now:
            queue = self._queues[price]
            queue.shrink_crowd(size)
            self._tidy(price, queue, queue.ours)

    def reach(self, limit: Price, size: int, crowd: bool = True) -> list[Hit]:
        """Return what a taker would get up to its limit, by price, then time; from orders only, without `crowd`."""
        hits: list[Hit] = []
        worst = self._sign * limit
        for rank in self._ranks if crowd else self._ours:
            if rank > worst or not size:
                break
            price = Price(self._sign * rank)
            for entry in self._queues[price].entries:
                if not size:
                    break
                if crowd or entry.order_id is not None:
                    took = Size(min(size, entry.left))
                    hits.append(Hit(entry, price, took))
                    size -= took
        return hits

    def take(self, hits: Iterable[Hit]) -> None:
        """Take what `reach` found."""
        for entry, price, size in hits:
            self.reduce(price, entry, size)

    def clear_crowd(self) -> None:
        """Send the crowd away."""
        for price in self.crowd_levels():
            self.set_crowd(price, 0)

    def _tidy(self, price: Price, queue: Queue, had: int) -> None:
        self._levels = None
        rank = self._sign * price
        if had and not queue.ours:
            del self._ours[bisect_left(self._ours, rank)]
        if not queue.entries:
            del self._queues[price]
            del self._ranks[bisect_left(self._ranks, rank)]


class OrderBook:
    """Both sides of one market, in terms of YES."""

    def __init__(self, lot: int = 1) -> None:
        """Start empty; `lot` is what every size is a multiple of, in base units."""
        self.bids = BookSide(Side.BUY, lot)
        self.asks = BookSide(Side.SELL, lot)

    def side(self, side: Side) -> BookSide:
        """Return the side on which such an order rests."""
        return self.bids if side is Side.BUY else self.asks

    def against(self, side: Side) -> BookSide:
        """Return the side that such an order takes from."""
        return self.asks if side is Side.BUY else self.bids

    def sides(self) -> Iterator[tuple[Side, BookSide]]:
        """Iterate over both sides."""
        yield Side.BUY, self.bids
        yield Side.SELL, self.asks
