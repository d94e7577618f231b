"""Orders that leave this machine: Polymarket with real money, once armed and capped; until then a dry run."""

import os
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pmrun.plugins.exchanges.polymarket.capabilities import CAPABILITIES
from pmrun.plugins.executors.armed import Armed
from pmrun.runner.capabilities import Capability
from pmrun.runner.ports import LiveExchange, LiveSetup
from pmrun.runner.units import SECOND, Micros

if TYPE_CHECKING:
    from pmrun.plugins.exchanges.common.secret import Secret
    from pmrun.plugins.exchanges.polymarket.credentials import ApiKey
    from pmrun.plugins.exchanges.polymarket.trading_terms import AccountTerms

# Merging is a transaction on the chain, by the wallet itself or through a relayer (reference 8); we send orders only.
PAIRS_HELD = "pairs stay held, and are a dollar each when the market resolves; merge them by hand at the exchange"
SIGNATURE_TYPES = (0, 1, 2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Live(Armed):
    """Send orders to the exchange that the feed is connected to; credentials come from the environment alone (P6).

    Nothing leaves unless `armed` is true and both caps are set: otherwise it is a dry run, with the paper exchange's
    fills on the live feed. `max_order_usd` caps the notional of one order, `max_resting_usd` that of all bids in play
    together (both in dollars). `signature_type` is the wallet's kind: 0 a key alone, 1 a proxy, 2 a Safe, 3 a deposit
    wallet (reference 2.3). Times are in seconds: `sweep` between looks at all orders, `heartbeat` between heartbeats,
    `blind` without a look after which nothing is quoted. `account_folder` holds the account's file and the lock of the
    wallet (null: ~/.local/state/pmrun).
    """

    signature_type: int = 0
    heartbeat: Micros = Micros(5 * SECOND)

    capabilities = CAPABILITIES
    called = "live"
    feed = "polymarket"
    waits = ("sweep", "heartbeat", "blind")

    def check(self) -> None:
        """Refuse a wallet that is none, and heartbeats that come too late."""
        if self.signature_type not in SIGNATURE_TYPES:
            raise ValueError("signature_type must be 0 (key), 1 (proxy), 2 (Safe) or 3 (deposit wallet)")
        if self.heartbeat > 8 * SECOND:
            raise ValueError("heartbeat must be 8 seconds or less: after 10 the exchange cancels everything")

    def connect(self, data: Any, setup: LiveSetup) -> AbstractAsyncContextManager[LiveExchange]:
        """Connect to the wallet's account."""
        from pmrun.plugins.exchanges.polymarket.account import connected

        key, funder, api_key = credentials()
        return connected(self._terms(), data, setup, key, funder, api_key)

    @property
    def lacks(self) -> dict[Capability, str]:
        """What the exchange offers and this adapter cannot ask for: not in a dry run."""
        return {Capability.MERGE: PAIRS_HELD} if self.armed else {}

    def _terms(self) -> "AccountTerms":
        from pmrun.plugins.exchanges.common.trading_terms import Caps
        from pmrun.plugins.exchanges.polymarket.trading_terms import AccountTerms, Pace

        pace = Pace(sweep=self.sweep, heartbeat=self.heartbeat, blind=self.blind)
        return AccountTerms(self.signature_type, self.folder, Caps(*self.caps), pace)


def credentials() -> "tuple[Secret, str | None, ApiKey | None]":
    """Read the credentials from the environment; ConfigError names what is missing."""
    from pmrun.plugins.exchanges.polymarket.credentials import read_api_key, read_funder, read_private_key

    return read_private_key(os.environ), read_funder(os.environ), read_api_key(os.environ)
