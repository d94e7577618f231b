"""How an exchange is reached."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import NamedTuple

import httpx
import trio

from pmrun.plugins.exchanges.common.sockets import Connect, dialer


class Network(NamedTuple):
    """How the exchange is reached."""

    http: httpx.AsyncClient
    connect: Connect
    rng: Random = Random()  # of the waits that are drawn


@asynccontextmanager
async def real_network(nursery: trio.Nursery, given: Network | None = None) -> AsyncIterator[Network]:
    """Reach the exchange over real sockets, unless another network is given."""
    if given is not None:
        yield given
        return
    async with httpx.AsyncClient(timeout=None, http2=False, trust_env=False) as http:  # every call has a deadline
        yield Network(http, dialer(nursery))
