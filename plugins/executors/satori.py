"""Orders that leave this machine for SatoriEx, once armed and capped; until then a dry run."""

import os
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pmrun.plugins.exchanges.satori.terms import CAPABILITIES, ORDER_CALLS
from pmrun.plugins.executors.armed import Armed
from pmrun.runner.ports import LiveExchange, LiveSetup
from pmrun.runner.units import SECOND, Micros

if TYPE_CHECKING:
    from pmrun.plugins.exchanges.satori.trading_terms import AccountTerms


@dataclass(frozen=True, slots=True, eq=False)
class SatoriLive(Armed):
    """Send orders to the exchange that the feed is connected to; credentials come from the environment alone (P6).

    Nothing leaves unless `armed` is true and both caps are set: otherwise it is a dry run, with the paper exchange's
    fills on the live feed. `max_order_usd` caps the notional of one order, `max_resting_usd` that of all bids in play
    together (both in dollars). `order_calls` are the places and cancels a minute that the exchange takes; no more than
    `max_resting` orders rest, so that all can be cancelled one by one. A place waits `patience` seconds for its turn.
    Times are in seconds: `sweep` between looks at all orders, `blind` without a look after which nothing is quoted.
    `account_folder` holds the account's file and its lock (null: ~/.local/state/pmrun).
    """

    order_calls: int = ORDER_CALLS
    max_resting: int = 20
    patience: Micros = Micros(5 * SECOND)

    capabilities = CAPABILITIES
    called = feed = "satori"
    waits = ("sweep", "blind", "patience")

    def check(self) -> None:
        """Refuse more than the exchange takes, and more at rest than could be cancelled."""
        if not 2 <= self.order_calls <= ORDER_CALLS:
            raise ValueError(f"order_calls must be from 2 to {ORDER_CALLS}: the exchange takes no more in a minute")
        if not 1 <= self.max_resting < self.order_calls:
            raise ValueError(
                "max_resting must be 1 or more and below order_calls: what rests has to be cancelled one by one"
            )

    def connect(self, data: Any, setup: LiveSetup) -> AbstractAsyncContextManager[LiveExchange]:
        """Connect to the account."""
        from pmrun.plugins.exchanges.satori.account import connected
        from pmrun.plugins.exchanges.satori.credentials import required

        return connected(self._terms(), data, setup, required(os.environ))

    def _terms(self) -> "AccountTerms":
        from pmrun.plugins.exchanges.common.trading_terms import Caps
        from pmrun.plugins.exchanges.satori.trading_terms import AccountTerms, Pace

        pace = Pace(sweep=self.sweep, blind=self.blind, patience=self.patience)
        return AccountTerms(self.folder, Caps(*self.caps), pace, self.order_calls, self.max_resting)
