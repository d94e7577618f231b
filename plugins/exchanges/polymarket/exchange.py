"""Polymarket as a live run sees it: the truth at the start, facts on the way, nothing resting at the end."""

from collections.abc import Callable
from dataclasses import dataclass

import trio
from loguru import logger

from pmrun.plugins.exchanges.common.accounting import Accounting
from pmrun.plugins.exchanges.common.live_session import ANYHOW, RECONCILE_EVERY, LiveSession
from pmrun.plugins.exchanges.common.market_news import Parsed
from pmrun.plugins.exchanges.common.reckoning import Reckoning
from pmrun.plugins.exchanges.common.starting import Truth
from pmrun.plugins.exchanges.common.trading_terms import Caps
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction
from pmrun.plugins.exchanges.polymarket.life import OrderLife
from pmrun.plugins.exchanges.polymarket.live_markets import LiveMarkets
from pmrun.plugins.exchanges.polymarket.news import OrderSeen, TradeSeen
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.signing import Signer
from pmrun.plugins.exchanges.polymarket.trading import Trading
from pmrun.plugins.exchanges.polymarket.trading_terms import Pace, Told
from pmrun.plugins.exchanges.polymarket.user_stream import UserListener, UserSocket
from pmrun.runner.account_file import AccountFile
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.facts import TickChanged
from pmrun.runner.market import MarketNo, Outcome
from pmrun.runner.ports import LiveSetup
from pmrun.runner.units import Micros

log = logger.bind(module="orders")
VERIFIED_WITHIN = 20.0  # seconds for the proof that nothing rests


@dataclass(frozen=True, slots=True)
class Wire:
    """The parts that a live exchange is made of."""

    rest: Rest
    signer: Signer
    user: Callable[[UserListener], UserSocket]
    account: AccountFile
    caps: Caps
    pace: Pace


class PolymarketExchange(LiveSession, UserListener):
    """One live session: keeps the account's file, and tells the desk what it has to know."""

    def __init__(self, setup: LiveSetup, data: LiveMarkets, wire: Wire, truth: Truth) -> None:
        """Start from what the exchange said; nothing is sent before `run`."""
        super().__init__(setup, wire.account, truth, lambda: data.books)
        self._data = data
        self._user: UserSocket = wire.user(self)
        fees = {market.token(each): market.fees for market in data.markets for each in Outcome}
        self.life: OrderLife = OrderLife(fees, truth.before)
        reckoning = Reckoning(truth.cash, truth.shares)
        self.accounting = Accounting(setup, wire.account, reckoning, self.life, wire.rest, data.markets)
        for record, filled in truth.adopted:
            self.life.adopt(record, filled)
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
        self.trading: Trading = Trading(
            wire.rest, wire.signer, self.life, data.markets, wire.caps, told, setup.now, wire.pace
        )
        data.hear(self._heard, self._dropped, self._noted)

    # What the session calls.

    def turned(self, at: Micros) -> None:
        """Hear that the desk is alive."""
        self.trading.turned(at)
        super().turned(at)

    async def finish(self) -> list[str]:
        """Verify that nothing rests but what the settings leave (R13); reconcile a last time."""
        return await self._finished(VERIFIED_WITHIN)

    def _strangers(self) -> list[str]:
        many = len(self.life.strangers)
        return [f"live: {many} orders of this wallet rest that pmrun did not place: left alone"] if many else []

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

    # The market feed.

    def _tick_changed(self, fact: TickChanged) -> None:
        self.trading.tick_changed(fact.market, fact.tick)

    # Funds.

    async def _reconcile(self) -> None:
        quiet = 0
        while True:
            await trio.sleep(RECONCILE_EVERY)
            quiet = 0 if self.accounting.moving else quiet + 1
            if quiet % ANYHOW == 0:
                await self._compare()

    async def _look_into(self) -> None:
        if await self.trading.look_through():
            await self._compare()
