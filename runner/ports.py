"""What a feed, an executor, a store and a report have to offer the shell."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from pmrun.runner.book import Book
from pmrun.runner.facts import BookChanged, Fact
from pmrun.runner.hooks import Depth
from pmrun.runner.intents import Intent
from pmrun.runner.market import Market, MarketNo
from pmrun.runner.units import Micros


class FeedInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a feed is and what it held: goes into the manifest and the summary."""

    name: str
    source: str
    simulated: bool
    data_hash: str
    frames: int
    prints: int
    first_at: Micros
    last_at: Micros
    duplicates: int = 0
    unlisted: int = 0  # frames of markets that the tape does not list
    late: int = 0  # frames older than the one before them
    unknown: dict[str, int] = {}  # event types that the parser does not know
    inferred_ticks: int = 0
    remarks: tuple[str, ...] = ()
    licence: str = ""


class FeedData(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded or simulated feed, as the paper exchange takes it."""

    markets: tuple[Market, ...]
    steps: tuple[int, ...]  # the finest price increment each market shows
    rows: Any  # columns, as the matching kernel defines them
    notes: tuple[Fact, ...]  # everything but books and prints, by time
    info: FeedInfo
    order_calls: int | None = None  # places and cancels a minute that the exchange takes; None: no limit


class Feed(Protocol):
    """Brings facts."""

    def open(self) -> FeedData:
        """Read and check everything before anything starts; raises DataError."""


class Exchange(Protocol):
    """An exchange on a virtual clock: facts come out, intents go in, nothing happens unless asked."""

    def opening(self) -> list[Fact]:
        """Return what is known before the first row: markets and funds."""

    def next_row(self) -> Micros | None:
        """Return when the next row of the feed comes."""

    def next_due(self) -> Micros | None:
        """Return when the next request arrives, answer returns or note is due."""

    def changed_since(self) -> Micros | None:
        """Return when the first book changed that the desk was not told of."""

    def advance(self, until: Micros) -> None:
        """Apply the feed up to a time, or up to a fill that will be answered before it."""

    def due(self, at: Micros) -> list[Fact]:
        """Do what is due, and return what the desk learns by it."""

    def books(self, at: Micros) -> list[BookChanged]:
        """Return the books that changed in what the desk looks at."""

    def submit(self, intents: Sequence[Intent], at: Micros) -> None:
        """Take intents; they arrive after the latency."""

    def remarks(self) -> list[str]:
        """Say what a reader of the results has to know of how they were made."""


class LiveExchange(Protocol):
    """An exchange as time passes: what arrived is kept until it is asked for; a bell rings when there is something."""

    mode: str  # paper, dry run or live

    def opening(self) -> list[Fact]:
        """Return what is known at the start: markets, funds, holdings, orders that rest."""

    def next_due(self) -> Micros | None:
        """Return when something comes due without news from outside."""

    def changed_since(self) -> Micros | None:
        """Return when the first book changed that the desk was not told of."""

    def advance(self, until: Micros) -> None:
        """Bring what runs on our side up to a time."""

    def due(self, at: Micros) -> list[Fact]:
        """Return what the desk has to learn now, books aside."""

    def books(self, at: Micros) -> list[BookChanged]:
        """Return the books that changed in what the desk looks at."""

    def submit(self, intents: Sequence[Intent], at: Micros) -> None:
        """Take intents; returns at once."""

    def turned(self, at: Micros) -> None:
        """Hear that the desk is alive: what protects our orders at the exchange goes on only while it is."""

    def busy(self) -> bool:
        """Whether answers are still awaited."""

    async def finish(self) -> list[str]:
        """Verify that nothing of ours rests; return what may still rest, or why nobody can say."""

    def remarks(self) -> list[str]:
        """Say what a reader of the results has to know of how they were made."""


class LiveFeed(Protocol):
    """Brings facts as they happen."""

    stop_after: Micros  # when a run ends by itself; 0: not before it is asked to

    def connect(self, now: Callable[[], Micros], bell: Any) -> AbstractAsyncContextManager[Any]:
        """Connect, and learn the markets; what is yielded goes to the executor and has `info: FeedInfo`."""


class LiveSetup(NamedTuple):
    """What a live executor is given of the run it belongs to."""

    name: str  # starts every client order id
    directory: Path
    fill: Any
    depth: Depth
    everything: bool  # whether every book is told, changed or not
    now: Callable[[], Micros]
    bell: Any
    carried: Callable[[], Mapping[str, Mapping[str, int]]]  # what limits want to outlive the run


class LiveExecutor(Protocol):
    """Takes intents as time passes."""

    def attach(self, data: Any, setup: LiveSetup) -> AbstractAsyncContextManager[LiveExchange]:
        """Start an exchange over a connected feed; raises PmrunError when it cannot be trusted to run."""


class Executor(Protocol):
    """Takes intents."""

    def open(self, data: FeedData, fill: Any, depth: Depth, everything: bool) -> Exchange:
        """Start an exchange over a feed; `everything` tells every market's book at every decision time."""

    def books_of(self, data: FeedData, depth: Depth) -> Callable[[MarketNo, int], Book]:
        """Return a way to look up the book of a market after so many frames, asked in order; for replay."""


class Observer(Protocol):
    """Watches a run: journal, store, report, progress."""

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        """Take one step of the desk."""

    def close(self) -> None:
        """Finish what was written."""


class Report(Protocol):
    """Turns a finished run directory into something to read."""

    def write(self, run: Path) -> Path:
        """Write the report; return its path."""
