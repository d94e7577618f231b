"""Looking our orders up by REST: complete snapshots, and what is done about what rests and ought not to (O5-O7)."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from loguru import logger

from pmrun.plugins.exchanges.common.order_looking import BLIND, OrderLooking
from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.common.trouble import Trouble
from pmrun.plugins.exchanges.polymarket.fills import foreign_tokens
from pmrun.plugins.exchanges.polymarket.life import OrderLife
from pmrun.plugins.exchanges.polymarket.news import TradeSeen
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.snapshot import Snapshot
from pmrun.plugins.exchanges.polymarket.trading_terms import Pace, Told
from pmrun.plugins.exchanges.polymarket.wire_orders import OpenOrder
from pmrun.runner.errors import ExchangeError
from pmrun.runner.facts import Fact
from pmrun.runner.units import Micros

log = logger.bind(module="orders")


class Looking(OrderLooking):
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
        super().__init__(life, now, pace, told, say, counts)
        self._rest = rest
        self._life = life
        self._overlap = pace.overlap
        self._moved = told.moved
        self._withdraw = withdraw
        self._blind = Trouble(log, BLIND, now)
        self._foreign: dict[str, object] = {}  # how far trades of orders that we do not know have come

    def _failed(self, error: ExchangeError) -> None:
        self._blind.met(error)

    def _answered(self) -> None:
        self._blind.over()

    async def _look(self, started: Micros) -> bool:
        """Look once; False where what was shown is older than what we know."""
        since = Micros(min(self._looked, self._life.oldest_unsettled() or self._looked) - self._overlap)
        orders = await self._rest.open_orders()
        trades = await self._rest.trades(since)
        seen = Snapshot(started=started, since=since, orders=orders, trades=trades)
        judged = self._life.snapshot(seen, self._now())
        self._say(judged.facts)
        self.see_foreign(trades)
        self._bury(orders)
        if judged.older:
            return False
        for record in judged.absent:
            self._say(self._life.looked_up(record, await self._rest.order(record.order_id), self._now()))
        self._complete(started)
        self._after_look()
        return True

    def _overdue(self, before: Micros) -> Iterable[Record]:
        self._life.debts.looked()
        return self._life.debts.overdue(before)

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
                self._moved(token)

    def _bury(self, listed: Sequence[OpenOrder]) -> None:
        """Cancel what rests and ought not to: orders given up that arrived after all, and an earlier session's."""
        unwanted = [each.order_id for each in listed if self._unwanted(each.order_id)]
        again = [order_id for order_id in unwanted if not self.asked_lately(order_id)]
        for order_id in again:
            self._counts["cancels_again" if self._cancel_asked(order_id) else "buried"] += 1
        self.asked(again)
        if again:
            self._withdraw(again)

    def _cancel_asked(self, order_id: str) -> bool:
        record = self._life.by_id.get(order_id)
        return record is not None and record.cancel_asked
