"""Carrying out intents, as far as it is the same everywhere: what is refused here, and the proof that nothing rests."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import ClassVar

import trio

from pmrun.plugins.exchanges.common.known_orders import KnownOrders
from pmrun.plugins.exchanges.common.order_looking import OrderLooking
from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.common.trading_terms import Caps
from pmrun.runner.facts import Fact, Merged
from pmrun.runner.intents import Cancel, CancelAll, Intent, Merge, Place
from pmrun.runner.market import Market
from pmrun.runner.orders import News, OrderNo
from pmrun.runner.session import Bell
from pmrun.runner.units import Micros, Side, cash_paid

NOTHING_RESTS_TWICE = 2  # complete looks in a row that have to show nothing
BETWEEN_LOOKS = 0.5  # seconds


class OrderTrading:
    """Takes intents, and turns whatever is said of our orders into facts."""

    no_merges: ClassVar[str]  # why no pairs are merged
    _looking: OrderLooking

    def __init__(self, life: KnownOrders, markets: Sequence[Market], caps: Caps, now: Callable[[], Micros]) -> None:
        """Send nothing yet."""
        self.counts: Counter[str] = Counter()
        self._known = life
        self._markets = markets
        self._caps = caps
        self._now = now
        self._work = Bell()
        self._under_way = 0

    # What the session calls.

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send and look up until cancelled."""
        raise NotImplementedError

    def submit(self, intents: Iterable[Intent]) -> None:
        """Queue what is to be sent; cancels go first."""
        for intent in intents:
            if type(intent) is Place:
                self._queue_place(intent)
            elif type(intent) is Cancel:
                self._ask_cancel(intent.order)
            elif type(intent) is CancelAll:
                self._ask_cancel_all(intent)
            elif type(intent) is Merge:
                self._refuse_merge(intent)

    def busy(self) -> bool:
        """Whether an answer, a trade or a settlement is awaited."""
        raise NotImplementedError

    def look(self) -> None:
        """Ask for the truth now."""
        self._looking.soon()

    async def look_through(self) -> bool:
        """Look at once; False when no complete look was to be had."""
        return await self._looking.look()

    async def finish(self, allowed: Callable[[Record], bool], within: float) -> list[str]:
        """Verify that nothing of ours rests, cancelling what does; return what may still rest."""
        raise NotImplementedError

    # What an exchange does in its way.

    def _say(self, facts: Sequence[Fact]) -> None:
        raise NotImplementedError

    def _queue_place(self, place: Place) -> None:
        raise NotImplementedError

    def _ask_cancel(self, order: OrderNo) -> None:
        raise NotImplementedError

    def _ask_cancel_all(self, intent: CancelAll) -> None:
        raise NotImplementedError

    # What does not leave.

    def _refuse_merge(self, merge: Merge) -> None:
        """Say that pairs stay held."""
        self.counts["merges_refused"] += 1
        self._say([Merged(self._now(), merge.no, merge.market, reason=self.no_merges)])

    def _over_cap(self, place: Place) -> str:
        """Say which cap an order would pass; sells bring money in and pass none."""
        if place.side is not Side.BUY:
            return ""
        cost = cash_paid(place.price, place.size)
        if cost > self._caps.order:
            return "over the cap live.max_order_usd"
        bids = [each.place for each in self._known.in_play() if each.place.side is Side.BUY]
        resting = sum(cash_paid(each.price, each.size) for each in bids)
        return "over the cap live.max_resting_usd" if resting + cost > self._caps.resting else ""

    def _record(self, place: Place, order_id: str, at: Micros) -> Record:
        """Return what is kept of an order from here on."""
        return Record(place, order_id, self._markets[place.market].token(place.outcome), at)

    def _give_up(self, record: Record, why: str, news: News) -> None:
        """Say that an order is over before it left."""
        self._known.send(record)
        self._say(self._known.never_left(record, self._now(), why, news))

    # The end.

    async def _verified(self, clear: Callable[[], Awaitable[list[str]]], within: float) -> list[str]:
        """Have `clear` say twice in a row that nothing rests; return what may still rest when the time is over."""
        empty, why = 0, ["the exchange was not asked"]
        with trio.move_on_after(within):
            while empty < NOTHING_RESTS_TWICE:
                why = await clear()
                empty = 0 if why else empty + 1
                if empty < NOTHING_RESTS_TWICE:
                    await trio.sleep(BETWEEN_LOOKS)
            return []
        return why or ["the exchange said once that nothing rests, and did not confirm it"]
