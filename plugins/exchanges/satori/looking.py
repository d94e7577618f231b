"""Looking our orders up by REST: complete lists, and what is done about what rests and ought not to (O5-O7)."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence

from loguru import logger

from pmrun.plugins.exchanges.common.order_looking import BLIND, OrderLooking
from pmrun.plugins.exchanges.common.order_record import Record, Standing
from pmrun.plugins.exchanges.satori.life import OrderLife
from pmrun.plugins.exchanges.satori.news import OrderSeen
from pmrun.plugins.exchanges.satori.rest import Rest
from pmrun.plugins.exchanges.satori.trading_terms import Pace, Told
from pmrun.runner.errors import ExchangeError
from pmrun.runner.facts import Fact
from pmrun.runner.orders import OrderNo
from pmrun.runner.units import SECOND, Micros

log = logger.bind(module="orders")
OWED_EVERY = Micros(2 * SECOND)  # between looks for a trade that is missing
ACTIVE, RECENT = "active", "recent"


class Looking(OrderLooking):
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
        super().__init__(life, now, pace, told, say, counts)
        self._rest = rest
        self._life = life
        self._withdraw = withdraw
        self._owed_since: dict[OrderNo, Micros] = {}
        self._owed_look = Micros(0)
        self._listed: tuple[str, ...] = ()  # the ids of what rested at the last look

    def _next(self) -> Micros:
        soonest = super()._next()
        return min(soonest, self._owed_look) if self._owed() else soonest

    def _due(self, at: Micros) -> bool:
        due = super()._due(at)
        return (bool(self._owed()) and at >= self._owed_look) or due

    def _failed(self, error: ExchangeError) -> None:
        log.warning("{}: {}", BLIND, error)

    def _owed(self) -> list[Record]:
        """Return the orders that are owed trades, and note since when."""
        owed, now = self._life.owed, self._now()
        self._owed_since = {record.no: self._owed_since.get(record.no, now) for record in owed}
        return owed

    async def _look(self, started: Micros) -> bool:
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
        self._complete(started)
        await self._bury()
        self._after_look()
        return True

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

    def _overdue(self, before: Micros) -> Iterable[Record]:
        overdue = {no for no, since in self._owed_since.items() if since < before}
        return [self._life.records[no] for no in overdue & self._life.records.keys()]

    # What nobody expects.

    def unwanted(self) -> list[str]:
        """Return what rested at the last look and ought not to."""
        return [each for each in self._listed if self._unwanted(each)]

    async def _bury(self) -> None:
        """Cancel what rests and ought not to: orders given up that arrived after all, and an earlier session's."""
        again = [each for each in self.unwanted() if not self.asked_lately(each)]
        if again:
            self._counts["cancels_again"] += len(again)
            self.asked(again)
            await self._withdraw(again)
