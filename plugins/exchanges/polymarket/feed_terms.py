"""What a live feed of Polymarket is set to; `feeds.live.Polymarket` says what each setting means."""

from dataclasses import dataclass

from pmrun.plugins.exchanges.common.addresses import LOOPBACK, SOCKET, WEB, check_address, host_of
from pmrun.plugins.exchanges.polymarket.catalogue import Choice
from pmrun.runner.units import SECOND, Micros


@dataclass(frozen=True, slots=True, eq=False)
class FeedTerms:
    """Addresses, which markets, and how long silence lasts (seconds)."""

    clob_url: str = "https://clob.polymarket.com"
    gamma_url: str = "https://gamma-api.polymarket.com"
    data_url: str = "https://data-api.polymarket.com"
    geoblock_url: str = "https://polymarket.com"
    socket_url: str = "wss://ws-subscriptions-clob.polymarket.com"
    top: int = 50
    slugs: tuple[str, ...] = ()
    condition_ids: tuple[str, ...] = ()
    rewarded_only: bool = False
    assets_per_socket: int = 200
    quiet_after: float = 10.0
    stop_after: Micros = Micros(0)

    def __post_init__(self) -> None:
        """Refuse addresses that are none, and numbers that could watch nothing."""
        for name in ("clob_url", "gamma_url", "data_url", "geoblock_url"):
            check_address(name, getattr(self, name), WEB)
        check_address("socket_url", self.socket_url, SOCKET)
        if not 1 <= self.top <= 5_000:
            raise ValueError("top must be from 1 to 5,000")
        if not 2 <= self.assets_per_socket <= 500:
            raise ValueError("assets_per_socket must be from 2 to 500")
        if not 1 <= self.quiet_after <= 3_600:
            raise ValueError("quiet_after must be from 1 to 3,600 seconds")
        if not 0 <= self.stop_after <= 366 * 86_400 * SECOND:
            raise ValueError("stop_after must be 0 (until asked to) or up to 31,622,400 seconds")

    @property
    def simulated(self) -> bool:
        """Whether the exchange is on this machine: then it is no real one."""
        return host_of(self.clob_url) in LOOPBACK

    def choice(self) -> Choice:
        """Return which markets are wanted."""
        return Choice(
            top=self.top, slugs=self.slugs, condition_ids=self.condition_ids, rewarded_only=self.rewarded_only
        )
