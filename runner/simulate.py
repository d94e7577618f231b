"""Runs a desk against an exchange on a virtual clock: replay and paper."""

from collections.abc import Iterator, Sequence

from pmrun.runner.desk import Desk
from pmrun.runner.facts import Fact, FeedEnded, TimerDue, Together
from pmrun.runner.memory import NOTHING, Values, recall
from pmrun.runner.ports import Exchange, Observer
from pmrun.runner.timings import Timings
from pmrun.runner.units import SECOND, Micros

AFTERWARDS = 10 * SECOND  # how long answers and settlements are awaited after the end


class Simulation:
    """Brings facts in order of time, and takes intents at the moment they were decided.

    At one moment: rows of the feed first, then what is due at the exchange, then books, then timers. Each step may
    set more going at the same moment; it is done before time moves on.
    """

    def __init__(
        self,
        desk: Desk,
        exchange: Exchange,
        observers: Sequence[Observer],
        ends: str,
        timings: Timings = Timings(on=False),
        remembered: Values = NOTHING.values,
    ) -> None:
        """Take the two parties, who watches, what to say when the feed is over, what times them, what is remembered."""
        self._desk = desk
        self._exchange = exchange
        self._observers = observers
        self._ends = ends
        self._remembered = remembered
        self._handle = timings.wrap("desk decisions", desk.handle)
        self._advance = timings.wrap("exchange", exchange.advance)
        self.now = Micros(0)

    def run(self, every: int = 256) -> Iterator[Micros]:
        """Run to the end of the feed; yields the time every so many moments, for others to have a turn."""
        opening = self._exchange.opening()
        self.now = opening[0].at
        self._tell_all(self.now, [*recall(self._remembered, self.now), *opening])
        if self._desk.settings.stop_only:
            return self.stop("stop mode")
        moments = 0
        while True:
            at = self._next_moment()
            if at is None:
                break
            self._moment(at)
            moments += 1
            if moments % every == 0:
                yield self.now
        return self.stop(self._ends)

    def stop(self, why: str) -> None:
        """Pull everything and hear the answers: nothing rests afterwards."""
        self._tell(FeedEnded(self.now, why))
        last = self.now + AFTERWARDS
        while (due := self._exchange.next_due()) is not None and (due <= last or any(self._desk.in_play())):
            self._due(due)

    def _next_moment(self) -> Micros | None:
        exchange = self._exchange
        due = exchange.next_due()
        changed = exchange.changed_since()
        if changed is None:
            changed = exchange.next_row()
        if changed is None and due is None:
            return None
        wake = self._desk.wake
        at = due if wake is None or (due is not None and due < wake) else wake
        if changed is not None:
            decided = self._desk.decision_after(changed)
            at = decided if at is None or decided < at else at
        return self.now if at is None or at < self.now else at

    def _moment(self, at: Micros) -> None:
        self._advance(at)
        due = self._exchange.next_due()
        if due is not None and due < at:
            self._due(due)
            return
        self.now = at
        facts = self._exchange.due(at)
        changed = self._exchange.changed_since()
        if changed is not None and self._desk.decision_after(changed) <= at:
            facts.extend(self._exchange.books(at))
        wake = self._desk.wake
        if wake is not None and wake <= at:
            facts.append(TimerDue(at))
        self._tell_all(at, facts)

    def _due(self, at: Micros) -> None:
        self.now = max(self.now, at)
        self._tell_all(at, self._exchange.due(at))

    def _tell_all(self, at: Micros, facts: Sequence[Fact]) -> None:
        if len(facts) > 1:
            self._tell(Together(at, tuple(facts)))
        elif facts:
            self._tell(facts[0])

    def _tell(self, fact: Fact) -> None:
        intents = self._handle(fact)
        for observer in self._observers:
            observer.record(fact, intents)
        if intents:
            self._exchange.submit(intents, self.now)
