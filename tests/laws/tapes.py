"""Random tapes and random strategies, and what is written down while one trades the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import msgspec
from hypothesis import strategies as st
from scenes import market

from pmrun.plugins.executors.fill import Cancels, Queue
from pmrun.plugins.executors.paper import Paper
from pmrun.plugins.feeds.rows import RowBuilder
from pmrun.plugins.hedging.hedge_sell import HedgeSell
from pmrun.plugins.hedging.maker_round import MakerRound
from pmrun.plugins.pricing.maker_follow import MakerFollow
from pmrun.plugins.pricing.nth_level import NthLevel
from pmrun.plugins.pricing.reward_band import Join, RewardBand
from pmrun.plugins.ranking.reward_ratio import RewardRatio
from pmrun.plugins.refill.after_fill import AfterFill
from pmrun.plugins.requote.follow_up import FollowUp
from pmrun.plugins.requote.on_deviation import OnDeviation
from pmrun.plugins.risk.cliff import Cliff
from pmrun.plugins.risk.exposure import Exposure
from pmrun.plugins.risk.hedge_protection import HedgeProtection
from pmrun.plugins.risk.on_drop import OnDrop
from pmrun.plugins.risk.position import Position
from pmrun.plugins.risk.protection_size import ProtectionSize
from pmrun.plugins.risk.stale_book import StaleBook
from pmrun.plugins.risk.two_sided import TwoSided
from pmrun.plugins.risk.volatility import Volatility
from pmrun.plugins.sizing.fixed import Fixed
from pmrun.plugins.sizing.reward_min import RewardMin
from pmrun.runner.book import Book
from pmrun.runner.desk import Desk, DeskSettings, Pace
from pmrun.runner.facts import Fact, Filled, MarketStatus, StatusChanged, TickChanged, each
from pmrun.runner.hooks import Answer, Depth, Hooks, Look, Quote, hookimpl
from pmrun.runner.intents import Cancel, Intent, Place
from pmrun.runner.inventory import Inventory
from pmrun.runner.market import ConditionId, FeeTerms, MarketNo, Outcome
from pmrun.runner.ports import FeedData, FeedInfo
from pmrun.runner.simulate import Simulation
from pmrun.runner.units import Cash, HalfPrice, Micros, Price, Side, Size
from pmrun.runner.universe import Rescan

START = 1_763_985_600_000_000
SECOND = 1_000_000
SHARE = 1_000_000
# A tape is drawn from a seed: hypothesis would spend its time on the choice of every single size.
SEEDS = st.integers(0, 2**48)
GAPS = [0, 0, 1_000, 50_000, 400_000, 400_000, SECOND, SECOND, 3 * SECOND, 31 * SECOND, 90 * SECOND]
LATE = [0, 0, 0, 1_000, 300_000]
Shown = tuple[dict[int, int], dict[int, int]]


def a_size(chance: Random) -> int:
    """Whole shares or odd ones, so that cash has to be rounded."""
    return chance.choice([chance.randint(1, 300) * SHARE, chance.randint(1, 40 * SHARE)])


def a_book(chance: Random, touch: int) -> Shown:
    """A book with a spread, mostly deep; now and then crossed, locked, one-sided or empty."""
    spread = chance.choice([1, 1, 1, 2, 2, 3, 5]) if chance.random() < 0.93 else chance.choice([0, -1])
    sides: list[dict[int, int]] = []
    for start, step in ((touch, -1), (touch + spread, 1)):
        price, side = start, {}
        for gap in [0, *chance.choices([1, 1, 1, 1, 2, 7], k=chance.randint(0, 7))]:
            price += step * gap
            if 1 <= price <= 99:
                side[price * 100] = a_size(chance)
        sides.append(side if chance.random() < 0.97 else {})
    return sides[0], sides[1]


class Recording:
    """A tape in the making: its markets wander about, its clock jumps, its messages come late."""

    def __init__(self, chance: Random, count: int, notes: bool) -> None:
        self.chance, self.notes = chance, notes
        self.rows, self.at, self.prints, self.frame = RowBuilder(), START, 0, 0
        self.told: list[Fact] = []
        self.touch = [chance.randint(8, 90) for _ in range(count)]
        self.shown: list[Shown] = [({}, {}) for _ in range(count)]
        for no in range(count):
            self.step("book", no)

    def step(self, kind: str, no: int) -> None:
        chance = self.chance
        self.frame += 1
        self.at += chance.choice(GAPS)
        outcome = chance.choice(list(Outcome))
        times = Micros(self.at), Micros(self.at - chance.choice(LATE)), self.frame, no
        if kind == "book" or not (self.shown[no][0] and self.shown[no][1]):
            self.touch[no] = min(92, max(6, self.touch[no] + chance.choice([-3, -1, 0, 0, 0, 1, 3])))
            bids, asks = self.shown[no] = a_book(chance, self.touch[no])
            ordered = sorted(bids.items(), reverse=True), sorted(asks.items())
            self.rows.book(*times, Outcome.YES, *(tuple((Price(p), Size(s)) for p, s in side) for side in ordered))
        elif kind == "note":
            if self.notes:
                self.told.append(self.note(Micros(self.at), MarketNo(no)))
        elif kind == "level":
            side, price = self.near(no)
            size = chance.choice([0, 1, 1]) and a_size(chance)
            self.shown[no][side][price] = size
            self.rows.level(*times, *_as(outcome, side, price), Size(size))
        else:
            side, price = self.near(no)
            self.prints += 1
            self.rows.trade(*times, *_as(outcome, 1 - side, price), Size(a_size(chance)))

    def near(self, no: int) -> tuple[int, int]:
        """A side and a price at its first levels or around them."""
        side = self.chance.choice([0, 1])
        there = sorted(self.shown[no][side], reverse=side == 0)[:3]
        price = self.chance.choice(there) + self.chance.choice([0, 0, 0, 0, 100, -100, 200, -200])
        return side, min(9900, max(100, price))

    def note(self, at: Micros, no: MarketNo) -> Fact:
        what = self.chance.choice(["tick", "tick", "halt", "trade", "trade", "resolve"])
        if what == "tick":
            return TickChanged(at, no, Price(self.chance.choice([10, 50, 100])))
        if what == "resolve":
            return StatusChanged(at, no, MarketStatus.RESOLVED, Price(self.chance.choice([0, 10_000, 5_000])))
        return StatusChanged(at, no, MarketStatus.HALTED if what == "halt" else MarketStatus.TRADING)


@st.composite
def tapes(draw: st.DrawFn, notes: bool = True, counts: Sequence[int] = (1, 2)) -> FeedData:
    """Markets (one or two) with books, levels near the touch, prints of both tokens, ticks that change, halts."""
    chance = Random(draw(SEEDS))
    count = draw(st.sampled_from(counts))
    made = Recording(chance, count, notes and draw(st.booleans()))
    for _ in range(draw(st.integers(1, 4)) * 20):
        kind = chance.choice(["book", *["level"] * 5, *["print"] * 5])
        made.step("note" if chance.random() < 0.04 else kind, chance.randrange(count))
    fees = chance.choice([FeeTerms(), FeeTerms(rate_ppm=70_000, rebate_ppm=200_000)])
    steps = [100] * count
    for note in made.told:
        if isinstance(note, TickChanged):
            steps[note.market] = min(steps[note.market], note.tick)
    info = FeedInfo(
        name="random",
        source="hypothesis",
        simulated=True,
        data_hash="",
        frames=made.frame,
        prints=max(1, made.prints),
        first_at=Micros(START),
        last_at=Micros(made.at),
    )
    return FeedData(
        markets=tuple(market(fees=fees, condition=ConditionId(f"0xc{number}")) for number in range(count)),
        steps=tuple(steps),
        rows=made.rows.build(),
        notes=tuple(made.told),
        info=info,
    )


def _as(outcome: Outcome, side: int, price: int) -> tuple[Outcome, Side, Price]:
    yes = outcome is Outcome.YES
    shown = Side.BUY if (side == 0) == yes else Side.SELL
    return outcome, shown, Price(price if yes else 10_000 - price)


@dataclass(frozen=True, eq=False)
class Wild:
    """A pricing rule that wishes anything: half units, across the book, both sides of both tokens."""

    seed: int
    depth = Depth(Look.PRICES, 1)

    @hookimpl
    def price(self, book: Book, inventory: Inventory) -> Answer:
        quotes = []
        for rank in range(self.seed % 4):
            mixed = (self.seed >> (4 * rank)) * 7919 + book.mid_half // 100 * 31 + inventory.net // SHARE
            outcome = Outcome.YES if mixed & 1 else Outcome.NO
            side = Side.BUY if mixed & 6 else Side.SELL
            mid = book.seen_by(outcome).mid_half
            quotes.append(Quote(outcome, side, HalfPrice(mid + (mixed >> 3) % 1801 - 900), "wild"))
        return quotes


Composition = Callable[[], dict[str, object]]
WILD: st.SearchStrategy[Callable[[], object]] = st.integers(0, 2**20).map(lambda seed: lambda: Wild(4 * seed + 2))
PRICING: st.SearchStrategy[Callable[[], object]] = st.one_of(
    st.just(MakerFollow),
    st.integers(1, 3).map(lambda level: lambda: NthLevel(level)),
    st.sampled_from(list(Join)).map(lambda join: lambda: RewardBand(join)),
    st.integers(0, 2**20).map(lambda seed: lambda: Wild(seed)),
)
CHECKS: dict[str, Callable[[], object]] = {
    "risk.cliff": lambda: Cliff(Price(300)),
    "risk.position": Position,
    "risk.protection": lambda: ProtectionSize(0.5),
    "risk.hedge": lambda: HedgeProtection(0.5),
    "risk.both": TwoSided,
    "refill": lambda: AfterFill(wait=Micros(2 * SECOND)),
}
TIMED: dict[str, Callable[[], object]] = {
    "risk.volatility": lambda: Volatility(0.05, Micros(SECOND), min_points=2, window=4, max_gap=Micros(10**6 * SECOND)),
    "risk.drop": lambda: OnDrop(0.01, Micros(20 * SECOND)),
    "risk.stale": lambda: StaleBook(Micros(60 * SECOND)),
}
CAP = 60_000_000
ROUND = MakerRound(poll_sec=Micros(3 * SECOND), cooldown=Micros(4 * SECOND))


@st.composite
def compositions(draw: st.DrawFn, timed: bool = True, cap: bool = True, wild: bool = False) -> Composition:
    """Components that fit together, any with any; each call builds them anew, because some remember."""
    pricing = draw(WILD if wild else PRICING)
    shares = Size(draw(st.integers(5, 120)) * SHARE)
    chosen = {name: CHECKS[name] for name in draw(st.sets(st.sampled_from(sorted(CHECKS)), max_size=3))}
    if timed:
        chosen |= {name: TIMED[name] for name in draw(st.sets(st.sampled_from(sorted(TIMED))))}
    requote = draw(
        st.sampled_from(
            [
                None,
                FollowUp(Micros(2 * SECOND)),
                OnDeviation(),
                OnDeviation(300.0, 2),
                OnDeviation(min_rest=Micros(2 * SECOND)),
            ]
        )
    )
    by_rewards = draw(st.booleans())
    hedging = draw(
        st.sampled_from(
            [None, ROUND, HedgeSell(may_take=True), HedgeSell(may_take=True, max_bid_gap=Price(0), stop_loss_pct=None)]
        )
    )
    ranked = draw(st.booleans())

    def build() -> dict[str, object]:
        found: dict[str, object] = {"pricing": pricing()}
        found["sizing"] = RewardMin(2.0) if by_rewards else Fixed(shares)
        found |= {name: make() for name, make in chosen.items()}
        if cap:
            found["risk.exposure"] = Exposure(Cash(CAP))
        if requote is not None:
            found["requote"] = requote
        if hedging is not None:
            found["hedging"] = replace(hedging)  # it remembers
        if ranked:
            found["ranking"] = RewardRatio()
        return found

    return build


AT_ONCE = [Pace()]
ON_A_CLOCK = [Pace(every=Micros(500_000)), Pace(every=Micros(3 * SECOND), offset=Micros(7))]


def settings_of(paces: Sequence[Pace]) -> st.SearchStrategy[DeskSettings]:
    return st.builds(
        DeskSettings,
        pace=st.sampled_from(paces),
        sell_holdings=st.booleans(),
        max_markets=st.integers(0, 1),
        rescan=st.builds(Rescan, every=st.sampled_from([0, 5 * SECOND]).map(Micros), keep=st.booleans()),
    )


SETTINGS = settings_of(AT_ONCE + ON_A_CLOCK)
FUNDS = st.sampled_from([30, 90, 10_000])
LATENCY = st.sampled_from([0, 50_000, 700_000]).map(Micros)
QUEUES = st.builds(Queue, cancels=st.sampled_from(list(Cancels)))


def papers(
    funds: st.SearchStrategy[int] = FUNDS, latency: st.SearchStrategy[Micros] = LATENCY
) -> st.SearchStrategy[Paper]:
    return st.builds(
        Paper,
        funds=funds.map(lambda dollars: Cash(dollars * 1_000_000)),
        submit_latency=latency,
        answer_latency=latency,
        settlement_delay=st.sampled_from([0, 2 * SECOND]).map(Micros),
    )


@dataclass
class Watch:
    """Writes down what happens, and lets the test look at the desk after each step."""

    desk: Desk
    look: Callable[["Watch", Fact, Sequence[Intent]], None] | None = None
    told: list[Fact] = field(default_factory=list)  # as the desk got them
    facts: list[Fact] = field(default_factory=list)  # one by one
    intents: list[Intent] = field(default_factory=list)
    placed: dict[int, Place] = field(default_factory=dict)
    fills: dict[tuple[str, int], Filled] = field(default_factory=dict)

    def record(self, fact: Fact, intents: Sequence[Intent]) -> None:
        self.told.append(fact)
        self.facts += each(fact)
        self.intents += intents
        for intent in intents:
            if isinstance(intent, Place):
                self.placed[intent.order] = intent
        for one in each(fact):
            if isinstance(one, Filled):
                self.fills[one.trade, one.order] = one
        if self.look:
            self.look(self, fact, intents)

    def close(self) -> None:
        pass

    def acted(self) -> list[Intent]:
        return [each for each in self.intents if isinstance(each, Place | Cancel)]


def trade(
    data: FeedData,
    components: Composition,
    settings: DeskSettings,
    paper: Paper,
    queue: Queue,
    look: Callable[[Watch, Fact, Sequence[Intent]], None] | None = None,
) -> Watch:
    """Run a strategy over a tape to its end."""
    hooks = Hooks(components())
    desk = Desk(hooks, settings)
    watch = Watch(desk, look)
    exchange = paper.open(data, queue, hooks.depth, not settings.gated)
    for _ in Simulation(desk, exchange, [watch], "over").run():
        pass
    return watch


def as_bytes(what: Any) -> bytes:
    """Write intents down as the journal would."""
    return msgspec.msgpack.encode(what)
