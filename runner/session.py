"""Runs a desk against an exchange as time passes: paper on a live feed, dry run, and live."""

from collections.abc import Callable, Sequence

import trio

from pmrun.runner.desk import Desk
from pmrun.runner.facts import Fact, FeedEnded, TimerDue, Together
from pmrun.runner.memory import NOTHING, Values, recall
from pmrun.runner.ports import LiveExchange, Observer
from pmrun.runner.timings import Timings
from pmrun.runner.units import SECOND, Micros

IDLE = 1 * SECOND  # how long nothing may happen before the exchange is shown that the desk still turns


class Bell:
    """Wakes who waits for news; rung twice before it is heard, it is heard once."""

    def __init__(self) -> None:
        """Start silent."""
        self._event = trio.Event()

    def ring(self) -> None:
        """Say that there is something to look at."""
        self._event.set()

    async def heard(self) -> None:
        """Wait until it rings, or rang since it was heard last."""
        await self._event.wait()
        self._event = trio.Event()


class Session:
    """The same steps as a simulation's, at the moments at which they come.

    At one moment: what arrived at the exchange first, then books whose time to be decided on has come, then timers.
    """

    def __init__(
        self,
        desk: Desk,
        exchange: LiveExchange,
        observers: Sequence[Observer],
        now: Callable[[], Micros],
        bell: Bell,
        timings: Timings = Timings(on=False),
        remembered: Values = NOTHING.values,
    ) -> None:
        """Take the two parties, who watches, the clock, what rings when something arrived, and what is remembered."""
        self._desk = desk
        self._exchange = exchange
        self._observers = observers
        self._clock = now
        self._bell = bell
        self._remembered = remembered
        self._handle = timings.wrap("desk decisions", desk.handle)
        self.now = Micros(0)
        self._turned = now()  # when the loop came round last, by the clock

    async def run(self, stopped: Callable[[], bool], turned: Callable[[Micros], None] = lambda at: None) -> None:
        """Run until `stopped` says so (looked at whenever the bell rings); `turned` hears of every turn."""
        at = self._tick()
        self._tell_all(at, [*recall(self._remembered, at), *self._exchange.opening()])
        while not stopped() and not self._desk.settings.stop_only:
            self.turn()
            turned(self.now)
            await self._pause(self._next())

    async def stop(self, why: str, within: float) -> None:
        """Pull everything, and hear the answers for so many seconds at most."""
        self._tell(FeedEnded(self._tick(), why))
        with trio.move_on_after(within):
            while self._exchange.busy() or any(self._desk.in_play()):
                await self._pause(self._exchange.next_due())  # the desk decides nothing any more
                self._answers()
        self._answers()  # what is only to be written down

    def turn(self) -> None:
        """Learn and decide what has come due."""
        at = self._tick()
        self._exchange.advance(at)
        facts = self._exchange.due(at)
        changed = self._exchange.changed_since()
        if changed is not None and self._desk.decision_after(changed) <= at:
            facts.extend(self._exchange.books(at))
        wake = self._desk.wake
        if wake is not None and wake <= at:
            facts.append(TimerDue(at))
        self._tell_all(at, facts)
        self._exchange.turned(at)

    def _answers(self) -> None:
        at = self._tick()
        self._exchange.advance(at)
        self._tell_all(at, self._exchange.due(at))
        self._exchange.turned(at)

    def _tick(self) -> Micros:
        """Return the time; it never goes back."""
        self.now = max(self.now, self._clock())
        return self.now

    async def _pause(self, due: Micros | None) -> None:
        """Wait for the bell, or for a moment at which something is due."""
        wait = min(IDLE, max(0, due - self._clock()) if due is not None else IDLE)
        with trio.move_on_after(wait / SECOND):
            await self._bell.heard()
        await trio.lowlevel.checkpoint()

    def _next(self) -> Micros | None:
        moments = [self._exchange.next_due(), self._desk.wake]
        changed = self._exchange.changed_since()
        if changed is not None:
            moments.append(self._desk.decision_after(changed))
        known = [moment for moment in moments if moment is not None]
        return min(known) if known else None

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
