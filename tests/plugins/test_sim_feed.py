"""Simulated markets: what always holds of them, what they are made of, and the tapes they are written as."""

import importlib.util
import json
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pmrun.plugins.executors.kernel import LEVEL, PRINT, SNAPSHOT, SNAPSHOT_LEVEL
from pmrun.plugins.feeds.sim.anchor import TICK, NoEdge
from pmrun.plugins.feeds.sim.flow import LOT
from pmrun.plugins.feeds.sim.plan import Kind
from pmrun.plugins.feeds.sim.sim import START, Simulated
from pmrun.plugins.feeds.sim.terms import MIX, counts
from pmrun.plugins.feeds.tape import Tape
from pmrun.runner.assembly import plan
from pmrun.runner.compose import compose_config
from pmrun.runner.errors import ConfigError, DataError
from pmrun.runner.facts import MarketStatus, StatusChanged, TickChanged
from pmrun.runner.simulate import Simulation
from pmrun.runner.units import ONE, SECOND, Micros

ROOT = Path(__file__).resolve().parents[2]
MINUTE = Micros(60 * SECOND)


@pytest.fixture(scope="module")
def default():
    return Simulated(0).open()


def faults(data) -> list[str]:
    """Go through the rows as the exchange would, and say what it would not have sent."""
    books = [({}, {}) for _ in data.markets]
    turned = {note.market: note for note in data.notes if isinstance(note, TickChanged)}
    ended = {note.market: note.at for note in data.notes if isinstance(note, StatusChanged)}
    rows = list(zip(*(column.tolist() for column in data.rows), strict=True))
    found, before = [], 0
    for index, (at, ts, frame, market, kind, side, price, size) in enumerate(rows):
        bids, asks = books[market]
        if at != ts or at < before or at % 1_000:
            found.append(f"row {index}: time {at}")
        before = at
        if at > ended.get(market, at):
            found.append(f"row {index}: after the market's end")
        if kind == SNAPSHOT:
            bids.clear()
            asks.clear()
            continue
        note = turned.get(market)
        tick = note.tick if note is not None and at >= note.at else data.markets[market].tick
        if not 0 < price < ONE or price % tick:
            found.append(f"row {index}: {price} is not on the grid of {tick}")
        if kind == PRINT:
            best = max(bids) if side == 1 else min(asks)
            there = books[market][1 - side][best]
            after = rows[index + 1]
            if price != best or not 0 < size <= there:
                found.append(f"row {index}: a print of {size} at {price}, displayed {there} at {best}")
            if (after[0], *after[3:]) != (at, market, LEVEL, 1 - side, price, there - size):
                found.append(f"row {index}: the level does not shrink by what was traded")
        elif size:
            books[market][side][price] = size
        elif kind == LEVEL and price in books[market][side]:
            del books[market][side][price]
        else:
            found.append(f"row {index}: an empty level")
        told = index + 1 == len(rows) or rows[index + 1][2] != frame
        if told and (not bids or not asks or max(bids) >= min(asks)):
            found.append(f"row {index}: crossed, locked or empty")
    return found


@settings(max_examples=10)
@given(seed=st.integers(0, 2**63 - 1), markets=st.integers(1, 14), minutes=st.integers(2, 40))
@example(seed=0, markets=48, minutes=120)
def test_a_simulated_market_does_only_what_the_exchange_could(seed, markets, minutes):
    data = Simulated(seed, markets, Micros(minutes * MINUTE)).open()
    assert faults(data) == []
    assert data.info.prints == int((data.rows.kind == PRINT).sum())


@settings(max_examples=10)
@given(seed=st.integers(0, 2**63 - 1), markets=st.integers(1, 4), minutes=st.integers(2, 120))
def test_a_market_without_an_edge_does_only_what_the_exchange_could(seed, markets, minutes):
    data = NoEdge(seed, markets, Micros(minutes * MINUTE), MINUTE).open()
    assert faults(data) == []


def test_the_checks_above_notice_a_crossed_book_an_odd_price_and_an_unexplained_print(default):
    rows = default.rows
    level = int(np.flatnonzero((rows.kind == LEVEL) & (rows.size > 0) & (rows.side == 0))[5])
    printed = int(np.flatnonzero(rows.kind == PRINT)[0])
    for column, index, value in (("price", level, 9_990), ("price", level, 5_001), ("size", printed, 10**15)):
        changed = getattr(rows, column).copy()
        changed[index] = value
        assert faults(with_rows(default, rows._replace(**{column: changed})))


