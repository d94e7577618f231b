"""Polymarket as a live run sees it: the truth at the start, facts on the way, nothing resting at the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.desk_side import NO_USER_SOCKET, DeskSide
from pmrun.plugins.exchanges.common.market_news import Parsed
from pmrun.plugins.exchanges.common.quarantine import Quarantine
from pmrun.plugins.exchanges.common.reckoning import Reckoning
from pmrun.plugins.exchanges.polymarket.accounting import Accounting
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction
from pmrun.plugins.exchanges.polymarket.life import OrderLife
from pmrun.plugins.exchanges.polymarket.live_markets import LiveMarkets
from pmrun.plugins.exchanges.polymarket.news import OrderSeen, TradeSeen
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.signing import Signer
from pmrun.plugins.exchanges.polymarket.start import Truth
from pmrun.plugins.exchanges.polymarket.streams import UserListener, UserSocket
from pmrun.plugins.exchanges.polymarket.trading import Trading
from pmrun.plugins.exchanges.polymarket.trading_terms import Caps, Pace, Told
from pmrun.runner.account_file import AccountFile
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.facts import Fact, StatusChanged, TickChanged
from pmrun.runner.intents import Intent
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.ports import LiveSetup
from pmrun.runner.units import Micros

log = logger.bind(module="orders")
VERIFIED_WITHIN = 20.0  # seconds for the proof that nothing rests
RECONCILE_EVERY = 15.0  # seconds between comparisons of funds
ANYHOW = 20  # comparisons of which one is made though nothing moved: money may come from elsewhere


@dataclass(frozen=True, slots=True)
class Wire:
    """The parts that a live exchange is made of."""

    rest: Rest
    signer: Signer
    user: Callable[[UserListener], UserSocket]
    account: AccountFile
    caps: Caps
    pace: Pace


class PolymarketExchange(DeskSide, UserListener):
    """One live session: keeps the account's file, and tells the desk what it has to know."""

    def __init__(self, setup: LiveSetup, data: LiveMarkets, wire: Wire, truth: Truth) -> None:
        """Start from what the exchange said; nothing is sent before `run`."""
        super().__init__(truth.facts, lambda: data.books, setup.now, setup.bell.ring)
        self._data = data
        self._wire = wire
        self._now = setup.now
        self._user = wire.user(self)
        fees = {market.token(each): market.fees for market in data.markets for each in Outcome}
        self.life = OrderLife(fees, truth.before)
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
            moved=self.accounting.moved,
            forgotten=self.accounting.forget,
            ours=wire.account.known,
        )
        self.trading = Trading(wire.rest, wire.signer, self.life, data.markets, wire.caps, told, setup.now, wire.pace)
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
        """Hear that the desk is alive."""
        self.trading.turned(at)
        self.quarantine.turned(at)

    def busy(self) -> bool:
        """Whether answers, trades or settlements are awaited."""
        return self.trading.busy() or self._has_news()

    async def finish(self) -> list[str]:
        """Verify that nothing rests but what the settings leave (R13); reconcile a last time."""
        may_rest = await self.trading.finish(lambda record: record.in_play and not record.cancel_asked, VERIFIED_WITHIN)
        await self._compare()
        if self.accounting.suspicious and await self.trading.look_through():
            await self._compare()
        self._wire.account.end_session(self._now(), clean=not may_rest)
        self.finished = True
        return may_rest

    def remarks(self) -> list[str]:
        """Say what a reader ought to know of how orders fared."""
        counts = {**self.trading.counts, **self.life.counts, **self.accounting.counts}
        counts["quarantines"] = self.quarantine.times
        said = [f"live: {name.replace('_', ' ')} {count}" for name, count in counts.items() if count]
        if self.life.strangers:
            many = len(self.life.strangers)
            said.append(f"live: {many} orders of this wallet rest that pmrun did not place: left alone")
        return said

    def keep(self, fact: Fact) -> None:
        """Write a fact down before the desk hears of it."""
        self.accounting.keep(fact)

    def _looked(self) -> None:
        """After a complete snapshot, and with a socket that tells what comes next, we know what rests."""
        self.accounting.looked()
        if self._user.up:
            self._trouble(NO_USER_SOCKET, False)

    def _doubtful(self, market: MarketNo, reaction: Reaction) -> None:
        if reaction is Reaction.REGRID:
            self._data.ask_tick(market)
        else:
            self.quarantine.refused(market)

    # The user socket.

    def on_news(self, parsed: Parsed, at: Micros) -> None:
        """Take news of our orders and trades."""
        for news in parsed.news:
            try:
                if isinstance(news, OrderSeen):
                    self.trading.order_seen(news)
                elif isinstance(news, TradeSeen):
                    self.trading.trade_seen(news)
            except ProtocolViolation as violation:
                self.on_violation(str(violation), "")
                self._user.reconnect(str(violation))

    def on_violation(self, text: str, raw: str) -> None:
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
        if isinstance(fact, StatusChanged):
            if fact.settled_yes is not None:
                self.accounting.resolved(fact.market, fact.settled_yes)
            self.quarantine.stated(fact)
            return
        self.trading.tick_changed(fact.market, fact.tick)
        self._tell([fact])

    async def _reconcile(self) -> None:
        quiet = 0
        while True:
            await trio.sleep(RECONCILE_EVERY)
            quiet = 0 if self.accounting.moving else quiet + 1
            if quiet % ANYHOW == 0:
                await self._compare()

    async def _compare(self) -> None:
        await self.accounting.compare(self.trading.busy, self._tell, self.trading.look)
