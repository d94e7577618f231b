"""SatoriEx as a live run sees it: the truth at the start, facts on the way, nothing resting at the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.live_session import ANYHOW, RECONCILE_EVERY, LiveSession
from pmrun.plugins.exchanges.common.order_record import Record
from pmrun.plugins.exchanges.common.reckoning import Reckoning
from pmrun.plugins.exchanges.common.trading_terms import Caps
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
from pmrun.plugins.exchanges.satori.trading_terms import Pace, Told
from pmrun.runner.account_file import AccountFile
from pmrun.runner.facts import Fact, MarketStatus
from pmrun.runner.ports import LiveSetup
from pmrun.runner.session import Bell
from pmrun.runner.units import SECOND, Micros

log = logger.bind(module="orders")
VERIFIED_WITHIN = 30.0  # seconds for the proof that nothing rests: cancels go one by one
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


class SatoriExchange(LiveSession, Listener):
    """One live session: keeps the account's file, and tells the desk what it has to know."""

    def __init__(self, setup: LiveSetup, data: LiveMarkets, wire: Wire, truth: Truth) -> None:
        """Start from what the exchange said; nothing is sent before `run`."""
        super().__init__(setup, wire.account, truth, lambda: data.books)
        self._data = data
        self._tokens = wire.rest.tokens
        self._user: Socket = wire.user(self)
        self._compare_now = Bell()
        self._suspected_at = Micros(0)
        self.life: OrderLife = OrderLife(truth.before, truth.lost)
        for order_id in truth.strange:
            self.life.known_before(order_id)
        reckoning = Reckoning(truth.cash, truth.shares)
        self.accounting: Accounting = Accounting(setup, wire.account, reckoning, self.life, wire.rest, data.markets)
        for record, filled in truth.adopted:
            self.life.adopt(record, filled)
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
        self.trading: Trading = Trading(
            wire.rest, self.life, data.markets, wire.caps, wire.budget, told, setup.now, wire.pace
        )
        data.hear(self._heard, self._dropped, self._noted)

    # What the session calls.

    def busy(self) -> bool:
        """Whether answers or trades are awaited: a fill may be told a little after the cancel of its order."""
        return self._now() < self.life.cancelled_at + LATE or super().busy()

    async def finish(self) -> list[str]:
        """Verify that nothing rests but what the settings leave (R13); reconcile a last time."""
        return await self._finished(VERIFIED_WITHIN)

    def _more_counts(self) -> dict[str, int]:
        return {"token_renewals": 0 if self._tokens is None else self._tokens.renewals}

    def _strangers(self) -> list[str]:
        many = len(self.life.strangers)
        return [f"live: {many} orders rest that pmrun did not place: left alone"] if many else []

    def _tell(self, facts: Sequence[Fact]) -> None:
        """Queue facts, once orders have their names and late fills are told from holdings taken over."""
        self.accounting.named(self.life.take_named())
        for order, order_id in self.life.take_arrived():
            log.warning("the order {} of an earlier session arrived now: it is cancelled", order_id)
            self.accounting.arrived(order, order_id)
            self.trading.look()
            self._compare_now.ring()
        super()._tell(self.accounting.netted(facts))

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

    # Funds.

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
        await super()._compare()
        if self.accounting.suspicious and not before:
            self._suspected_at = self._now()

    async def _look_into(self) -> None:
        await trio.sleep(SURE_AFTER / SECOND)
        await self.trading.look_through()
        await self._compare()
