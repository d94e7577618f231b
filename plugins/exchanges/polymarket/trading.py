"""Our orders on their way to Polymarket and back: sent, cancelled, looked up, kept alive (O2-O7, R15)."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import trio
from loguru import logger

from pmrun.plugins.exchanges.polymarket.errors_table import Reaction
from pmrun.plugins.exchanges.polymarket.life import OrderLife, Record, Snapshot, Standing
from pmrun.plugins.exchanges.polymarket.news import OrderSeen, TradeSeen
from pmrun.plugins.exchanges.polymarket.outcomes import CallFailed, Lost, Rejected
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.signing import Signer
from pmrun.plugins.exchanges.polymarket.wire_rest import OpenOrder
from pmrun.runner.errors import ExchangeError, ProtocolViolation
from pmrun.runner.facts import Fact
from pmrun.runner.intents import Cancel, CancelAll, Intent, Place
from pmrun.runner.market import Market, MarketNo
from pmrun.runner.session import Bell
from pmrun.runner.units import SECOND, Cash, Micros, Price, Side, cash_paid

log = logger.bind(module="order_manager")
BATCH = 15  # orders a request may hold (reference 3.2)
NOTHING_RESTS_TWICE = 2  # complete snapshots in a row that have to be empty


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the truth is asked for, in microseconds."""

    sweep: Micros = Micros(30 * SECOND)
    retry: Micros = Micros(1 * SECOND)  # after a look or a cancel that failed
    heartbeat: Micros = Micros(5 * SECOND)
    heartbeat_lost: Micros = Micros(8 * SECOND)  # without one for so long, the exchange is about to cancel everything
    blind: Micros = Micros(20 * SECOND)  # without a complete snapshot for so long, nothing is quoted
    desk_alive: Micros = Micros(5 * SECOND)  # a desk that has not turned for so long protects nothing
    overlap: Micros = Micros(60 * SECOND)  # how far back trades are asked for again


@dataclass(frozen=True, slots=True)
class Caps:
    """What no order passes, whatever the desk wants; the last valve before money leaves."""

    order: Cash  # notional of one order
    resting: Cash  # notional of all bids in play


