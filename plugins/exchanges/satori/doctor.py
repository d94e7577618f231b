"""Looks at everything that would keep an account from trading here, and names cause and cure; it places no order."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from pmrun.plugins.exchanges.common import doctor_machine
from pmrun.plugins.exchanges.common.account_folder import account_folder
from pmrun.plugins.exchanges.common.addresses import LOOPBACK
from pmrun.plugins.exchanges.common.doctor_findings import Finding, misconfigured, not_tried, ok, refused, warning
from pmrun.plugins.exchanges.common.network import Network
from pmrun.plugins.exchanges.satori.account import TRADE, account_name
from pmrun.plugins.exchanges.satori.catalogue import find_markets
from pmrun.plugins.exchanges.satori.credentials import PERSONAL, read_credentials, required
from pmrun.plugins.exchanges.satori.errors_table import BY_CODE, Reaction
from pmrun.plugins.exchanges.satori.feed_terms import FeedTerms
from pmrun.plugins.exchanges.satori.rest import CallFailed, Rest
from pmrun.plugins.exchanges.satori.wire import Me
from pmrun.plugins.executors.satori import SatoriLive
from pmrun.runner.assembly import Plan
from pmrun.runner.errors import ConfigError, DataError, ExchangeError, ProtocolViolation
from pmrun.runner.hooks import Hooks
from pmrun.runner.units import Micros, format_cash

STAGING = "staging.satoriex.io"
ACTIVE = "active"
SELF = ": pmrun doctor exchange=satori"  # where a run's message sends its reader, who is here already


@dataclass(slots=True)
class Subject:
    """The exchange and the account as configured, and what earlier checks learned of them."""

    feed: FeedTerms
    live: SatoriLive | None  # None: paper, where only what is public matters
    limits: tuple[str, ...]
    now: Callable[[], Micros]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    network: Network = field(repr=False)
    rest: Rest | None = field(default=None, repr=False)
    me: Me | None = None
    held_by: str | None = None

    def machine(self) -> Any:
        """Return the same as the checks of this machine take it; they write down who holds the lock."""
        name = "" if self.me is None else account_name(self.me)
        return SimpleNamespace(
            feed=SimpleNamespace(clob_url=self.feed.url),
            exchange="satori",
            live=self.live,
            limits=self.limits,
            now=self.now,
            folder=self.folder,
            signer=SimpleNamespace(maker=name),
            clock_fits=True,
            held_by=self.held_by,
        )


Check = Callable[[Subject], Awaitable[list[Finding]]]


class Step(NamedTuple):
    """One check, and what it cannot do without."""

    name: str
    check: Check
    needs: str = ""  # "exchange" or "account"


async def env_file(subject: Subject) -> list[Finding]:
    """See that nobody else can read the file that holds the secrets."""
    return await doctor_machine.env_file(subject.machine())


async def addresses(subject: Subject) -> list[Finding]:
    """Say which exchange this is: only staging's address is public."""
    host = urlsplit(subject.feed.url).hostname or ""
    if host == STAGING or (subject.feed.simulated and host not in LOOPBACK):
        cure = "for production set feed.url and feed.socket_url: its addresses are not public"
        return [warning("addresses", f"{host} is the exchange's staging: no real money is traded there", cure)]
    if subject.feed.simulated:
        return [ok("addresses", f"{host}: a simulated exchange")]
    return [warning("addresses", f"{host} is what you say it is: pmrun cannot know", "see that it is the exchange's")]


async def credentials(subject: Subject) -> list[Finding]:
    """Read what proves who we are, and show none of it."""
    found = read_credentials(subject.environment)
    if found is None:
        cure = "set SATORI_TOKEN, or SATORI_EMAIL and SATORI_PASSWORD: the stream wants a token, even for paper"
        return [misconfigured("credentials", "none are set", cure)]
    subject.rest = Rest(subject.network.http, subject.feed.url, subject.now, found, simulated=subject.feed.simulated)
    if found.token is None:
        return [ok("credentials", "a login" + (" with one-time codes" if found.totp is not None else ""))]
    kind = "a personal access token" if found.token.reveal().startswith(PERSONAL) else "a session's token"
    if found.can_log_in:
        return [ok("credentials", f"{kind}, and a login for when it runs out")]
    if kind.startswith("a session"):
        return [warning("credentials", kind, "it runs out soon: a personal access token or a login lasts longer")]
    return [ok("credentials", kind)]


async def markets(subject: Subject) -> list[Finding]:
    """Find the markets that a run would watch."""
    rest = Rest(subject.network.http, subject.feed.url, subject.now, simulated=subject.feed.simulated)
    found = await find_markets(rest, subject.feed.choice())
    first = found[0].market
    fee, rebate = first.fees.seller_fee_ppm / 10_000, first.fees.paid_rebate_ppm / 10_000
    seen = f"{len(found)} found; {first.slug}: sellers pay {fee:g} % of the proceeds, makers get {rebate:g} % back"
    return [ok("markets", seen)]


