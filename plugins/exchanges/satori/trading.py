"""Carries out intents at SatoriEx: one order a call, one cancel a call, so many of both a minute (V1, V5)."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NoReturn

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.calls import Kind
from pmrun.plugins.exchanges.common.order_queue import OrderQueue
from pmrun.plugins.exchanges.common.order_record import Record, Standing
from pmrun.plugins.exchanges.common.order_trading import OrderTrading
from pmrun.plugins.exchanges.common.trading_terms import Caps
from pmrun.plugins.exchanges.satori.budget import OrderBudget
from pmrun.plugins.exchanges.satori.errors_table import HALTS, Reaction
from pmrun.plugins.exchanges.satori.life import OrderLife
from pmrun.plugins.exchanges.satori.looking import Looking
from pmrun.plugins.exchanges.satori.news import FillSeen, OrderSeen
from pmrun.plugins.exchanges.satori.rest import Lost, Outcome, Rejected, Rest
from pmrun.plugins.exchanges.satori.trading_terms import Pace, Told
from pmrun.runner.facts import Fact
from pmrun.runner.intents import CancelAll, Intent, Place
from pmrun.runner.market import Market
from pmrun.runner.orders import News, OrderNo
from pmrun.runner.units import SECOND, Micros, Side
from pmrun.runner.unsent import BOOK_UNKNOWN, NO_TURN, PULLED, WOULD_TAKE

log = logger.bind(module="orders")
LONGEST = 3_600.0  # seconds to sleep where nothing is due
TOO_MANY_PAUSE = 2.0  # seconds, where the exchange does not say how long


class Trading(OrderTrading):
    """Carries out intents, and turns whatever is said of our orders into facts."""

    _looking: Looking
    no_merges = "this exchange offers no merging"

    def __init__(
        self,
        rest: Rest,
        life: OrderLife,
        markets: Sequence[Market],
        caps: Caps,
        budget: OrderBudget,
        told: Told,
        now: Callable[[], Micros],
        pace: Pace = Pace(),
    ) -> None:
        """Take the two sides of the wire, what may be sent, and who is to be told."""
        super().__init__(life, markets, caps, now)
        self.life = life
        self._rest = rest
        self._budget = budget
        self._told = told
        self._pace = pace
        self._queue = OrderQueue(budget, pace.patience)
        rest.transport.may_repeat = self._may_repeat
        self._looking = Looking(rest, life, now, pace, told, self._say, self._withdraw_unwanted, self.counts)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send and look up until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, nursery)
            nursery.start_soon(self._looking.run)
            task_status.started()

    # What the session calls.

    def submit(self, intents: Iterable[Intent]) -> None:
        """Queue what is to be sent; cancels go first."""
        super().submit(intents)
        self._work.ring()

    def _queue_place(self, place: Place) -> None:
        self._queue.place(place, self._now())

    def busy(self) -> bool:
        """Whether an answer or a trade is awaited."""
        return bool(self._under_way or self._queue or self.life.owed)

    # What the user socket says.

    def order_seen(self, seen: OrderSeen) -> None:
        """Take an order message."""
        self._say(self.life.order_seen(seen, self._now()))

    def fill_seen(self, fill: FillSeen) -> None:
        """Take a fill message."""
        self._say(self.life.fill_seen(fill, self._now()))

    def _say(self, facts: Sequence[Fact]) -> None:
        self._told.tell(facts)
        self._looking.ring()
        self._work.ring()  # an order may have got its id, or made room

    # Sending.

    async def _send(self, nursery: trio.Nursery) -> NoReturn:
        while True:
            at = self._now()
            for place in self._queue.expired(at):
                self.counts["places_without_a_turn"] += 1
                self._never_left(place, NO_TURN, News.CANCELED)
            self._queue.forget([no for no, record in self.life.records.items() if not record.in_play])
            for no in self._queue.next_cancels(at, self._can_be_cancelled):
                self._start(nursery, self._withdraw, self.life.records[no])
            while (record := self._next_place(at)) is not None:
                self._start(nursery, self._place, record)
            due = self._queue.next_at(at, len(self.life.in_play()))
            with trio.move_on_after(LONGEST if due is None else max(0.0, (due - at) / SECOND)):
                await self._work.heard()

    def _start(self, nursery: trio.Nursery, work: Callable[[Record], Awaitable[None]], record: Record) -> None:
        self._under_way += 1
        nursery.start_soon(self._counted, work, record)

    async def _counted(self, work: Callable[[Record], Awaitable[None]], record: Record) -> None:
        try:
            await work(record)
        finally:
            self._under_way -= 1
            self._told.tell(())
            self._work.ring()

    # Places.

    def _next_place(self, at: Micros) -> Record | None:
        """Return the next order that leaves, written down; one that may not leave is over and costs no call."""
        while (place := self._queue.next_place(at, len(self.life.in_play()))) is not None:
            refusal = self._over_cap(place) or self._would_take(place)
            if refusal:
                self._budget.unspend()
                self._never_left(place, refusal, News.REJECTED)
                continue
            record = self._record(place, "", at)
            self._told.written([record])
            self.life.send(record)
            return record
        return None

    async def _place(self, record: Record) -> None:
        """Send once; what comes back names the order, refuses it, or has it looked up (O7)."""
        self.counts["placed"] += 1
        place = record.place
        answer = await self._rest.place(place, self._markets[place.market].condition, record.token)
        at = self._now()
        if isinstance(answer, OrderSeen):
            self._say(self.life.answered(record, answer, at))
            return
        if isinstance(answer, Lost):
            self.counts["lost"] += 1
            log.warning("order {}: no answer ({}); it is looked up", record.no, answer.why)
            self._say(self.life.lost(record, answer.why, at))
        else:
            self._say(self.life.refused(record, answer.reason, at))
        self._react(record, answer)

    def _react(self, record: Record, answer: Rejected | Lost) -> None:
        """Do what a refusal asks for beyond this order (V3)."""
        reaction = answer.reaction
        self.counts[f"reaction {reaction}"] += 1
        if reaction in HALTS and isinstance(answer, Rejected):
            said = f"the exchange refuses us: {answer.reason}" + (f": {answer.cure}" if answer.cure else "")
            log.error(said)
            self._told.trouble(said, True)  # until a person has looked
        elif reaction is Reaction.RETRY_LATER and isinstance(answer, Rejected):
            wait = TOO_MANY_PAUSE if answer.wait is None else answer.wait
            self._budget.block(Micros(self._now() + int(wait * SECOND)))
        elif reaction is Reaction.FUNDS:
            self._queue.hold(Micros(self._now() + self._pace.funds_pause))
            self._told.doubtful(record, reaction)
        elif reaction in (Reaction.REGRID, Reaction.NOT_TRADING, Reaction.HOLDINGS, Reaction.HALT_MARKET):
            self._told.doubtful(record, reaction)

    def _never_left(self, place: Place, why: str, news: News) -> None:
        record = self._record(place, "", self._now())
        self._told.written([record])
        self._give_up(record, why, news)

    def _may_repeat(self, kind: Kind) -> bool:
        """Count a call that is made again because its token ran out; an order only where all could be cancelled."""
        at = self._now()
        in_play = len(self.life.in_play())
        may = self._budget.may_place(at, in_play - 1) if kind is Kind.PLACE else self._budget.may_cancel(at)
        if may:
            self._budget.spend(at)
        return may

    def _would_take(self, place: Place) -> str:
        """Say whether an order that must not take would, by the freshest book: there is no post-only order (V5)."""
        if not place.post_only:
            return ""
        book = self._told.book(place.market, place.outcome)
        other = book.asks if place.side is Side.BUY else book.bids
        if not other:
            return "" if book.bids or book.asks else BOOK_UNKNOWN
        reached = place.price >= other[0][0] if place.side is Side.BUY else place.price <= other[0][0]
        return WOULD_TAKE if reached else ""

    # Cancels: they do no harm twice, so they are repeated until they are answered.

    def _ask_cancel(self, order: OrderNo) -> None:
        waits = self._queue.drop(order)
        if waits is not None:
            self._never_left(waits, PULLED, News.CANCELED)
            return
        record = self.life.records.get(order)
        if record is not None and record.in_play:
            record.cancel_asked = True
            self._queue.cancel(order)

    def _ask_cancel_all(self, intent: CancelAll) -> None:
        """Drop what has not been sent, and have cancelled what has; what has no id yet, as soon as it has one."""
        for place in self._queue.drop_all(intent.side):
            self._never_left(place, PULLED, News.CANCELED)
        for record in self.life.in_play():
            if intent.side in (None, record.place.side):
                record.cancel_asked = True
                self._queue.cancel(record.no)

    def _can_be_cancelled(self, order: OrderNo) -> bool:
        record = self.life.records.get(order)
        return record is not None and record.in_play and bool(record.order_id)

    async def _withdraw(self, record: Record) -> None:
        self._looking.asked([record.order_id])
        answer = await self._rest.cancel(record.order_id)
        if isinstance(answer, OrderSeen):
            self._say(self.life.order_seen(answer, self._now()))
            return
        if answer.reaction is Reaction.NOT_FOUND:
            self._looking.soon()
            return
        self.counts["cancels_repeated"] += 1
        self._react(record, answer)
        await trio.sleep(self._pace.retry / SECOND)
        if record.in_play:
            self._queue.cancel(record.no)

    async def _withdraw_unwanted(self, order_ids: Sequence[str]) -> None:
        """Cancel what rests and is none of this session's orders in play."""
        for order_id in order_ids:
            known = self.life.by_id.get(order_id)
            if known is not None and known.in_play:
                self._queue.cancel(known.no)
                continue
            while not self._budget.may_cancel(self._now()):
                await trio.sleep(max(1, self._budget.cancel_when(self._now()) - self._now()) / SECOND)
            self._budget.spend(self._now())
            answer: Outcome = await self._rest.cancel(order_id)
            if isinstance(answer, OrderSeen):
                self._say(self.life.order_seen(answer, self._now()))
        self._work.ring()

    # The end.

    async def finish(self, allowed: Callable[[Record], bool], within: float) -> list[str]:
        """Verify that nothing of ours rests, cancelling what does; return what may still rest."""
        return await self._verified(lambda: self._clear(allowed), within)

    async def _clear(self, allowed: Callable[[Record], bool]) -> list[str]:
        """Cancel what rests or may; return what that was."""
        for place in self._queue.drop_all(None):
            self._never_left(place, PULLED, News.CANCELED)
        if not await self._looking.look():
            return ["the exchange does not say what rests"]
        unsure = [each for each in self.life.in_play() if not allowed(each)]
        for record in unsure:
            record.cancel_asked = True
            if record.order_id and not self._looking.asked_lately(record.order_id):
                self._queue.cancel(record.no)
        self._work.ring()
        leftover = self._looking.unwanted()
        return [*(_called(each) for each in unsure), *(f"order {each}" for each in leftover)]


def _called(record: Record) -> str:
    if record.order_id:
        return f"order {record.order_id}"
    place = record.place
    how = "its answer was lost" if record.standing is Standing.UNKNOWN else "it is not answered"
    return f"an order without an id ({place.side} {place.size} at {place.price} of {record.token}): {how}"
