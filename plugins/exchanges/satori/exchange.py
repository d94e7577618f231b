"""SatoriEx as a live run sees it: the truth at the start, facts on the way, nothing resting at the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.desk_side import NO_USER_SOCKET, DeskSide
from pmrun.plugins.exchanges.common.market_news import Parsed
from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.common.quarantine import Quarantine
from pmrun.plugins.exchanges.common.reckoning import Reckoning
from pmrun.plugins.exchanges.satori.accounting import Accounting
from pmrun.plugins.exchanges.satori.budget import OrderBudget
from pmrun.plugins.exchanges.satori.errors_table import Reaction
from pmrun.plugins.exchanges.satori.life import OrderLife
from pmrun.plugins.exchanges.satori.live_markets import LiveMarkets
from pmrun.plugins.exchanges.satori.news import FillSeen, Frame, OrderSeen
from pmrun.plugins.exchanges.satori.rest import Rest
from pmrun.plugins.exchanges.satori.start import Truth
from pmrun.plugins.exchanges.satori.streams import Listener, Socket
from pmrun.plugins.exchanges.satori.trading import Trading
from pmrun.plugins.exchanges.satori.trading_terms import Caps, Pace, Told
from pmrun.runner.account_file import AccountFile
from pmrun.runner.facts import Fact, MarketStatus, StatusChanged, TickChanged
from pmrun.runner.intents import Intent
from pmrun.runner.market import MarketNo
from pmrun.runner.ports import LiveSetup
from pmrun.runner.session import Bell
from pmrun.runner.units import SECOND, Micros

log = logger.bind(module="orders")
VERIFIED_WITHIN = 30.0  # seconds for the proof that nothing rests: cancels go one by one
RECONCILE_EVERY = 15.0  # seconds between comparisons of funds
ANYHOW = 20  # comparisons of which one is made though nothing moved: money may come from elsewhere
SURE_AFTER = Micros(5 * SECOND)  # a difference that is older is not a fill whose news are under way
LATE = Micros(3 * SECOND)  # that news of a fill may take after its order was cancelled


@dataclass(frozen=True, slots=True)
class Wire:
    """The parts that a live exchange is made of."""

    rest: Rest
    user: Callable[[Listener], Socket]
    account: AccountFile
    caps: Caps
    budget: OrderBudget
    pace: Pace


class SatoriExchange(DeskSide, Listener):
    """One live session: keeps the account's file, and tells the desk what it has to know."""

    def __init__(self, setup: LiveSetup, data: LiveMarkets, wire: Wire, truth: Truth) -> None:
        """Start from what the exchange said; nothing is sent before `run`."""
        super().__init__(truth.facts, lambda: data.books, setup.now, setup.bell.ring)
        self._data = data
        self._wire = wire
        self._now = setup.now
        self._user = wire.user(self)
        self._compare_now = Bell()
        self._suspected_at = Micros(0)
        self.life = OrderLife(truth.before, truth.lost)
        for order_id in truth.strange:
            self.life.known_before(order_id)
        reckoning = Reckoning(truth.cash, truth.shares)
        self.accounting = Accounting(setup, wire.account, reckoning, self.life, wire.rest, data.markets)
        for record, filled in truth.adopted:
            self.life.adopt(record, filled)
        self.quarantine = Quarantine(self._tell, setup.now)
        told = Told(
            written=self.accounting.written,
            tell=self._tell,
            trouble=self._trouble,
            looked=self._looked,
            doubtful=self._doubtful,
            unshown=self.quarantine.unshown,
            forgotten=self.accounting.forget,
            ours=wire.account.known,
            book=data.book_for,
        )
        self.trading = Trading(wire.rest, self.life, data.markets, wire.caps, wire.budget, told, setup.now, wire.pace)
        self.finished = False
        data.hear(self._heard, self._dropped, self._noted)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send, listen and look up until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.trading.run)
            nursery.start_soon(self._user.run)
            nursery.start_soon(self._reconcile)
            self._troubles[NO_USER_SOCKET] = None  # nothing is quoted before it is there, and nothing has to be pulled
            task_status.started()

    # What the session calls.

    def submit(self, intents: Sequence[Intent], at: Micros) -> None:
        """Send intents on their way; what limits have used is on disk before."""
        self.accounting.carry()
        self.trading.submit(intents)

    def turned(self, at: Micros) -> None:
        """Hear that the desk is alive: here it protects nothing, as the exchange knows no heartbeat."""
        self.quarantine.turned(at)

    def busy(self) -> bool:
        """Whether answers or trades are awaited: a fill may be told a little after the cancel of its order."""
        late = self._now() < self.life.cancelled_at + LATE
        return late or self.trading.busy() or self._has_news()

    async def finish(self) -> list[str]:
        """Verify that nothing rests but what the settings leave (R13); reconcile a last time."""
        may_rest = await self.trading.finish(lambda record: record.in_play and not record.cancel_asked, VERIFIED_WITHIN)
        await self._compare()
        if self.accounting.suspicious:
            await trio.sleep(SURE_AFTER / SECOND)
            await self.trading.look_through()
            await self._compare()
        self._wire.account.end_session(self._now(), clean=not may_rest)
        self.finished = True
        return may_rest

    def remarks(self) -> list[str]:
        """Say what a reader ought to know of how orders fared."""
        counts = {**self.trading.counts, **self.life.counts, **self.accounting.counts}
        counts["quarantines"] = self.quarantine.times
        tokens = self._wire.rest.tokens
        counts["token_renewals"] = 0 if tokens is None else tokens.renewals
        said = [f"live: {name.replace('_', ' ')} {count}" for name, count in counts.items() if count]
        if self.life.strangers:
            said.append(f"live: {len(self.life.strangers)} orders rest that pmrun did not place: left alone")
        return said

    def keep(self, fact: Fact) -> None:
        """Write a fact down before the desk hears of it."""
        self.accounting.keep(fact)

    def _tell(self, facts: Sequence[Fact]) -> None:
        """Queue facts, once orders have their names and late fills are told from holdings taken over."""
        self.accounting.named(self.life.take_named())
        for order, order_id in self.life.take_arrived():
            log.warning("the order {} of an earlier session arrived now: it is cancelled", order_id)
            self.accounting.arrived(order, order_id)
            self.trading.look()
            self._compare_now.ring()
        super()._tell(self.accounting.netted(facts))

    def _looked(self) -> None:
        """After a complete look, and with a socket that tells what comes next, we know what rests."""
        self.accounting.looked()
        if self._user.up:
            self._trouble(NO_USER_SOCKET, False)

    def _doubtful(self, record: Record, reaction: Reaction) -> None:
        """Look into what a refusal says is not as we think (V3)."""
        market = record.place.market
        if reaction is Reaction.REGRID:
            self._data.ask_terms(market)
        elif reaction is Reaction.NOT_TRADING:
            self._data.books.set_status(market, MarketStatus.HALTED, self._now())
            self._data.ask_terms(market)
        elif reaction in (Reaction.FUNDS, Reaction.HOLDINGS):
            self.accounting.moved(record.token)
            self._compare_now.ring()
        else:
            self.quarantine.refused(market)

    # The user socket.

    def on_frame(self, frame: Frame, text: str, at: Micros) -> None:
        """Take news of our orders and fills; an order that is told with its fill comes after it."""
        for news in frame.own:
            if isinstance(news, FillSeen):
                self.trading.fill_seen(news)
                if self.accounting.fill_of_before(news):
                    self._compare_now.ring()
            elif isinstance(news, OrderSeen):
                self.trading.order_seen(news)

    def on_violation(self, text: str) -> None:
        """News that cannot be read may be money: the truth is read by REST."""
        log.error("user socket: {}", text)
        self.trading.counts["violations"] += 1

    def on_lost(self, why: str) -> None:
        """Stop quoting: fills may go unnoticed."""
        log.warning("user socket: {}", why)
        self._trouble(NO_USER_SOCKET, True)

    def on_back(self) -> None:
        """Read what was missed."""
        self.trading.look()

    # The market feed.

    def _heard(self, parsed: Parsed, at: Micros) -> None:
        """Books are kept by the feed."""

    def _dropped(self, markets: Sequence[MarketNo], at: Micros) -> None:
        """Books that are lost are told as empty ones by the feed."""

    def _noted(self, fact: TickChanged | StatusChanged) -> None:
        if isinstance(fact, TickChanged):
            self._tell([fact])
            return
        if fact.settled_yes is not None:
            self.accounting.resolved(fact.market, fact.settled_yes)
        self.quarantine.stated(fact)

    async def _reconcile(self) -> None:
        quiet = 0
        while True:
            asked = False
            with trio.move_on_after(SURE_AFTER / SECOND if self.accounting.suspicious else RECONCILE_EVERY):
                await self._compare_now.heard()
                asked = True
            quiet = 0 if self.accounting.moving else quiet + 1
            if asked or quiet % ANYHOW == 0:
                await self._compare()

    async def _compare(self) -> None:
        """Hold the balances against ours; what differs is believed only after news of a fill had time to come."""
        before = self.accounting.suspicious
        if before and self._now() < self._suspected_at + SURE_AFTER:
            return
        await self.accounting.compare(self.trading.busy, self._tell, self.trading.look)
        if self.accounting.suspicious and not before:
            self._suspected_at = self._now()
