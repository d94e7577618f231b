"""Moves a feed to other times, as fast as we like, and over and over; everything in it is simulated or recorded."""

from msgspec.structs import replace

from pmrun.plugins.exchanges.embedded.crowd import Crowd
from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.executors.kernel import Ints, Rows
from pmrun.runner.facts import Fact, MarketStatus, StatusChanged, TickChanged
from pmrun.runner.market import Market
from pmrun.runner.ports import FeedData
from pmrun.runner.units import SECOND, Micros

ENDED = (MarketStatus.CLOSED, MarketStatus.RESOLVED)
PAUSE = Micros(1 * SECOND)  # between the last row of a round and the first of the next


def moved(data: FeedData, start: Micros, speed: float = 1.0) -> FeedData:
    """Return the feed with its first row at `start` and `speed` of its seconds in one; the ends of markets move along.

    An end after the feed's stays as far behind it as it was, whatever the speed.
    """
    begin, end = data.info.first_at, data.info.last_at
    rows: Rows = data.rows
    return replace(
        data,
        markets=tuple(_ending(market, begin, end, start, speed) for market in data.markets),
        rows=rows._replace(at=_column(rows.at, begin, start, speed), ts=_column(rows.ts, begin, start, speed)),
        notes=tuple(replace(note, at=_moment(note.at, begin, start, speed)) for note in data.notes),
        info=replace(data.info, first_at=start, last_at=_moment(end, begin, start, speed)),
    )


def _moment(at: Micros, begin: Micros, start: Micros, speed: float) -> Micros:
    return Micros(start + round((at - begin) / speed))


def _column(times: Ints, begin: Micros, start: Micros, speed: float) -> Ints:
    since = times - begin
    column: Ints = start + (since if speed == 1 else (since / speed).round().astype(times.dtype))
    return column


def _ending(market: Market, begin: Micros, end: Micros, start: Micros, speed: float) -> Market:
    if market.ends_at is None:
        return market
    after = max(market.ends_at - end, 0)
    within = _moment(min(market.ends_at, end), begin, start, speed)
    return replace(market, ends_at=Micros(within + after))


def endless(data: FeedData) -> FeedData:
    """Return the feed as one that can begin again: no market ends in it, and each starts on its listed tick."""
    end = data.info.last_at
    stays = [note for note in data.notes if not (isinstance(note, StatusChanged) and note.status in ENDED)]
    refined = sorted({note.market for note in stays if isinstance(note, TickChanged)})
    again: list[Fact] = [TickChanged(data.info.first_at, no, data.markets[no].tick) for no in refined]
    markets = tuple(
        replace(market, ends_at=None) if market.ends_at is not None and market.ends_at <= end else market
        for market in data.markets
    )
    return replace(data, markets=markets, notes=(*again, *stays))


class Rounds:
    """A crowd that begins again whenever its feed is over; the feed is one made `endless`."""

    def __init__(self, engine: Engine, data: FeedData) -> None:
        """Start the first round."""
        self._engine = engine
        self._data = data
        self._crowd = Crowd(engine, data)

    def next_at(self) -> Micros:
        """Return when the crowd moves next."""
        at = self._crowd.next_at()
        while at is None:
            self._data = moved(self._data, Micros(self._data.info.last_at + PAUSE))
            self._crowd = Crowd(self._engine, self._data)
            at = self._crowd.next_at()
        return at

    def advance(self, until: Micros) -> None:
        """Let the crowd do all that it does up to a time."""
        while self.next_at() <= until:
            self._crowd.advance(until)
