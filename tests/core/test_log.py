"""What a trader reads while it runs (R16)."""

import pytest
from scenes import NO, NOON, SELL, YES, market, shares

from pmrun.runner.facts import Listed, OrderNews
from pmrun.runner.intents import Reason, Refuse
from pmrun.runner.log import LogObserver
from pmrun.runner.market import MarketNo
from pmrun.runner.orders import News, OrderNo, Purpose
from pmrun.runner.summary import Tally


@pytest.fixture
def said():
    """Collect what is logged at WARNING and above."""
    from loguru import logger

    lines: list[str] = []
    handle = logger.add(lambda line: lines.append(str(line).strip()), level="WARNING", format="{level} {message}")
    yield lines
    logger.remove(handle)


class Quiet:
    """A log that wants nothing below a warning."""

    def wants(self, level: str) -> bool:
        return False


def refusal(outcome, code, **numbers):
    reasons = (Reason(code, "hedging", numbers),)
    return Refuse(NOON, MarketNo(0), outcome, SELL, None, shares("20"), Purpose.HEDGE, reasons)


def test_an_exit_that_keeps_being_rejected_is_an_error_whatever_else_is_logged(said):
    log = LogObserver(Quiet())
    log.record(Listed(NOON, MarketNo(0), market()), ())
    log.record(Listed(NOON, MarketNo(0), market()), [refusal(NO, "hedge_retry", failed=1)])
    assert said == []
    log.record(Listed(NOON, MarketNo(0), market()), [refusal(YES, "hedge_alarm", failed=11)])
    assert said == ["ERROR rain YES: 20 shares cannot be sold, the exchange rejected 11 orders in a row"]


def test_orders_that_a_cap_of_ours_holds_back_are_said_once_and_counted_apart_from_rejections(said):
    log, tally = LogObserver(Quiet()), Tally()
    for no, why in enumerate(["over the cap live.max_resting_usd"] * 3 + ["not enough balance"], 1):
        for observer in (log, tally):
            observer.record(OrderNews(NOON, OrderNo(no), News.REJECTED, why), ())
    held_back = "orders are held back, the first is order 1: over the cap live.max_resting_usd"
    assert said == [f"WARNING {held_back}; the summary counts them", "WARNING order 4 rejected: not enough balance"]
    assert (tally.orders["held_back"], tally.orders["rejected"]) == (3, 1)
