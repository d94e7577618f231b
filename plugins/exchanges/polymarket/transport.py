"""One HTTP call: signed, sent within a deadline, judged, audited; reads are repeated (O9, R15)."""

import random
from collections.abc import Callable, Mapping
from enum import Enum, auto
from functools import partial

import httpx
import msgspec
import trio

from pmrun.plugins.exchanges.common.calls import Exchanged, Kind
from pmrun.plugins.exchanges.common.retries import Backoff, retried, sleep
from pmrun.plugins.exchanges.common.secret import Secret
from pmrun.plugins.exchanges.common.texts import as_text, one_line, without_secrets
from pmrun.plugins.exchanges.polymarket.audit import is_credential, without_credentials, without_signatures
from pmrun.plugins.exchanges.polymarket.budget import Budget
from pmrun.plugins.exchanges.polymarket.credentials import ApiKey
from pmrun.plugins.exchanges.polymarket.errors_table import Reaction, rule
from pmrun.plugins.exchanges.polymarket.outcomes import CallFailed
from pmrun.plugins.exchanges.polymarket.signing import Signer
from pmrun.plugins.exchanges.polymarket.wire_rest import ErrorAnswer, parse_error
from pmrun.runner.errors import ConfigError
from pmrun.runner.units import SECOND, Micros

# The connection was never made, or never asked for: nothing was sent.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)
_BROKEN = (httpx.HTTPError, httpx.StreamError, OSError, trio.BrokenResourceError, trio.ClosedResourceError)
_HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "pmrun"}
_LONGEST_WAIT = Micros(30 * SECOND)  # that a read lets itself be put off


class Access(Enum):
    """Who has to be proven (reference 2.1)."""

    PUBLIC = auto()
    KEY = auto()  # L1: the private key
    ACCOUNT = auto()  # L2: the API key


class Urls(msgspec.Struct, frozen=True, kw_only=True):
    """Where the services are, without a slash at the end (reference 1.6)."""

    clob: str = "https://clob.polymarket.com"
    gamma: str = "https://gamma-api.polymarket.com"
    data: str = "https://data-api.polymarket.com"
    geoblock: str = "https://polymarket.com"


class RestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Deadlines and repetitions (R15)."""

    order_deadline: Micros = Micros(5 * SECOND)
    read_deadline: Micros = Micros(30 * SECOND)
    cancel_wait: Micros = Micros(5 * SECOND)  # for a cancel's turn, before it is sent
    read_attempts: int = 3
    read_backoff: Backoff = Backoff()


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request before it is signed."""

    service: str
    path: str
    kind: Kind = Kind.READ
    method: str = "GET"
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    access: Access = Access.PUBLIC

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Answer(msgspec.Struct, frozen=True):
    """An answer, whatever it says; header names are lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<{self.status}, {len(self.body)} bytes>"  # the bytes may be a new API key

    @property
    def fine(self) -> bool:
        """Whether the call was carried out."""
        return 200 <= self.status < 300

    @property
    def refusal(self) -> ErrorAnswer:
        """Why it was not."""
        return parse_error(self.body)


class Unanswered(msgspec.Struct, frozen=True):
    """No answer came; `sent` is False when the request certainly never left."""

    why: str
    sent: bool


class Transport:
    """Carries calls; a call is tried once, a read as often as the settings say."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        signer: Signer | None,
        api_key: ApiKey | None,
        budget: Budget,
        now: Callable[[], Micros],
        audit: Callable[[Exchanged], None] | None = None,
        settings: RestSettings = RestSettings(),
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Use a client, which stays its owner's, and an exchange's clock; `audit` sees every call."""
        self._http = http
        self.signer = signer
        self.api_key = api_key
        self.budget = budget
        self.now = now
        self.settings = settings
        self._audit = audit
        self._chance = chance

    async def send(self, call: Call, deadline: Micros) -> Answer | Unanswered:
        """Send once; what is unknown afterwards is said, never raised. ConfigError without the credentials."""
        began = self.now()
        self._check_credentials(call)
        result: Answer | Unanswered = Unanswered("given up", sent=True)
        try:
            with trio.move_on_after(deadline / SECOND) as scope:
                result = await self._exchange(call, began)
            if scope.cancelled_caught:
                result = Unanswered(f"no answer within {deadline / SECOND:g} s", sent=True)
        finally:
            self._keep(call, began, result)
        if isinstance(result, Answer):
            refusal = None if result.fine else result.refusal
            self.budget.learn(call.kind, result.status, result.headers, refusal)
        return result

    async def read(self, call: Call, missing_is_fine: bool = False) -> Answer:
        """Send until it is answered, a few times; CallFailed says what went wrong the last time.

        A 404 is an answer where that is fine.
        """
        result = await retried(
            partial(self._read_once, call),
            self._again,
            attempts=self.settings.read_attempts,
            backoff=self.settings.read_backoff,
            chance=self._chance,
        )
        if isinstance(result, Answer) and (result.fine or (missing_is_fine and result.status == 404)):
            return result
        raise failure(call, result)

    async def _read_once(self, call: Call) -> Answer | Unanswered:
        await sleep(min(Micros(self.budget.blocked_until(Kind.READ) - self.now()), _LONGEST_WAIT))
        return await self.send(call, self.settings.read_deadline)

    def _again(self, result: Answer | Unanswered) -> Micros | None:
        """Return the least wait before a read may be repeated; None when that is no use."""
        if isinstance(result, Unanswered):
            return Micros(0)
        if result.status in (408, 425, 429) or result.status >= 500:
            return min(result.refusal.retry_after or Micros(0), _LONGEST_WAIT)
        return None

    async def _exchange(self, call: Call, at: Micros) -> Answer | Unanswered:
        try:
            response = await self._http.request(
                call.method,
                call.service + call.path,
                params=call.query or None,
                content=call.body or None,
                headers=_HEADERS,
                auth=partial(self._sign, call, at),
                timeout=None,  # the deadline is around all of it
            )
        except _UNSENT as error:
            return Unanswered(f"not sent: {_named(error)}", sent=False)
        except (
            httpx.HTTPError,
            httpx.StreamError,
            OSError,
            trio.BrokenResourceError,
            trio.ClosedResourceError,
        ) as error:
            return Unanswered(_named(error), sent=True)
        body = response.content if is_credential(call.path) else without_secrets(response.content, self._secrets())
        return Answer(response.status_code, body, {name.lower(): value for name, value in response.headers.items()})

    def _check_credentials(self, call: Call) -> None:
        if call.access is not Access.PUBLIC and self.signer is None:
            raise ConfigError(str(call), None, "needs the private key")
        if call.access is Access.ACCOUNT and self.api_key is None:
            raise ConfigError(str(call), None, "needs the API key")

    def _sign(self, call: Call, at: Micros, request: httpx.Request) -> httpx.Request:
        """Add what proves who we are, as late as this: no frame of ours that waits holds it in a variable."""
        if call.access is Access.KEY and self.signer is not None:
            request.headers.update(self.signer.l1_headers(0, at))
        elif call.access is Access.ACCOUNT and self.signer is not None and self.api_key is not None:
            request.headers.update(self.signer.l2_headers(self.api_key, call.method, call.path, call.body, at))
        return request

    def _keep(self, call: Call, began: Micros, result: Answer | Unanswered) -> None:
        if self._audit is None:
            return
        body = result.body if isinstance(result, Answer) else b""
        if body and is_credential(call.path):
            body = without_credentials(body)
        self._audit(
            Exchanged(
                at=began,
                took=Micros(self.now() - began),
                kind=call.kind,
                method=call.method,
                url=call.service + call.path,
                query=call.query,
                address=self.signer.address if self.signer and call.access is not Access.PUBLIC else None,
                request=as_text(without_signatures(call.body)),
                status=result.status if isinstance(result, Answer) else None,
                answer=as_text(body),
                why=result.why if isinstance(result, Unanswered) else "",
            )
        )

    def _secrets(self) -> list[Secret]:
        known = [self.signer.private_key] if self.signer else []
        return known + ([self.api_key.secret, self.api_key.passphrase] if self.api_key else [])


def failure(call: Call, result: Answer | Unanswered) -> CallFailed:
    """Say what went wrong with a call."""
    if isinstance(result, Unanswered):
        return CallFailed(str(call), result.why, Reaction.RETRY_LATER)
    reason = one_line(result.refusal.message) or "without a reason"
    return CallFailed(str(call), reason, rule(result.status, reason).reaction, result.status)


def _named(error: Exception) -> str:
    return one_line(f"{type(error).__name__} {error}")
