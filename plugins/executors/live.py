"""Orders that leave this machine: Polymarket with real money, once armed and capped; until then a dry run."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pmrun.plugins.exchanges.polymarket.capabilities import CAPABILITIES
from pmrun.plugins.executors.paper import Paper
from pmrun.runner.capabilities import Capability
from pmrun.runner.errors import ConfigError
from pmrun.runner.ports import LiveExchange, LiveSetup
from pmrun.runner.units import SECOND, Cash, Micros

if TYPE_CHECKING:
    from pmrun.plugins.exchanges.polymarket.credentials import ApiKey, Secret
    from pmrun.plugins.exchanges.polymarket.trading_terms import AccountTerms

# Merging is a transaction on the chain, by the wallet itself or through a relayer (reference 8); we send orders only.
PAIRS_HELD = "pairs stay held, and are a dollar each when the market resolves; merge them by hand at the exchange"
SIGNATURE_TYPES = (0, 1, 2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """Send orders to the exchange that the feed is connected to; credentials come from the environment alone (P6).

    Nothing leaves unless `armed` is true and both caps are set: otherwise it is a dry run, with the paper exchange's
    fills on the live feed. `max_order_usd` caps the notional of one order, `max_resting_usd` that of all bids in play
    together (both in dollars). `signature_type` is the wallet's kind: 0 a key alone, 1 a proxy, 2 a Safe, 3 a deposit
    wallet (reference 2.3). Times are in seconds: `sweep` between looks at all orders, `heartbeat` between heartbeats,
    `blind` without a look after which nothing is quoted. `account_folder` holds the account's file and the lock of the
    wallet (null: ~/.local/state/pmrun).
    """

    armed: bool = False
    max_order_usd: Cash | None = None
    max_resting_usd: Cash | None = None
    signature_type: int = 0
    sweep: Micros = Micros(30 * SECOND)
    heartbeat: Micros = Micros(5 * SECOND)
    blind: Micros = Micros(20 * SECOND)
    account_folder: str | None = None
    dry_funds: Cash = Cash(1_000_000_000)

    capabilities = CAPABILITIES

    def __post_init__(self) -> None:
        """Refuse what could not limit anything, and arms without caps."""
        if self.signature_type not in SIGNATURE_TYPES:
            raise ValueError("signature_type must be 0 (key), 1 (proxy), 2 (Safe) or 3 (deposit wallet)")
        for name in ("max_order_usd", "max_resting_usd"):
            cap = getattr(self, name)
            if cap is not None and cap <= 0:
                raise ValueError(f"{name} must be above 0 dollars")
            if self.armed and cap is None:
                raise ValueError(f"{name} must be set before live trading is armed: live.{name}=DOLLARS")
        for name in ("sweep", "heartbeat", "blind"):
            if not SECOND <= getattr(self, name) <= 600 * SECOND:
                raise ValueError(f"{name} must be from 1 to 600 seconds")
        if self.heartbeat > 8 * SECOND:
            raise ValueError("heartbeat must be 8 seconds or less: after 10 the exchange cancels everything")
        if self.dry_funds <= 0:
            raise ValueError("dry_funds must be above 0 dollars")

    @property
    def book_holds_us(self) -> bool:
        """Whether the books that are seen show our own orders (O12): not in a dry run."""
        return self.armed

    def open(self, *_: Any) -> Any:
        """Refuse a feed that is not live: orders for yesterday's book would be sent today."""
        raise ConfigError("executor", "live", "needs a live feed: feed=polymarket")

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
        from pmrun.plugins.exchanges.polymarket.account import connected

        key, funder, api_key = credentials()
        async with connected(self._terms(), data, setup, key, funder, api_key) as exchange:
            yield exchange

    @property
    def lacks(self) -> dict[Capability, str]:
        """What the exchange offers and this adapter cannot ask for: not in a dry run."""
        return {Capability.MERGE: PAIRS_HELD} if self.armed else {}

    @property
    def remembers(self) -> bool:
        """Whether what components carry is kept in the account's file, and not where paper runs keep it."""
        return self.armed

    def _terms(self) -> "AccountTerms":
        from pmrun.plugins.exchanges.polymarket.trading_terms import AccountTerms, Caps, Pace

        assert self.max_order_usd is not None, "an armed executor has its caps"
        assert self.max_resting_usd is not None, "an armed executor has its caps"
        caps = Caps(order=self.max_order_usd, resting=self.max_resting_usd)
        pace = Pace(sweep=self.sweep, heartbeat=self.heartbeat, blind=self.blind)
        return AccountTerms(self.signature_type, self.folder, caps, pace)

    @property
    def folder(self) -> Path | None:
        """Where the account's file is kept."""
        return None if self.account_folder is None else Path(self.account_folder).expanduser()


def credentials() -> "tuple[Secret, str | None, ApiKey | None]":
    """Read the credentials from the environment; ConfigError names what is missing."""
    from pmrun.plugins.exchanges.polymarket.credentials import read_api_key, read_funder, read_private_key

    return read_private_key(os.environ), read_funder(os.environ), read_api_key(os.environ)
