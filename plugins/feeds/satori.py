"""The live public feed of SatoriEx, or of an embedded exchange that speaks its protocol (C1, V1)."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

from pmrun.plugins.exchanges.satori.feed_terms import FeedTerms
from pmrun.plugins.exchanges.satori.terms import CAPABILITIES
from pmrun.runner.session import Bell
from pmrun.runner.units import Micros

if TYPE_CHECKING:
    from pmrun.plugins.exchanges.common.doctor_findings import Finding
    from pmrun.plugins.exchanges.satori.live_markets import LiveMarkets


@dataclass(frozen=True, slots=True, eq=False)
class SatoriFeed(FeedTerms):
    """Watch markets as they trade.

    Markets are the `top` most traded ones that are open, or those named by `slugs` or `condition_ids`. A market that
    says nothing for `quiet_after` seconds is compared with REST. The run ends after `stop_after` seconds (0: when it
    is asked to). The addresses default to the exchange's staging, the only ones that are public; on loopback they are
    an embedded exchange's. Staging and loopback trade no money: what comes from there is simulated.
    """

    _network: Any = field(default=None, init=False, repr=False)

    capabilities = CAPABILITIES
    title = "SatoriEx"

    def open(self) -> None:
        """Refuse to be read like a recording."""
        from pmrun.runner.errors import DataError

        raise DataError("feed=satori is live: it cannot be read before it happens")

    @asynccontextmanager
    async def connect(self, now: Callable[[], Micros], bell: Bell) -> AsyncIterator["LiveMarkets"]:
        """Find the markets and make their socket ready; raises DataError or ExchangeError."""
        from pmrun.plugins.exchanges.common.network import real_network
        from pmrun.plugins.exchanges.satori.credentials import required
        from pmrun.plugins.exchanges.satori.live_markets import LiveMarkets

        async with trio.open_nursery() as nursery, real_network(nursery, self._network) as network:
            yield await LiveMarkets.found(self, network, required(os.environ), now, bell, nursery)
            nursery.cancel_scope.cancel()

    async def examine(self, *given: Any) -> "list[Finding]":
        """Make the doctor's checks of this exchange; the arguments are those of `doctor.examine`."""
        from pmrun.plugins.exchanges.satori.doctor import examine

        return await examine(*given)
