"""Looking our orders up by REST: when, what for, and what is done about what rests and ought not to (O5-O7)."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.order_record import CHECKS, Record, Standing
from pmrun.plugins.exchanges.satori.life import OrderLife
from pmrun.plugins.exchanges.satori.news import OrderSeen
from pmrun.plugins.exchanges.satori.rest import Rest
from pmrun.plugins.exchanges.satori.trading_terms import Pace, Told
from pmrun.runner.errors import ExchangeError
from pmrun.runner.facts import Fact
from pmrun.runner.orders import OrderNo
from pmrun.runner.session import Bell
from pmrun.runner.units import SECOND, Micros

log = logger.bind(module="orders")
BLIND = "our orders cannot be looked up"
OWED_EVERY = Micros(2 * SECOND)  # between looks for a trade that is missing
ACTIVE, RECENT = "active", "recent"


class Looking:
    """Takes complete lists of our orders when something wants to be looked up, and every so often anyhow."""

    def __init__(
        self,
        rest: Rest,
        life: OrderLife,
        now: Callable[[], Micros],
        pace: Pace,
        told: Told,
        say: Callable[[Sequence[Fact]], None],
        withdraw: Callable[[Sequence[str]], Awaitable[None]],
        counts: Counter[str],
    ) -> None:
        """Look after the start as after an order: what an earlier session sent may still arrive."""
        self._rest = rest
        self._life = life
        self._now = now
        self._pace = pace
        self._told = told
        self._say = say
        self._withdraw = withdraw
        self._counts = counts
        self._bell = Bell()
        self._one_at_a_time = trio.Lock()
        self._looked = now()  # when the last look began that told everything
        self._sweep_at = Micros(now() + pace.sweep)
        self._starts = [Micros(now() + after) for after in CHECKS]
        self._owed_since: dict[OrderNo, Micros] = {}
        self._owed_look = Micros(0)
        self._asked: dict[str, Micros] = {}  # when an order was asked to leave last
        self._listed: tuple[str, ...] = ()  # the ids of what rested at the last look

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
        check = self._life.next_check()
        moments = [self._sweep_at, *self._starts[:1], *([] if check is None else [check])]
        if self._owed():
            moments.append(self._owed_look)
        return min(moments)

    def _due(self, at: Micros) -> bool:
        due = self._life.take_due(at) or at >= self._sweep_at
        while self._starts and self._starts[0] <= at:
            self._starts.pop(0)
            due = True
        if self._owed() and at >= self._owed_look:
            due = True
        return due

    def _owed(self) -> list[Record]:
        """Return the orders that are owed trades, and note since when."""
        owed, now = self._life.owed, self._now()
        self._owed_since = {record.no: self._owed_since.get(record.no, now) for record in owed}
        return owed

    async def look(self) -> bool:
        """Take complete lists and ask for what they lack; False when they were not to be had."""
        async with self._one_at_a_time:
            try:
                await self._look(self._now())
            except ExchangeError as error:
                self._counts["looks_failed"] += 1
                log.warning("our orders cannot be looked up: {}", error)
                if self._now() - self._looked > self._pace.blind:
                    self._told.trouble(BLIND, True)
                return False
            return True

    async def _look(self, started: Micros) -> None:
        active = await self._rest.orders(ACTIVE)
        nameless = [each for each in self._life.in_play() if not each.order_id and each.standing is Standing.UNKNOWN]
        recent = await self._rest.orders(RECENT) if nameless else []
        self._take([*active, *recent])
        self._listed = tuple(each.order_id for each in active)
        listed = {*self._listed}
        for record in [each for each in self._life.in_play() if each.sent_at < started]:
            if record.order_id not in listed:
                await self._ask(record)
        await self._ask_trades()
        self._looked = started
        self._sweep_at = Micros(started + self._pace.sweep)
        await self._bury()
        self._after_look()

    def _take(self, orders: Sequence[OrderSeen]) -> None:
        for seen in orders:
            self._say(self._life.order_seen(seen, self._now()))

    async def _ask(self, record: Record) -> None:
        """Ask for one order that ought to rest and is not listed; without an id the lists have said what there is."""
        if record.standing is Standing.SENT:
            return
        seen = await self._rest.order(record.order_id) if record.order_id else None
        facts = self._life.missing(record, self._now()) if seen is None else self._life.order_seen(seen, self._now())
        self._say(facts)

    async def _ask_trades(self) -> None:
        for record in self._owed():
            for fill in await self._rest.order_trades(record.order_id):
                self._say(self._life.fill_seen(fill, self._now()))
        self._owed_look = Micros(self._now() + OWED_EVERY)

    def _after_look(self) -> None:
        now = self._now()
        overdue = {no for no, since in self._owed_since.items() if since < now - self._pace.fill_missing}
        self._told.unshown(frozenset(self._life.records[no].place.market for no in overdue & self._life.records.keys()))
        self._told.forgotten(self._life.forget(Micros(now - self._pace.remember)))
        self._told.trouble(BLIND, False)
        self._told.looked()

    # What nobody expects.

    def asked(self, order_id: str) -> None:
        """Learn that an order is asked to leave now: for a moment it rests all the same."""
        self._asked[order_id] = self._now()

    def asked_lately(self, order_id: str) -> bool:
        """Whether an order was asked to leave a moment ago."""
        return self._asked.get(order_id, Micros(0)) > self._now() - self._pace.cancel_again

    def unwanted(self) -> list[str]:
        """Return what rested at the last look and ought not to."""
        return [each for each in self._listed if self._unwanted(each)]

    async def _bury(self) -> None:
        """Cancel what rests and ought not to: orders given up that arrived after all, and an earlier session's."""
        again = [each for each in self.unwanted() if not self.asked_lately(each)]
        for order_id in again:
            self._counts["cancels_again"] += 1
            self.asked(order_id)
        if again:
            await self._withdraw(again)

    def _unwanted(self, order_id: str) -> bool:
        record = self._life.by_id.get(order_id)
        if record is None:
            return self._told.ours(order_id)
        return record.cancel_asked if record.in_play else order_id in self._life.undead
