"""Asks a run's filters alone, without an order, and shows what they say: `pmrun universe`."""

from collections.abc import Sequence
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import trio
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from pmrun.runner.assembly import Plan
from pmrun.runner.errors import PmrunError
from pmrun.runner.funnel import MEASURED, SELECTED, Funnel, Verdict, short, words
from pmrun.runner.intents import Intent, Number
from pmrun.runner.live import clock
from pmrun.runner.ports import Exchange, FeedInfo, LiveExchange, LiveExecutor, LiveFeed, LiveSetup
from pmrun.runner.progress import Progress
from pmrun.runner.run import ORDER_NAME, open_feed
from pmrun.runner.session import Bell, Session
from pmrun.runner.simulate import Simulation
from pmrun.runner.stopping import Stop
from pmrun.runner.summary import iso
from pmrun.runner.units import SECOND, Micros

BOOKS_WITHIN: Final = 20.0  # seconds: a live market without a book by then has none to judge it by


class Scan(NamedTuple):
    """What the desk made of the markets, and when; `live`: as they are now."""

    funnel: Funnel
    feed: FeedInfo
    at: Micros
    live: bool = False

    @property
    def markets(self) -> str:
        """What kind of markets they are."""
        return "simulated markets" if self.feed.simulated else "live markets" if self.live else "recorded markets"


class _Unheard:
    """An exchange that no intent reaches."""

    def __init__(self, exchange: Exchange | LiveExchange) -> None:
        self._exchange = exchange

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)

    def submit(self, intents: Sequence[Intent], at: Micros) -> None:
        """Send nothing."""


def scan(made: Plan, after: float | None) -> Scan:
    """Tell a desk the feed until every market was judged, or for so many seconds; raises PmrunError."""
    if hasattr(made.feed, "connect"):
        return _scan_live(made, after)
    with Progress(show=True) as progress:
        progress.say("reading the feed")
        data = open_feed(made.feed)
        progress.say("scanning the markets")
        desk = made.desk(ORDER_NAME)
        exchange = made.executor.open(data, made.fill, made.depth(desk.hooks), not made.settings.gated)
        funnel = Funnel(desk.hooks.order, made.components)
        simulation = Simulation(desk, cast(Exchange, _Unheard(exchange)), [funnel], "scanned")
        until = None if after is None else data.info.first_at + round(after * SECOND)
        for now in simulation.run(every=1):
            if now >= until if until is not None else not funnel.waiting:
                break
    return Scan(funnel, data.info, simulation.now)


def _scan_live(made: Plan, after: float | None) -> Scan:
    try:
        return trio.run(partial(_listen, made, after))
    except BaseExceptionGroup as group:
        ours, _ = group.split(PmrunError)
        raise _innermost(ours or group) from None


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _listen(made: Plan, after: float | None) -> Scan:
    """Judge markets as they are now, on books that come within seconds; no order is sent, nor any credential."""
    stop, bell, now = Stop(), Bell(), clock()
    feed, executor = cast(LiveFeed, made.feed), cast(LiveExecutor, made.executor)
    with stop.listening(), stop.ends_the_wait(), Progress(show=True) as progress:
        progress.say("connecting")
        async with feed.connect(now, bell) as data:
            desk = made.desk(ORDER_NAME)
            setup = LiveSetup(
                name=ORDER_NAME,
                directory=Path(),
                fill=made.fill,
                depth=made.depth(desk.hooks),
                everything=not made.settings.gated,
                now=now,
                bell=bell,
                carried=dict,
            )
            async with executor.attach(data, setup) as exchange:
                progress.say("scanning the markets")
                funnel = Funnel(desk.hooks.order, made.components)
                heard = cast(LiveExchange, _Unheard(exchange))
                session = Session(desk, heard, [funnel], now, bell)
                until = now() + round((BOOKS_WITHIN if after is None else after) * SECOND)
                await session.run(lambda: now() >= until or (after is None and not funnel.waiting))
                return Scan(funnel, data.info, session.now, live=True)
    raise stop.left()


def as_plain(found: Scan) -> dict[str, Any]:
    """Return plain values for JSON."""
    return {
        "feed": found.feed.name,
        "source": found.feed.source,
        "simulated": found.feed.simulated,
        "live": found.live,
        "at": iso(found.at),
        **found.funnel.summary(),
        "markets": [_plain(no, verdict) for no, verdict in found.funnel.verdicts.items()],
    }


def _plain(no: int, verdict: Verdict) -> dict[str, Any]:
    reason = verdict.reason
    numbers: dict[str, Number] = reason.numbers if reason else {}
    return {
        "market": no,
        "slug": verdict.terms.slug,
        "question": verdict.terms.question,
        "verdict": "selected" if verdict.stage == SELECTED else "dropped" if reason else "waiting",
        "by": reason.by if reason else None,
        "code": reason.code if reason else None,
        **{name: numbers.get(name) for name in MEASURED},
        "rank": verdict.rank,
        "since": verdict.since or None,
        "numbers": numbers,
    }


def render(found: Scan) -> list[RenderableType]:
    """Return what to print: the stages, the markets, and what to do where nothing is left."""
    funnel = found.funnel
    head = Text(f"{found.markets}, {found.feed.source}, at {iso(found.at)}")
    shown: list[RenderableType] = [head, _stages(funnel), _markets(funnel)]
    said = funnel.nothing_left()
    return [*shown, Text(said, style="bold")] if said else shown


def _stages(funnel: Funnel) -> Table:
    table = _table("stage", "in", "dropped", "left")
    for stage in funnel.stages():
        table.add_row(stage.name, str(stage.came), str(stage.dropped or "–"), str(stage.left))
    table.add_row("selected", "", "", str(funnel.selected), style="bold")
    return table


def _markets(funnel: Funnel) -> Table:
    """List the selected markets, best first, then those that got farthest."""
    table = _table("market", "verdict", "value", "limit", "margin", "rank", "why")
    place = {stage.name: -index for index, stage in enumerate(funnel.stages())}
    farthest = sorted(funnel.verdicts.values(), key=lambda each: (place.get(each.stage, -inf), -(each.rank or 0)))
    for verdict in farthest:
        numbers = verdict.reason.numbers if verdict.reason and not verdict.selected else {}
        figures = (short(numbers[name]) if name in numbers else "" for name in ("value", "limit", "margin"))
        rank = "" if verdict.rank is None else short(verdict.rank)
        why = [] if verdict.selected else [words(verdict.reason) if verdict.reason else "no book yet"]
        why += [f"since then {verdict.since.replace('_', ' ')}"] if verdict.since else []
        table.add_row(verdict.terms.slug or verdict.terms.question, verdict.stage, *figures, rank, "; ".join(why))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        numeric = name in ("in", "dropped", "left", "value", "limit", "margin", "rank")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric)
    return table
