"""Markets that are not to be quoted because something about them is in doubt, and their way back."""

from collections.abc import Callable, Iterable, Sequence

from loguru import logger

from pmrun.runner.facts import Fact, MarketStatus, StatusChanged
from pmrun.runner.market import MarketNo
from pmrun.runner.units import SECOND, Micros

log = logger.bind(module="orders")
SHORTEST = Micros(60 * SECOND)  # after a refusal that nobody understands; doubled each time
LONGEST = Micros(3_600 * SECOND)
CALM = 4  # pauses without another refusal, after which the next one counts as the first
REFUSED = "the exchange refuses orders there"
UNSHOWN = "a fill is missing"


class _Doubt:
    """Why a market is in quarantine, and for how long."""

    __slots__ = ("pause", "until", "why")

    def __init__(self) -> None:
        self.why: set[str] = set()
        self.until = Micros(0)
        self.pause = Micros(0)


class Quarantine:
    """Tells the desk that a market is halted while it is in doubt, and what the exchange says of it otherwise."""

    def __init__(self, tell: Callable[[Sequence[Fact]], None], now: Callable[[], Micros]) -> None:
        """Doubt nothing."""
        self._tell = tell
        self._now = now
        self._doubts: dict[MarketNo, _Doubt] = {}
        self._stated: dict[MarketNo, MarketStatus] = {}  # what the exchange said last
        self.times = 0

    def stated(self, fact: StatusChanged) -> None:
        """Pass on what the exchange says of a market, unless it would bring one in doubt back."""
        self._stated[fact.market] = fact.status
        if fact.status is not MarketStatus.TRADING or not self._doubted(fact.market):
            self._tell([fact])

    def refused(self, market: MarketNo) -> None:
        """Stop quoting a market for a while, longer each time in a row."""
        now = self._now()
        doubt = self._doubts.setdefault(market, _Doubt())
        if REFUSED in doubt.why:
            return
        calm = now > doubt.until + CALM * doubt.pause
        doubt.pause = SHORTEST if calm else min(Micros(2 * doubt.pause), LONGEST)
        doubt.until = Micros(now + doubt.pause)
        self._add(market, REFUSED)

    def unshown(self, markets: Iterable[MarketNo]) -> None:
        """Stop quoting the markets where a fill is missing, and go on in those where it came."""
        missing = set(markets)
        for market in missing:
            self._add(market, UNSHOWN)
        for market in [each for each, doubt in self._doubts.items() if UNSHOWN in doubt.why]:
            if market not in missing:
                self._lift(market, UNSHOWN)

    def turned(self, at: Micros) -> None:
        """Bring back the markets whose time is over."""
        for market, doubt in self._doubts.items():
            if REFUSED in doubt.why and doubt.until <= at:
                self._lift(market, REFUSED)

    def _doubted(self, market: MarketNo) -> bool:
        doubt = self._doubts.get(market)
        return doubt is not None and bool(doubt.why)

    def _add(self, market: MarketNo, why: str) -> None:
        doubt = self._doubts.setdefault(market, _Doubt())
        if why in doubt.why:
            return
        log.error("market {} is not quoted: {}", market, why)
        self.times += 1
        first = not doubt.why
        doubt.why.add(why)
        if first and self._trades(market):
            self._tell([StatusChanged(self._now(), market, MarketStatus.HALTED)])

    def _lift(self, market: MarketNo, why: str) -> None:
        doubt = self._doubts[market]
        doubt.why.discard(why)
        if not doubt.why and self._trades(market):
            log.info("market {} is quoted again", market)
            self._tell([StatusChanged(self._now(), market, MarketStatus.TRADING)])

    def _trades(self, market: MarketNo) -> bool:
        return self._stated.get(market, MarketStatus.TRADING) is MarketStatus.TRADING
