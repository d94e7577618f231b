"""A short run of a desk on a made-up feed: real parts, no network, no recording."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pmrun.plugins.executors.fill import Queue
from pmrun.plugins.executors.paper import Paper
from pmrun.plugins.feeds.rows import RowBuilder
from pmrun.plugins.pricing.maker_follow import MakerFollow
from pmrun.plugins.sizing.fixed import Fixed
from pmrun.plugins.stores.sqlite import Sqlite, SqliteStore
from pmrun.runner.desk import Desk, DeskSettings
from pmrun.runner.facts import Fact, MarketStatus, StatusChanged
from pmrun.runner.hooks import NO_BOOK, Hooks, Objection, Wanted, hookimpl
from pmrun.runner.market import ConditionId, FeeTerms, Market, MarketNo, Outcome, TokenId
from pmrun.runner.ports import FeedData, FeedInfo
from pmrun.runner.simulate import Simulation
from pmrun.runner.units import ONE, SECOND, Micros, Price, Side, Size, parse_size

NOON = Micros(1_700_000_000_000_000)
NASTY = '</script><script>alert("question")</script> & co?'


def market(slug: str, **terms: Any) -> Market:
    base = Market(
        condition=ConditionId(f"0x{slug}"),
        question=f"Will {slug} happen?",
        slug=slug,
        yes=TokenId(f"{slug}-yes"),
        no=TokenId(f"{slug}-no"),
        tick=Price(100),
        min_order_size=parse_size(5),
        fees=FeeTerms(rate_ppm=70_000, rebate_ppm=200_000),
        assumed=("feeSchedule", "rewardsMinSize"),
    )
    return Market(**{name: getattr(base, name) for name in base.__struct_fields__} | terms)


MARKETS = (market("rain", question=NASTY), market("snow"), market("hail"))


@dataclass(frozen=True, eq=False)
class NoHail:
    """A filter that drops one market."""

    @hookimpl
    def reject_market(self, market: Market) -> Objection | None:
        return Objection("no_hail", {"days": 0.5, "limit": 2}) if market.slug == "hail" else None


@dataclass(frozen=True, eq=False)
class NotAbove:
    """A check that objects to dear orders."""

    limit: Price
    depth: Any = field(default=NO_BOOK)

    @hookimpl
    def object_to_order(self, order: Wanted) -> Objection | None:
        return Objection("too_dear", {"price": order.price, "limit": self.limit}) if order.price > self.limit else None


def rows(seconds: int) -> Any:
    """Books that wander by a cent, and prints on both sides that reach through the queue."""
    made = RowBuilder()
    size = parse_size(10)
    for second in range(seconds):
        at = Micros(NOON + second * SECOND)
        for number in range(len(MARKETS)):
            bid = Price(4_500 + 100 * (second // 7 % 3))
            ask = Price(bid + 300)
            bids = tuple((Price(bid - 100 * i), size) for i in range(3))
            asks = tuple((Price(ask + 100 * i), size) for i in range(3))
            made.book(at, at, 2 * second + 1, number, Outcome.YES, bids, asks)
            if second % 3 == 2:
                side, price = (Side.SELL, bid) if second % 4 else (Side.BUY, ask)
                later = Micros(at + SECOND // 2)
                made.trade(later, later, 2 * second + 2, number, Outcome.YES, side, price, Size(3 * size))
    return made.build()


def feed(seconds: int = 60, resolves: bool = True) -> FeedData:
    end = Micros(NOON + seconds * SECOND)
    resolved = StatusChanged(Micros(end - 5 * SECOND), MarketNo(1), MarketStatus.RESOLVED, ONE)
    notes: tuple[Fact, ...] = (resolved,) if resolves else ()
    info = FeedInfo(
        name="made up",
        source="test",
        simulated=True,
        data_hash="0",
        frames=2 * seconds,
        prints=seconds,
        first_at=NOON,
        last_at=end,
    )
    return FeedData(markets=MARKETS, steps=(100,) * len(MARKETS), rows=rows(seconds), notes=notes, info=info)


@dataclass
class Ran:
    """What a run left behind."""

    path: Path
    desk: Desk
    store: SqliteStore


@pytest.fixture
def run_desk(tmp_path: Path) -> Callable[..., Ran]:
    """Run a desk that follows the touch, and keep it in a database."""

    def run(seconds: int = 60, resolves: bool = True, settings: Sqlite | None = None, until: int | None = None) -> Ran:
        data = feed(seconds, resolves)
        hooks = Hooks(
            {
                "filters.no_hail": NoHail(),
                "pricing": MakerFollow(),
                "sizing": Fixed(parse_size(20)),
                "risk.dear": NotAbove(Price(5_100)),
                "risk.dearer": NotAbove(Price(5_150)),
            }
        )
        desk = Desk(hooks, DeskSettings())
        exchange = Paper(settlement_delay=SECOND).open(data, Queue(), hooks.depth, False)
        store = (settings or Sqlite()).open(tmp_path, desk)
        store.describe({"feed": data.info}, exchange.remarks())
        simulation = Simulation(desk, exchange, [store], "end")
        for moments, _ in enumerate(simulation.run(every=1)):
            if until is not None and moments >= until:
                return Ran(tmp_path, desk, store)
        store.close()
        return Ran(tmp_path, desk, store)

    return run
