"""The embedded exchange as a host that speaks SatoriEx's protocol: answers calls, keeps sockets, pumps its engine (V6).

Synchronous: whoever runs it calls `pump` when it asks for it. All money in it is simulated.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from pmrun.plugins.exchanges.embedded.clockwork import Clockwork
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.fault_acts import (
    Act,
    CancelByAdmin,
    Disconnect,
    ExpireTokens,
    Resolve,
    SetStatus,
    SetTick,
)
from pmrun.plugins.exchanges.embedded.fault_terms import OF_POLYMARKET, Name
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.embedded.open_sockets import OpenSockets
from pmrun.plugins.exchanges.embedded.order import CANCELED_BY_ADMIN
from pmrun.plugins.exchanges.embedded.ports import NO_QUERY, Query
from pmrun.plugins.exchanges.embedded.satori.accounts import Accounts
from pmrun.plugins.exchanges.embedded.satori.breaker import Breaker
from pmrun.plugins.exchanges.embedded.satori.calls import BASE, Call, Route, Routes
from pmrun.plugins.exchanges.embedded.satori.channels import PATH, UNAUTHORISED, Connection
from pmrun.plugins.exchanges.embedded.satori.codes import Code, Refusal, error, message, success
from pmrun.plugins.exchanges.embedded.satori.identity import EVERYTHING, READ, TRADE, Identity, Session
from pmrun.plugins.exchanges.embedded.satori.limits import Limits
from pmrun.plugins.exchanges.embedded.satori.listings import Listings
from pmrun.plugins.exchanges.embedded.satori.matcher import Matcher
from pmrun.plugins.exchanges.embedded.satori.public_news import PublicNews
from pmrun.plugins.exchanges.embedded.satori.records import Records
from pmrun.plugins.exchanges.embedded.satori.settings import SatoriSettings
from pmrun.plugins.exchanges.embedded.satori.teller import Teller
from pmrun.plugins.exchanges.embedded.satori.trading import Trading
from pmrun.plugins.exchanges.embedded.satori.wallets import Wallets
from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.plugins.exchanges.embedded.works import Flow, News, Works
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import TokenId
from pmrun.runner.units import Cash, Micros, Size

_NO_HOLDINGS: Mapping[TokenId, Size] = {}


class Ground(NamedTuple):
    """What hosts of one exchange stand on together."""

    engine: Engine
    news: News
    works: Works

    @classmethod
    def of(cls, engine: Engine, crowd: Flow | None = None) -> "Ground":
        """Prepare an engine, and whoever trades there by themselves, for several hosts."""
        return cls(engine, News(engine), Works(*([] if crowd is None else [crowd])))


class SatoriAccount(NamedTuple):
    """What the owner of a simulated account needs to use it."""

    user_id: str
    email: str
    password: str
    token: str  # a personal access token that may do everything


class SatoriHost:
    """An exchange behind SatoriEx's protocol."""

    def __init__(
        self,
        ground: Ground,
        now: Callable[[], Micros],
        faults: Faults | None = None,
        settings: SatoriSettings = SatoriSettings(),
        seed: int = 0,
    ) -> None:
        """Open for calls; ConfigError for a fault that this protocol has no use for."""
        if faults is not None:
            faults.require(OF_POLYMARKET, "satori")
            faults.bind(ground.engine)
        self.engine = ground.engine
        self.settings = settings
        self.socket_paths: tuple[str, ...] = (PATH,)
        self.identity = Identity(settings, seed)
        self.records = Records()
        self._faults = faults
        self._users: list[str] = []
        self._sockets: OpenSockets[Connection] = OpenSockets(faults, settings.news_latency, self._leave)
        self._read = ground.news.reader()
        self._clock = Clockwork(ground.engine, now, ground.works, faults, self._carry_out, self._publish)
        self._limits = Limits(settings.limits)
        self._wallets = Wallets(self.engine)
        self._listings = Listings(self.engine, settings)
        rejects = faults.rejects if faults is not None else lambda at: False
        self.matcher = Matcher(self.engine, settings.queue_latency, seed, rejects)
        self.breaker = Breaker(self.engine, ground.news.reader(), settings)
        ground.works.add(self.matcher)
        ground.works.add(self.breaker)
        self._teller = Teller(
            self.engine,
            self.records,
            self._wallets,
            settings.telling_latency,
            faults.late if faults is not None else lambda at: 0,
            self._clock.later,
            self._tell,
            seed,
        )
        self._public = PublicNews(self.engine, self._listings, self.breaker)
        self._routes = self._table(seed)
        self.fired: Counter[str] = faults.fired if faults is not None else Counter()

    def _table(self, seed: int) -> Routes:
        accounts = Accounts(self.identity, self._wallets, self._limits, self.settings)
        trading = Trading(self.engine, self.records, self._listings, self.matcher, self._teller, self.settings, seed)
        return Routes(
            Route("POST", "/auth/login", accounts.login),
            Route("POST", "/auth/refresh", accounts.refresh),
            Route("GET", "/me", accounts.me, READ),
            Route("GET", "/me/personal-access-tokens", accounts.personal_tokens, READ),
            Route("GET", "/me/positions", accounts.positions, READ),
            Route("GET", "/wallet/balance", accounts.balance, READ),
            Route("GET", "/markets", self._listings.markets),
            Route("GET", "/markets/:id", self._listings.market),
            Route("GET", "/markets/:id/trades", self._listings.trades),
            Route("GET", "/orderbook/:market_id/:outcome_id", self._listings.orderbook),
            Route("POST", "/orders", trading.place, TRADE),
            Route("GET", "/orders", trading.orders, READ),
            Route("GET", "/orders/:id", trading.order, READ),
            Route("GET", "/orders/:id/trades", trading.fills, READ),
            Route("POST", "/orders/:id/cancel", trading.cancel, TRADE),
        )

    # Accounts.

    def add_account(
        self,
        email: str,
        password: str,
        funds: Cash | None = None,
        holdings: Mapping[TokenId, Size] = _NO_HOLDINGS,
        *,
        kyc_tier: int = 1,
        two_factor: bool = True,
        totp: str | None = None,
    ) -> SatoriAccount:
        """Open an account with simulated money and shares, and a personal access token that may do everything."""
        at = self._clock.moment()
        user = self.identity.add(email, password, kyc_tier=kyc_tier, two_factor=two_factor, totp=totp)
        self._users.append(user.user_id)
        self.engine.deposit(user.user_id, self.settings.funds if funds is None else funds, at)
        for token, size in holdings.items():
            self.engine.grant(user.user_id, token, size, at)
        self._teller.remember(user.user_id)
        secret = self.identity.personal(user, "simulated", EVERYTHING, at)
        return SatoriAccount(user.user_id, email, password, secret)

    def expire_tokens(self) -> None:
        """Let every token of a sign-in be too old; their sockets are closed, personal access tokens stay."""
        self.identity.expire_all(self._clock.catch_up())
        self._shut_if(lambda connection: not connection.personal)

    def admin_cancel(self, order_id: str) -> bool:
        """Cancel an order as the exchange's own people would; False when it is over."""
        found = self.engine.end(order_id, CANCELED_BY_ADMIN, self._clock.catch_up())
        self._publish()
        self._clock.ring()
        return found

    # Calls.

    @property
    def wake(self) -> Callable[[], None]:
        """What is called when something is due earlier than `pump` said."""
        return self._clock.wake

    @wake.setter
    def wake(self, ring: Callable[[], None]) -> None:
        self._clock.wake = ring

    def now(self) -> Micros:
        """Return the exchange's own time."""
        return self._clock.now()

    def pump(self) -> Micros | None:
        """Bring everything up to now and send the frames that are due; return when to come again."""
        return self._clock.pump()

    def answer(self, request: Request) -> Reply:
        """Answer a call; what is wrong with it is said in the answer, never raised."""
        at = self._clock.catch_up()
        reply = self._faults.before(request, at) if self._faults is not None else None
        if reply is None:
            reply = self._handle(request, at)
        self._publish()
        if self._faults is not None:
            reply = _in_envelope(self._faults.after(request, reply, at), request)
        self._clock.ring()
        return replace(reply, delay=Micros(reply.delay + self.settings.answer_latency))

    def _handle(self, request: Request, at: Micros) -> Reply:
        try:
            route, parts = self._routes.find(request)
            session = self._session(request, at)
            self._spend(route, session, at)
            call = Call(request=request, parts=parts, at=at, session=session)
            if route.scope is not None:
                call.caller.require(route.scope)
            found = route.answer(call)
        except Refusal as refused:
            return refused.reply(request.headers)
        return found if isinstance(found, Reply) else success(found)

    def _session(self, request: Request, at: Micros) -> Session | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if request.path.startswith(f"{BASE}/auth/") or not scheme:
            return None
        if scheme.lower() != "bearer":
            raise Refusal(Code.TOKEN_INVALID)
        return self.identity.who(token.strip(), at)

    def _spend(self, route: Route, session: Session | None, at: Micros) -> None:
        allowed = {f"{route.method} {route.template}": self.settings.calls_a_minute}
        if route.orders:
            allowed["orders"] = self.settings.order_calls_a_minute
        self._limits.spend("nobody" if session is None else session.user.user_id, allowed, at)

    # Sockets.

    def connect(
        self, path: str, send: Callable[[str], None], close: Callable[[int, str], None], query: Query = NO_QUERY
    ) -> Connection:
        """Serve a socket; one whose token is unknown or too old is closed with 4401."""
        if path != PATH:
            raise ProtocolViolation(f"no socket at {path!r}; there is {PATH}")
        at = self._clock.catch_up()
        try:
            session: Session | None = self.identity.who((query.get("token") or [""])[0], at)
        except Refusal:
            session = None
        connection = Connection(self, session, send, close)
        name = self._sockets.add(connection)
        if session is None:
            connection.shut(UNAUTHORISED, "unauthorised")
            return connection
        if self._faults is not None:
            self._faults.opened(name, at)
        if session.expires_at is not None:
            self._clock.later(session.expires_at, lambda: connection.shut(UNAUTHORISED, "the token has expired"))
        self.send(connection, {"type": "hello", "server_time": at // 1_000}, fallible=False)
        return connection

    def send(self, connection: Connection, frame: dict[str, Any], fallible: bool = True) -> None:
        """Let a frame leave for one peer, after what has happened before it."""
        self._post(connection, frame, self._clock.catch_up(), fallible)
        self._clock.ring()

    def listed(self, market_id: str) -> bool:
        """Whether there is such a market."""
        return self._listings.listed(market_id)

    def show_books(self, connection: Connection, market_id: str) -> None:
        """Send the books of a market."""
        at = self._clock.catch_up()
        for frame in self._public.books(self._listings.number(market_id), at):
            self._post(connection, frame, at, True)
        self._clock.ring()

    def sentence(self, code: Code) -> str:
        """Return the words for a code: sockets speak English."""
        return message(code, {})

    def forget(self, connection: Connection) -> None:
        """Let a socket go."""
        self._sockets.forget(connection)

    def disconnect(self, channel: str | None = None, code: int = 1001, reason: str = "") -> None:
        """Close all sockets, or one by its name ("user#7")."""
        self._sockets.disconnect(channel, code, reason)

    def _shut_if(self, chosen: Callable[[Connection], bool]) -> None:
        for connection in self._sockets:
            if chosen(connection):
                connection.shut(UNAUTHORISED, "the token has expired")

    # News.

    def _publish(self) -> None:
        events = self._read()
        if not events and not self._public.changed():
            return
        self._teller.take(events, self._users)
        heard = {market for each in self._sockets for market in each.markets}
        seen = {market for each in self._sockets for market in each.books}
        for market_id, kind, frame, at in self._public.take(events, heard, seen, self._clock.moment()):
            for connection in self._sockets:
                if market_id in (connection.books if kind == "books" else connection.markets):
                    self._post(connection, frame, at, True)

    def _tell(self, user_id: str, frame: dict[str, Any], at: Micros) -> None:
        for connection in self._sockets:
            if connection.user_id == user_id:
                self._post(connection, frame, at, True)

    def _post(self, connection: Connection, frame: dict[str, Any], at: Micros, fallible: bool) -> None:
        """Queue a frame."""
        self._sockets.post(connection, msgspec.json.encode(frame).decode(), at, fallible)

    def _leave(self, due: Micros, connection: Connection, text: str) -> None:
        self._clock.later(due, lambda: connection.deliver(text))

    def _carry_out(self, act: Act, at: Micros) -> None:
        match act:
            case Disconnect():
                self.disconnect(act.channel, act.code, act.reason)
            case SetTick():
                self.engine.set_tick(act.market, act.tick, at)
            case SetStatus():
                self.engine.set_status(act.market, act.status, at)
            case Resolve():
                self.engine.resolve(act.market, act.settled_yes, at)
            case ExpireTokens():
                self.identity.expire_all(at)
                self._shut_if(lambda connection: not connection.personal)
            case CancelByAdmin():
                self._cancel_oldest(act.count, at)
            case _:
                pass  # refused at the start

    def _cancel_oldest(self, number: int, at: Micros) -> None:
        for user_id in self._users:
            for view in self.engine.open_orders(user_id)[:number]:
                number -= self.engine.end(view.order_id, CANCELED_BY_ADMIN, at)
                if self._faults is not None:
                    self._faults.fired[Name.ADMIN_CANCEL] += 1


def _in_envelope(reply: Reply, request: Request) -> Reply:
    """Return what a fault answers as this exchange would write it; a gateway's page stays as it is."""
    if reply.status < 400 or b'"code"' in reply.body or not reply.headers.get("content-type", "").endswith("json"):
        return reply
    code = Code.TOO_MANY if reply.status == 429 else Code.INTERNAL
    found = error(code, request.headers, status=reply.status)
    return replace(reply, body=found.body)
