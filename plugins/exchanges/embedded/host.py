"""The embedded exchange as a whole: answers calls, keeps sockets, and brings its engine up to the time (V6).

Synchronous: whoever runs it calls `pump` when it asks for it. All money in it is simulated.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from msgspec.structs import replace

from pmrun.plugins.exchanges.embedded.accounts import NO_HOLDINGS, Accounts
from pmrun.plugins.exchanges.embedded.buckets import TIERS, Buckets
from pmrun.plugins.exchanges.embedded.channels import (
    MARKET_PATH,
    USER_PATH,
    Connection,
    MarketConnection,
    UserConnection,
)
from pmrun.plugins.exchanges.embedded.clob import Trading
from pmrun.plugins.exchanges.embedded.clob_listings import MarketListings
from pmrun.plugins.exchanges.embedded.clob_reads import MarketReads
from pmrun.plugins.exchanges.embedded.clob_rewards import Rewards
from pmrun.plugins.exchanges.embedded.data_api import DataApi
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.fault_acts import (
    Act,
    Disconnect,
    FailSettlement,
    Resolve,
    RetrySettlement,
    SetStatus,
    SetTick,
)
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.plugins.exchanges.embedded.gamma import Gamma
from pmrun.plugins.exchanges.embedded.identity import EOA, ApiKey, Identity, KeyCalls, checksum
from pmrun.plugins.exchanges.embedded.modes import Heartbeats, Mode, Modes
from pmrun.plugins.exchanges.embedded.notices import Notice
from pmrun.plugins.exchanges.embedded.open_sockets import OpenSockets
from pmrun.plugins.exchanges.embedded.own_reads import OwnReads
from pmrun.plugins.exchanges.embedded.permits import Permits
from pmrun.plugins.exchanges.embedded.ports import NO_QUERY, SOCKET_PATHS, Query
from pmrun.plugins.exchanges.embedded.replies import CallRefused, answer
from pmrun.plugins.exchanges.embedded.routes import Routes, Services
from pmrun.plugins.exchanges.embedded.settings import HostSettings, check
from pmrun.plugins.exchanges.embedded.terms import Event, Reply, Request
from pmrun.plugins.exchanges.embedded.wire_out import Reporter
from pmrun.plugins.exchanges.embedded.works import Flow
from pmrun.runner.errors import ProtocolViolation
from pmrun.runner.market import TokenId
from pmrun.runner.units import Cash, Micros, Size


class Host:
    """An exchange behind its protocol; `wake` is called when something is due earlier than `pump` said."""

    def __init__(
        self,
        engine: Engine,
        now: Callable[[], Micros],
        crowd: Flow | None = None,
        faults: Faults | None = None,
        settings: HostSettings = HostSettings(),
        seed: int = 0,
        news: Callable[[], list[Event]] | None = None,
    ) -> None:
        """Open for calls; ConfigError where the settings or a market's token ids cannot be.

        `news` reads the engine's events where another host reads them too.
        """
        check(engine, settings)
        self.engine = engine
        self.settings = settings
        self.wake: Callable[[], None] = lambda: None
        self.fired: Counter[str] = faults.fired if faults is not None else Counter()
        self.modes = Modes()
        self.socket_paths: tuple[str, ...] = SOCKET_PATHS
        self._news = news or engine.drain
        self._now = now
        self._crowd = crowd
        self._faults = faults
        self._time = now()
        self._sockets: OpenSockets[Connection] = OpenSockets(faults, settings.news_latency, self._leave)
        self._outbox: list[tuple[Micros, int, Connection, str]] = []
        self._queued = count()
        self._told: Micros | None = None
        self._identity = Identity(seed, settings.chain_id, settings.clock_tolerance)
        self.accounts = Accounts(engine, settings, self._moment)
        self._heartbeats = Heartbeats(settings.heartbeat_timeout, settings.heartbeat_sweep, seed)
        self._reporter = Reporter(engine, self._time, seed)
        self._routes = Routes(self._services())
        if faults is not None:
            faults.bind(engine)

    def _services(self) -> Services:
        engine, reporter, identity, settings = self.engine, self._reporter, self._identity, self.settings
        rewards = Rewards(engine, reporter, identity)
        reads = MarketReads(engine, reporter, settings.geoblocked, settings.country)
        buckets = Buckets(TIERS[settings.tier], settings.buckets)
        return Services(
            keys=KeyCalls(identity, self.accounts.welcome, settings.closed_only),
            trading=Trading(
                engine,
                identity,
                self.accounts.admit,
                buckets,
                self._heartbeats,
                self.modes,
                settings.chain_id,
                self._legs,
                Permits(settings.closed_only, settings.allowances),
            ),
            own=OwnReads(
                engine,
                reporter,
                identity,
                self.accounts.wallets,
                rewards.scores,
                settings.page_size,
                settings.allowances,
                self.accounts.promised,
            ),
            reads=reads,
            listings=MarketListings(engine, settings.listing_size, reads.mid),
            rewards=rewards,
            gamma=Gamma(engine, reporter),
            data=DataApi(engine, reporter),
        )

    # Accounts.

    def add_account(
        self,
        address: str,
        funds: Cash,
        signature_type: int = EOA,
        funder: str | None = None,
        holdings: Mapping[TokenId, Size] = NO_HOLDINGS,
    ) -> str:
        """Give a signer a wallet with simulated money and shares, and return the wallet's address."""
        return self.accounts.add(address, funds, signature_type, funder, holdings)

    def wallet(self, address: str, signature_type: int = EOA) -> str | None:
        """Return the wallet that a signer's money is in, None where the exchange knows none."""
        return self.accounts.wallets.of(checksum(address), signature_type)

    # Calls.

    def now(self) -> Micros:
        """Return the exchange's own time."""
        return self._now()

    def answer(self, request: Request) -> Reply:
        """Answer a call of any service; what is wrong with the call is said in the answer, never raised."""
        at = self._catch_up()
        reply = self._faults.before(request, at) if self._faults is not None else None
        if reply is None:
            reply = self._handle(request, at)
        self._publish()
        if self._faults is not None:
            reply = self._faults.after(request, reply, at)
        self._ring()
        return replace(reply, delay=Micros(reply.delay + self.settings.answer_latency))

    def _handle(self, request: Request, at: Micros) -> Reply:
        try:
            found = self._routes.find(request)(request, self._shown(at), at)
        except CallRefused as refused:
            return refused.reply()
        return found if isinstance(found, Reply) else answer(found)

    def _shown(self, at: Micros) -> Micros:
        return self._faults.clock(at) if self._faults is not None else at

    def _legs(self, number: int, at: Micros) -> Sequence[str | None]:
        return self._faults.legs(number, at) if self._faults is not None else [None] * number

    # Modes.

    def set_mode(self, mode: Mode, until: Micros | None = None) -> None:
        """Change what the exchange takes, for good or until a time (reference 3.9)."""
        self.modes.set(mode, until)

    def restart(self, duration: Micros) -> None:
        """Restart the engine: 425 for so long, then two minutes of post-only mode (reference 3.10)."""
        self.modes.restart(self._moment(), duration)

    def announce(self, market: int) -> None:
        """Tell everybody with the custom features that a market was listed."""
        self._tell([self._reporter.listed(market, self._catch_up())])
        self._ring()

    # Sockets.

    def connect(
        self, path: str, send: Callable[[str], None], close: Callable[[int, str], None], query: Query = NO_QUERY
    ) -> Connection:
        """Serve a socket, whatever the query; ProtocolViolation when there is none at this path."""
        kinds: dict[str, type[MarketConnection] | type[UserConnection]] = {
            MARKET_PATH: MarketConnection,
            USER_PATH: UserConnection,
        }
        if path not in kinds:
            raise ProtocolViolation(f"no socket at {path!r}; there are {', '.join(kinds)}")
        connection = kinds[path](self, send, close)
        self._sockets.add(connection)
        return connection

    def send(self, connection: Connection, text: str, fallible: bool = True) -> None:
        """Let a frame leave for one peer, after what has happened before it."""
        self._sockets.post(connection, text, self._catch_up(), fallible)
        self._ring()

    def hear(self, tokens: Sequence[TokenId]) -> None:
        """Make news of these tokens' markets from now on."""
        self._catch_up()
        for token in tokens:
            found = self.engine.where(token)
            if found is not None:
                self._reporter.hear(found[0])

    def books(self, tokens: Sequence[TokenId]) -> list[dict[str, Any]]:
        """Return the books of listed tokens, as events of the market channel."""
        self._catch_up()
        found = [place for token in dict.fromkeys(tokens) if (place := self.engine.where(token)) is not None]
        if not found:
            self.fired["empty_array"] += 1
        return [self._reporter.book_event(number, outcome) for number, outcome in found]

    def who(self, key: str, secret: str, passphrase: str) -> ApiKey | None:
        """Return the API key with these credentials."""
        return self._identity.credentials(key, secret, passphrase)

    def forget(self, connection: Connection) -> None:
        """Let a socket go."""
        self._sockets.forget(connection)

    def disconnect(self, channel: str | None = None, code: int = 1001, reason: str = "") -> None:
        """Close the sockets of a channel, one socket ("market#7"), or all."""
        self._sockets.disconnect(channel, code, reason)

    # Time.

    def pump(self) -> Micros | None:
        """Bring everything up to now and send the frames that are due; return when to come again."""
        at = self._catch_up()
        while self._outbox and self._outbox[0][0] <= at:
            _, _, connection, text = heapq.heappop(self._outbox)
            connection.deliver(text)
        self._told = self._next()
        return self._told

    def _moment(self) -> Micros:
        self._time = max(self._time, self._now())
        return self._time

    def _catch_up(self) -> Micros:
        """Let happen what is due by now, in order of time."""
        at = self._moment()
        while (due := self._next_event()) is not None and due <= at:
            self._step(due)
        self.engine.advance(at)
        self._publish()
        return at

    def _step(self, at: Micros) -> None:
        if self._faults is not None:
            for act in self._faults.advance(at):
                self._carry_out(act, at)
        if self._crowd is not None:
            self._crowd.advance(at)
        self.engine.advance(at)
        for api_key in self._heartbeats.silent(at) if self._heartbeats.next_due() == at else ():
            self.fired["heartbeat_missed"] += 1
            self.engine.cancel_where(api_key, at)
        self._publish()

    def _next_event(self) -> Micros | None:
        dues = [self.engine.next_due(), self._heartbeats.next_due()]
        if self._crowd is not None:
            dues.append(self._crowd.next_at())
        if self._faults is not None:
            dues.append(self._faults.next_due(self._time))
        return min((due for due in dues if due is not None), default=None)

    def _next(self) -> Micros | None:
        dues = [self._next_event(), self._outbox[0][0] if self._outbox else None]
        return min((due for due in dues if due is not None), default=None)

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
            case FailSettlement():
                self.engine.fail_next_settlement(act.count)
            case RetrySettlement():
                self.engine.retry_next_settlement(act.count)

    # News.

    def _publish(self) -> None:
        events = self._news()
        if events:
            self._tell(self._reporter.notices(events))

    def _tell(self, notices: Iterable[Notice]) -> None:
        for notice in notices:
            for connection in self._sockets:
                if connection.wants(notice):
                    self._sockets.post(connection, notice.text, notice.at, True)

    def _leave(self, due: Micros, connection: Connection, text: str) -> None:
        heapq.heappush(self._outbox, (due, next(self._queued), connection, text))

    def _ring(self) -> None:
        due = self._next()
        if due is not None and (self._told is None or due < self._told):
            self._told = due
            self.wake()
