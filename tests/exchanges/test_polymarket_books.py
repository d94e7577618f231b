"""Local books: what arrives late, twice, mirrored or not at all, and what the desk is told of it."""

import gzip
import json
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polymarket_peers import T0, a_print, book, change, gamma, market

from pmrun.plugins.exchanges.common.book_hash import book_hash
from pmrun.plugins.exchanges.common.local_book import LocalBook
from pmrun.plugins.exchanges.common.local_books import LocalBooks, Requests
from pmrun.plugins.exchanges.common.market_news import BookSeen, LevelsSeen, PrintSeen
from pmrun.plugins.exchanges.polymarket.wire import parse_frame
from pmrun.plugins.exchanges.polymarket.wire_gamma import parse_gamma_markets
from pmrun.plugins.exchanges.polymarket.wire_prices import parse_books
from pmrun.plugins.executors.fill import Queue
from pmrun.plugins.executors.paper import Paper
from pmrun.plugins.feeds.tape import Tape
from pmrun.runner.book import Book
from pmrun.runner.facts import MarketStatus, Printed, StatusChanged, TickChanged
from pmrun.runner.hooks import WHOLE_BOOK, Depth, Look
from pmrun.runner.market import MarketNo
from pmrun.runner.units import ONE, Micros, Side

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tapes"
RAIN, SNOW = market(0), market(1)
QUIET = book({"0.48": "100", "0.47": "200"}, {"0.52": "100", "0.53": "200"}, T0, RAIN)
START = Micros(T0 * 1_000)


def at(seconds: float) -> Micros:
    return Micros(START + round(seconds * 1e6))


def tell(books: LocalBooks, *frames: object, seconds: float = 0) -> LocalBooks:
    for frame in frames:
        books.take(parse_frame(json.dumps(frame)), at(seconds))
    return books


def following(*frames: object, markets=(RAIN, SNOW), depth: Depth = WHOLE_BOOK) -> LocalBooks:
    books = LocalBooks(markets, depth)
    books.restored([MarketNo(no) for no in range(len(markets))], START)
    return tell(books, *frames)


def rest(frame: dict) -> BookSeen:
    (seen,) = parse_books(json.dumps([frame]))
    return seen


# Levels.


def test_a_book_is_told_once_however_often_it_changed_in_between():
    books = following(QUIET, change("0.49", "5", "BUY", T0 + 1, RAIN), change("0.49", "6", "BUY", T0 + 2, RAIN))
    (told,) = books.books(at(1))
    assert (told.market, told.at) == (0, at(1))
    assert told.book.bids == ((4900, 6_000_000), (4800, 100_000_000), (4700, 200_000_000))
    assert books.books(at(2)) == []
    assert books.changed_since() is None


def test_a_change_of_the_no_token_is_one_of_the_yes_book():
    books = following(QUIET, change("0.51", "9", "BUY", T0 + 1, RAIN, RAIN.no))
    assert books.book(0).asks[0] == (4900, 9_000_000)


def test_both_tokens_in_one_message_say_the_same_thing_once():
    both = change("0.49", "5", "BUY", T0 + 1, RAIN)
    both["price_changes"] += change("0.51", "5", "SELL", T0 + 1, RAIN, RAIN.no)["price_changes"]
    books = following(QUIET, both)
    assert books.book(0).bids[0] == (4900, 5_000_000)
    assert len(books.books(at(1))) == 1


def test_a_message_told_twice_changes_nothing_the_second_time():
    books = following(QUIET, change("0.49", "5", "BUY", T0 + 1, RAIN))
    books.books(at(1))
    tell(books, change("0.49", "5", "BUY", T0 + 1, RAIN))
    assert books.books(at(2)) == []


def test_a_change_that_arrives_after_a_newer_one_does_not_undo_it():
    books = following(QUIET, change("0.48", "70", "BUY", T0 + 50, RAIN), change("0.48", "90", "BUY", T0 + 20, RAIN))
    assert books.book(0).bids[0] == (4800, 70_000_000)
    assert books.counts["late"] == 1


