"""Orders that leave this machine for SatoriEx, once armed and capped; until then a dry run."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pmrun.plugins.exchanges.satori.terms import CAPABILITIES, ORDER_CALLS
from pmrun.plugins.executors.paper import Paper
from pmrun.runner.errors import ConfigError
from pmrun.runner.ports import LiveExchange, LiveSetup
from pmrun.runner.units import SECOND, Cash, Micros

if TYPE_CHECKING:
    from pmrun.plugins.exchanges.satori.trading_terms import AccountTerms


@dataclass(frozen=True, slots=True, eq=False)
class SatoriLive:
    """Send orders to the exchange that the feed is connected to; credentials come from the environment alone (P6).

    Nothing leaves unless `armed` is true and both caps are set: otherwise it is a dry run, with the paper exchange's
    fills on the live feed. `max_order_usd` caps the notional of one order, `max_resting_usd` that of all bids in play
    together (both in dollars). `order_calls` are the places and cancels a minute that the exchange takes; no more than
    `max_resting` orders rest, so that all can be cancelled one by one. A place waits `patience` seconds for its turn.
    Times are in seconds: `sweep` between looks at all orders, `blind` without a look after which nothing is quoted.
    `account_folder` holds the account's file and its lock (null: ~/.local/state/pmrun).
    """

    armed: bool = False
    max_order_usd: Cash | None = None
    max_resting_usd: Cash | None = None
    order_calls: int = ORDER_CALLS
    max_resting: int = 20
    patience: Micros = Micros(5 * SECOND)
    sweep: Micros = Micros(30 * SECOND)
    blind: Micros = Micros(20 * SECOND)
    account_folder: str | None = None
    dry_funds: Cash = Cash(1_000_000_000)

    capabilities = CAPABILITIES

    def __post_init__(self) -> None:
        """Refuse what could not limit anything, and arms without caps."""
        for name in ("max_order_usd", "max_resting_usd"):
            cap = getattr(self, name)
            if cap is not None and cap <= 0:
                raise ValueError(f"{name} must be above 0 dollars")
            if self.armed and cap is None:
                raise ValueError(f"{name} must be set before live trading is armed: live.{name}=DOLLARS")
        if not 2 <= self.order_calls <= ORDER_CALLS:
            raise ValueError(f"order_calls must be from 2 to {ORDER_CALLS}: the exchange takes no more in a minute")
        if not 1 <= self.max_resting < self.order_calls:
            raise ValueError(
                "max_resting must be 1 or more and below order_calls: what rests has to be cancelled one by one"
            )
        for name in ("sweep", "blind", "patience"):
            if not SECOND <= getattr(self, name) <= 600 * SECOND:
                raise ValueError(f"{name} must be from 1 to 600 seconds")
        if self.dry_funds <= 0:
            raise ValueError("dry_funds must be above 0 dollars")

    @property
    def book_holds_us(self) -> bool:
        """Whether the books that are seen show our own orders (O12): not in a dry run."""
        return self.armed

    def open(self, *_: Any) -> Any:
        """Refuse a feed that is not live: orders for yesterday's book would be sent today."""
        raise ConfigError("executor", "satori", "needs a live feed: feed=satori")

    def books_of(self, *given: Any) -> Any:
        """Refuse likewise: a live run's journal holds its books."""
        return self.open(*given)

    @asynccontextmanager
    async def attach(self, data: Any, setup: LiveSetup) -> AsyncIterator[LiveExchange]:
        """Connect to the account; raises PmrunError when it cannot be trusted to trade."""
        if not self.armed:
            from pmrun.plugins.executors.live_paper import DRY_RUN

            async with Paper(funds=self.dry_funds).attach(data, setup) as paper:
                paper.mode = DRY_RUN
                yield paper
            return
        from pmrun.plugins.exchanges.satori.account import connected
        from pmrun.plugins.exchanges.satori.credentials import required

        async with connected(self._terms(), data, setup, required(os.environ)) as exchange:
            yield exchange

    @property
    def remembers(self) -> bool:
        """Whether what components carry is kept in the account's file, and not where paper runs keep it."""
        return self.armed

    def _terms(self) -> "AccountTerms":
        from pmrun.plugins.exchanges.satori.trading_terms import AccountTerms, Caps, Pace

        assert self.max_order_usd is not None, "an armed executor has its caps"
        assert self.max_resting_usd is not None, "an armed executor has its caps"
        caps = Caps(order=self.max_order_usd, resting=self.max_resting_usd)
        pace = Pace(sweep=self.sweep, blind=self.blind, patience=self.patience)
        return AccountTerms(self.folder, caps, pace, self.order_calls, self.max_resting)

    @property
    def folder(self) -> Path | None:
        """Where the account's file is kept."""
        return None if self.account_folder is None else Path(self.account_folder).expanduser()
