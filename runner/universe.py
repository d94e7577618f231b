"""Which of the listed markets are traded: filters, ranking, selection, and all of it anew now and then (R1, R12)."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from pmrun.runner.book import Book
from pmrun.runner.hooks import Hooks, Prospect, Quote, Rank, Wanted
from pmrun.runner.intents import Number, Reason
from pmrun.runner.market import Market, MarketNo, Outcome
from pmrun.runner.units import Micros, Side, Size

UNIVERSE = "universe"


class Rescan(msgspec.Struct, frozen=True, kw_only=True):
    """When markets are selected anew (0: never), and whether those that stay keep their quotes (R12)."""

    every: Micros = Micros(0)
    keep: bool = False


class Scanned(Protocol):
    """What a scan looks at in a market."""

    no: MarketNo
    terms: Market
    book: Book | None

    def blocked(self) -> str | None:
        """Return the code of what keeps the market from being quoted at all."""


class Verdicts(NamedTuple):
    """What came of a scan: who is traded and why, who is not and why."""

    selected: dict[MarketNo, Reason]
    dropped: dict[MarketNo, Reason]


class MarketProspect:
    """What quoting one market would come to, worked out when a filter or the ranking asks (a Prospect)."""

    def __init__(
        self,
        hooks: Hooks,
        state: Scanned,
        at: Micros,
        quote: Callable[[], tuple[Sequence[Wanted], Mapping[Side, tuple[Reason, ...]]]],
    ) -> None:
        """Take a market that is not blocked, and a way to try its quotes: wanted orders, and refusals by side."""
        self._hooks = hooks
        self._state = state
        self._at = at
        self._try = quote
        self._tried: tuple[Sequence[Wanted], Mapping[Side, tuple[Reason, ...]]] | None = None
        self._rank: tuple[Rank | None] | None = None

    @property
    def size(self) -> Size | None:
        """What sizing gives an order at the mid."""
        assert self._state.book is not None
        quote = Quote(Outcome.YES, Side.BUY, self._state.book.mid_half, "prospect")
        return self._hooks.size_order(self._state.terms, quote)

    @property
    def quotes(self) -> Sequence[Wanted]:
        """What the pricing rule wants, on the grid and sized."""
        return self._quoted()[0]

    @property
    def refusals(self) -> Mapping[Side, tuple[Reason, ...]]:
        """Why each side of the YES book could not be quoted."""
        return self._quoted()[1]

    @property
    def rank(self) -> Rank | None:
        """What the ranking makes of the market; raises ValueError when that is not a number."""
        if self._rank is None:
            assert self._state.book is not None
            rank = self._hooks.rank_market(self._state.terms, self._state.book, self, self._at)
            if rank is not None and not math.isfinite(rank.value):
                raise ValueError(f"the ranking made {rank.value} of {self._state.terms.slug}")
            self._rank = (rank,)
        return self._rank[0]

    def _quoted(self) -> tuple[Sequence[Wanted], Mapping[Side, tuple[Reason, ...]]]:
        if self._tried is None:
            self._tried = self._try()
        return self._tried


class Universe:
    """Judges markets when they are listed, when their book is first known, and all of them at every rescan."""

    def __init__(self, hooks: Hooks, limit: int, rescan: Rescan) -> None:
        """Start without markets; `limit` is how many are traded at most (0: all that pass)."""
        self._hooks = hooks
        self._limit = limit
        self._rescan = rescan
        self.selected: dict[MarketNo, None] = {}
        self.dropped: dict[MarketNo, Reason] = {}
        self.waiting: set[MarketNo] = set()  # passed so far, to be judged with a book
        self.rescan_at: Micros | None = None

    def begin(self, at: Micros) -> None:
        """Count the rescans from here."""
        if self._rescan.every:
            self.rescan_at = Micros(at + self._rescan.every)

    def due(self, at: Micros) -> bool:
        """Whether the time of a rescan has come; the next is set."""
        if self.rescan_at is None or at < self.rescan_at:
            return False
        self.rescan_at = Micros(at + self._rescan.every - (at - self.rescan_at) % self._rescan.every)
        return True

    def listed(self, no: MarketNo, terms: Market, at: Micros) -> Reason | None:
        """Judge a new market as far as it goes without a book; a reason drops it until the next rescan."""
        try:
            reason = self._hooks.reject_market(terms, None, None, at)
        except Exception as error:  # a market that could not be judged is not traded
            reason = _failed(error)
        if reason is None:
            self.waiting.add(no)
        else:
            self.dropped[no] = reason
        return reason

    def scan(
        self, states: Iterable[Scanned], prospect: Callable[[Scanned], Prospect], at: Micros, anew: bool
    ) -> Verdicts:
        """Judge markets, and select the best; `anew` lets those selected before lose their place."""
        if anew:
            self.selected.clear()
        verdicts = Verdicts({}, {})
        passed: list[tuple[float, MarketNo, Reason]] = []
        for state in states:
            reason = self._judge(state, prospect, at)
            if isinstance(reason, Rank):
                numbers: dict[str, Number] = {"value": reason.value, **reason.numbers} if self._hooks.ranks else {}
                passed.append((-reason.value, state.no, Reason("selected", UNIVERSE, numbers)))
            elif anew or state.no not in self.dropped or self.dropped[state.no].code != reason.code:
                verdicts.dropped[state.no] = reason
        worst = math.inf  # the rank of the last that was taken in this scan; unknown where there was no room for any
        for value, no, reason in sorted(passed, key=lambda each: each[:2]):
            if self._limit and len(self.selected) >= self._limit:
                verdicts.dropped[no] = self._no_room(-value, worst)
            else:
                self.selected[no] = None
                verdicts.selected[no] = reason
                worst = -value
        self.dropped.update(verdicts.dropped)
        for no in verdicts.selected:
            self.dropped.pop(no, None)
        return verdicts

    def _said_before(self, no: MarketNo) -> Reason | None:
        """Return what a filter said of a market before its book was lost: it tells more than that there is none."""
        said = self.dropped.get(no)
        return None if said is None or said.by == UNIVERSE else said

    def _no_room(self, value: float, worst: float) -> Reason:
        numbers: dict[str, Number] = {"max_markets": self._limit}
        if self._hooks.ranks:
            numbers["value"] = value
            if math.isfinite(worst):
                numbers |= {"limit": worst, "margin": worst - value}
        return Reason("max_markets", UNIVERSE, numbers)

    def _judge(self, state: Scanned, prospect: Callable[[Scanned], Prospect], at: Micros) -> Reason | Rank:
        code = state.blocked()
        try:
            if code is not None:  # what needs no book comes first all the same
                reason = self._hooks.reject_market(state.terms, None, None, at)
                if reason is None:
                    self.waiting.add(state.no)
                    reason = self._said_before(state.no) or Reason(code, UNIVERSE)
                return reason
            seen = prospect(state)
            reason = self._hooks.reject_market(state.terms, state.book, seen, at)
            rank = None if reason else seen.rank
        except Exception as error:  # fail closed
            reason, rank = _failed(error), None
        self.waiting.discard(state.no)
        return reason or rank or Rank(0.0, {})


def _failed(error: Exception) -> Reason:
    return Reason("component_failed", "filters", {"error": f"{type(error).__name__}: {error}"})
