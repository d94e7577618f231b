"""A feed moved to other times: to now, faster, and round after round."""

import numpy as np
import pytest

from pmrun.plugins.exchanges.embedded.engine import Engine
from pmrun.plugins.exchanges.embedded.timeline import ENDED, PAUSE, Rounds, endless, moved
from pmrun.plugins.feeds.sim.sim import Simulated
from pmrun.runner.facts import MarketStatus, StatusChanged, TickChanged
from pmrun.runner.units import SECOND, Micros

NOW = Micros(1_800_000_000 * SECOND)
LENGTH = Micros(1_200 * SECOND)


@pytest.fixture(scope="module")
def feed():
    """Twenty minutes of simulated markets, of which some end."""
    data = Simulated(seed=3, markets=24, length=LENGTH).open()
    assert any(isinstance(note, StatusChanged) and note.status in ENDED for note in data.notes)
    return data


def test_everything_of_a_moved_feed_is_as_far_from_its_first_row_as_it_was(feed):
    shifted = moved(feed, NOW)
    by = NOW - feed.info.first_at
    assert (shifted.info.first_at, shifted.info.last_at) == (NOW, feed.info.last_at + by)
    assert np.array_equal(shifted.rows.at, feed.rows.at + by)
    assert np.array_equal(shifted.rows.ts, feed.rows.ts + by)
    assert [note.at for note in shifted.notes] == [note.at + by for note in feed.notes]
    for before, after in zip(feed.markets, shifted.markets, strict=True):
        assert after.ends_at == (None if before.ends_at is None else before.ends_at + by)
    assert np.array_equal(shifted.rows.price, feed.rows.price)


def test_at_ten_times_the_speed_a_feed_takes_a_tenth_and_later_ends_stay_as_far_off(feed):
    fast = moved(feed, NOW, 10)
    lasts = feed.info.last_at - feed.info.first_at
    assert fast.info.last_at - NOW == pytest.approx(lasts / 10, abs=1)
    assert fast.rows.at.dtype == np.int64
    assert (np.diff(fast.rows.at) >= 0).all()
    for before, after in zip(feed.markets, fast.markets, strict=True):
        if before.ends_at is not None and before.ends_at > feed.info.last_at:
            assert after.ends_at - fast.info.last_at == before.ends_at - feed.info.last_at


def test_no_market_ends_in_an_endless_feed_and_each_starts_on_its_listed_tick(feed):
    data = endless(feed)
    assert not [note for note in data.notes if isinstance(note, StatusChanged) and note.status in ENDED]
    assert all(market.ends_at is None or market.ends_at > data.info.last_at for market in data.markets)
    first = {note.market: note for note in reversed(data.notes) if isinstance(note, TickChanged)}
    for no, note in first.items():
        assert (note.at, note.tick) == (data.info.first_at, data.markets[no].tick)


def test_a_crowd_in_rounds_goes_on_for_ever_and_no_market_of_it_ends(feed):
    data = moved(endless(feed), NOW, 50)
    engine = Engine(data.markets)
    crowd = Rounds(engine, data)
    lasts = data.info.last_at - data.info.first_at
    crowd.advance(data.info.first_at)
    for number in range(1, 4):
        again = Micros(NOW + number * (lasts + PAUSE))
        crowd.advance(Micros(again - 1))
        assert crowd.next_at() == again
    crowd.advance(again)
    assert all(engine.status(no) is MarketStatus.TRADING for no in range(len(data.markets)))
    assert sum(bool(engine.levels(no)[0]) for no in range(len(data.markets))) > len(data.markets) // 2
    engine.ledger.check()
