"""Polymarket as others recorded it: every fixture's values, every tape, and the checksums of its books."""

import gzip
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from pmrun.plugins.exchanges.common.book_hash import book_hash, is_whole, last_trade_text
from pmrun.plugins.exchanges.common.market_news import (
    BookSeen,
    LevelChange,
    LevelsSeen,
    MarketListed,
    News,
    PrintSeen,
    TickSeen,
    TouchSeen,
)
from pmrun.plugins.exchanges.polymarket.news import (
    OrderKind,
    OrderSeen,
    OrderStatus,
    TraderSide,
    TradeSeen,
    TradeStatus,
)
from pmrun.plugins.exchanges.polymarket.wire import parse_frame
from pmrun.plugins.exchanges.polymarket.wire_gamma import parse_gamma_markets, parse_gamma_page
from pmrun.plugins.exchanges.polymarket.wire_markets import (
    parse_clob_markets,
    parse_clob_page,
    parse_market_terms,
    parse_simplified_page,
)
from pmrun.plugins.exchanges.polymarket.wire_orders import Verdict, parse_order_answer
from pmrun.plugins.exchanges.polymarket.wire_prices import (
    LastTrade,
    parse_book,
    parse_books,
    parse_last_trade_price,
    parse_midpoint,
    parse_price_history,
    parse_reported_trades,
)
from pmrun.runner.market import FeeTerms
from pmrun.runner.units import Price, Side, Size, complement

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FIXTURES = DATA / "fixtures"
TAPES = ("books-and-prints-updown", "btc-15m-1hz", "mlb-pregame-1min", "raw-btc-5m")
SHARE = 1_000_000
CENT, MILL = Price(100), Price(10)
FIVE = Size(5 * SHARE)
BTC = "0x125149c5918fc5f8c6d34682f700a898a1a19ea4f4e2ae68ff4c5794ba657074"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded data (../shared) is absent")


def only(raw: str) -> News:
    parsed = parse_frame(raw)
    assert parsed.unknown == ()
    (news,) = parsed.news
    return news


def a_failed_order_that_was_live(raw: str) -> None:
    answer = parse_order_answer(raw)
    assert (answer.verdict, answer.status, answer.making, answer.taking) == (Verdict.ACCEPTED, OrderStatus.LIVE, 0, 0)
    assert answer.order_id is not None and answer.order_id.startswith("0x3639c4d0")


def a_book_of_2024(raw: str) -> None:
    book = parse_book(json.dumps(json.loads(raw)["book"]))
    assert (book.bids[0], book.bids[-1]) == ((5330, 28 * SHARE), (10, 10_000 * SHARE))
    assert (book.asks[0], book.asks[-1]) == ((5400, 110 * SHARE), (9990, 21_888_200_000))
    assert (len(book.bids), len(book.asks), book.tick, book.neg_risk) == (72, 79, CENT, False)
    assert book.at == 1_733_479_449_736_000


def two_mirrored_books(raw: str) -> None:
    yes, no = parse_books(raw)
    assert (yes.tick, yes.min_order_size, yes.neg_risk, yes.last_trade_price) == (MILL, FIVE, True, 60)
    assert (yes.bids[0], yes.asks[0]) == ((50, 31_357_090_000), (60, 10_139_860_000))
    assert no.bids == tuple([(complement(price), size) for price, size in yes.asks])
    assert no.asks == tuple([(complement(price), size) for price, size in yes.bids])


def compact_terms(raw: str) -> None:
    first, second = parse_market_terms(raw)
    assert (first.tick, first.min_order_size, first.neg_risk, first.accepting_orders) == (MILL, FIVE, True, True)
    assert first.fees == FeeTerms(rate_ppm=50_000)
    assert (first.reward_min_size, first.reward_max_spread, first.reward_min_age) == (100 * SHARE, 350, 4_000_000)
    assert (second.reward_min_size, second.reward_max_spread) == (200 * SHARE, 150)
    assert first.clears_book_on_start and first.outcomes == ("Yes", "No")


