"""The same facts give the same intents on paper and live: what separates them is a fill, and nothing else (O12)."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from rehearsal import ARMED, KEY, Rehearsal

from pmrun.plugins.exchanges.embedded.settings import HostSettings
from pmrun.runner.assembly import plan
from pmrun.runner.compose import compose_config
from pmrun.runner.facts import Fact, Filled, Listed, each
from pmrun.runner.intents import Cancel, Intent, Place
from pmrun.runner.journal import End, Header, as_fact, read_journal
from pmrun.runner.ports import FeedData
from pmrun.runner.simulate import Simulation
from pmrun.runner.units import SECOND, Cash, Micros

# Rules that would act otherwise if they took our own orders for somebody else's: one follows the best bid, one wants
# twenty times our size beside us.
FOLLOWS = ["pricing=maker_follow"]
WANTS_COVER = ["risk.protection_size.min_protection_size_multiplier=20"]
PLAIN = ["strategy=reward_mm", "rescan.update_interval_seconds=0", "log.console=ERROR"]
PACE = Micros(500_000)  # of decisions
FUNDS = 5_000
REQUEST = Micros(100_000)
SECONDS = 420.0
NEVER = 10**18

Step = tuple[Fact, Iterable[Intent]]


class Story:
    """What was placed and cancelled, by market and moment, and when the first fill came."""

    def __init__(self, steps: Iterable[Step], origin: Micros) -> None:
        self.acts: list[tuple[Any, ...]] = []
        self.first_fill = NEVER
        self.began: Micros | None = None
        names: dict[int, str] = {}
        orders: dict[int, tuple[Any, ...]] = {}
        for fact, intents in steps:
            self.began = self.began or fact.at
            for one in each(fact):
                if isinstance(one, Listed):
                    names[one.market] = one.terms.condition
                if isinstance(one, Filled):
                    self.first_fill = min(self.first_fill, one.at - origin)
            for intent in intents:
                if isinstance(intent, Place):
                    orders[intent.order] = names[intent.market], intent.outcome, intent.side, intent.price, intent.size
                    self.acts.append((intent.at - origin, "place", *orders[intent.order]))
                elif isinstance(intent, Cancel):
                    self.acts.append((intent.at - origin, "cancel", *orders[intent.order], intent.reason.code))

    def until(self, moment: int) -> list[tuple[Any, ...]]:
        return sorted(act for act in self.acts if act[0] < moment)


@pytest.fixture(scope="module")
def markets() -> FeedData:
    made = plan(compose_config([*PLAIN, "seed=3", "feed.markets=10", f"feed.length={SECONDS + 30}"]))
    return made.feed.open()


def on_paper(data: FeedData, rule: list[str]) -> Story:
    overrides = [*PLAIN, *rule, f"executor.funds={FUNDS}", f"executor.submit_latency={REQUEST / SECOND}"]
    made = plan(compose_config([*overrides, "executor.answer_latency=0"]))
    desk = made.desk("paper")
    steps: list[Step] = []

    class Watch:
        def record(self, fact: Fact, intents: Iterable[Intent]) -> None:
            steps.append((fact, list(intents)))

        def close(self) -> None:
            pass

    exchange = made.executor.open(data, made.fill, desk.hooks.depth, False)
    for _ in Simulation(desk, exchange, [Watch()], "over").run():
        pass
    return Story(steps, data.info.first_at)


def told(directory: Path) -> Iterator[Step]:
    for line in read_journal(directory):
        first, *intents = line.entries
        if not isinstance(first, (Header, End)):
            yield as_fact(first, lambda entry: None), intents


def live(data: FeedData, rule: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, news: Micros) -> Story:
    """Run live, so that its decisions fall on the moments of the paper run's: a first, short run tells how far off."""
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", KEY)
    settings = HostSettings(funds=Cash(FUNDS * SECOND), news_latency=news)
    overrides = [*PLAIN, *rule, *ARMED, "~risk.daily_loss", "~risk.drawdown", "~risk.order_rate", "~risk.error_rate"]
    lead = 5.0
    for name, seconds in (("short", 10.0), ("whole", SECONDS)):
        run = Rehearsal(
            data, folder / name, [*overrides, "report=none"], settings=settings, request_latency=REQUEST,
            answer_latency=Micros(0), lead=lead,
        )  # fmt: skip
        run.together(seconds=seconds)
        story = Story(told(run.last_run()), data.info.first_at)
        assert story.began is not None
        lead += (story.began - data.info.first_at) % PACE / SECOND
    assert run.differences() == {}  # which replays the run, and would raise where an intent differs
    return story


@pytest.mark.parametrize(
    ("rule", "news"),
    [(WANTS_COVER, 0), (FOLLOWS, 0), (FOLLOWS, 300_000)],
    ids=["wants cover", "follows the touch", "follows the touch, books lag behind answers"],
)
def test_paper_and_live_place_and_cancel_the_same_until_a_fill_differs(markets, tmp_path, monkeypatch, rule, news):
    at_exchange = live(markets, rule, tmp_path, monkeypatch, Micros(news))
    later = markets.rows._replace(at=markets.rows.at + news)  # what the socket delays, the paper run sees as late
    on_tape = on_paper(replace(markets, rows=later), rule)
    moment = min(at_exchange.first_fill, on_tape.first_fill, int((SECONDS - 10) * SECOND))
    assert len(on_tape.until(moment)) > 15
    assert at_exchange.until(moment) == on_tape.until(moment)