def with_rows(data, rows):
    return type(data)(markets=data.markets, steps=data.steps, rows=rows, notes=data.notes, info=data.info)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=5)
def test_the_same_seed_gives_the_same_data_and_another_one_other_data(seed):
    first, again, other = (Simulated(s, 3, MINUTE).open() for s in (seed, seed, seed + 1))
    assert first.info.data_hash == again.info.data_hash != other.info.data_hash
    assert first.markets == again.markets


def test_settings_change_the_data_hash():
    hashes = {Simulated(0, *settings).open().info.data_hash for settings in ((3, MINUTE), (4, MINUTE), (3, 2 * MINUTE))}
    assert len(hashes) == 3
    assert (
        Simulated(0, 4, 20 * MINUTE, 0).open().info.data_hash != Simulated(0, 4, 20 * MINUTE, 9).open().info.data_hash
    )


def test_everything_says_that_it_is_simulated(default):
    for data in (default, NoEdge(0).open()):
        assert data.info.simulated
        assert any("simulated" in remark for remark in data.info.remarks)
        for market in data.markets:
            assert market.simulated
            assert market.question.endswith("(simulated)")
            assert market.slug.startswith("simulated-")


def test_the_default_is_48_markets_over_two_hours_with_whole_terms(default):
    assert len(default.markets) == 48
    assert default.info.first_at == START
    assert 7_190 * SECOND < default.info.last_at - START <= 7_200 * SECOND
    assert len({market.condition for market in default.markets}) == 48
    assert len({token for market in default.markets for token in (market.yes, market.no)}) == 96
    assert len({market.question for market in default.markets}) == 48
    for market in default.markets:
        assert market.rewards is not None
        assert market.rewards.daily_rate > 0
        assert market.volume_24h is not None
        assert market.liquidity is not None
        assert market.ends_at is not None
        assert market.fees.rate_ppm > 0
        assert market.min_order_size == 5 * 10**6
    assert {market.tick for market in default.markets} == {10, 100}
    assert max(Counter(market.event for market in default.markets).values()) > 1
    assert any(market.neg_risk for market in default.markets)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_filters_of_the_original_have_something_to_reject_and_something_to_choose(seed):
    plans = Simulated(seed).plans()

    def passes(one) -> bool:
        market = one.market
        return (
            "Trump" not in market.question
            and market.rewards.min_size <= 20 * 10**6
            and market.rewards.daily_rate >= 5 * 10**6
            and market.ends_at - START >= 7 * 86_400 * SECOND
            and one.spread <= 500
        )

    passing = sum(map(passes, plans))
    assert 12 <= passing <= len(plans) / 2
    assert sum("Trump" in one.market.question for one in plans) >= 2


def test_kinds_are_shared_out_in_their_proportions():
    assert counts(sum(MIX.values())) == MIX
    for count in (1, 7, 24, 100):
        assert sum(counts(count).values()) == count


def test_short_lived_markets_resolve_and_are_silent_afterwards(default):
    ended = [note for note in default.notes if isinstance(note, StatusChanged)]
    assert len(ended) == MIX[Kind.BUSY]
    for note in ended:
        assert note.status is MarketStatus.RESOLVED
        assert note.settled_yes in (0, ONE)
        assert note.at == default.markets[note.market].ends_at
        assert default.rows.at[default.rows.market == note.market].max() <= note.at


def test_a_market_that_ends_inside_a_longer_run_resolves():
    data = Simulated(0, 12, Micros(86_400 * SECOND), 0).open()
    ended = {note.market for note in data.notes if isinstance(note, StatusChanged)}
    assert ended == {number for number, market in enumerate(data.markets) if market.ends_at < START + 86_400 * SECOND}
    assert len(ended) >= 2


def test_a_price_that_leaves_the_middle_gets_a_finer_tick_and_its_book_anew(default):
    (turn,) = [note for note in default.notes if isinstance(note, TickChanged)]
    rows = default.rows
    assert (default.markets[turn.market].tick, turn.tick, default.steps[turn.market]) == (100, 10, 10)
    assert ((rows.kind == SNAPSHOT) & (rows.market == turn.market) & (rows.at == turn.at)).sum() == 1
    later = rows.price[(rows.market == turn.market) & (rows.at > turn.at)]
    assert (later % 100 != 0).any()
    assert ((later < 400) | (later > 9_600)).any()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_book_follows_takers_so_that_makers_are_sometimes_wrong(seed):
    """A maker who trades at the touch is, a minute later and against the mid, worse off than the touch promised."""
    feed = Simulated(seed)
    data, plans = feed.open(), feed.plans()
    promised, kept = [], []
    for number, one in enumerate(plans):
        if one.kind is Kind.TRADED:
            for half, mark in mark_outs(data, number):
                promised.append(half)
                kept.append(mark)
    assert len(kept) > 200
    assert statistics.fmean(kept) < statistics.fmean(promised)
    assert sum(mark < 0 for mark in kept) > 0.1 * len(kept)