def sampling_rows(raw: str) -> None:
    page = parse_clob_page(raw)
    assert page.next_cursor == "MTAwMA=="
    rewards = [market.rewards for market in page.rows if market.rewards]
    assert [terms.daily_rate for terms in rewards] == [5_000_000, 3_000_000, 1_000_000]
    assert [terms.min_size for terms in rewards] == [50 * SHARE, 50 * SHARE, 100 * SHARE]
    assert [terms.max_spread for terms in rewards] == [450, 450, 350]
    assert [market.neg_risk for market in page.rows] == [False, True, True]
    assert [market.ends_at for market in page.rows] == [1_774_915_200_000_000, 1_779_148_800_000_000, None]


def simplified_rows(raw: str) -> None:
    page = parse_simplified_page(raw)
    assert (len(page.rows), page.next_cursor) == (3, "MTAwMA==")
    assert all(row.accepting_orders and row.rewards for row in page.rows)
    assert page.rows[0].yes.startswith("675659") and page.rows[0].no.startswith("103839")


def a_closed_market(raw: str) -> None:
    (market,) = parse_clob_markets(raw)
    assert (market.accepting_orders, market.rewards, market.tick) == (False, None, MILL)
    assert market.slug == "katana-fdv-above-1b-one-day-after-launch-395-996"
    assert market.ends_at == 1_830_297_600_000_000


def an_updown_market(raw: str) -> None:
    (market,) = parse_gamma_markets(raw)
    assert (market.outcomes, market.tick, market.min_order_size) == (("Up", "Down"), CENT, FIVE)
    assert (market.volume_24h, market.liquidity) == (9_999_997, 20_328_374_700)
    assert (market.fees, market.assumed, market.rewards) == (FeeTerms(), ("feeSchedule",), None)
    assert (market.event, market.ends_at) == ("btc-updown-5m-1773307200", 1_773_307_500_000_000)


def a_new_market(raw: str) -> None:
    news = only(raw)
    assert isinstance(news, MarketListed)
    assert (news.tick, news.outcomes, news.at) == (CENT, ("Yes", "No"), 1_766_790_415_550_000)
    assert (news.slug, news.event) == ("nvda-above-240-on-january-30-2026", "nvda-above-in-january-2026")
    assert [token[:4] for token in news.tokens] == ["7604", "3169"]
    assert (news.tags, news.active, news.fees) == (("stocks",), True, None)


def order(raw: str) -> OrderSeen:
    news = only(raw)
    assert isinstance(news, OrderSeen)
    return news


def a_killed_order(raw: str) -> None:
    seen = order(raw)
    assert (seen.kind, seen.status, seen.order_type) == (OrderKind.CANCELLATION, OrderStatus.CANCELED, "FOK")
    assert seen.status_text.startswith("CANCELED_order couldn't be fully filled")
    assert (seen.size_matched, seen.created_at, seen.expiration) == (0, None, None)
    assert (seen.price, seen.original_size, seen.at) in (
        (6000, 12 * SHARE, 1_777_824_065_000_000),
        (100, 1_010_000, 1_786_179_997_002_000),
    )


def a_placed_order(raw: str) -> None:
    seen = order(raw)
    assert (seen.kind, seen.status, seen.side, seen.order_type) == ("PLACEMENT", "LIVE", Side.BUY, "GTC")
    assert (seen.price, seen.original_size, seen.size_matched) == (5130, FIVE, 0)
    assert (seen.created_at, seen.at) == (1_725_842_520_000_000, 1_725_842_520_990_000)


def an_untyped_placement(raw: str) -> None:
    seen = order(raw)
    assert (seen.kind, seen.status, seen.price, seen.size_matched) == ("PLACEMENT", "LIVE", 5600, 0)
    assert (seen.created_at, seen.at, seen.expiration) == (1_737_678_469_000_000, 1_737_678_469_623_000, None)


def an_untyped_update(raw: str) -> None:
    seen = order(raw)
    assert (seen.kind, seen.status, seen.size_matched, seen.original_size) == ("UPDATE", "MATCHED", FIVE, FIVE)


