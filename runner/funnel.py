"""What became of the markets that were scanned: how many each filter dropped, and of every market why (R1)."""

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pmrun.runner.facts import Fact, Listed, each
from pmrun.runner.intents import CancelAll, Drop, Intent, Number, Reason, Select
from pmrun.runner.market import Market, MarketNo

BOOK = "book"  # the stage of markets without a book that can be quoted
ROOM = "universe.max_markets"  # the stage of markets that passed, and others are better
SELECTED = "selected"
STOPPED = "what an earlier session left bidding was to be cancelled, and nothing else"
MEASURED = ("value", "limit", "margin", "unit")


class Stage(NamedTuple):
    """One step of the funnel; what comes in is dropped or left."""

    name: str
    came: int
    dropped: int

    @property
    def left(self) -> int:
        """How many go on to the next stage."""
        return self.came - self.dropped


class Verdict(NamedTuple):
    """What was said of a market when it was last judged; no reason: nothing yet, its book is awaited."""

    terms: Market
    selected: bool = False
    reason: Reason | None = None
    since: str = ""  # what has kept it from being judged, and traded, since then: `resolved`, `no_book`, …

    def after(self, selected: bool, reason: Reason) -> "Verdict":
        """Return what is known once a market was selected or dropped; one that cannot be judged keeps its verdict."""
        new = Verdict(self.terms, selected, reason)
        judged_before = self.reason is not None and self.stage != BOOK
        return self._replace(since=reason.code) if new.stage == BOOK and judged_before else new

    @property
    def stage(self) -> str:
        """The stage that dropped it, or `selected`; what was selected and has lost its book or ended is so no more."""
        if self.selected:
            return self.since or SELECTED
        if self.reason is None:
            return BOOK
        if self.reason.by == "universe":
            return ROOM if self.reason.code == "max_markets" else BOOK
        return self.reason.by

    @property
    def rank(self) -> float | None:
        """What the ranking made of it, where it came so far and there is one."""
        if self.reason is None or not (self.selected or self.stage == ROOM):
            return None
        rank = self.reason.numbers.get("rank", self.reason.numbers.get("value"))
        return float(rank) if isinstance(rank, int | float) else None