def mark_outs(data, market: int):
    """Return, for each print, what the maker gains against the mid before it, and against the mid a minute later."""
    rows, mine = data.rows, data.rows.market == market
    columns = [column[mine].tolist() for column in (rows.at, rows.kind, rows.side, rows.price, rows.size)]
    book, times, mids, prints = ({}, {}), [], [], []
    for at, kind, side, price, size in zip(*columns, strict=True):
        if kind == PRINT:
            prints.append((at, side, price, mids[-1]))
            continue
        if kind in (LEVEL, SNAPSHOT_LEVEL):
            book[side].pop(price, None)
            if size:
                book[side][price] = size
        if book[0] and book[1]:
            times.append(at)
            mids.append((max(book[0]) + min(book[1])) / 2)
    for at, side, price, mid in prints:
        later = mids[min(np.searchsorted(times, at + MINUTE, "right"), len(mids)) - 1]
        sign = 1 if side == 0 else -1  # a maker sold to a buyer
        yield sign * (price - mid), sign * (price - later)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"markets": 0}, "markets must be from 1 to 1,000"),
        ({"markets": 1_001}, "markets must be from 1 to 1,000"),
        ({"length": 59 * SECOND}, "length must be from 60 to 86,400 seconds"),
        ({"length": 86_401 * SECOND}, "length must be from 60 to 86,400 seconds"),
        ({"jumps": -0.1}, "jumps must be from 0 to 100"),
        ({"jumps": float("nan")}, "jumps must be from 0 to 100"),
        ({"save_to": ""}, "save_to must name a folder, or be null"),
        ({"seed": -1}, "seed must be from 0"),
    ],
)
def test_what_cannot_be_simulated_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Simulated(**{"seed": 0, **wrong})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"markets": 0}, "markets must be"),
        ({"length": 59 * SECOND}, "length must be"),
        ({"trade_gap": SECOND - 1}, "trade_gap must be from 1 second to length"),
        ({"length": MINUTE, "trade_gap": MINUTE + 1}, "trade_gap must be from 1 second to length"),
        ({"seed": -1}, "seed must be from 0"),
    ],
)
def test_an_anchor_that_cannot_be_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        NoEdge(**{"seed": 0, **wrong})


# Tapes.


def intents_of(config: list[str]) -> list[tuple[int, str]]:
    """Run a composition and return everything that was wanted, with its time."""
    made = plan(compose_config(["strategy=reward_mm", "exchange=paper", "store=none", "report=none", *config]))
    desk, data = made.desk("pmrun"), made.feed.open()
    exchange = made.executor.open(data, made.fill, made.depth(desk.hooks), not made.settings.gated)
    seen: list[tuple[int, str]] = []

    class Recorder:
        def record(self, fact, intents):
            seen.extend((fact.at, repr(intent)) for intent in intents)

        def close(self):
            pass

    for _ in Simulation(desk, exchange, [Recorder()], "the feed ended").run():
        pass
    return seen


def test_a_session_written_as_a_tape_gives_the_same_intents(tmp_path):
    folder = tmp_path / "session"
    size = ["feed.markets=24", "feed.length=1800"]
    wanted = intents_of(["feed=sim", *size, f"feed.save_to={folder}"])
    assert len(wanted) > 50
    assert intents_of(["feed=tape", f"feed.path={folder}"]) == wanted
    assert intents_of(["feed=sim", *size, "seed=1"]) != wanted


