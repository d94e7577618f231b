"""The live public feed of Polymarket, or of an embedded exchange that speaks its protocol (C1, O10)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

from pmrun.plugins.exchanges.polymarket.capabilities import CAPABILITIES
from pmrun.plugins.exchanges.polymarket.feed_terms import FeedTerms
from pmrun.runner.session import Bell
from pmrun.runner.units import Micros

if TYPE_CHECKING:
    from pmrun.plugins.exchanges.polymarket.live_markets import LiveMarkets


@dataclass(frozen=True, slots=True, eq=False)
class Polymarket(FeedTerms):
    """Watch markets as they trade.

    Markets are the `top` most liquid ones that pass, or those named by `slugs` or `condition_ids`; `rewarded_only`
    leaves out those that pay nothing for resting orders. A socket carries at most `assets_per_socket` tokens; one that
    says nothing for `quiet_after` seconds is compared with REST. The run ends after `stop_after` seconds (0: when it
    is asked to). The four addresses are those of the exchange; on loopback they are an embedded exchange's, and what
    comes from there is simulated.
    """

    _network: Any = field(default=None, init=False, repr=False)

    capabilities = CAPABILITIES

    def open(self) -> None:
        """Refuse to be read like a recording."""
        from pmrun.runner.errors import DataError

        raise DataError("feed=polymarket is live: it cannot be read before it happens")

    @asynccontextmanager
    async def connect(self, now: Callable[[], Micros], bell: Bell) -> AsyncIterator["LiveMarkets"]:
        """Find the markets and make their sockets ready; raises DataError or ExchangeError."""
        from pmrun.plugins.exchanges.common.network import real_network
        from pmrun.plugins.exchanges.polymarket.live_markets import LiveMarkets

        async with (
            trio.open_nursery() as nursery,
            real_network(nursery, self._network) as network,
        ):
            yield await LiveMarkets.found(self, network, now, bell, nursery)
            nursery.cancel_scope.cancel()
