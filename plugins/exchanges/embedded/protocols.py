"""Which protocols the embedded exchange speaks, and what its host is for each choice; everything in it is simulated."""

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from random import Random
from typing import Any, NamedTuple, Protocol

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.fault_terms import OF_SATORI
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.embedded.host import Host
from pmrun.plugins.exchanges.embedded.joint import Joint
from pmrun.plugins.exchanges.embedded.ports import Exchange
from pmrun.plugins.exchanges.embedded.satori.host import Ground, SatoriAccount, SatoriHost
from pmrun.plugins.exchanges.embedded.satori.settings import SHARE, SatoriSettings
from pmrun.plugins.exchanges.embedded.settings import HostSettings
from pmrun.plugins.exchanges.embedded.works import Flow
from pmrun.runner.errors import ConfigError
from pmrun.runner.units import Cash, Micros, Size

ACCOUNTS = ("maker", "taker")  # what simulated accounts of SatoriEx are called


class Speaks(StrEnum):
    """What the exchange can speak."""

    POLYMARKET = "polymarket"
    SATORI = "satori"
    BOTH = "both"


class Served(Exchange, Protocol):
    """A host that counts what it did on purpose."""

    @property
    def fired(self) -> Counter[str]:
        """Return faults and quirks that happened, by name."""


class Opened(NamedTuple):
    """A host, and the simulated accounts that were opened with it."""

    host: Served
    accounts: tuple[SatoriAccount, ...] = ()

    def credentials(self) -> list[dict[str, Any]]:
        """Return what a script needs to use the accounts."""
        return [
            {
                "simulated": True,
                "user_id": account.user_id,
                "email": account.email,
                "password": account.password,
                "personal_access_token": account.token,
            }
            for account in self.accounts
        ]


def lot_of(speaks: Speaks) -> Size:
    """Return what every size is a multiple of: SatoriEx knows whole shares only."""
    return Size(1) if speaks is Speaks.POLYMARKET else SHARE


def addresses(speaks: Speaks, urls: dict[str, str]) -> dict[str, str]:
    """Return those of a server's addresses that belong to what it speaks."""
    of_satori = {name: url for name, url in urls.items() if name.startswith("satori")}
    if speaks is Speaks.SATORI:
        return of_satori
    return urls if speaks is Speaks.BOTH else {name: url for name, url in urls.items() if name not in of_satori}


def open_host(
    speaks: Speaks,
    engine: Engine,
    crowd: Flow,
    now: Callable[[], Micros],
    faults: Faults | None,
    funds: Cash,
    seed: int,
) -> Opened:
    """Return the host of an exchange; ConfigError for faults that do not fit what it speaks."""
    settings, satori = HostSettings(open_to_all=True, funds=funds), SatoriSettings(funds=funds)
    if speaks is Speaks.POLYMARKET:
        if faults is not None:
            faults.require(OF_SATORI, Speaks.POLYMARKET)
        return Opened(Host(engine, now, crowd, faults, settings, seed))
    ground = Ground.of(engine, crowd)
    if speaks is Speaks.SATORI:
        host = SatoriHost(ground, now, faults, satori, seed)
        return Opened(host, _accounts(host, seed))
    if faults is not None:
        raise ConfigError("exchange --faults", None, "faults need one protocol: --protocol polymarket or satori")
    joint = Joint(ground, now, settings, satori, seed)
    return Opened(joint, _accounts(joint.satori, seed))


def _accounts(host: SatoriHost, seed: int) -> tuple[SatoriAccount, ...]:
    random = Random(f"simulated accounts {seed}")
    return tuple(
        host.add_account(f"{name}@simulated.invalid", f"simulated-{random.getrandbits(64):016x}") for name in ACCOUNTS
    )
