"""One live session at an exchange: what every adapter keeps, tells and verifies (R13)."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.accounting import Accounting
from pmrun.plugins.exchanges.common.desk_side import NO_USER_SOCKET, Books, DeskSide
from pmrun.plugins.exchanges.common.known_orders import KnownOrders
from pmrun.plugins.exchanges.common.market_news import Parsed
from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.common.order_trading import OrderTrading
from pmrun.plugins.exchanges.common.quarantine import Quarantine
from pmrun.plugins.exchanges.common.starting import Truth
from pmrun.runner.account_file import AccountFile
from pmrun.runner.facts import Fact, StatusChanged, TickChanged
from pmrun.runner.intents import Intent
from pmrun.runner.market import MarketNo
from pmrun.runner.ports import LiveSetup
from pmrun.runner.units import Micros

log = logger.bind(module="orders")
RECONCILE_EVERY = 15.0  # seconds between comparisons of funds
ANYHOW = 20  # comparisons of which one is made though nothing moved: money may come from elsewhere


class UserSocket(Protocol):
    """The socket that tells of our own orders."""

    @property
    def up(self) -> bool:
        """Whether it tells them now."""

    async def run(self) -> None:
        """Keep it until cancelled."""


class LiveSession(DeskSide):
    """Keeps the account's file, and tells the desk what it has to know."""

    life: KnownOrders
    accounting: Accounting
    trading: OrderTrading
    _user: UserSocket

    def __init__(self, setup: LiveSetup, account: AccountFile, truth: Truth, books: Callable[[], Books]) -> None:
        """Start from what the exchange said; nothing is sent before `run`."""
        super().__init__(truth.facts, books, setup.now, setup.bell.ring)
        self._now = setup.now
        self._account = account
        self.quarantine = Quarantine(self._tell, setup.now)
        self.finished = False

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send, listen and look up until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.trading.run)
            nursery.start_soon(self._user.run)
            nursery.start_soon(self._reconcile)
            self._troubles[NO_USER_SOCKET] = None  # nothing is quoted before it is there, and nothing has to be pulled
            task_status.started()

    # What the session calls.

    def in_play(self) -> list[Record]:
        """Return the orders that may rest."""
        return self.life.in_play()

    def submit(self, intents: Sequence[Intent], at: Micros) -> None:
        """Send intents on their way; what limits have used is on disk before."""
        self.accounting.carry()
        self.trading.submit(intents)

    def turned(self, at: Micros) -> None:
        """Hear that the desk is alive."""
        self.quarantine.turned(at)

    def busy(self) -> bool:
        """Whether answers, trades or settlements are awaited."""
        return self.trading.busy() or self._has_news()

    async def finish(self) -> list[str]:
        """Verify that nothing rests but what the settings leave (R13); reconcile a last time."""
        raise NotImplementedError

    async def _finished(self, within: float) -> list[str]:
        """Do so within some seconds, look into what differs, and write that the session ended."""
        may_rest = await self.trading.finish(lambda record: record.in_play and not record.cancel_asked, within)
        await self._compare()
        if self.accounting.suspicious:
            await self._look_into()
        self._account.end_session(self._now(), clean=not may_rest)
        self.finished = True
        return may_rest

    def remarks(self) -> list[str]:
        """Say what a reader ought to know of how orders fared."""
        counts = {**self.trading.counts, **self.life.counts, **self.accounting.counts}
        counts |= {"quarantines": self.quarantine.times, **self._more_counts()}
        said = [f"live: {name.replace('_', ' ')} {count}" for name, count in counts.items() if count]
        return [*said, *self._strangers()]

    def _more_counts(self) -> dict[str, int]:
        return {}

    def _strangers(self) -> list[str]:
        """Say how many orders rest that nobody here placed."""
        raise NotImplementedError

    def keep(self, fact: Fact) -> None:
        """Write a fact down before the desk hears of it."""
        self.accounting.keep(fact)

    def _looked(self) -> None:
        """After a complete look, and with a socket that tells what comes next, we know what rests."""
        self.accounting.looked()
        if self._user.up:
            self._trouble(NO_USER_SOCKET, False)

    # The user socket.

    def on_violation(self, text: str, *_: Any) -> None:
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
        """Pass on what the feed learnt of a market."""
        if isinstance(fact, StatusChanged):
            if fact.settled_yes is not None:
                self.accounting.resolved(fact.market, fact.settled_yes)
            self.quarantine.stated(fact)
            return
        self._tick_changed(fact)
        self._tell([fact])

    def _tick_changed(self, fact: TickChanged) -> None:
        """Learn of a new grid before the desk does."""

    # Funds.

    async def _reconcile(self) -> None:
        raise NotImplementedError

    async def _compare(self) -> None:
        """Hold the balances against ours."""
        await self.accounting.compare(self.trading.busy, self._tell, self.trading.look)

    async def _look_into(self) -> None:
        """Find out, at the end, whether what differs is a fill that is not told yet."""
        raise NotImplementedError