def trade(raw: str) -> TradeSeen:
    news = only(raw)
    assert isinstance(news, TradeSeen)
    return news


def a_fill_by_mint(raw: str) -> None:
    seen = trade(raw)
    assert (seen.status, seen.trader_side) == (TradeStatus.MATCHED, TraderSide.MAKER)
    assert (seen.price, seen.size, seen.taker_side) == (4000, FIVE, Side.BUY)
    (ours,) = seen.maker_fills
    assert (ours.price, ours.size, ours.side, ours.outcome) == (6000, FIVE, Side.BUY, "Yes")
    assert ours.token != seen.token
    assert (seen.matched_at, seen.at) == (1_737_763_207_000_000, 1_737_763_207_722_000)


def a_trade_with_six_makers(raw: str) -> None:
    seen = trade(raw)
    assert (seen.status, seen.price, seen.size) == (TradeStatus.MINED, 5180, 1_096_870_000)
    sizes = [fill.size for fill in seen.maker_fills]
    assert sizes == [10 * SHARE, 247_680_000, 227_920_000, FIVE, 394_460_000, 211_810_000]
    assert sum(sizes) == seen.size
    assert {fill.side for fill in seen.maker_fills} == {None}
    assert [fill.price for fill in seen.maker_fills] == [4820, 5180, 5180, 5180, 5180, 5180]


def a_confirmed_fill(raw: str) -> None:
    seen = trade(raw)
    assert (seen.status, seen.price, seen.maker_fills[0].price) == (TradeStatus.CONFIRMED, 4900, 5130)
    assert seen.at == 1_762_776_436_000_000, "this frame's timestamp is in seconds"
    assert seen.matched_at == 1_762_776_367_000_000


def a_rewarded_market(raw: str) -> None:
    (market,) = parse_gamma_markets(raw)
    assert market.rewards is not None
    assert (market.rewards.min_size, market.rewards.max_spread) == (20 * SHARE, 350)
    assert (market.rewards.daily_rate, market.volume_24h) == (1_000_000, 610_199_739)
    assert (market.fees, market.assumed, market.neg_risk) == (FeeTerms(), (), False)


def an_untraded_book(raw: str) -> None:
    book = parse_book(raw)
    assert (book.bids[0], book.asks[0], book.last_trade_price) == ((4900, 65 * SHARE), (5100, 72 * SHARE), None)
    assert (len(book.bids), len(book.asks)) == (35, 35)
    assert is_whole(book, tick=CENT, min_order_size=FIVE, neg_risk=False)


def three_equal_points(raw: str) -> None:
    points = parse_price_history(raw)
    assert [(point.at, point.price) for point in points] == [
        (1_782_201_484_000_000, 0.5),
        (1_782_201_544_000_000, 0.5),
        (1_782_201_544_000_000, 0.5),
    ]


def three_reported_trades(raw: str) -> None:
    trades = parse_reported_trades(raw)
    assert [(t.side, t.size, t.price) for t in trades] == [(Side.BUY, Decimal(30), Decimal("0.97"))] * 3
    assert [t.at for t in trades] == [1_782_150_250_000_000, 1_782_150_250_000_000, 1_782_150_244_000_000]
    assert {t.outcome for t in trades} == {"Down"}


def two_markets_with_fees(raw: str) -> None:
    first, second = parse_gamma_markets(raw)
    assert first.fees == second.fees == FeeTerms(rate_ppm=50_000, rebate_ppm=250_000)
    assert first.rewards is None
    assert second.rewards is None, "a daily rate without a spread earns nothing"
    assert (first.slug, second.volume_24h) == ("new-rhianna-album-before-gta-vi-926", 970_538_998)


def an_election_market(raw: str) -> None:
    (market,) = parse_clob_markets(raw)
    assert market.rewards is not None
    assert (market.rewards.daily_rate, market.rewards.max_spread) == (750_000_000, 150)
    assert (market.tick, market.neg_risk, market.accepting_orders) == (MILL, True, True)