async def account(subject: Subject) -> list[Finding]:
    """Ask who we are, and what keeps the account from trading."""
    assert subject.rest is not None, "needs credentials"
    me = subject.me = await subject.rest.me()
    found: list[Finding] = []
    if me.two_factor_enabled is False:
        found.append(refused("account", "two-factor authentication is off", BY_CODE[2025].cure))
    if me.kyc_tier is not None and me.kyc_tier < 1:
        cure = "verify your identity at the exchange: tier 1 may trade"
        found.append(refused("account", f"identity tier {me.kyc_tier}", cure))
    if me.scopes is not None:
        missing = [scope for scope in ("read", TRADE) if scope not in me.scopes]
        if missing:
            found.append(refused("account", f"the token lacks the scopes {', '.join(missing)}", BY_CODE[2030].cure))
    return found or [ok("account", f"{account_name(me)}: may trade")]


async def tokens(subject: Subject) -> list[Finding]:
    """List the personal access tokens, without any."""
    assert subject.rest is not None, "needs credentials"
    listed = await subject.rest.personal_tokens()
    said = ", ".join(f"{each.name or 'unnamed'} ({' '.join(each.scopes) or 'no scopes'})" for each in listed)
    return [ok("tokens", said or "no personal access token")]


async def balance(subject: Subject) -> list[Finding]:
    """Ask what there is to trade with."""
    assert subject.rest is not None, "needs credentials"
    wallet = await subject.rest.wallet()
    seen = f"${format_cash(wallet.total)} USDC, ${format_cash(wallet.locked)} of it locked by orders"
    if not wallet.total:
        return [refused("balance", seen, "deposit USDC at the exchange")]
    return [ok("balance", seen)]


async def orders(subject: Subject) -> list[Finding]:
    """Count what rests."""
    assert subject.rest is not None, "needs credentials"
    resting = await subject.rest.orders(ACTIVE)
    if not resting:
        return [ok("open orders", "none rests")]
    cure = "a start adopts pmrun's own and leaves others alone; pmrun stop exchange=satori cancels pmrun's bids"
    return [warning("open orders", f"{len(resting)} rest", cure)]


def _of_machine(check: Callable[[Any], Awaitable[list[Finding]]]) -> Check:
    async def checked(subject: Subject) -> list[Finding]:
        machine = subject.machine()
        found = await check(machine)
        subject.held_by = machine.held_by
        return found

    return checked


PUBLIC = (
    Step(".env", env_file),
    Step("addresses", addresses),
    Step("credentials", credentials),
    Step("markets", markets),
)
ACCOUNT = (
    Step("caps", _of_machine(doctor_machine.caps)),
    Step("account", account, "credentials"),
    Step("tokens", tokens, "account"),
    Step("balance", balance, "account"),
    Step("wallet lock", _of_machine(doctor_machine.lock), "account"),
    Step("account file", _of_machine(doctor_machine.account_file), "account"),
    Step("limits", _of_machine(doctor_machine.limits), "account"),
    Step("open orders", orders, "account"),
)


async def examine(
    made: Plan,
    network: Network,
    now: Callable[[], Micros],
    environment: Mapping[str, str],
    folder: Path,
    heartbeat: bool = False,
    say: Callable[[str], None] = lambda name: None,
) -> list[Finding]:
    """Make every check that the run's executor asks for, one after the other; `say` hears which."""
    live = made.executor if isinstance(made.executor, SatoriLive) else None
    limits = tuple(Hooks(made.components).limits)
    subject = Subject(cast(FeedTerms, made.feed), live, limits, now, environment, folder, network)
    found: list[Finding] = []
    for step in PUBLIC if live is None else PUBLIC + ACCOUNT:
        say(step.name)
        lacking = (step.needs == "credentials" and subject.rest is None) or (
            step.needs == "account" and subject.me is None
        )
        found += [not_tried(step.name, f"needs {step.needs}")] if lacking else await _tried(step, subject)
    if heartbeat:
        found.append(not_tried("heartbeat", "this exchange knows none"))
    return found


async def account_of(
    made: Plan, network: Network, now: Callable[[], Micros], environment: Mapping[str, str]
) -> tuple[str, Path]:
    """Ask who the account is; return what its file is named by, and the folder.

    Raises ConfigError without credentials, ExchangeError where the exchange does not say.
    """
    feed, live = cast(FeedTerms, made.feed), cast(SatoriLive, made.executor)
    rest = Rest(network.http, feed.url, now, required(environment), simulated=feed.simulated)
    return account_name(await rest.me()), account_folder(live.folder, feed.url)


def order_calls_said(live: SatoriLive) -> str:
    """Say how the order calls of a minute are shared (P9, V5)."""
    moving = live.order_calls - live.max_resting
    return (
        f"{live.order_calls} a minute, places and cancels together: cancels first, then exits, then quotes; "
        f"at most {live.max_resting} orders rest, each of which can be cancelled at once, and {moving} calls are left "
        "to move them then"
    )


async def _tried(step: Step, subject: Subject) -> list[Finding]:
    """Make a check; what it breaks with is its finding."""
    try:
        return await step.check(subject)
    except CallFailed as failed:
        cure = "try again later" if failed.reaction in (Reaction.RETRY_LATER, Reaction.LOOK_UP) else "see what it says"
        return [refused(step.name, str(failed).removesuffix(SELF), cure)]
    except ProtocolViolation as violation:
        cure = "the exchange says what this pmrun does not know: trade nothing until it is understood"
        return [refused(step.name, str(violation), cure)]
    except ExchangeError as error:
        return [refused(step.name, str(error), "see that the credentials are right, or try again later")]
    except (ConfigError, DataError) as error:
        return [misconfigured(step.name, str(error), "put it right in the environment, in .env or in the settings")]