class Trading:
    """Carries out intents, and turns whatever is said of our orders into facts."""

    def __init__(
        self,
        rest: Rest,
        signer: Signer,
        life: OrderLife,
        markets: Sequence[Market],
        caps: Caps,
        written: Callable[[Sequence[Record]], None],
        tell: Callable[[Sequence[Fact]], None],
        trouble: Callable[[str, bool], None],
        looked: Callable[[], None],
        doubtful: Callable[[MarketNo, Reaction], None],
        ours: Callable[[str], bool],
        now: Callable[[], Micros],
        pace: Pace = Pace(),
    ) -> None:
        """Take the two sides of the wire, and who is to be told.

        `written` returns once an intent cannot be lost any more (O2); `trouble(name, there)` hears that what we know
        of our orders cannot, or can again, be trusted; `looked` that a complete snapshot came; `doubtful` that a
        market's terms are not what we think; `ours` says whether an earlier session sent an order.
        """
        self._rest = rest
        self._signer = signer
        self.life = life
        self._markets = markets
        self._ticks = [market.tick for market in markets]
        self._caps = caps
        self._written = written
        self._tell = tell
        self._trouble = trouble
        self._on_look = looked
        self._doubtful = doubtful
        self._ours = ours
        self._now = now
        self._pace = pace
        self._places: list[Place] = []
        self._cancels: set[str] = set()
        self._cancel_all: list[CancelAll] = []
        self._work = Bell()
        self._look_now = Bell()
        self._under_way = 0
        self._heartbeat_id = ""
        self._beaten: Micros | None = None  # when the exchange took a heartbeat last
        self._beating = False
        self._turned = now()
        self._looked = now()  # when a complete snapshot came last
        self._swept = now()
        self.counts: Counter[str] = Counter()

    # What the session calls.

    def submit(self, intents: Iterable[Intent]) -> None:
        """Queue what is to be sent; cancels go first."""
        for intent in intents:
            if type(intent) is Place:
                self._places.append(intent)
            elif type(intent) is Cancel:
                self._ask_cancel(self.life.records.get(intent.order))
            elif type(intent) is CancelAll:
                self._cancel_all.append(intent)
        if self._places or self._cancels or self._cancel_all:
            self._work.ring()

    def _ask_cancel(self, record: Record | None) -> None:
        if record is not None and record.in_play:
            record.cancel_asked = True
            self._cancels.add(record.order_id)

    def turned(self, at: Micros) -> None:
        """Hear that the desk is alive."""
        self._turned = at

    def tick_changed(self, market: int, tick: Price) -> None:
        """Sign for a new grid from here on."""
        self._ticks[market] = tick

    def busy(self) -> bool:
        """Whether an answer, a trade or a settlement is awaited."""
        waiting = self._under_way or self._places or self._cancels or self._cancel_all
        return bool(waiting) or self.life.owed or self.life.unsettled()

    def look(self) -> None:
        """Ask for the truth now."""
        self._swept = Micros(0)
        self._look_now.ring()

    # What the user socket says.

    def order_seen(self, seen: OrderSeen) -> None:
        """Take an order message."""
        self._say(self.life.order_seen(seen, self._now()))

    def trade_seen(self, seen: TradeSeen) -> None:
        """Take a trade message; raises ProtocolViolation."""
        self._say(self.life.trade_seen(seen, self._now()))

    def _say(self, facts: Sequence[Fact]) -> None:
        if facts:
            self._tell(facts)
        if self.life.owed:
            self._look_now.ring()

    # Tasks.

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send, look up and keep alive until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, nursery)
            nursery.start_soon(self._check)
            nursery.start_soon(self._beat)
            task_status.started()

    async def _send(self, nursery: trio.Nursery) -> None:
        while True:
            await self._work.heard()
            places, self._places = self._places, []
            cancels, self._cancels = self._cancels, set()
            everything, self._cancel_all = self._cancel_all, []
            for intent in everything:
                nursery.start_soon(self._counted, self._withdraw_all, intent)
            if cancels:
                nursery.start_soon(self._counted, self._withdraw, sorted(cancels))
            for first in range(0, len(places), BATCH):
                nursery.start_soon(self._counted, self._place, places[first : first + BATCH])

    async def _counted(self, work: Callable[..., object], *arguments: object) -> None:
        self._under_way += 1
        try:
            await work(*arguments)  # type: ignore[misc]
        finally:
            self._under_way -= 1
            self._tell(())

    # Places.

    async def _place(self, places: Sequence[Place]) -> None:
        """Sign, write down, send; each order has its own answer (O2, O4, O7)."""
        signed, records = [], []
        for place in places:
            market = self._markets[place.market]
            token = market.token(place.outcome)
            now = self._now()
            try:
                order = self._signer.order(
                    token, place.side, place.price, place.size, self._ticks[place.market], market.neg_risk, at=now
                )
            except ValueError as error:
                record = Record(place, f"unsigned-{place.order}", token, now)
                self._never_left(record, f"cannot be signed: {error}")
                continue
            record = Record(place, order.order_id, token, now)
            refusal = self._over_cap(place)
            if refusal:
                self._never_left(record, refusal)
                continue
            self.life.send(record)
            signed.append((order, place.post_only))
            records.append(record)
        if not records:
            return
        self._written(records)
        self._beating = True
        answers = await self._rest.place(signed)
        self.counts["placed"] += len(records)
        for record, answer in zip(records, answers, strict=True):
            at = self._now()
            if isinstance(answer, Lost):
                self.counts["lost"] += 1
                log.warning("order {}: no answer ({}); it is looked up", record.no, answer.why)
                self._say(self.life.lost(record, answer.why, at))
                self._react(record, answer)
            elif isinstance(answer, Rejected):
                self._say(self.life.refused(record, answer.reason, at))
                self._react(record, answer)
            else:
                self._say(self.life.answered(record, answer, at))

    def _react(self, record: Record, answer: Rejected | Lost) -> None:
        """Do what a refusal asks for beyond this order (reference 3.9)."""
        self.counts[f"reaction {answer.reaction}"] += 1
        if answer.reaction in (Reaction.HALT, Reaction.STOP_OPENING):
            said = answer.reason if isinstance(answer, Rejected) else answer.why
            log.error("the exchange refuses us: {}", said)
            self._trouble(f"the exchange refuses us: {said}", True)  # until a person has looked
        elif answer.reaction in (Reaction.REGRID, Reaction.HALT_MARKET):
            self._doubtful(record.place.market, answer.reaction)
        elif answer.reaction is Reaction.FUNDS:
            self.look()

    def _never_left(self, record: Record, why: str) -> None:
        self.life.send(record)
        self._say(self.life.never_left(record, self._now(), why))

    def _over_cap(self, place: Place) -> str:
        """Say which cap an order would pass; sells bring money in and pass none."""
        if place.side is not Side.BUY:
            return ""
        cost = cash_paid(place.price, place.size)
        if cost > self._caps.order:
            return "over the cap live.max_order_usd"
        resting = sum(
            cash_paid(each.place.price, each.place.size) for each in self.life.in_play() if each.place.side is Side.BUY
        )
        return "over the cap live.max_resting_usd" if resting + cost > self._caps.resting else ""

    # Cancels: they do no harm twice, so they are repeated until they are answered.

    async def _withdraw(self, order_ids: Sequence[str]) -> None:
        answer = await self._rest.cancel(order_ids)
        if isinstance(answer, (Lost, Rejected)):
            self.counts["cancels_repeated"] += 1
            await self._later(order_ids)
            return
        self._say(self.life.cancelled(answer, self._now()))

    async def _later(self, order_ids: Iterable[str]) -> None:
        await trio.sleep(self._pace.retry / SECOND)
        still = {each for each in order_ids if each not in self.life.by_id or self.life.by_id[each].in_play}
        if still:
            self._cancels |= still
            self._work.ring()

    async def _withdraw_all(self, intent: CancelAll) -> None:
        """Cancel everything, or everything on one side as the exchange lists it."""
        for record in self.life.in_play():
            if intent.side in (None, record.place.side):
                record.cancel_asked = record.standing is not Standing.SENT or record.cancel_asked
        if intent.side is None:
            answer = await self._rest.cancel_all()
            if not isinstance(answer, (Lost, Rejected)):
                self._say(self.life.cancelled(answer, self._now()))
                return
        try:
            listed = await self._rest.open_orders()
        except (ExchangeError, ProtocolViolation) as error:
            log.warning("cancel all: {}; again in {} s", error, self._pace.retry / SECOND)
            await trio.sleep(self._pace.retry / SECOND)
            self._cancel_all.append(intent)
            self._work.ring()
            return
        wanted = [order.order_id for order in listed if intent.side in (None, order.side)]
        if wanted:
            await self._withdraw(wanted)

    # Looking up (O5, O6).

    async def _check(self) -> None:
        while True:
            due = min(self._swept + self._pace.sweep, self.life.next_check() or 2**62)
            with trio.move_on_after(max(0, due - self._now()) / SECOND):
                await self._look_now.heard()
            now = self._now()
            checks = self.life.take_due(now)
            if not checks and now < self._swept + self._pace.sweep:
                continue
            if not await self._look_up(now):
                await trio.sleep(self._pace.retry / SECOND)
                self._look_now.ring()
                self._swept = Micros(0)

    async def _look_up(self, started: Micros) -> bool:
        """Take a complete snapshot, ask for what it lacks; False when none was to be had."""
        since = Micros(self._swept_from() - self._pace.overlap)
        try:
            orders = await self._rest.open_orders()
            trades = await self._rest.trades(since)
            facts, absent = self.life.snapshot(
                Snapshot(started=started, since=since, orders=tuple(orders), trades=tuple(trades)), self._now()
            )
            self._say(facts)
            for record in absent:
                self._say(self.life.looked_up(record, await self._rest.order(record.order_id), self._now()))
        except (ExchangeError, ProtocolViolation) as error:
            self.counts["looks_failed"] += 1
            log.warning("our orders cannot be looked up: {}", error)
            if self._now() - self._looked > self._pace.blind:
                self._trouble("our orders cannot be looked up", True)
            return False
        self._looked = self._swept = started
        self.life.pay(self._now())
        self._bury(orders)
        self._trouble("our orders cannot be looked up", False)
        self._on_look()
        return True

    def _swept_from(self) -> Micros:
        """Return from when on trades are of interest: since the last look, and since the oldest fill not final."""
        return min(self._looked, self.life.oldest_unsettled() or self._looked)

    def _bury(self, listed: Sequence[OpenOrder]) -> None:
        """Cancel what rests and ought not to: orders given up that arrived after all, and an earlier session's."""
        wanted = {each.order_id for each in listed if self._unwanted(each.order_id)}
        if wanted:
            self.counts["buried"] += len(wanted)
            self._cancels |= wanted
            self._work.ring()

    def _unwanted(self, order_id: str) -> bool:
        record = self.life.by_id.get(order_id)
        if record is None:
            return self._ours(order_id)
        return record.cancel_asked or not record.in_play

    # Heartbeats (reference 3.6): only while the desk turns.

    async def _beat(self) -> None:
        while True:
            await trio.sleep(self._pace.heartbeat / SECOND if self._beaten_lately() else self._pace.retry / SECOND)
            if not self._beating:
                continue
            if self._now() - self._turned > self._pace.desk_alive:
                continue
            try:
                self._heartbeat_id = await self._rest.heartbeat(self._heartbeat_id)
                self._beaten = self._now()
                self._trouble("no heartbeat", False)
            except (CallFailed, ExchangeError, ProtocolViolation) as error:
                self.counts["heartbeats_failed"] += 1
                log.warning("heartbeat: {}", error)
                if self._beaten is None or self._now() - self._beaten > self._pace.heartbeat_lost:
                    self._trouble("no heartbeat", True)
                    self.look()

    def _beaten_lately(self) -> bool:
        return self._beaten is None or self._now() - self._beaten < self._pace.heartbeat + self._pace.retry

    # The end.

    async def finish(self, allowed: Callable[[Record], bool], within: float) -> list[str]:
        """Verify that nothing of ours rests, cancelling what does; return what may still rest."""
        seen_empty, why = 0, ["the exchange was not asked"]
        with trio.move_on_after(within):
            while seen_empty < NOTHING_RESTS_TWICE:
                try:
                    listed = [order for order in await self._rest.open_orders() if self._leftover(order, allowed)]
                except (ExchangeError, ProtocolViolation) as error:
                    seen_empty, why = 0, [f"the exchange does not say what rests: {error}"]
                else:
                    seen_empty = 0 if listed else seen_empty + 1
                    why = [f"order {each.order_id}" for each in listed]
                    if listed:
                        await self._rest.cancel([each.order_id for each in listed])
                if seen_empty < NOTHING_RESTS_TWICE:
                    await trio.sleep(0.5)
            self._beating = False
            return []
        return why or ["the exchange said once that nothing rests, and did not confirm it"]

    def _leftover(self, order: OpenOrder, allowed: Callable[[Record], bool]) -> bool:
        record = self.life.by_id.get(order.order_id)
        if record is None:
            return self._ours(order.order_id)
        return not allowed(record)
