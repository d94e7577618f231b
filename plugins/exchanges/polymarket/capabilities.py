"""What Polymarket can do (V5): all that there is a name for."""

from dataclasses import dataclass
from typing import Final

from pmrun.runner.capabilities import Capabilities, Capability
from pmrun.runner.market import Market

CAPABILITIES: Final = Capabilities(exchange="polymarket", has=frozenset(Capability))


@dataclass(frozen=True, slots=True, eq=False)
class Polymarket:
    """Polymarket's rules: what a feed lists is under them already."""

    capabilities = CAPABILITIES

    def market(self, market: Market) -> Market:
        """Return the market as it is listed."""
        return market
