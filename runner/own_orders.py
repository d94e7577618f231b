"""Which of our own orders an observed book shows: books and acknowledgements lag behind one another (O12)."""

from collections.abc import Iterator, Mapping

from pmrun.runner.book import Book, Levels, without_own
from pmrun.runner.orders import Order, OrderNo, State
from pmrun.runner.units import SECOND, Micros, Price, Side, Size

BELIEVED = Micros(1 * SECOND)  # after so long, the book is taken to show what the exchange told us


class _Shadow:
    """One order of ours in the book: not shown yet, shown, or gone and still shown."""

    __slots__ = ("gone_at", "leaving", "left", "level", "others", "price", "shown", "side", "size", "told_at")

    def __init__(self, order: Order, others: int) -> None:
        self.side, self.price, self.size = order.book_side, order.yes_price, order.remaining
        self.others = others  # what else stands at the price, as last seen
        self.shown = False
        self.leaving = False  # asked to leave: the book may show it before the answer comes
        self.left = False
        self.told_at: Micros | None = None  # when the exchange said that it rests
        self.gone_at: Micros | None = None  # when it ended
        self.level = 0  # what the price showed then


class OwnOrders:
    """Takes our own orders out of the observed book of one market, whatever is told first.

    An order is taken to be shown once its price shows so much more than before, or a second after the exchange said
    that it rests; to be gone once its price changes after its end, or a second after it.
    """

    def __init__(self) -> None:
        """Know no order."""
        self._shadows: dict[OrderNo, _Shadow] = {}

    def before(self, book: Book | None, orders: Mapping[OrderNo, Order], now: Micros) -> None:
        """Look at the orders before a new book is: what stands at the price of a new one is other people's."""
        if self._shadows.keys() != orders.keys():
            for no, shadow in self._shadows.items():
                if no not in orders and shadow.gone_at is None:
                    shadow.gone_at, shadow.level = now, _size_at(book, shadow.side, shadow.price)
        for no, order in orders.items():
            known = self._shadows.get(no)
            if known is None:
                mine = self._shown_at(order.book_side, order.yes_price)
                others = max(0, _size_at(book, order.book_side, order.yes_price) - mine)
                self._shadows[no] = known = _Shadow(order, others)
            known.size = order.remaining
            known.leaving = order.cancel_sent
            if known.told_at is None and order.state in (State.LIVE, State.PARTIALLY_FILLED):
                known.told_at = now

    def after(self, book: Book, now: Micros) -> None:
        """Find out what a new book shows of them."""
        for no, shadow in list(self._shadows.items()):
            level = _size_at(book, shadow.side, shadow.price)
            if shadow.gone_at is not None:
                if not shadow.shown or level != shadow.level or now >= shadow.gone_at + BELIEVED:
                    del self._shadows[no]
            elif not shadow.left:
                self._look(shadow, level, now)

    def _look(self, shadow: _Shadow, level: int, now: Micros) -> None:
        """Judge by how a price's size changed whether an order came or left."""
        others = level - self._shown_at(shadow.side, shadow.price)
        if shadow.shown:
            if shadow.leaving and others + shadow.size <= shadow.others:
                shadow.shown, shadow.left = False, True
            else:
                shadow.others = max(0, others)
            return
        told = shadow.told_at is not None and now >= shadow.told_at + BELIEVED
        if others >= shadow.others + shadow.size or told:
            shadow.shown = True
        else:
            shadow.others = others

    def without(self, book: Book) -> Book:
        """Return the book without what it shows of us."""
        return without_own(book, self._shown())

    def _shown(self) -> Iterator[tuple[Side, Price, Size]]:
        return ((each.side, each.price, each.size) for each in self._shadows.values() if each.shown)

    def _shown_at(self, side: Side, price: Price) -> int:
        return sum(size for at, where, size in self._shown() if at is side and where == price)


def _size_at(book: Book | None, side: Side, price: Price) -> int:
    if book is None:
        return 0
    levels: Levels = book.bids if side is Side.BUY else book.asks
    return next((size for where, size in levels if where == price), 0)
