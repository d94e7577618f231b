"""maker_follow against the embedded exchange, in the real protocol on a virtual clock, with a restart (M1, M5, M6)."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rehearsal import ARMED, KEY, Rehearsal, lively_feed

from pmrun.plugins.exchanges.embedded.fault_script import read_script
from pmrun.plugins.exchanges.embedded.faults import Faults
from pmrun.runner.book import Book
from pmrun.runner.facts import BookChanged, Carried, FeedLost, FeedRestored, HoldingSeen, each
from pmrun.runner.intents import CancelAll, Place
from pmrun.runner.journal import End, Header, as_fact, read_journal
from pmrun.runner.units import Side

SEED = 7
OVERRIDES = [
    "strategy=maker_follow",
    *ARMED,
    "report=none",
    "log.console=OFF",
    "universe.max_markets=0",
    "risk.daily_loss.max_loss=100000",
    "risk.drawdown.max_drawdown=100000",
    "risk.order_rate.max_requests=100000",
    "risk.exposure.max_exposure_per_market_usdc=1000",
    "risk.drop.drop_threshold=0.01",
    "sizing.target_size=10",
    "hedging.cooldown=5",
    "hedging.countdown=null",
]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYMARKET_PRIVATE_KEY", KEY)


def steps(directory: Path) -> list[tuple[Any, list[Any]]]:
    found = []
    for line in read_journal(directory):
        first, *intents = line.entries
        if not isinstance(first, (Header, End)):
            found.append((as_fact(first, lambda entry: Book((), ())), intents))  # type: ignore[arg-type, return-value]
    return found


def test_rounds_go_on_after_a_restart_and_after_a_lost_feed_and_nothing_ever_takes(key: None, tmp_path: Path) -> None:
    lost = [
        {"fault": "disconnect", "at": 90, "burst": 1, "where": {"channel": "user"}},
        {"fault": "freeze", "at": 110, "for": 25, "where": {"channel": "market"}},
    ]
    script = read_script(lost)
    run = Rehearsal(lively_feed(SEED, 4, 170, 20), tmp_path, OVERRIDES, Faults(script, SEED), seed=SEED)
    verdicts = []

    async def scene() -> None:
        await run.run("feed.stop_after=60")
        verdicts.append((run.resting(), run.differences()))
        await run.run("feed.stop_after=90")
        verdicts.append((run.resting(), run.differences()))

    run.play(scene)
    assert verdicts == [([], {}), ([], {})]  # nothing rests, and both books agree, after either session
    first, second = steps(tmp_path / "run-1"), steps(tmp_path / "run-2")

    placed = [intent for _, intents in [*first, *second] for intent in intents if isinstance(intent, Place)]
    assert all(order.post_only for order in placed)
    assert run.trades()
    assert not [trade for trade in run.trades() if trade.taker_wallet == run.wallet()]
    kinds = Counter((order.side, order.reason.code) for order in placed)
    assert kinds[Side.BUY, "best_bid"] > 3
    assert kinds[Side.BUY, "follow"] > 3
    assert kinds[Side.SELL, "best_ask"] > 3

    told = [fact for facts, _ in second for fact in each(facts)]
    carried = {fact.node: fact.values for fact in told if isinstance(fact, Carried)}
    assert any(name.endswith(("target", "until")) for name in carried["hedging"])
    resumed = [name.split() for name in carried["hedging"] if name.endswith("target")]
    holdings = [fact for fact in told if isinstance(fact, HoldingSeen)]
    assert resumed or holdings
    assert [fact for fact in told if isinstance(fact, FeedLost)]
    back = [fact.at for fact in told if isinstance(fact, FeedRestored)]
    dark = [fact.at for fact in told if isinstance(fact, BookChanged) and not fact.book.bids and not fact.book.asks]
    pulled = {intent.reason.code for _, intents in second for intent in intents if isinstance(intent, CancelAll)}
    assert "feed_lost" in pulled
    assert any(order.at > back[-1] for order in placed)
    assert dark
    assert any(order.at > dark[-1] for order in placed)