class Funnel:
    """Remembers the last verdict on every market: an observer."""

    takes_together = True

    def __init__(self, order: Sequence[str], components: Mapping[str, object]) -> None:
        """Take the desk's components and the order in which it asks them."""
        names = [name for name in order if hasattr(components[name], "reject_market")]
        # The book is awaited when the desk comes to the first filter that needs one.
        needing = next((at for at, name in enumerate(names) if _needs_book(components[name])), len(names))
        self._stages = [*names[:needing], BOOK, *names[needing:]]
        self._verdicts: dict[MarketNo, Verdict] = {}
        self._traded: set[MarketNo] = set()
        self._only_stopped = False  # `pmrun stop`: no market was to be traded (R13)

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        """Learn one step of the desk."""
        for one in each(fact):
            if type(one) is Listed:
                self._verdicts.setdefault(one.market, Verdict(one.terms))
        for intent in intents:
            if type(intent) is Select or type(intent) is Drop:
                selected = type(intent) is Select
                self._verdicts[intent.market] = self._verdicts[intent.market].after(selected, intent.reason)
                if selected:
                    self._traded.add(intent.market)
            elif type(intent) is CancelAll and intent.reason.code == "stop_only":
                self._only_stopped = True

    def close(self) -> None:
        """Nothing to finish."""

    @property
    def verdicts(self) -> Mapping[MarketNo, Verdict]:
        """The last verdict on every market, in order of listing."""
        return self._verdicts

    @property
    def waiting(self) -> bool:
        """Whether there is a market whose book is awaited."""
        return any(verdict.stage == BOOK for verdict in self._verdicts.values())

    @property
    def selected(self) -> int:
        """How many markets are selected at the end: never more than `universe.max_markets`."""
        return sum(verdict.stage == SELECTED for verdict in self._verdicts.values())

    def ended(self) -> dict[str, int]:
        """Return what ended markets that had been selected, such as `resolved`, and how many; in alphabetical order."""
        found = Counter(verdict.since for verdict in self._verdicts.values() if verdict.selected and verdict.since)
        return dict(sorted(found.items()))

    def stages(self) -> list[Stage]:
        """Return every filter in order with what it dropped; other stages only where they dropped something.

        Last comes what ended a market that had been selected, such as `resolved`.
        """
        dropped = Counter(verdict.stage for verdict in self._verdicts.values() if verdict.stage != SELECTED)
        ended = list(self.ended())
        others = sorted(dropped.keys() - {*self._stages, ROOM, *ended})
        names = [name for name in [*self._stages, *others, ROOM, *ended] if name in dropped or name in self._stages]
        found, left = [], len(self._verdicts)
        for name in names:
            if name != BOOK or dropped[BOOK]:
                found.append(Stage(name, left, dropped[name]))
                left -= dropped[name]
        return found

    def nothing_left(self) -> str | None:
        """Say which filter dropped the most and how to do without it, if no market was ever traded."""
        if self._traded:
            return None
        if self._only_stopped:
            return STOPPED
        scanned = len(self._verdicts)
        if not scanned:
            return "the feed lists no market"
        most = max(self.stages(), key=lambda stage: (stage.name != BOOK and stage.dropped, stage.dropped))
        said = [verdict.reason for verdict in self._verdicts.values() if verdict.stage == most.name and verdict.reason]
        nearest = f" ({words(min(said, key=_distance))})" if said else ""
        if most.name == BOOK:
            return f"no market was traded: {most.dropped} of {scanned} had no book to quote in{nearest}"
        hint = f"; ~{most.name} leaves this filter out" if most.name in self._stages else ""
        return f"no market passed the filters: {most.name} dropped {most.dropped} of {scanned}{nearest}{hint}"

    def summary(self) -> dict[str, Any]:
        """Return what a run's summary says of its markets."""
        stages = self.stages()
        return {
            "scanned": len(self._verdicts),
            "selected": self.selected,
            "ever_selected": len(self._traded),
            "rejected_by": {stage.name: stage.dropped for stage in stages if stage.dropped},
            "stages": [
                {"stage": name, "in": came, "dropped": dropped, "left": came - dropped}
                for name, came, dropped in stages
            ],
            "ended": self.ended(),
            "nothing_left": self.nothing_left(),
            "assumed": sorted({field for verdict in self._verdicts.values() for field in verdict.terms.assumed}),
        }


def _needs_book(component: Any) -> bool:
    return not {"book", "prospect"}.isdisjoint(inspect.signature(component.reject_market).parameters)


def _distance(reason: Reason) -> float:
    """Return how far a market was from passing; the farthest where nothing was measured."""
    margin = reason.numbers.get("margin")
    return float(margin) if isinstance(margin, int | float) else float("inf")


def words(reason: Reason) -> str:
    """Write a reason as a person would, such as "ends too soon: 0.2 days, at least 7 wanted".

    Where something was measured, other numbers are left to the database.
    """
    said = reason.code.replace("_", " ")
    value, limit = reason.numbers.get("value"), reason.numbers.get("limit")
    parts = []
    if isinstance(value, int | float) and isinstance(limit, int | float):
        bound = "at least" if value < limit else "at most"
        parts.append(f"{' '.join([short(value), *_unit(reason)])}, {bound} {short(limit)} wanted")
        parts += [f"{name} {text}" for name, text in reason.numbers.items() if isinstance(text, str) and name != "unit"]
    else:
        parts += [f"{name} {short(number)}" for name, number in reason.numbers.items()]
    return f"{said}: {'; '.join(parts)}" if parts else said


def _unit(reason: Reason) -> list[str]:
    unit = reason.numbers.get("unit")
    return [str(unit)] if unit else []


def short(number: Number) -> str:
    """Write a number with four digits, or all those before the point; a text as it is."""
    if isinstance(number, str):
        return number
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"
