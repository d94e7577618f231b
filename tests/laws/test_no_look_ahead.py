"""No strategy looks ahead: what a tape holds later never changes what was wanted before (C7; every strategy)."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tapes import Watch, as_bytes

import pmrun.strategies
from pmrun.runner.assembly import plan
from pmrun.runner.compose import compose_config
from pmrun.runner.intents import Intent, Place
from pmrun.runner.ports import FeedData
from pmrun.runner.simulate import Simulation

STRATEGIES = sorted(each.stem for each in (Path(pmrun.strategies.__file__).parent / "strategy").glob("*.yaml"))
TAPE = Path(pmrun.strategies.__file__).parent / "tapes" / "btc_15m"
BEGIN, END = 13, 20  # minutes: the first market starts to move after fifteen
CUTS = (17.2,)
# What lets a strategy trade on markets of minutes, whose recording says little of their terms.
ALSO: dict[str, tuple[str, ...]] = {
    "reward_mm": ("risk.volatility.volatility_threshold=10",),
    "queue_value_mm": ("risk.exposure.max_exposure_per_market_usdc=100000", "pricing.least_value=-0.99"),
    "reward_mm_small": ("risk.volatility.volatility_threshold=10",),
}


@cache
def frames() -> list[tuple[int, str]]:
    """The tape's frames, and made-up prints at the touch, which it has none of: some strategies learn from them."""
    kept: list[tuple[int, str]] = []
    with gzip.open(TAPE / "frames.jsonl.gz", "rt") as lines:
        first = int(json.loads(next(lines))["t"])
        for number, line in enumerate(lines):
            at, frame = (found := json.loads(line))["t"], found["m"]
            if not BEGIN * 60_000 <= at - first <= END * 60_000:
                continue
            side, levels = ("SELL", frame["bids"]) if number % 2 else ("BUY", frame["asks"])
            if number % 3 == 0 and levels:
                kept.append((at, json.dumps({"t": at, "m": printed(frame, side, levels[-1])}) + "\n"))
            kept.append((at, line))
    return kept


def printed(frame: dict[str, Any], side: str, level: dict[str, str]) -> dict[str, str]:
    known = {name: frame[name] for name in ("asset_id", "market", "timestamp")}
    return {"event_type": "last_trade_price", "side": side, "price": level["price"], "size": "20", **known}


class Cut(NamedTuple):
    """The tape as it was known at a moment; it is over with its last frame."""

    path: Path
    until: int  # milliseconds
    data: FeedData


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> list[Cut]:
    """The tape up to some moments, the last of them its whole."""
    start = frames()[0][0]
    return [cut_at(tmp_path_factory.mktemp("cut"), start + (minutes - BEGIN) * 60_000) for minutes in (*CUTS, END)]


def cut_at(place: Path, moment: float) -> Cut:
    (place / "markets.json").write_bytes((TAPE / "markets.json").read_bytes())
    kept = [each for each in frames() if each[0] <= moment]
    with gzip.open(place / "frames.jsonl.gz", "wt", compresslevel=1) as file:
        file.writelines(line for _, line in kept)
    made = plan(compose_config(["strategy=level_mm", *feed_of(place), "sizing.shares=5"]))
    return Cut(place, kept[-1][0], made.feed.open())


def feed_of(place: Path) -> list[str]:
    return ["exchange=paper", "feed=tape", f"feed.path={place}", "store=none", "report=none"]


def wanted(strategy: str, tape: Cut) -> list[Intent]:
    """Everything a strategy wants on a tape; filters are left out, since these markets are over within the hour."""
    config = compose_config([f"strategy={strategy}", *feed_of(tape.path), *ALSO.get(strategy, ())])
    config.pop("filters", None)
    made = plan(config)
    desk = made.desk("ahead")
    exchange = made.executor.open(tape.data, made.fill, made.depth(desk.hooks), not made.settings.gated)
    watch = Watch(desk)
    for _ in Simulation(desk, exchange, [watch], "over").run():
        pass
    return watch.intents


def earlier(intents: list[Intent], until: int) -> list[Intent]:
    return [each for each in intents if each.at < until * 1_000]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_comes_later_on_a_tape_changes_no_earlier_intent(cuts, strategy):
    *shorter, longest = cuts
    whole = wanted(strategy, longest)
    for cut in shorter:
        assert as_bytes(earlier(wanted(strategy, cut), cut.until)) == as_bytes(earlier(whole, cut.until))
    placed = [each.at for each in whole if isinstance(each, Place)]
    assert placed, f"{strategy} wanted nothing: ALSO says what lets it trade"
    assert min(placed) < shorter[-1].until * 1_000 < max(placed), "nothing is wanted on both sides of a cut"
