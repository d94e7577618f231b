"""What a trader reads while it runs (R16)."""

import pytest
from scenes import NO, NOON, SELL, YES, market, shares

from pmrun.plugins.exchanges.satori.terms import CAPABILITIES as SATORI
from pmrun.runner.capabilities import Capability, settle
from pmrun.runner.facts import Listed, OrderNews
from pmrun.runner.intents import Reason, Refuse
from pmrun.runner.log import LogObserver, say_substitutions
from pmrun.runner.market import MarketNo
from pmrun.runner.orders import News, OrderNo, Purpose
from pmrun.runner.unsent import WOULD_TAKE


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


@pytest.mark.parametrize(("real", "lines"), [(True, 1), (False, 0)])
def test_what_stands_in_for_what_the_exchange_lacks_is_a_warning_where_orders_are_real(said, real, lines):
    (stand_in,) = settle(SATORI, {"desk": [Capability.POST_ONLY]})
    say_substitutions([stand_in], real)
    assert said == [f"WARNING {stand_in}"] * lines


def test_why_orders_never_leave_is_said_once_and_not_called_a_rejection(said):
    log = LogObserver(Quiet())
    for reason in (WOULD_TAKE, WOULD_TAKE, "some words of the exchange"):
        log.record(OrderNews(NOON, OrderNo(7), News.REJECTED, reason), ())
    assert said == [
        f"WARNING orders are never sent, the first is order 7: {WOULD_TAKE}; the summary counts them",
        "WARNING order 7 rejected: some words of the exchange",
    ]