def a_last_trade(raw: str) -> None:
    assert parse_last_trade_price(raw) == LastTrade(MILL, Side.BUY)


def a_midpoint(raw: str) -> None:
    assert parse_midpoint(raw) == 10


def four_points(raw: str) -> None:
    assert [point.price for point in parse_price_history(raw)] == [0.42, 0.5, 0.65, 0.6]


def four_reported_trades(raw: str) -> None:
    trades = parse_reported_trades(raw)
    assert [str(t.size) for t in trades] == ["5.4", "94.37", "10.5", "20.0"]
    assert [t.side for t in trades] == ["SELL", "BUY", "BUY", "SELL"]


def a_hash_sequence(raw: str) -> None:
    frames = [line for line in raw.splitlines() if line.startswith("{")]
    first = only(frames[0])
    assert isinstance(first, BookSeen)
    seen = [first]
    for delta, answer in zip(frames[1::2], frames[2::2], strict=True):
        levels, book = only(delta), parse_book(answer)
        assert isinstance(levels, LevelsSeen)
        assert levels.at == book.at
        assert [change.hash for change in levels.changes if change.token == book.token] == [book.hash]
        seen.append(book)
    assert len(seen) == 3
    assert (seen[1].asks[0], (9200, 3_500_000_000) in seen[0].asks) == ((3400, 914_140_000), True)
    assert 9200 not in dict(seen[1].asks)
    assert dict(seen[2].bids)[Price(600)] == 10_110_000
    for book in seen:  # in October 2025 the last trade price was not hashed at all
        assert book_hash(book, tick=CENT, min_order_size=FIVE, neg_risk=False, last_trade_price=None) == book.hash


def a_touch(raw: str) -> None:
    news = only(raw)
    assert isinstance(news, TouchSeen)
    assert (news.best_bid, news.best_ask, news.at, news.condition) == (8600, 8700, 1_776_808_414_887_000, BTC)


def a_book(raw: str) -> None:
    news = only(raw)
    assert isinstance(news, BookSeen)
    assert (news.bids[0], news.bids[-1]) == ((1300, 258_350_000), (100, 12_902_690_000))
    assert (news.asks[0], news.asks[-1][0], len(news.asks)) == ((1400, 362_170_000), 9900, 86)
    assert (news.tick, news.last_trade_price) == (CENT, 1300)
    assert is_whole(news, tick=CENT, min_order_size=FIVE, neg_risk=False)


def a_burst(raw: str) -> None:
    news = [only(line) for line in raw.splitlines()]
    kinds = [type(one).__name__ for one in news]
    assert len(news) == 48
    assert {kind: kinds.count(kind) for kind in set(kinds)} == BURST
    assert any(later.at < earlier.at for earlier, later in pairwise(news)), "times step back"
    (first, *_) = [one for one in news if isinstance(one, PrintSeen)]
    assert (first.price, first.size, first.taker_side) == (8700, 1_149_423, Side.BUY)


BURST = {"LevelsSeen": 42, "TouchSeen": 2, "PrintSeen": 2, "BookSeen": 2}


def a_print(raw: str) -> None:
    news = only(raw)
    assert isinstance(news, PrintSeen)
    assert (news.price, news.size, news.taker_side, news.fee_rate_bps) == (8700, 13_793_100, Side.BUY, 1000)
    assert news.at == 1_776_808_414_725_000


def changes(raw: str) -> tuple[LevelChange, ...]:
    news = only(raw)
    assert isinstance(news, LevelsSeen)
    return news.changes


def a_flat_change(raw: str) -> None:
    (change,) = changes(raw)
    assert (change.side, change.price, change.size) == (Side.SELL, 5140, 21_574_080_000)
    assert (change.hash[:8], change.best_bid) == ("bf32b374", None)


def three_changes(raw: str) -> None:
    found = changes(raw)
    assert [(c.side, c.price, c.size) for c in found] == [
        (Side.BUY, 6000, 3_300_000_000),
        (Side.BUY, 5000, 3_400_000_000),
        (Side.BUY, 7000, 3_400_000_000),
    ]
    assert {(c.best_bid, c.best_ask) for c in found} == {(6000, 7000)}


