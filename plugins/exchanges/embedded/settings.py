"""How the embedded exchange behaves."""

from collections.abc import Mapping

import msgspec

from pmrun.plugins.exchanges.embedded.buckets import TIERS
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.runner.errors import ConfigError
from pmrun.runner.units import SECOND, Cash, Micros


class HostSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the exchange behaves; durations in microseconds."""

    chain_id: int = 137
    open_to_all: bool = True  # whoever creates an API key is given `funds`
    funds: Cash = Cash(10_000_000_000)
    answer_latency: Micros = Micros(0)  # an answer leaves that much after its call arrived
    news_latency: Micros = Micros(0)  # a frame leaves that much after what it tells
    heartbeat_timeout: Micros = Micros(10 * SECOND)
    heartbeat_sweep: Micros = Micros(5 * SECOND)
    clock_tolerance: Micros = Micros(60 * SECOND)  # how far a signed time may be from ours
    tier: str = "Standard"
    buckets: bool = True  # whether the limits of the tier are enforced
    page_size: int = 100  # of a caller's own orders and trades
    listing_size: int = 500  # of the CLOB's markets
    geoblocked: bool = False
    country: str = "ZZ"  # where the geoblock check says that its caller is
    closed_only: bool = False  # whether accounts may close and nothing else
    allowances: Mapping[str, int] = {}  # base units that a contract may take, by its address; unlimited where not named


def check(engine: Engine, settings: HostSettings) -> None:
    """Refuse settings and markets that this exchange cannot have; raises ConfigError."""
    if settings.tier not in TIERS:
        raise ConfigError("tier", settings.tier, f"one of {', '.join(TIERS)} is allowed")
    for market in engine.markets:
        for token in (market.yes, market.no):
            if not (token.isascii() and token.isdigit() and len(token) <= 78):
                raise ConfigError("token", token, "orders sign a token id as a number: decimal digits are allowed")
