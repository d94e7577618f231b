"""What the doctor looks at, and how a check that breaks becomes a finding."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from pmrun.plugins.exchanges.common.doctor_findings import Finding, misconfigured, refused
from pmrun.plugins.exchanges.common.network import Network
from pmrun.plugins.exchanges.polymarket.budget import Budget
from pmrun.plugins.exchanges.polymarket.catalogue import Found
from pmrun.plugins.exchanges.polymarket.credentials import ApiKey
from pmrun.plugins.exchanges.polymarket.outcomes import CallFailed
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.signing import Signer
from pmrun.plugins.exchanges.polymarket.transport import RestSettings, Urls
from pmrun.runner.errors import ConfigError, DataError, ExchangeError, ProtocolViolation
from pmrun.runner.market import Market
from pmrun.runner.units import SECOND, Micros

if TYPE_CHECKING:
    from pmrun.plugins.executors.live import Live
    from pmrun.plugins.feeds.live import Polymarket

ANSWER_WITHIN = Micros(10 * SECOND)
ATTEMPTS = 2

Check = Callable[["Subject"], Awaitable[list[Finding]]]


class Need(StrEnum):
    """What a check cannot do without; earlier ones find out whether it is there."""

    CLOB = "the CLOB"
    GAMMA = "Gamma"
    MARKET = "a market"
    KEY = "the private key"
    API_KEY = "an API key"
    WALLET = "a signature type and a funder that fit"


@dataclass(slots=True)
class Subject:
    """The exchange and the account as configured, and what earlier checks learned of them."""

    feed: "Polymarket"
    live: "Live | None"  # None: paper, where only what is public matters
    limits: tuple[str, ...]  # the nodes of the components that limit the account
    network: Network
    now: Callable[[], Micros]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path  # where pmrun is run
    heartbeat: bool  # whether to send one
    down: set[str] = field(default_factory=set)  # services that cannot be reached
    found: Found | None = None
    signer: Signer | None = None
    rest: Rest = field(init=False, repr=False)
    funder_fits: bool = False
    clock_fits: bool = True
    exchange: str = "live"  # as it is chosen for a run
    held_by: str | None = None  # who trades the wallet now
    resting: int | None = None  # orders of this API key

    def __post_init__(self) -> None:
        """Begin with what is public."""
        self.rest = self.calls()

    @property
    def urls(self) -> Urls:
        """Where the services are."""
        feed = self.feed
        return Urls(
            clob=feed.clob_url.rstrip("/"),
            gamma=feed.gamma_url.rstrip("/"),
            data=feed.data_url.rstrip("/"),
            geoblock=feed.geoblock_url.rstrip("/"),
        )

    @property
    def markets(self) -> tuple[Market, ...]:
        """The markets that a run would watch."""
        return () if self.found is None else self.found.markets

    def has(self, need: Need) -> bool:
        """Whether an earlier check found what another one needs."""
        match need:
            case Need.CLOB | Need.GAMMA:
                return need not in self.down
            case Need.MARKET:
                return self.found is not None
            case Need.KEY:
                return self.signer is not None
            case Need.API_KEY:
                return self.rest.api_key is not None
            case Need.WALLET:
                return self.funder_fits

    def calls(self, signer: Signer | None = None, api_key: ApiKey | None = None) -> Rest:
        """Return calls that wait less long than those of a run: somebody is looking on."""
        settings = RestSettings(read_deadline=ANSWER_WITHIN, order_deadline=ANSWER_WITHIN, read_attempts=ATTEMPTS)
        return Rest(self.network.http, self.urls, signer, api_key, Budget(self.now), self.now, settings=settings)


async def tried(name: str, check: Check, subject: Subject) -> list[Finding]:
    """Make a check; what it breaks with is its finding."""
    try:
        return await check(subject)
    except CallFailed as failed:
        return [refused(name, str(failed), cure_of(failed, subject.clock_fits))]
    except ProtocolViolation as violation:
        cure = "the exchange says what this pmrun does not know: update it, and trade nothing until it is understood"
        return [refused(name, str(violation), cure)]
    except ExchangeError as error:
        return [refused(name, str(error), "try again later")]
    except ConfigError as error:
        return [misconfigured(name, str(error), "put it right in the environment, in .env or in the settings")]
    except DataError as error:
        return [misconfigured(name, str(error), "put it right, or choose another place: executor.account_folder")]


def cure_of(failed: CallFailed, clock_fits: bool = True) -> str:
    """Say what to do about a call that failed (reference 3.9, 3.10)."""
    if failed.status is None:
        return "look at this machine's network, name server and firewall, and at the feed's addresses"
    if failed.status == 401:
        return "the credentials, or the time they are signed with, are refused" + (
            "" if clock_fits else ": set the clock first"
        )
    if failed.status == 403:
        return "this place or this account is refused: see geoblock and closed only"
    if failed.status == 429:
        return "too many calls from here: wait a minute"
    if failed.status == 425 or failed.status >= 500:
        return "the exchange is restarting or in maintenance: try again in a few minutes"
    return "look the sentence up in the exchange's documentation"