def a_finer_tick(raw: str) -> None:
    news = only(raw)
    assert isinstance(news, TickSeen)
    assert (news.old, news.new, news.at) == (CENT, MILL, 1_739_068_041_853_000)


def a_removed_level(raw: str) -> None:
    no, yes = changes(raw)
    assert (no.side, no.price, no.size, no.best_bid, no.best_ask) == (Side.BUY, 1300, 0, 1200, 1300)
    assert (yes.side, yes.price, yes.size, yes.best_bid, yes.best_ask) == (Side.SELL, 8700, 0, 8700, 8800)


def a_set_level(raw: str) -> None:
    yes, no = changes(raw)
    assert (yes.side, yes.price, yes.size) == (Side.BUY, 8600, 362_170_000)
    assert (no.side, no.price, no.size) == (Side.SELL, 1400, 362_170_000)
    assert (no.hash[:8], no.best_bid, no.best_ask) == ("a1e787af", 1300, 1400)


ASSERTED: dict[str, Callable[[str], None]] = {
    "clob_order_post_last_success_no.json": a_failed_order_that_was_live,
    "clob_rest_book_plus_events_polypy.txt": a_book_of_2024,
    "clob_rest_books_2.json": two_mirrored_books,
    "clob_rest_clob-markets_compact.json": compact_terms,
    "clob_rest_sampling_markets_3.json": sampling_rows,
    "clob_rest_sampling_simplified_markets_3.json": simplified_rows,
    "naut_clob_market_closed_binary_accepting_false.json": a_closed_market,
    "naut_gamma_market.json": an_updown_market,
    "naut_ws_market_new_market_msg.json": a_new_market,
    "naut_ws_user_order_fok_killed.json": a_killed_order,
    "rest_gamma_market_with_rewards.json": a_rewarded_market,
    "rest_hugompt_clob_book.json": an_untraded_book,
    "rest_hugompt_clob_prices_history.json": three_equal_points,
    "rest_hugompt_data_trades.json": three_reported_trades,
    "rest_hugompt_gamma_markets.json": two_markets_with_fees,
    "rest_market.json": an_election_market,
    "rest_ra1nty_last_trade_price.json": a_last_trade,
    "rest_ra1nty_midpoint.json": a_midpoint,
    "rest_ra1nty_price_history.json": four_points,
    "rest_trades.json": four_reported_trades,
    "user_ws_order_fok_killed_pusd.json": a_killed_order,
    "user_ws_order_placement.json": a_placed_order,
    "user_ws_polypy_order_info_maker_buy_placement.json": an_untyped_placement,
    "user_ws_polypy_order_info_maker_buy_update.json": an_untyped_update,
    "user_ws_polypy_trade_info_maker_buy_matched.json": a_fill_by_mint,
    "user_ws_user_trade1.json": a_trade_with_six_makers,
    "user_ws_user_trade3.json": a_confirmed_fill,
    "ws_and_rest_book_hash_sequence.txt": a_hash_sequence,
    "ws_market_best_bid_ask.json": a_touch,
    "ws_market_book.json": a_book,
    "ws_market_burst_around_trade.jsonl": a_burst,
    "ws_market_last_trade_price.json": a_print,
    "ws_market_naut_price_change.json": a_flat_change,
    "ws_market_naut_price_change_v2.json": three_changes,
    "ws_market_naut_tick_size_change.json": a_finer_tick,
    "ws_market_price_change_delete_size0.json": a_removed_level,
    "ws_market_price_change_set.json": a_set_level,
}
NOT_WIRE = {"README.md"}


def test_no_fixture_goes_without_asserted_values() -> None:
    assert {path.name for path in FIXTURES.iterdir()} - NOT_WIRE == set(ASSERTED)


@pytest.mark.parametrize("name", ASSERTED)
def test_a_recorded_message_means_what_it_says(name: str) -> None:
    ASSERTED[name]((FIXTURES / name).read_text())


def lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        yield from file


