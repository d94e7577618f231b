"""Looks at everything that would keep an account from trading, and names cause and cure; it never places an order."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pmrun.plugins.exchanges.common import doctor_machine
from pmrun.plugins.exchanges.common.doctor_findings import Finding, not_tried
from pmrun.plugins.exchanges.common.network import Network
from pmrun.plugins.exchanges.polymarket import doctor_account, doctor_activity, doctor_public
from pmrun.plugins.exchanges.polymarket.doctor_subject import Check, Need, Subject, tried
from pmrun.plugins.executors.live import Live
from pmrun.plugins.feeds.live import Polymarket
from pmrun.runner.assembly import Plan
from pmrun.runner.errors import ConfigError
from pmrun.runner.hooks import Hooks
from pmrun.runner.units import Micros


class Step(NamedTuple):
    """One check, and what it cannot do without."""

    name: str
    check: Check
    needs: tuple[Need, ...] = ()


# In this order: a check goes by what those before it learned.
PUBLIC = (
    Step(".env", doctor_machine.env_file),
    Step("addresses", doctor_public.addresses),
    Step("version", doctor_public.version, (Need.CLOB,)),
    Step("clock", doctor_public.clock, (Need.CLOB,)),
    Step("geoblock", doctor_public.geoblock),
    Step("markets", doctor_public.markets, (Need.CLOB, Need.GAMMA)),
    Step("terms", doctor_public.terms, (Need.MARKET,)),
)
ACCOUNT = (
    Step("caps", doctor_machine.caps),
    Step("private key", doctor_account.private_key),
    Step("API key", doctor_account.api_key, (Need.KEY, Need.CLOB)),
    Step("closed only", doctor_account.closed_only, (Need.API_KEY,)),
    Step("signature type", doctor_account.signature_type, (Need.KEY,)),
    Step("funder", doctor_account.funder, (Need.API_KEY, Need.WALLET)),
    Step("balance", doctor_account.balance, (Need.API_KEY, Need.WALLET)),
    Step("allowance", doctor_account.allowance, (Need.API_KEY, Need.WALLET)),
    Step("wallet lock", doctor_machine.lock, (Need.WALLET,)),
    Step("account file", doctor_machine.account_file, (Need.WALLET,)),
    Step("limits", doctor_machine.limits, (Need.WALLET,)),
    Step("open orders", doctor_activity.orders, (Need.API_KEY,)),
    Step("trades", doctor_activity.trades, (Need.API_KEY,)),
    Step("heartbeat", doctor_activity.heartbeat, (Need.API_KEY,)),
)


def live_feed(made: Plan) -> Polymarket:
    """Return the feed of a run; ConfigError for one that is not live: there is nothing to look at."""
    if not isinstance(made.feed, Polymarket):
        kind = type(made.feed).__name__.lower()
        raise ConfigError("feed", kind, "is not live, nothing of it can be looked at: exchange=live or feed=polymarket")
    return made.feed


def limiting(made: Plan) -> tuple[str, ...]:
    """Return the nodes of the components that limit the account."""
    return tuple(Hooks(made.components).limits)


async def examine(
    made: Plan,
    network: Network,
    now: Callable[[], Micros],
    environment: Mapping[str, str],
    folder: Path,
    heartbeat: bool = False,
    say: Callable[[str], None] = lambda name: None,
) -> list[Finding]:
    """Make every check that the run's executor asks for, one after the other; `say` hears which.

    `folder` is where pmrun is run; with `heartbeat` one is sent, where nothing rests. Paper needs only what is public.
    Raises ConfigError for a feed that is not live.
    """
    live = made.executor if isinstance(made.executor, Live) else None
    subject = Subject(
        feed=live_feed(made),
        live=live,
        limits=limiting(made),
        network=network,
        now=now,
        environment=environment,
        folder=folder,
        heartbeat=heartbeat,
    )
    found: list[Finding] = []
    for step in PUBLIC if live is None else PUBLIC + ACCOUNT:
        say(step.name)
        lacking = [need for need in step.needs if not subject.has(need)]
        if lacking:
            found.append(not_tried(step.name, f"needs {' and '.join(lacking)}"))
        else:
            found += await tried(step.name, step.check, subject)
    return found
