"""Looking our orders up by REST: when, what for, and what is done about what rests and ought not to (O5-O7)."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NoReturn

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.order_record import CHECKS
from pmrun.plugins.exchanges.common.trouble import Trouble
from pmrun.plugins.exchanges.polymarket.fills import foreign_tokens
from pmrun.plugins.exchanges.polymarket.life import OrderLife
from pmrun.plugins.exchanges.polymarket.news import TradeSeen
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.snapshot import Snapshot
from pmrun.plugins.exchanges.polymarket.trading_terms import Pace, Told
from pmrun.plugins.exchanges.polymarket.wire_rest import OpenOrder
from pmrun.runner.errors import ExchangeError, ProtocolViolation
from pmrun.runner.facts import Fact
from pmrun.runner.session import Bell
from pmrun.runner.units import SECOND, Micros

log = logger.bind(module="orders")
BLIND = "our orders cannot be looked up"


class Looking:
    """Takes complete snapshots when something wants to be looked up, and every so often anyhow."""

    def __init__(
        self,
        rest: Rest,
        life: OrderLife,
        now: Callable[[], Micros],
        pace: Pace,
        told: Told,
        say: Callable[[Sequence[Fact]], None],
        withdraw: Callable[[Sequence[str]], None],
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
        self._blind = Trouble(log, BLIND, now)
        self._bell = Bell()
        self._one_at_a_time = trio.Lock()
        self._looked = now()  # when the last look began that told everything
        self._sweep_at = Micros(now() + pace.sweep)
        self._starts = [Micros(now() + after) for after in CHECKS]
        self._foreign: dict[str, object] = {}  # how far trades of orders that we do not know have come
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
        check = self._life.next_check()
        moments = [self._sweep_at, *self._starts[:1]]
        return min(moments if check is None else [*moments, check])

    def _due(self, at: Micros) -> bool:
        due = self._life.take_due(at) or at >= self._sweep_at
        while self._starts and self._starts[0] <= at:
            self._starts.pop(0)
            due = True
        return due

    async def look(self) -> bool:
        """Take a complete snapshot and ask for what it lacks; False when none was to be had."""
        async with self._one_at_a_time:
            try:
                older = await self._look(self._now())
            except (ExchangeError, ProtocolViolation) as error:
                self._counts["looks_failed"] += 1
                self._blind.met(error)
                older = True
            else:
                self._blind.over()
            if older and self._now() - self._looked > self._pace.blind:
                self._told.trouble(BLIND, True)
            return not older

    async def _look(self, started: Micros) -> bool:
        """Look once; say whether what was shown is older than what we know."""
        since = Micros(min(self._looked, self._life.oldest_unsettled() or self._looked) - self._pace.overlap)
        orders = await self._rest.open_orders()
        trades = await self._rest.trades(since)
        seen = Snapshot(started=started, since=since, orders=orders, trades=trades)
        judged = self._life.snapshot(seen, self._now())
        self._say(judged.facts)
        self.see_foreign(trades)
        self._bury(orders)
        if judged.older:
            return True
        for record in judged.absent:
            self._say(self._life.looked_up(record, await self._rest.order(record.order_id), self._now()))
        self._looked = started
        self._sweep_at = Micros(started + self._pace.sweep)
        self._after_look()
        return False

    def _after_look(self) -> None:
        now = self._now()
        self._life.debts.looked()
        overdue = self._life.debts.overdue(Micros(now - self._pace.fill_missing))
        self._told.unshown(frozenset(record.place.market for record in overdue))
        self._told.forgotten(self._life.forget(Micros(now - self._pace.remember)))
        self._told.trouble(BLIND, False)
        self._told.looked()

    # What nobody expects.

    def see_foreign(self, trades: Sequence[TradeSeen]) -> None:
        """Notice trades of orders that this session does not know: they move shares all the same."""
        api_key = self._rest.api_key
        for trade in trades:
            if self._foreign.get(trade.trade_id) is trade.status:
                continue
            tokens = foreign_tokens(trade, self._life.by_id, "" if api_key is None else api_key.key)
            if tokens:
                self._foreign[trade.trade_id] = trade.status
            for token in tokens:
                self._told.moved(token)

    def _bury(self, listed: Sequence[OpenOrder]) -> None:
        """Cancel what rests and ought not to: orders given up that arrived after all, and an earlier session's."""
        now = self._now()
        self._asked = {order_id: at for order_id, at in self._asked.items() if at > now - self._pace.cancel_again}
        unwanted = [each.order_id for each in listed if self._unwanted(each.order_id)]
        again = [order_id for order_id in unwanted if order_id not in self._asked]
        for order_id in again:
            self._counts["cancels_again" if self._cancel_asked(order_id) else "buried"] += 1
        self.asked(again)
        if again:
            self._withdraw(again)

    def asked(self, order_ids: Sequence[str]) -> None:
        """Learn that orders are asked to leave now: for a moment they rest all the same."""
        self._asked.update(dict.fromkeys(order_ids, self._now()))

    def _unwanted(self, order_id: str) -> bool:
        record = self._life.by_id.get(order_id)
        if record is None:
            return self._told.ours(order_id)
        return (record.in_play and record.cancel_asked) or order_id in self._life.undead

    def _cancel_asked(self, order_id: str) -> bool:
        record = self._life.by_id.get(order_id)
        return record is not None and record.cancel_asked
