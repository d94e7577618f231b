"""Paper on a live feed: the kernel that replays tapes, fed with rows as they arrive."""

from collections.abc import Sequence
from typing import Any

from pmrun.plugins.exchanges.common.market_news import BookSeen, LevelsSeen, Parsed, PrintSeen
from pmrun.plugins.executors.paper_exchange import PaperExchange
from pmrun.plugins.executors.paper_terms import PaperTerms
from pmrun.plugins.feeds.rows import RowBuilder
from pmrun.runner.facts import BookChanged, Fact, StatusChanged, TickChanged
from pmrun.runner.intents import Intent
from pmrun.runner.market import MarketNo, Outcome, TokenId
from pmrun.runner.ports import FeedData, LiveSetup
from pmrun.runner.units import Micros

FINEST = 1  # any tick may come: books are kept in 1/10,000 dollar
PRINTS_REMEMBERED = 20_000
PAPER, DRY_RUN = "paper", "dry run"  # what a summary calls them


class LivePaper:
    """One paper session as time passes."""

    mode = PAPER

    def __init__(self, settings: PaperTerms, data: Any, setup: LiveSetup) -> None:
        """Listen to a feed that is about to start."""
        self._markets = data.markets
        self._tokens: dict[TokenId, tuple[int, Outcome]] = {
            market.token(outcome): (no, outcome) for no, market in enumerate(data.markets) for outcome in Outcome
        }
        started = FeedData(
            markets=data.markets,
            steps=(FINEST,) * len(data.markets),
            rows=RowBuilder().build(),
            notes=(),
            info=data.info_with_prints(setup.now()),
            order_calls=getattr(data, "order_calls", None),
        )
        self._paper = PaperExchange(settings, started, setup.fill, setup.depth, setup.everything)
        self._rows = RowBuilder()
        self._data = data
        self._now = setup.now
        self._bell = setup.bell
        self._facts: list[Fact] = []
        self._prints: dict[PrintSeen, None] = {}  # the latest, as a set in order
        data.hear(self.heard, self.dropped, self.noted)

    # What the feed says.

    def heard(self, parsed: Parsed, at: Micros) -> None:
        """Take a frame."""
        before = len(self._rows)
        for news in parsed.news:
            match news:
                case BookSeen(token=token) if token in self._tokens:
                    self._rows.book(at, news.at, 0, *self._tokens[token], news.bids, news.asks)
                case LevelsSeen():
                    for change in news.changes:
                        where = self._tokens.get(change.token)
                        if where is not None:
                            self._rows.level(at, news.at, 0, *where, change.side, change.price, change.size)
                case PrintSeen(token=token) if token in self._tokens and news not in self._prints:
                    self._remember(news)
                    self._rows.trade(at, news.at, 0, *self._tokens[token], news.taker_side, news.price, news.size)
                case _:
                    pass
        if not before and len(self._rows):
            self._bell.ring()

    def _remember(self, news: PrintSeen) -> None:
        """A print says what happened: told twice, it happened once."""
        self._prints[news] = None
        if len(self._prints) > PRINTS_REMEMBERED:
            del self._prints[next(iter(self._prints))]

    def dropped(self, markets: Sequence[MarketNo], at: Micros) -> None:
        """Empty the books that cannot be trusted any more."""
        for no in markets:
            self._rows.book(at, at, 0, no, Outcome.YES, (), ())
        self._bell.ring()

    def noted(self, fact: TickChanged | StatusChanged) -> None:
        """Take news of a market."""
        self._paper.note(fact)
        self._bell.ring()

    # What the session asks.

    def opening(self) -> list[Fact]:
        """Return the markets and the simulated funds."""
        return self._paper.opening()

    def next_due(self) -> Micros | None:
        """Return when the next arrival, answer or note is due."""
        return self._now() if self._facts else self._paper.next_due()

    def changed_since(self) -> Micros | None:
        """Return when the first book changed that the desk was not told of."""
        return self._paper.changed_since()

    def advance(self, until: Micros) -> None:
        """Apply what arrived; requests of ours that arrived in between take their place in between."""
        if len(self._rows):
            self._paper.extend(self._rows.build())
            self._rows = RowBuilder()
        while True:
            due, row = self._paper.next_due(), self._paper.next_row()
            if due is not None and due <= until and (row is None or due < row):
                self._facts += self._paper.due(due)
            elif row is not None and row <= until:
                self._paper.advance(until if due is None else Micros(min(until, due)))
            else:
                return

    def due(self, at: Micros) -> list[Fact]:
        """Return what the desk learns, stamped with now: facts never lie in the past."""
        facts, self._facts = self._facts + self._paper.due(at), []
        return facts

    def books(self, at: Micros) -> list[BookChanged]:
        """Return the books that changed in what the desk looks at."""
        return self._paper.books(at)

    def submit(self, intents: Sequence[Intent], at: Micros) -> None:
        """Send intents on their way."""
        self._paper.submit(intents, at)

    def turned(self, at: Micros) -> None:
        """Nothing rests anywhere that would need protection."""

    def busy(self) -> bool:
        """Whether answers are under way."""
        return self._paper.next_due() is not None

    async def finish(self) -> list[str]:
        """Nothing rests at any exchange."""
        return []

    def remarks(self) -> list[str]:
        """Say how the fills were made, and that nothing left where somebody might think so."""
        dry = ["dry run: no order left this machine"] if self.mode == DRY_RUN else []
        return [*dry, *self._paper.remarks()]
