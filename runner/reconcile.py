"""The difference between what ought to rest and what is in play."""

from collections.abc import Iterable, Sequence

from pmrun.runner.hooks import Wanted
from pmrun.runner.orders import Order

Pair = tuple[Order | None, Wanted | None]  # an order and what is wanted in its place; one of the two may be missing


def reconcile(wanted: Sequence[Wanted], orders: Iterable[Order]) -> list[Pair]:
    """Pair orders in play with wanted ones of the same outcome, side and purpose.

    An order at the wanted price is paired first: its place in the queue is worth more than a tidy book. Orders come
    first in the result, so that what makes room is known before what needs it.
    """
    left = list(wanted)
    moved: list[Order] = []
    pairs: list[Pair] = []
    for order in orders:
        price = order.price
        for index, want in enumerate(left):
            if want.price == price and _same_slot(want, order):
                left.pop(index)
                pairs.append((order, want))
                break
        else:
            moved.append(order)
    for order in moved:
        for index, want in enumerate(left):
            if _same_slot(want, order):
                left.pop(index)
                pairs.append((order, want))
                break
        else:
            pairs.append((order, None))
    pairs.extend([(None, want) for want in left])
    return pairs


def _same_slot(want: Wanted, order: Order) -> bool:
    return want.outcome is order.outcome and want.side is order.side and want.purpose is order.purpose
