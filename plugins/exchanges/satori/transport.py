"""One HTTP call: within a deadline, with a token that is renewed once, judged by its number, audited (V1, V3, O9)."""

from collections.abc import Callable, Mapping

import httpx
import msgspec
import trio

from pmrun.plugins.exchanges.common.calls import Exchanged, Kind
from pmrun.plugins.exchanges.common.texts import as_text, one_line, without_secrets
from pmrun.plugins.exchanges.satori.budget import ReadBudget
from pmrun.plugins.exchanges.satori.errors_table import Reaction, Ruling, rule
from pmrun.plugins.exchanges.satori.tokens import Tokens
from pmrun.plugins.exchanges.satori.wire import Envelope, parse_envelope
from pmrun.runner.errors import ExchangeError
from pmrun.runner.units import SECOND, Micros

# The connection was never made, or never asked for: nothing was sent.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)
_BROKEN = (httpx.HTTPError, httpx.StreamError, OSError, trio.BrokenResourceError, trio.ClosedResourceError)
_HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "pmrun"}
_WITHHELD = "<secret>"
READ_WITHIN = Micros(10 * SECOND)
ORDER_WITHIN = Micros(5 * SECOND)
ATTEMPTS = 3
FIRST_WAIT = 0.5  # seconds before a read is repeated; doubled each time
LONGEST_ASKED = 60.0  # seconds that the exchange may ask us to wait


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request before it is sent; `template` is what its limit is counted by."""

    path: str
    template: str
    kind: Kind = Kind.READ
    method: str = "GET"
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    ours: bool = False  # whether it needs a token
    secret: bool = False  # whether request and answer hold secrets

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Answer(msgspec.Struct, frozen=True):
    """An answer, whatever it says; `envelope` is None where there was none."""

    status: int
    envelope: Envelope | None
    wait: float | None = None  # seconds that it asks us to wait

    @property
    def fine(self) -> bool:
        """Whether the call was carried out."""
        return 200 <= self.status < 300 and self.envelope is not None and self.envelope.code == 0

    @property
    def data(self) -> bytes:
        """What was answered."""
        return b"null" if self.envelope is None else bytes(self.envelope.data)

    @property
    def ruling(self) -> Ruling:
        """What a refusal means."""
        return rule(self.status, None if self.envelope is None else self.envelope.code)

    @property
    def why(self) -> str:
        """The refusal for people: the number, and the exchange's sentence in whatever language."""
        if self.envelope is None:
            return f"status {self.status} without the exchange's envelope"
        said = one_line(self.envelope.msg or "")
        return f"code {self.envelope.code}" + (f" ({said})" if said else "")


class Unanswered(msgspec.Struct, frozen=True):
    """No answer came; `sent` is False when the request certainly never left."""

    why: str
    sent: bool


class CallFailed(ExchangeError):
    """A read was refused or not answered, after all its attempts."""

    def __init__(self, call: str, why: str, ruling: Ruling | None = None) -> None:
        """Name the call, what was said, and the cure where one is known."""
        self.reaction = Reaction.RETRY_LATER if ruling is None else ruling.reaction
        cure = "" if ruling is None or not ruling.cure else f": {ruling.cure}"
        super().__init__(f"{call}: {why}{cure}")