@pytest.mark.parametrize(
    ("tape", "markets", "frames"), list(zip(TAPES, (2, 9, 10, 2), (1643, 18832, 3948, 2858), strict=True))
)
def test_every_frame_of_a_tape_is_news_of_a_listed_market(tape: str, markets: int, frames: int) -> None:
    listed = parse_gamma_markets((DATA / "tapes" / tape / "markets.json").read_bytes())
    conditions = {market.condition for market in listed}
    seen = 0
    for line in lines(DATA / "tapes" / tape / "frames.jsonl.gz"):
        parsed = parse_frame(json.dumps(json.loads(line)["m"]))
        assert parsed.unknown == ()
        assert parsed.news[0].condition in conditions
        seen += len(parsed.news)
    assert (len(listed), seen) == (markets, frames)
    assert all("feeSchedule" in market.assumed for market in listed)


def test_a_tape_knows_how_its_markets_settled() -> None:
    markets = parse_gamma_markets((DATA / "tapes" / "btc-15m-1hz" / "markets.json").read_bytes())
    assert {market.settled_yes for market in markets} == {0, 10_000}


def test_all_52_recorded_books_give_their_own_hash() -> None:
    """The last trade price in the hash is the maker's, of the trade whose print follows the book (reference 5.2)."""
    news = [
        only(json.dumps(json.loads(line)["m"])) for line in lines(DATA / "tapes" / "raw-btc-5m" / "frames.jsonl.gz")
    ]
    prints = [one for one in news if isinstance(one, PrintSeen)]
    books = [one for one in news if isinstance(one, BookSeen)]
    assert len(books) == 52
    for book in books:
        causes = [p.price for p in prints if p.condition == book.condition and 0 < p.at - book.at <= 30_000]
        stated = book.last_trade_price
        assert causes or stated is not None
        texts = [last_trade_text(stated)] if stated is not None else _as_maker_or_taker(causes)
        hashes = [
            book_hash(book, tick=CENT, min_order_size=FIVE, neg_risk=False, last_trade_price=text) for text in texts
        ]
        assert hashes.count(book.hash) == 1
        assert is_whole(book, tick=CENT, min_order_size=FIVE, neg_risk=False, last_trades=causes)


def _as_maker_or_taker(prices: list[Price]) -> list[str]:
    return list(dict.fromkeys(last_trade_text(stated) for price in prices for stated in (price, complement(price))))


def test_every_recorded_rest_book_gives_its_own_hash() -> None:
    books = list(parse_books((DATA / "rest-books" / "fed_june_clob-books_half.json").read_bytes()))
    for line in lines(DATA / "rest-books" / "books_run_20260311T214149Z.jsonl.gz"):
        books += parse_books(json.dumps(json.loads(line)["books"]))
    assert len(books) == 65
    for book in books:
        assert book.tick and book.min_order_size and book.neg_risk is not None
        assert is_whole(book, tick=book.tick, min_order_size=book.min_order_size, neg_risk=book.neg_risk)


def test_every_listed_market_is_read() -> None:
    gamma = [
        row for line in lines(DATA / "gamma-markets" / "gamma_pages.jsonl.gz") for row in parse_gamma_page(line).rows
    ]
    assert (len(gamma), sum(market.rewards is not None for market in gamma)) == (4500, 485)
    universe = DATA / "rewards-universe"
    sampling = parse_clob_page(gzip.decompress((universe / "sampling_markets_500of1000.json.gz").read_bytes()))
    short = parse_simplified_page(gzip.decompress((universe / "sampling_simplified_markets_half.json.gz").read_bytes()))
    assert len(sampling.rows) == len(short.rows) == 500
    assert all(market.rewards for market in sampling.rows)


def test_every_reported_trade_is_read() -> None:
    raw = gzip.decompress((DATA / "trades" / "data_api_trades_20260228_anon_half.json.gz").read_bytes())
    trades = parse_reported_trades(raw)
    assert len(trades) == 1099
    assert any(len(str(trade.price)) > 8 for trade in trades), "reports have more decimals than the exchange"
