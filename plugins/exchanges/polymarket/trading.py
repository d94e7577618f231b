"""Our orders on their way to Polymarket: placed, cancelled, verified to be gone (O2-O7, R15)."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NoReturn

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.known_orders import SURE
from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.common.order_trading import OrderTrading
from pmrun.plugins.exchanges.common.trading_terms import Caps
from pmrun.plugins.exchanges.common.trouble import Trouble
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction
from pmrun.plugins.exchanges.polymarket.heart import Heart
from pmrun.plugins.exchanges.polymarket.life import OrderLife
from pmrun.plugins.exchanges.polymarket.looking import Looking
from pmrun.plugins.exchanges.polymarket.news import OrderSeen, TradeSeen
from pmrun.plugins.exchanges.polymarket.outcomes import Lost, Rejected
from pmrun.plugins.exchanges.polymarket.placing import Placing, Submission
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.signing import Signer
from pmrun.plugins.exchanges.polymarket.trading_terms import Pace, Told
from pmrun.runner.errors import ExchangeError, ProtocolViolation
from pmrun.runner.facts import Fact
from pmrun.runner.intents import CancelAll, Intent, Place
from pmrun.runner.market import Market
from pmrun.runner.orders import News, OrderNo
from pmrun.runner.units import SECOND, Micros, Price
from pmrun.runner.unsent import PULLED

log = logger.bind(module="orders")
BATCH = 15  # orders a request may hold (reference 3.2)


class Trading(OrderTrading):
    """Carries out intents, and turns whatever is said of our orders into facts."""

    _looking: Looking
    no_merges = "merging needs a transaction on the chain, which this adapter cannot make"  # reference 8

    def __init__(
        self,
        rest: Rest,
        signer: Signer,
        life: OrderLife,
        markets: Sequence[Market],
        caps: Caps,
        told: Told,
        now: Callable[[], Micros],
        pace: Pace = Pace(),
    ) -> None:
        """Take the two sides of the wire, and who is to be told."""
        super().__init__(life, markets, caps, now)
        self.life = life
        self._rest = rest
        self._signer = signer
        self._ticks = [market.tick for market in markets]
        self._told = told
        self._pace = pace
        self._places: list[Place] = []
        self._cancels: dict[str, None] = {}  # in the order in which they were asked for
        self._cancel_all: list[CancelAll] = []
        self._unlisted = Trouble(log, "cancel all", now)
        self._looking = Looking(rest, life, now, pace, told, self._say, self._ask_cancels, self.counts)
        self._heart = Heart(rest, now, pace, told.trouble, self.look, self.counts)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send, look up and keep alive until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, nursery)
            nursery.start_soon(self._looking.run)
            nursery.start_soon(self._heart.run)
            task_status.started()

    # What the session calls.

    def submit(self, intents: Iterable[Intent]) -> None:
        """Queue what is to be sent; cancels go first."""
        super().submit(intents)
        if self._places or self._cancels or self._cancel_all:
            self._work.ring()

    def _queue_place(self, place: Place) -> None:
        self._places.append(place)

    def turned(self, at: Micros) -> None:
        """Hear that the desk is alive."""
        self._heart.turned(at)

    def tick_changed(self, market: int, tick: Price) -> None:
        """Sign for a new grid from here on."""
        self._ticks[market] = tick

    def busy(self) -> bool:
        """Whether an answer, a trade or a settlement is awaited."""
        waiting = self._under_way or self._places or self._cancels or self._cancel_all
        return bool(waiting) or self.life.owed or self.life.unsettled()

    # What the user socket says.

    def order_seen(self, seen: OrderSeen) -> None:
        """Take an order message."""
        self._say(self.life.order_seen(seen, self._now()))

    def trade_seen(self, seen: TradeSeen) -> None:
        """Take a trade message; raises ProtocolViolation."""
        self._say(self.life.trade_seen(seen, self._now()))
        self._looking.see_foreign([seen])

    def _say(self, facts: Sequence[Fact]) -> None:
        if facts:
            self._told.tell(facts)
        self._looking.ring()

    # Sending.

    async def _send(self, nursery: trio.Nursery) -> NoReturn:
        while True:
            await self._work.heard()
            places, self._places = self._places, []
            cancels, self._cancels = self._cancels, {}
            everything, self._cancel_all = self._cancel_all, []
            for intent in everything:
                nursery.start_soon(self._counted, self._withdraw_all, intent)
            if cancels:
                nursery.start_soon(self._counted, self._withdraw, list(cancels))
            for first in range(0, len(places), BATCH):
                nursery.start_soon(self._counted, self._place, places[first : first + BATCH])

    async def _counted(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        self._under_way += 1
        try:
            await work(*arguments)
        finally:
            self._under_way -= 1
            self._told.tell(())

    # Places.

    async def _place(self, places: Sequence[Place]) -> None:
        """Sign, write down, send; each order has its own answer (O2, O4, O7)."""
        made = [found for place in places if (found := self._made(place)) is not None]
        if not made:
            return
        self._told.written([record for record, _ in made])
        self._heart.begin()
        answers = await self._rest.place([submission for _, submission in made])
        self.counts["placed"] += len(made)
        for (record, _), answer in zip(made, answers, strict=True):
            self._answered(record, answer)

    def _made(self, place: Place) -> tuple[Record, Submission] | None:
        """Sign an order; None, and it is over, for one that cannot be signed or passes a cap."""
        market, now = self._markets[place.market], self._now()
        record = self._record(place, f"unsigned-{place.order}", now)
        refusal = self._over_cap(place)
        if not refusal:
            token, tick = record.token, self._ticks[place.market]
            try:
                order = self._signer.order(token, place.side, place.price, place.size, tick, market.neg_risk, at=now)
            except ValueError as error:
                refusal = f"cannot be signed: {error}"
            else:
                record.order_id = order.order_id
                self.life.send(record)
                return record, (order, place.post_only)
        self._give_up(record, refusal, News.REJECTED)
        return None

    def _answered(self, record: Record, answer: Placing) -> None:
        at = self._now()
        if isinstance(answer, Lost):
            self.counts["lost"] += 1
            log.warning("order {}: no answer ({}); it is looked up", record.no, answer.why)
            self._say(self.life.lost(record, answer.why, at, answer.said))
            self._react(record, answer)
        elif isinstance(answer, Rejected):
            self._say(self.life.refused(record, answer.reason, at, answer.said))
            self._react(record, answer)
        else:
            self._say(self.life.answered(record, answer, at))

    def _react(self, record: Record, answer: Rejected | Lost) -> None:
        """Do what a refusal asks for beyond this order (reference 3.9)."""
        self.counts[f"reaction {answer.reaction}"] += 1
        if answer.reaction in (Reaction.HALT, Reaction.STOP_OPENING):
            said = answer.reason if isinstance(answer, Rejected) else answer.why
            log.error("the exchange refuses us: {}", said)
            self._told.trouble(f"the exchange refuses us: {said}", True)  # until a person has looked
        elif answer.reaction in (Reaction.REGRID, Reaction.HALT_MARKET):
            self._told.doubtful(record.place.market, answer.reaction)
        elif answer.reaction is Reaction.FUNDS:
            self._told.moved(record.token)
            self.look()

    # Cancels: they do no harm twice, so they are repeated until they are answered.

    def _ask_cancel(self, order: OrderNo) -> None:
        record = self.life.records.get(order)
        if record is not None and record.in_play:
            record.cancel_asked = True
            self._ask_cancels([record.order_id])

    def _ask_cancels(self, order_ids: Iterable[str]) -> None:
        self._cancels.update(dict.fromkeys(order_ids))
        self._work.ring()

    def _ask_cancel_all(self, intent: CancelAll) -> None:
        """Drop what has not been sent, and have cancelled what has; what is not answered yet, as soon as it shows."""
        queued, self._places = self._places, []
        for place in queued:
            if intent.side in (None, place.side):
                self._give_up(self._record(place, f"unsent-{place.order}", self._now()), PULLED, News.CANCELED)
            else:
                self._places.append(place)
        for record in self.life.in_play():
            if intent.side in (None, record.place.side):
                record.cancel_asked = True
        self._cancel_all.append(intent)

    async def _withdraw(self, order_ids: Sequence[str]) -> None:
        self._looking.asked(order_ids)
        answer = await self._rest.cancel(order_ids)
        if not isinstance(answer, (Lost, Rejected)):
            self._say(self.life.cancelled(answer, self._now()))
            return
        self.counts["cancels_repeated"] += 1
        await trio.sleep(self._pace.retry / SECOND)
        # Those of an earlier session are found again by the next look.
        self._ask_cancels([each for each in order_ids if (known := self.life.by_id.get(each)) and known.in_play])

    async def _withdraw_all(self, intent: CancelAll) -> None:
        """Cancel everything, or everything on one side as the exchange lists it."""
        if intent.side is None:
            answer = await self._rest.cancel_all()
            if not isinstance(answer, (Lost, Rejected)):
                self._say(self.life.cancelled(answer, self._now()))
                return
        try:
            listed = await self._rest.open_orders()
        except (ExchangeError, ProtocolViolation) as error:
            self._unlisted.met(error)
            await trio.sleep(self._pace.retry / SECOND)
            self._cancel_all.append(intent)
            self._work.ring()
            return
        self._unlisted.over()
        wanted = [order.order_id for order in listed if intent.side in (None, order.side)]
        if wanted:
            await self._withdraw(wanted)

    # The end.

    async def finish(self, allowed: Callable[[Record], bool], within: float) -> list[str]:
        """Verify that nothing of ours rests, cancelling what does; return what may still rest."""
        gone: set[str] = set()
        may_rest = await self._verified(lambda: self._clear(allowed, gone), within)
        if not may_rest:
            self._heart.stop()
        return may_rest

    async def _clear(self, allowed: Callable[[Record], bool], gone: set[str]) -> list[str]:
        """Cancel what rests or may; return what that was. `gone` are those that the exchange said do not rest."""
        try:
            everything = await self._rest.open_orders()
        except (ExchangeError, ProtocolViolation) as error:
            return [f"the exchange does not say what rests: {error}"]
        listed = [each.order_id for each in everything if self._leftover(each.order_id, allowed)]
        unsure = [each for each in self.life.in_play() if not allowed(each) and not self._cannot_come(each, gone)]
        wanted = list(dict.fromkeys([*listed, *(each.order_id for each in unsure)]))
        if wanted:
            answer = await self._rest.cancel(wanted)
            if not isinstance(answer, (Lost, Rejected)):
                gone |= {each for each, why in answer.not_canceled.items() if not why.startswith("not answered")}
                self._say(self.life.cancelled(answer, self._now()))
        return [f"order {each}" for each in wanted]

    def _cannot_come(self, record: Record, gone: set[str]) -> bool:
        """Whether an order that is not listed is certain not to rest: it was there and is gone, or is long lost.

        One that was taken and never shown may be delayed: it rests nowhere, cannot be cancelled, and comes (3.1).
        """
        arrived = record.shown or self._now() >= record.sent_at + SURE
        return arrived and record.order_id in gone

    def _leftover(self, order_id: str, allowed: Callable[[Record], bool]) -> bool:
        record = self.life.by_id.get(order_id)
        return self._told.ours(order_id) if record is None else not allowed(record)
