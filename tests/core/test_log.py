"""The log says what a trader wants to read, and says it once."""

from collections.abc import Iterator

import pytest
from loguru import logger

from pmrun.runner.facts import FeedLost
from pmrun.runner.intents import Drop, Reason, Select
from pmrun.runner.log import Log, LogObserver, say_timings
from pmrun.runner.market import MarketNo
from pmrun.runner.timings import Measured
from pmrun.runner.units import Micros

NOON = Micros(1_700_000_000_000_000)
TOO_SOON = Reason("too_soon", "filters.expiry", {"value": 0.5, "limit": 2, "margin": -1.5})
SELECTED = Reason("selected", "universe")


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    number = logger.add(lambda message: lines.append(str(message).strip()), level="INFO", format="{message}")
    yield lines
    logger.remove(number)


def scan(observer: LogObserver, *intents: Drop | Select) -> None:
    observer.record(FeedLost(NOON), intents)


def drop(market: int, reason: Reason = TOO_SOON) -> Drop:
    return Drop(NOON, MarketNo(market), reason)


def test_a_market_that_is_dropped_is_told_with_what_was_judged(said):
    scan(LogObserver(Log()), drop(7))
    assert said == ["7 dropped by filters.expiry: too_soon (value 0.5, limit 2)"]


def test_a_rescan_tells_only_what_changed(said):
    observer = LogObserver(Log())
    scan(observer, drop(7), drop(8))
    scan(observer, drop(7), Select(NOON, MarketNo(8), SELECTED))
    assert said[2:] == ["8 selected"]


def test_many_verdicts_of_one_scan_are_one_line(said):
    scan(LogObserver(Log()), *map(drop, range(5)), Select(NOON, MarketNo(5), SELECTED))
    assert said == ["scan: 5 dropped by filters.expiry, 1 selected"]


def test_timings_are_told_in_milliseconds(said):
    say_timings([Measured("desk decisions", 1_234, 2_500.0, 0.01, 0.5, 12.0)])
    assert said == ["[performance] desk decisions: 1,234 in 2.50 s, p50 0.010 ms, p99 0.500 ms, most 12.0 ms"]
