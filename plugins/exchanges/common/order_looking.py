"""Looking our orders up by REST: when, and what follows whatever the exchange (O5-O7)."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

import trio

from pmrun.plugins.exchanges.common.known_orders import KnownOrders
from pmrun.plugins.exchanges.common.order_record import CHECKS, Record
from pmrun.plugins.exchanges.common.trading_terms import Pace, Told
from pmrun.runner.errors import ExchangeError
from pmrun.runner.facts import Fact
from pmrun.runner.session import Bell
from pmrun.runner.units import SECOND, Micros

BLIND = "our orders cannot be looked up"


class OrderLooking:
    """Looks when something wants to be looked up, and every so often anyhow."""

    def __init__(
        self,
        life: KnownOrders,
        now: Callable[[], Micros],
        pace: Pace,
        told: Told,
        say: Callable[[Sequence[Fact]], None],
        counts: Counter[str],
    ) -> None:
        """Look after the start as after an order: what an earlier session sent may still arrive."""
        self._known = life
        self._now = now
        self._pace = pace
        self._told = told
        self._say = say
        self._counts = counts
        self._bell = Bell()
        self._one_at_a_time = trio.Lock()
        self._looked = now()  # when the last look began that told everything
        self._sweep_at = Micros(now() + pace.sweep)
        self._starts = [Micros(now() + after) for after in CHECKS]
        self._asked: dict[str, Micros] = {}  # when an order was asked to leave last, in our words here

    def soon(self) -> None:
        """Have a look as soon as possible."""
        self._sweep_at = Micros(0)
        self._bell.ring()

    def ring(self) -> None:
        """See whether something is due."""
        self._bell.ring()

    async def run(self) -> NoReturn:
        """Look until cancelled."""
        while True:
            with trio.move_on_after(max(0, self._next() - self._now()) / SECOND):
                await self._bell.heard()
            if self._due(self._now()) and not await self.look():
                self._sweep_at = Micros(self._now() + self._pace.retry)

    def _next(self) -> Micros:
        check = self._known.next_check()
        return min([self._sweep_at, *self._starts[:1], *([] if check is None else [check])])

    def _due(self, at: Micros) -> bool:
        due = self._known.take_due(at) or at >= self._sweep_at
        while self._starts and self._starts[0] <= at:
            self._starts.pop(0)
            due = True
        return due

    async def look(self) -> bool:
        """Look at everything, and ask for what that lacks; False when it was not to be had."""
        async with self._one_at_a_time:
            try:
                whole = await self._look(self._now())
            except ExchangeError as error:
                self._counts["looks_failed"] += 1
                self._failed(error)
                whole = False
            else:
                self._answered()
            if not whole and self._now() - self._looked > self._pace.blind:
                self._told.trouble(BLIND, True)
            return whole

    async def _look(self, started: Micros) -> bool:
        """Look once; say whether that told everything."""
        raise NotImplementedError

    def _failed(self, error: ExchangeError) -> None:
        """Say that a look failed."""
        raise NotImplementedError

    def _answered(self) -> None:
        """Learn that the exchange answered a look."""

    def _complete(self, started: Micros) -> None:
        """Note when a look began that told everything."""
        self._looked = started
        self._sweep_at = Micros(started + self._pace.sweep)

    def _after_look(self) -> None:
        """Tell what a look that told everything leaves open, and that we know what rests."""
        now = self._now()
        overdue = self._overdue(Micros(now - self._pace.fill_missing))
        self._told.unshown(frozenset(record.place.market for record in overdue))
        self._told.forgotten(self._known.forget(Micros(now - self._pace.remember)))
        self._told.trouble(BLIND, False)
        self._told.looked()

    def _overdue(self, before: Micros) -> Iterable[Record]:
        """Return the orders that have been owed a trade since before a time."""
        raise NotImplementedError

    # What rests and ought not to.

    def asked(self, order_ids: Sequence[str]) -> None:
        """Learn that orders are asked to leave now: for a moment they rest all the same."""
        now = self._now()
        self._asked = {order_id: at for order_id, at in self._asked.items() if at > now - self._pace.cancel_again}
        self._asked.update(dict.fromkeys(order_ids, now))

    def asked_lately(self, order_id: str) -> bool:
        """Whether an order was asked to leave a moment ago."""
        return self._asked.get(order_id, Micros(0)) > self._now() - self._pace.cancel_again

    def _unwanted(self, order_id: str) -> bool:
        """Whether an order that rests is to leave: it was asked to, was given up, or is an earlier session's."""
        record = self._known.by_id.get(order_id)
        if record is None:
            return self._told.ours(order_id)
        return record.cancel_asked if record.in_play else order_id in self._known.undead
