"""The live public feed as a run uses it, whatever the exchange: markets, their books, and who listens (O10)."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar

import trio

from pmrun.plugins.exchanges.common.local_books import LocalBooks
from pmrun.plugins.exchanges.common.market_news import BookSeen, Parsed
from pmrun.plugins.exchanges.common.network import Network
from pmrun.runner.facts import StatusChanged, TickChanged
from pmrun.runner.hooks import Depth
from pmrun.runner.market import Market, MarketNo
from pmrun.runner.ports import FeedInfo
from pmrun.runner.session import Bell
from pmrun.runner.units import Micros

Heard = Callable[[Parsed, Micros], None]
Dropped = Callable[[Sequence[MarketNo], Micros], None]
Noted = Callable[[TickChanged | StatusChanged], None]


class MarketFeed:
    """Markets that are being watched; nothing comes before `start`."""

    name: ClassVar[str]  # of the exchange
    sockets: ClassVar[str]  # what remarks call them

    def __init__(
        self,
        markets: Sequence[Market],
        network: Network,
        now: Callable[[], Micros],
        bell: Bell,
        nursery: trio.Nursery,
    ) -> None:
        """Take the markets, and how to reach them."""
        self.markets = tuple(markets)
        self.books = LocalBooks(self.markets)
        self.connect = network.connect
        self.rng = network.rng
        self.counts: Counter[str] = Counter()
        self._network = network
        self._now = now
        self._bell = bell
        self._nursery = nursery
        self._started = self._latest = now()
        self._heard: list[Heard] = []
        self._dropped: list[Dropped] = []
        self._noted: list[Noted] = []

    def hear(self, heard: Heard, dropped: Dropped, noted: Noted) -> None:
        """Have every frame, every loss of books, and news of ticks and statuses told."""
        self._heard.append(heard)
        self._dropped.append(dropped)
        self._noted.append(noted)

    async def start(self, depth: Depth, everything: bool) -> None:
        """Subscribe, and watch that what is heard goes on."""
        raise NotImplementedError

    # What is told.

    def _tell(self, parsed: Parsed, at: Micros) -> None:
        for heard in self._heard:
            heard(parsed, at)

    def _take_rest(self, seen: BookSeen) -> bool:
        """Take a book that was read by REST; False when it is of no use."""
        now = self._now()
        taken = self.books.take_rest(seen, now)
        if taken:
            self._tell(Parsed((seen,)), now)
        return taken

    def _pass_on(self) -> None:
        for fact in self.books.facts():
            if isinstance(fact, (TickChanged, StatusChanged)):
                for noted in self._noted:
                    noted(fact)

    def _ring_if_first(self, before: Micros | None) -> None:
        """Wake the desk where a book changed and none had."""
        if before is None and self.books.changed_since() is not None:
            self._bell.ring()

    def _drop(self, markets: Sequence[MarketNo]) -> None:
        """Drop books that nothing keeps up any more."""
        now = self._now()
        self.books.lost(markets, now)
        for dropped in self._dropped:
            dropped(markets, now)
        self._bell.ring()

    # What a run says of its feed.

    @property
    def info(self) -> FeedInfo:
        """Return what was heard so far."""
        return self.info_with_prints(self._latest)

    def info_with_prints(self, at: Micros) -> FeedInfo:
        """Return the same as of a moment; a live feed has prints, whether or not one came yet."""
        said = [f"live: {self.sockets}: {name} {count}" for name, count in self.counts.items() if name != "frames"]
        return FeedInfo(
            name=self.name,
            source=self._source(),
            simulated=self._simulated(),
            data_hash="live",
            frames=0,
            prints=1,
            first_at=self._started,
            last_at=at,
            unknown=dict(self._unknown()),
            inferred_ticks=self.books.counts["inferred ticks"],
            remarks=(f"live: {self.counts['frames']} frames", *said, *self._complaints()),
        )

    def _source(self) -> str:
        raise NotImplementedError

    def _simulated(self) -> bool:
        raise NotImplementedError

    def _unknown(self) -> Counter[str]:
        """Count the types of messages that nobody knows."""
        return self.books.unknown

    def _complaints(self) -> list[str]:
        """Say what the exchange complained of."""
        return []
