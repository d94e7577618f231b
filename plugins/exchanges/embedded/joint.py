"""One exchange that speaks two protocols at once: one engine, one ledger, one crowd; everything is simulated."""

from collections import Counter
from collections.abc import Callable

from pmrun.plugins.exchanges.embedded.host import Host
from pmrun.plugins.exchanges.embedded.ports import NO_QUERY, Query, Socket
from pmrun.plugins.exchanges.embedded.satori.calls import BASE
from pmrun.plugins.exchanges.embedded.satori.host import Ground, SatoriHost
from pmrun.plugins.exchanges.embedded.satori.settings import SatoriSettings
from pmrun.plugins.exchanges.embedded.settings import HostSettings
from pmrun.plugins.exchanges.embedded.terms import Reply, Request
from pmrun.runner.units import Micros


class Joint:
    """Both hosts over one engine; what a call or a socket is for, its path says.

    The engine trades whole shares, and a halt of the circuit breaker stops a market for both.
    """

    def __init__(
        self,
        ground: Ground,
        now: Callable[[], Micros],
        settings: HostSettings = HostSettings(),
        satori: SatoriSettings = SatoriSettings(),
        seed: int = 0,
    ) -> None:
        """Open both for calls; ConfigError where one of them cannot be."""
        self._clock = now
        self._held: Micros | None = None
        self.satori = SatoriHost(ground, self.now, None, satori, seed)
        news = ground.news.reader()
        self.polymarket = Host(ground.engine, self.now, ground.works, None, settings, seed, news)
        self.socket_paths: tuple[str, ...] = (*self.polymarket.socket_paths, *self.satori.socket_paths)

    @property
    def fired(self) -> Counter[str]:
        """Return the quirks that happened, by name."""
        return self.polymarket.fired

    @property
    def wake(self) -> Callable[[], None]:
        """What is called when something is due earlier than `pump` said."""
        return self.polymarket.wake

    @wake.setter
    def wake(self, ring: Callable[[], None]) -> None:
        self.polymarket.wake = self.satori.wake = ring

    def now(self) -> Micros:
        """Return the exchange's own time, which stands still while it is pumped."""
        return self._clock() if self._held is None else self._held

    def answer(self, request: Request) -> Reply:
        """Answer one call of either protocol."""
        ours = request.path == BASE or request.path.startswith(f"{BASE}/")
        return self.satori.answer(request) if ours else self.polymarket.answer(request)

    def connect(
        self, path: str, send: Callable[[str], None], close: Callable[[int, str], None], query: Query = NO_QUERY
    ) -> Socket:
        """Serve a socket of either protocol."""
        if path in self.satori.socket_paths:
            return self.satori.connect(path, send, close, query)
        return self.polymarket.connect(path, send, close, query)

    def pump(self) -> Micros | None:
        """Bring both up to now; return when the first of them wants to be called."""
        self._held = self._clock()
        try:
            self.satori.pump()  # what it matches, the other tells
            dues = (self.polymarket.pump(), self.satori.pump())
        finally:
            self._held = None
        return min((due for due in dues if due is not None), default=None)