def test_a_tape_says_exactly_what_the_simulator_said_and_that_it_is_simulated(tmp_path):
    data = Simulated(0, 48, Micros(1_800 * SECOND), save_to=str(tmp_path / "t")).open()
    tape = Tape(str(tmp_path / "t")).open()
    assert tape.markets == data.markets
    assert tape.info.simulated
    assert tape.notes == data.notes
    assert tape.steps == data.steps
    for column in ("at", "ts", "market", "kind", "side", "price", "size"):
        assert np.array_equal(getattr(tape.rows, column), getattr(data.rows, column)), column
    assert any(isinstance(note, TickChanged) for note in data.notes)
    assert any(isinstance(note, StatusChanged) for note in data.notes)
    assert (tape.info.prints, tape.info.unknown, tape.info.unlisted) == (data.info.prints, {}, 0)


def test_a_tape_that_was_recorded_stays_unlabelled():
    path = ROOT / "strategies" / "tapes" / "btc_15m"
    assert not Tape(str(path)).open().info.simulated


def test_a_folder_that_holds_something_else_is_not_written_to(tmp_path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    feed = Simulated(0, 1, MINUTE, save_to=str(tmp_path))
    with pytest.raises(ConfigError, match=r"feed\.save_to=.*: is not empty; a tape is written into a new or an empty"):
        feed.check()
    with pytest.raises(DataError, match="holds something else"):
        feed.open()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_same_session_is_not_written_twice_and_another_one_not_over_it(tmp_path):
    folder = str(tmp_path)
    Simulated(0, 1, MINUTE, save_to=folder).open()
    first = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = Simulated(0, 1, MINUTE, save_to=folder)
    again.check()  # a replay opens the feed anew
    again.open()
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == first
    assert json.loads((tmp_path / "simulated.json").read_text(encoding="utf-8"))["simulated"] is True
    with pytest.raises(DataError, match="holds something else"):
        Simulated(1, 1, MINUTE, save_to=folder).open()


# Markets without an edge.


def prints_of(data, market: int) -> list[tuple[int, int]]:
    """Return (price, taker's side) of a market's prints."""
    mine = (data.rows.kind == PRINT) & (data.rows.market == market)
    return list(zip(data.rows.price[mine].tolist(), data.rows.side[mine].tolist(), strict=True))


def test_every_trade_without_an_edge_moves_fair_value_to_its_own_price():
    """A buy is a tick above the last trade, a sell a tick below: each price is the mean of the two that may follow."""
    ups = []
    for seed in range(20):
        data = NoEdge(seed).open()
        for market in range(len(data.markets)):
            chance = ONE // 2
            for price, side in prints_of(data, market):
                assert price - chance == (TICK if side == 0 else -TICK)
                chance = price
                ups.append(side == 0)
    assert abs(statistics.fmean(ups) - 0.5) < 4 * 0.5 / len(ups) ** 0.5


def test_the_payoff_is_on_average_what_was_paid():
    off = []
    for seed in range(300):
        data = NoEdge(seed, 2, Micros(1_800 * SECOND)).open()
        paid = {note.market: note.settled_yes for note in data.notes}
        for market in range(2):
            prices = [price for price, _ in prints_of(data, market)]
            off.append((paid[market] - prices[len(prices) // 2]) / ONE)
    error = statistics.stdev(off) / len(off) ** 0.5
    assert error < 0.03
    assert abs(statistics.fmean(off)) < 3 * error


def benchmark():
    spec = importlib.util.spec_from_file_location("no_edge", ROOT / "benchmarks" / "no_edge.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NO_EDGE = benchmark()
LIES = "touch"


def no_edge(model: str) -> tuple[list[float], int]:
    """Return the PnL of an hour of a few seeds, and all fills."""
    results = list(NO_EDGE.runs(NO_EDGE.made(model, ["feed.length=3600"]), range(5)))
    return [result.pnl for result in results], sum(result.fills for result in results)


def test_every_fill_model_but_one_is_held_to_earn_nothing():
    assert set(NO_EDGE.models()) > {LIES, "queue", "intensity"}


@pytest.mark.parametrize("model", [model for model in NO_EDGE.models() if model != LIES])
def test_an_honest_fill_model_earns_nothing_where_nothing_can_be_earned(model):
    pnl, fills = no_edge(model)
    assert fills > 20
    assert statistics.fmean(pnl) <= 2 * NO_EDGE.error_of(pnl)


def test_the_touch_model_shows_a_profit_where_nothing_can_be_earned():
    pnl, fills = no_edge(LIES)
    assert fills > 20
    assert statistics.fmean(pnl) > 3 * NO_EDGE.error_of(pnl)


def test_rows_are_whole_lots(default):
    sizes = default.rows.size[default.rows.kind != SNAPSHOT]
    assert (sizes % LOT == 0).all()
