"""What a live feed of SatoriEx is set to; `feeds.satori.SatoriFeed` says what each setting means."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from pmrun.plugins.exchanges.common.addresses import LOOPBACK, SOCKET, WEB, check_address, host_of
from pmrun.plugins.exchanges.satori.catalogue import Choice
from pmrun.runner.units import SECOND, Micros


@dataclass(frozen=True, slots=True, eq=False)
class FeedTerms:
    """Addresses, which markets, and how long silence lasts (seconds)."""

    url: str = "https://staging.satoriex.io/api/v1"
    socket_url: str = "wss://staging.satoriex.io/ws"
    top: int = 20
    slugs: tuple[str, ...] = ()
    condition_ids: tuple[str, ...] = ()
    quiet_after: float = 30.0
    stop_after: Micros = Micros(0)

    def __post_init__(self) -> None:
        """Refuse addresses that are none, and numbers that could watch nothing."""
        for name, schemes in (("url", WEB), ("socket_url", SOCKET)):
            check_address(name, getattr(self, name), schemes)
            place = urlsplit(getattr(self, name))
            if place.query or place.fragment:
                raise ValueError(f"{name} must end with a path: a token comes from the environment")
        if not 1 <= self.top <= 500:
            raise ValueError("top must be from 1 to 500")
        if not 1 <= self.quiet_after <= 3_600:
            raise ValueError("quiet_after must be from 1 to 3,600 seconds")
        if not 0 <= self.stop_after <= 366 * 86_400 * SECOND:
            raise ValueError("stop_after must be 0 (until asked to) or up to 31,622,400 seconds")

    @property
    def simulated(self) -> bool:
        """Whether no money is at stake there: on this machine, or on the exchange's staging."""
        host = host_of(self.url)
        return host in LOOPBACK or host.split(".")[0] == "staging"

    def choice(self) -> Choice:
        """Return which markets are wanted."""
        return Choice(top=self.top, slugs=self.slugs, condition_ids=self.condition_ids)