def test_a_snapshot_that_arrives_late_keeps_the_levels_that_changed_since():
    late = book({"0.48": "100", "0.46": "5"}, {"0.52": "100"}, T0 + 10, RAIN)
    books = following(QUIET, change("0.48", "70", "BUY", T0 + 50, RAIN), late)
    assert books.book(0).bids == ((4800, 70_000_000), (4600, 5_000_000))


def test_a_change_that_overtakes_the_first_snapshot_is_not_lost_and_makes_no_book_by_itself():
    books = following(change("0.49", "5", "BUY", T0 + 5, RAIN))
    assert books.books(at(1)) == []
    assert books.without_book() == [0, 1]
    tell(books, QUIET)
    assert books.book(0).best_bid == 4900


def test_a_market_that_is_not_ours_is_counted_and_nothing_else():
    books = following(book({"0.1": "1"}, {}, T0, market(7)), change("0.2", "1", "BUY", T0, market(7)))
    assert books.counts["unlisted"] == 2
    assert books.books(at(1)) == []


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([*range(40, 61)]), st.integers(0, 3), st.sampled_from(["BUY", "SELL"]), st.booleans()
    ),
    max_size=12,
)  # fmt: skip


@given(MESSAGES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_and_repetitions_never_matter(messages, chance):
    frames = [QUIET]
    for number, (cents, size, side, mirrored) in enumerate(messages, 1):
        token, cents, side = (
            (RAIN.no, 100 - cents, "SELL" if side == "BUY" else "BUY") if mirrored else (RAIN.yes, cents, side)
        )
        frames.append(change(f"0.{cents:02d}", str(size), side, T0 + number, RAIN, token))
    in_order = following(*frames).book(0)
    shuffled = [*frames, *chance.choices(frames, k=3)]
    chance.shuffle(shuffled)
    assert following(*shuffled).book(0) == in_order


@given(MESSAGES, st.integers(0, 3), st.sampled_from([Look.LEVELS, Look.PRICES]), st.integers(0, 4))
def test_live_and_replay_tell_the_desk_the_same_books(tmp_path_factory, messages, levels, look, gap_after):
    """Paper on a tape and live on its frames: the same books, limited to the same depth, a gap included (O12)."""
    frames: list[dict] = [{"m": QUIET}]
    for number, (cents, size, side, _) in enumerate(messages, 1):
        frames.append({"m": change(f"0.{cents:02d}", str(size), side, T0 + 10 * number, RAIN)})
        if number % 5 == 4:
            frames.append({"m": book({"0.44": str(size + 1)}, {"0.57": "3"}, T0 + 10 * number - 15, RAIN)})
        if number == gap_after:
            frames.append({"gap": {"shard": 0, "why": "lost", "markets": [RAIN.condition]}})
    frames.append({"m": book({"0.45": "1", "0.41": "2"}, {"0.58": "3"}, T0 + 1_000, RAIN)})
    depth = Depth(look, levels)
    told, now = [], 0
    books = following(depth=depth)
    lines = []
    for number, line in enumerate(frames):
        now = max(now, int(line.get("m", {}).get("timestamp", 0)), T0 + 10 * number)
        lines.append(json.dumps({"t": now} | line))
        if "m" in line:
            books.take(parse_frame(json.dumps(line["m"])), Micros(now * 1_000))
        else:
            books.lost([MarketNo(0)], Micros(now * 1_000))
            books.restored([MarketNo(0)], Micros(now * 1_000))
        told += [(now, changed.book) for changed in books.books(Micros(now * 1_000))]
    assert told == replayed(tmp_path_factory.mktemp("tape"), lines, depth)


def replayed(folder: Path, lines: list[str], depth: Depth) -> list[tuple[int, Book]]:
    (folder / "markets.json").write_text(json.dumps([gamma(RAIN), gamma(SNOW)]))
    (folder / "frames.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    data = Tape(str(folder)).open()
    exchange = Paper().open(data, Queue(), depth, False)
    told = []
    for moment in dict.fromkeys(json.loads(line)["t"] for line in lines):
        exchange.advance(Micros(moment * 1_000))
        told += [(moment, changed.book) for changed in exchange.books(Micros(moment * 1_000))]
    return told


# What can go wrong.


def test_a_lost_market_is_told_as_an_empty_book_until_the_next_snapshot():
    books = following(QUIET)
    books.books(at(1))
    books.lost([MarketNo(0)], at(2))
    (told,) = books.books(at(2))
    assert told.book == Book((), ())
    tell(books, change("0.49", "5", "BUY", T0 + 9, RAIN))
    assert books.books(at(3)) == []
    books.restored([MarketNo(0)], at(4))
    tell(books, {**QUIET, "timestamp": str(T0 + 20)})
    assert books.books(at(5))[0].book.best_bid == 4800


def test_after_a_loss_the_same_book_is_fresh_and_an_older_one_is_not():
    books = following(QUIET, change("0.48", "70", "BUY", T0 + 50, RAIN))
    books.lost([MarketNo(0)], at(1))
    books.restored([MarketNo(0)], at(1))
    tell(books, QUIET)
    assert books.without_book() == [0, 1]
    tell(books, {**QUIET, "timestamp": str(T0 + 50)})
    assert books.without_book() == [1]


def test_no_book_from_rest_stands_in_for_a_lost_shard():
    """Nobody would keep it up to date."""
    books = following(QUIET)
    books.lost([MarketNo(0)], at(1))
    assert not books.take_rest(rest({**QUIET, "timestamp": str(T0 + 99)}), at(2))
    assert books.book(0) == Book((), ())
    assert books.requests(at(99)).books == (SNOW.yes,)


def test_a_market_without_a_book_is_asked_for_and_again_if_nothing_comes():
    books = following(QUIET)
    assert books.requests(at(4.9)) == Requests()
    assert books.requests(at(5)) == Requests(books=(SNOW.yes,))
    assert books.requests(at(6)) == Requests()
    assert books.requests(at(15)) == Requests(books=(SNOW.yes,))
    books.take_rest(rest(book({"0.1": "1"}, {"0.2": "1"}, T0, SNOW)), at(16))
    assert books.requests(at(99)) == Requests()


def test_a_touch_that_is_not_ours_is_doubted_for_a_while_and_then_the_book_is_asked_for():
    wrong = change("0.47", "9", "BUY", T0 + 1, RAIN, best_bid="0.49", best_ask="0.52")
    books = following(QUIET, wrong, markets=(RAIN,))
    assert books.requests(at(4)) == Requests()
    assert books.requests(at(5)) == Requests(books=(RAIN.yes,))
    assert books.counts["suspect books"] == 1


def test_a_touch_that_comes_right_again_is_not_doubted_any_more():
    books = following(
        QUIET,
        change("0.47", "9", "BUY", T0 + 3, RAIN, best_bid="0.49", best_ask="0.52"),
        change("0.49", "1", "BUY", T0 + 2, RAIN, best_bid="0.49", best_ask="0.52"),  # it was only late
        change("0.47", "8", "BUY", T0 + 4, RAIN, best_bid="0.49", best_ask="0.52"),
        markets=(RAIN,),
    )
    assert books.requests(at(60)) == Requests()


def test_best_prices_told_beside_the_levels_are_compared_once_the_levels_had_their_time():
    beside = {
        "event_type": "best_bid_ask", "market": RAIN.condition, "asset_id": RAIN.no, "best_bid": "0.48",
        "best_ask": "0.51", "timestamp": str(T0 + 7),
    }  # fmt: skip
    late = following(QUIET, beside, change("0.49", "1", "BUY", T0 + 7, RAIN), markets=(RAIN,))
    lost = following(QUIET, beside, markets=(RAIN,))
    for second in range(4, 30):
        assert late.requests(at(second)) == Requests()
    assert [second for second in range(4, 30) if lost.requests(at(second)).books] == [10]


def hashed(frame: dict, **terms) -> str:
    seen = rest({**frame, "hash": ""})
    known = {"tick": RAIN.tick, "min_order_size": RAIN.min_order_size, "neg_risk": False, "last_trade_price": ""}
    return book_hash(seen, **(known | terms))


def with_hash(frame: dict, **terms) -> dict:
    return {**frame, "hash": hashed(frame, **terms)}


def test_a_lost_change_shows_in_the_hash_of_the_next_one():
    after = book({"0.48": "90", "0.47": "150"}, {"0.52": "100", "0.53": "200"}, T0 + 9, RAIN)
    seen = change("0.48", "90", "BUY", T0 + 9, RAIN)
    seen["price_changes"][0]["hash"] = hashed(after)
    books = following(with_hash(QUIET), markets=(RAIN,))
    assert books.requests(at(1)) == Requests()
    tell(books, seen, seconds=2)  # that 0.47 fell to 150 was never told
    asked = [second for second in range(2, 12) if books.requests(at(second)).books]
    assert asked == [7]
    assert books.counts["hashes wrong"] > 0
    books.take_rest(rest(with_hash(after)), at(8))
    assert books.book(0).bids[1] == (4700, 150_000_000)
    assert books.requests(at(60)) == Requests()


def test_a_hash_over_a_trade_that_nobody_told_us_of_proves_nothing():
    books = following(with_hash(QUIET, last_trade_price="0.520"), markets=(RAIN,))
    assert books.requests(at(60)) == Requests()
    assert books.counts["hashes wrong"] == books.counts["hashes right"] == 0


def test_the_print_that_comes_after_its_book_explains_the_hash():
    local = LocalBook(RAIN)
    local.take_book(rest(with_hash(QUIET, last_trade_price="0.520")))
    assert local.agrees() is None
    local.take_print(RAIN.no, 4800)
    assert local.agrees() is True


def test_recorded_hashes_agree_unless_messages_are_still_on_their_way():
    """raw-btc-5m arrives out of order; a book is right whenever nothing older is still to come."""
    folder = SHARED / "raw-btc-5m"
    if not folder.is_dir():
        pytest.skip("needs ../shared")
    books = {one.condition: LocalBook(one) for one in parse_gamma_markets((folder / "markets.json").read_bytes())}
    with gzip.open(folder / "frames.jsonl.gz", "rt") as lines:
        frames = [parse_frame(json.dumps(json.loads(line)["m"])) for line in lines]
    news = [each for frame in frames for each in frame.news if isinstance(each, BookSeen | LevelsSeen | PrintSeen)]
    verdicts = []
    for each in sorted(news, key=lambda each: each.at):
        local = books[each.condition]
        if isinstance(each, PrintSeen):
            local.take_print(each.token, each.price)
            continue
        if isinstance(each, BookSeen):
            local.take_book(each)
        else:
            local.take_levels(each, each.changes)
        verdicts.append(local.agrees())
    assert len(verdicts) > 2_000
    assert verdicts.count(True) / len(verdicts) > 0.9
    assert verdicts.count(False) / len(verdicts) < 0.07


# Ticks, ends, prints.


def ticks(books: LocalBooks) -> list[tuple[int, bool]]:
    return [(fact.tick, fact.inferred) for fact in books.facts() if isinstance(fact, TickChanged)]


def tick_change(new: str, moment: int, token: str = RAIN.yes) -> dict:
    return {
        "event_type": "tick_size_change", "asset_id": token, "market": RAIN.condition, "old_tick_size": "0.01",
        "new_tick_size": new, "timestamp": str(moment),
    }  # fmt: skip


def test_a_new_tick_drops_the_book_until_the_next_one_and_is_told_once():
    books = following(QUIET, markets=(RAIN,))
    books.books(at(0))
    tell(books, tick_change("0.001", T0 + 5), seconds=1)
    assert ticks(books) == [(10, False)]
    assert books.books(at(1))[0].book == Book((), ())
    assert books.requests(at(6)) == Requests(books=(RAIN.yes,))
    tell(books, {**QUIET, "timestamp": str(T0 + 6)}, tick_change("0.001", T0 + 5, RAIN.no), seconds=2)
    assert ticks(books) == []
    assert books.books(at(2))[0].book.best_bid == 4800


def test_an_old_tick_message_that_comes_again_changes_nothing():
    books = following(QUIET, tick_change("0.001", T0 + 5), tick_change("0.01", T0 + 9), tick_change("0.001", T0 + 5))
    assert ticks(books) == [(10, False), (100, False)]
    assert books.tick(0) == 100


def test_a_level_off_the_grid_means_a_finer_tick_which_is_asked_for():
    books = following(QUIET, change("0.485", "10", "BUY", T0 + 1, RAIN), markets=(RAIN,))
    assert ticks(books) == [(50, True)]
    assert books.requests(at(1)) == Requests(ticks=(RAIN.yes,))
    assert books.requests(at(2)) == Requests()
    books.confirm_tick(RAIN.yes, 10, at(2))
    assert ticks(books) == [(10, False)]
    assert books.book(0).best_bid == 4850  # the level is no reason to forget the book


def test_a_book_from_before_a_tick_change_does_not_bring_the_old_tick_back():
    books = following({**QUIET, "tick_size": "0.01"}, tick_change("0.001", T0 + 5), markets=(RAIN,))
    books.take_rest(rest({**QUIET, "tick_size": "0.01"}), at(1))
    assert ticks(books) == [(10, False)]
    books.take_rest(rest({**QUIET, "tick_size": "0.01", "timestamp": str(T0 + 9)}), at(2))
    assert ticks(books) == [(100, False)]


def test_a_silent_book_that_rest_confirms_is_told_once_more_and_no_other():
    """Whoever pulls quotes on a book that nobody confirmed for long hears that it is alive."""
    books = following(QUIET, change("0.48", "70", "BUY", T0 + 5, RAIN))
    books.books(at(0))
    books.confirm(rest(QUIET))  # from before the change
    books.confirm(rest(book({"0.1": "1"}, {}, T0, SNOW)))
    assert books.books(at(1)) == []
    books.confirm(rest(book({"0.48": "70", "0.47": "200"}, {"0.52": "100", "0.53": "200"}, T0 + 5, RAIN)))
    assert [told.market for told in books.books(at(2))] == [0]


def test_rest_cannot_confirm_a_tick_that_the_book_contradicts():
    books = following(QUIET, change("0.485", "10", "BUY", T0 + 1, RAIN))
    books.confirm_tick(RAIN.yes, 100, at(2))
    assert books.tick(0) == 50


def test_a_market_that_is_resolved_says_what_it_paid_and_has_no_book_any_more():
    over = {
        "event_type": "market_resolved", "id": "1", "market": RAIN.condition, "assets_ids": [RAIN.yes, RAIN.no],
        "winning_asset_id": RAIN.yes, "winning_outcome": "Yes", "timestamp": str(T0 + 9),
    }  # fmt: skip
    books = following(QUIET, over, over, {**QUIET, "timestamp": str(T0 + 10)}, markets=(RAIN,))
    assert books.facts() == [StatusChanged(START, MarketNo(0), MarketStatus.RESOLVED, ONE)]
    assert books.book(0) == Book((), ())
    assert books.without_book() == []
    assert books.requests(at(99)) == Requests()


def test_a_print_of_the_no_token_is_told_in_terms_of_yes_and_only_once():
    once = a_print("0.48", "10", "SELL", T0 + 5, RAIN, RAIN.no)
    books = following(QUIET, once, once)
    assert books.facts() == [Printed(START, MarketNo(0), Side.BUY, 5200, 10_000_000)]
    assert books.facts() == []


def test_a_book_without_levels_is_a_book():
    books = following(book({}, {}, T0, RAIN), markets=(RAIN,))
    assert books.without_book() == []
    assert len(books.books(at(1))) == 1


def test_thousands_of_messages_a_second_are_followed():
    """A busy day is some hundred messages a second; there has to be room beside it for everything else."""
    chance = Random(7)
    frames = [
        json.dumps(change(f"0.{chance.randint(30, 47)}", str(number), "BUY", T0 + number, RAIN, best_bid="0.48"))
        for number in range(2_000)
    ]
    books = following(QUIET)
    began = time.process_time()
    for frame in frames:
        books.take(parse_frame(frame), START)
    assert time.process_time() - began < 1.0
    assert books.changed_since() == START