class Transport:
    """Carries calls; a call is tried once, but for a token that ran out; a read a few times."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        now: Callable[[], Micros],
        tokens: Tokens | None = None,
        audit: Callable[[Exchanged], None] | None = None,
    ) -> None:
        """Use a client, which stays its owner's; without tokens only public calls can be made."""
        self._http = http
        self._url = url.rstrip("/")
        self.now = now
        self.tokens = tokens
        self._audit = audit
        self.reads = ReadBudget(now)
        self.may_repeat: Callable[[Kind], bool] = lambda kind: True  # whether an order call may be made once more

    async def send(self, call: Call, deadline: Micros = ORDER_WITHIN) -> Answer | Unanswered:
        """Send, and once more with a new token where the old one ran out: that proves that nothing was done.

        Raises NoToken where there is none to be had; nothing that went out is ever said not to have.
        """
        token = await self.tokens.current() if call.ours and self.tokens is not None else None
        result = await self._once(call, deadline)
        if self.tokens is None or token is None or not isinstance(result, Answer) or not _token_refused(result):
            return result
        await self.tokens.renewed(token)
        if call.kind is not Kind.READ and not self.may_repeat(call.kind):
            return Unanswered("the token ran out, and no order call is free to ask again", sent=False)
        return await self._once(call, deadline)

    async def read(self, call: Call, missing_is_fine: bool = False) -> bytes | None:
        """Send until it is answered, a few times; CallFailed says what went wrong the last time.

        Returns None for what does not exist, where that is fine.
        """
        wait = FIRST_WAIT
        for left in reversed(range(ATTEMPTS)):
            while (due := self.reads.take(call.template)) > 0:
                await trio.sleep(due / SECOND)
            result = await self.send(call, READ_WITHIN)
            if isinstance(result, Answer) and result.fine:
                return result.data
            if isinstance(result, Answer) and missing_is_fine and result.ruling.reaction is Reaction.NOT_FOUND:
                return None
            if not left or (isinstance(result, Answer) and result.status < 500 and result.status != 429):
                break
            asked = result.wait if isinstance(result, Answer) else None
            await trio.sleep(max(wait, min(asked or 0.0, LONGEST_ASKED)))
            wait *= 2
        if isinstance(result, Unanswered):
            raise CallFailed(str(call), result.why)
        raise CallFailed(str(call), result.why, result.ruling)

    async def _once(self, call: Call, deadline: Micros) -> Answer | Unanswered:
        began = self.now()
        result: Answer | Unanswered = Unanswered("given up", sent=True)
        body = b""
        try:
            with trio.move_on_after(deadline / SECOND) as scope:
                result, body = await self._exchange(call)
            if scope.cancelled_caught:
                result = Unanswered(f"no answer within {deadline / SECOND:g} s", sent=True)
        finally:
            self._keep(call, began, result, body)
        return result

    async def _exchange(self, call: Call) -> tuple[Answer | Unanswered, bytes]:
        try:
            response = await self._http.request(
                call.method,
                self._url + call.path,
                params=call.query or None,
                content=call.body or None,
                headers=_HEADERS,
                auth=self._prove if call.ours else None,
                timeout=None,  # the deadline is around all of it
            )
        except _UNSENT as error:
            return Unanswered(f"not sent: {_named(error)}", sent=False), b""
        except _BROKEN as error:
            return Unanswered(_named(error), sent=True), b""
        body = response.content
        if not call.secret and self.tokens is not None:
            body = without_secrets(body, self.tokens.secrets())
        return Answer(response.status_code, parse_envelope(body), _asked(response.headers)), body

    def _prove(self, request: httpx.Request) -> httpx.Request:
        """Add the token as late as this: no frame of ours that waits holds it in a variable."""
        if self.tokens is not None:
            request.headers["Authorization"] = f"Bearer {self.tokens.latest().reveal()}"
        return request

    def _keep(self, call: Call, began: Micros, result: Answer | Unanswered, body: bytes) -> None:
        if self._audit is None:
            return
        self._audit(
            Exchanged(
                at=began,
                took=Micros(self.now() - began),
                kind=call.kind,
                method=call.method,
                url=self._url + call.path,
                query=call.query,
                address=None,
                request=_WITHHELD if call.secret else as_text(call.body),
                status=result.status if isinstance(result, Answer) else None,
                answer=_WITHHELD if call.secret else as_text(body),
                why=result.why if isinstance(result, Unanswered) else "",
            )
        )


def _token_refused(answer: Answer) -> bool:
    return not answer.fine and answer.ruling.reaction in (Reaction.RENEW, Reaction.LOG_IN)


def _asked(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


def _named(error: Exception) -> str:
    return one_line(f"{type(error).__name__} {error}")
