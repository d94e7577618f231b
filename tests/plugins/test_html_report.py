"""The report says what happened, and what of it is not real."""

import json
import re
import shutil
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from html import escape, unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmrun.plugins.reports import figures, head, markup, tables
from pmrun.plugins.reports.exits import Traded, parts, step
from pmrun.plugins.reports.figures import Window, columns, kept
from pmrun.plugins.reports.finished import opened
from pmrun.plugins.reports.html import Html
from pmrun.plugins.stores.sqlite import FILE
from pmrun.runner.errors import DataError

START_US = 1_700_000_000_000_000
NASTY = '</script><script>alert("question")</script> & co?'
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def finished(run_desk):
    """A finished run directory."""
    ran = run_desk()
    account = ran.desk.account
    summary = {
        "complete": True,
        "strategy": "follow <b>me</b>",
        "exchange": "paper",
        "feed": "made up",
        "simulated": False,
        "paper": True,
        "seed": 7,
        "journal_hash": "abc",
        "markets": {"scanned": 3, "selected": 1, "ever_selected": 2, "rejected_by": {"filters.no_hail": 1}},
        "orders": {"placed": len(ran.desk.orders), "cancelled": 3, "refused": 1, "rejected": 0},
        "fills": {"count": len(account.fills), "shares": 40.0, "notional_usd": 18.5},
        "pnl_usd": {
            "total": -1234.5,
            "realised": 1.25,
            "unrealised": 0.0,
            "fees": 0.0,
            "rebates": account.rebates / 1e6,
            "rewards_estimated": 0.5,
        },
        "exposure_max_usd": 36.6,
        "remarks": ["<img src=x onerror=alert(1)>"],
        "cancels": {"moved": 12},
    }
    (ran.path / "summary.json").write_text(json.dumps(summary))
    (ran.path / "manifest.json").write_text(json.dumps({"versions": {"pmrun": "0.1.0"}, "git": "<i>dirty</i>"}))
    return ran


@pytest.fixture
def page(finished):
    """The report's text without plotly itself."""
    text = Html().write(finished.path).read_text(encoding="utf-8")
    return re.sub(r'(<script type="text/plain" id="plotly">).*?</script>', r"\1</script>", text, flags=re.DOTALL)


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


class Elements(HTMLParser):
    """Collects the elements and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


def test_no_text_from_data_becomes_markup(page):
    found = Elements(page)
    assert found.tags.count("script") == 3  # data, plotly, ours
    assert not {"img", "iframe"} & set(found.tags)
    assert "<b>me</b>" not in page and "<i>dirty</i>" not in page
    assert "alert(&quot;question&quot;)" in page
    assert "follow &lt;b&gt;me&lt;/b&gt;" in page
    assert data_of(page)["markets"][0]["question"] == NASTY or data_of(page)["markets"][1]["question"] == NASTY


def test_the_page_asks_the_network_for_nothing(page):
    assert all(address.startswith(("#", "data:")) for address in Elements(page).addresses)
    assert "default-src 'none'" in page
    assert "@import" not in page and "url(" not in page


def test_no_placeholder_is_left(page):
    assert "{{" not in page and "}}" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PnL", ["simulated"]),
        ("Realised", ["simulated"]),
        ("Fees paid", ["simulated", "assumed"]),
        ("Rebates", ["estimated", "assumed"]),
        ("Quoting", ["simulated"]),
        ("Rewards", ["estimated", "assumed"]),
        ("Fills", ["simulated"]),
        ("Orders", ["simulated"]),
        ("Exposure, most", ["simulated"]),
    ],
)
def test_every_key_figure_carries_the_word_for_what_it_is(page, name, words):
    card = re.search(rf'<div class="name">{re.escape(name)} (.*?)</div>', page)[1]
    assert re.findall(r">(\w+)</span>", card) == words


def test_the_head_says_what_is_simulated_estimated_and_assumed(page):
    badges = re.search(r'<div class="badges">(.*?)</div>', page)[1]
    assert re.findall(r">([^<]+)</span>", badges) == [
        "simulated fills (paper)",
        "recorded market data",
        "rebates and rewards estimated",
        "assumed terms: fees, rewards",
    ]


@pytest.mark.parametrize("said", [{"paper": True}, {}, {"paper": None}])
def test_fills_are_simulated_unless_the_run_says_they_are_real(finished, said):
    path = finished.path / "summary.json"
    summary = json.loads(path.read_text())
    del summary["paper"]
    path.write_text(json.dumps(summary | said))
    assert ">simulated fills (paper)<" in Html().write(finished.path).read_text()
    path.write_text(json.dumps(summary | {"paper": False}))
    assert ">fills of a real exchange<" in Html().write(finished.path).read_text()


def test_simulated_markets_are_called_simulated(finished):
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        db.execute("UPDATE markets SET simulated = 1 WHERE market = 0")
    assert ">simulated market data<" in Html().write(finished.path).read_text()


def test_a_holding_without_a_mid_is_said_to_count_at_cost(finished):
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        db.execute("UPDATE equity SET at_cost_cash_e6 = 9100000")
    assert "$9.10 of it has no mid and counts at cost" in Html().write(finished.path).read_text()


def test_fills_and_quotes_are_drawn_in_prices_of_yes(page, finished):
    drawn = {market["no"]: market for market in data_of(page)["markets"]}
    assert sum(len(market["fills"]["rows"]) for market in drawn.values()) == len(finished.desk.account.fills)
    for fill in finished.desk.account.fills.values():
        yes = fill.price if fill.outcome == "YES" else 10_000 - fill.price
        is_bid = int((fill.side == "BUY") == (fill.outcome == "YES"))
        assert [yes, is_bid, fill.size] in [row[1:4] for row in drawn[fill.market]["fills"]["rows"]]
    bids = [row for market in drawn.values() for row in market["quotes"]["bids"]]
    asks = [row for market in drawn.values() for row in market["quotes"]["asks"]]
    assert bids and asks
    assert all(start <= end for start, end, _ in bids + asks)


def test_refusals_drops_and_reasons_are_shown(page):
    assert "risk.dear" in page and "too_dear" in page
    assert "filters.no_hail</td>" in page and "days 0.5" in page
    assert "the cash of each moved exactly as its fills say" in page
    assert "moved</td>" in page


def test_cash_that_did_not_move_as_the_fills_say_is_shown_as_a_loss_of_trust(finished):
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        db.execute("UPDATE funds_reconciliation SET difference_cash_e6 = -100000 WHERE order_no = 1")
    assert re.search(r'class="loss">1 of \d+ ended orders moved other cash', Html().write(finished.path).read_text())


def test_the_orders_table_keeps_what_filled_and_counts_what_it_leaves_out(finished, monkeypatch):
    filled = {int(fill.order) for fill in finished.desk.account.fills.values()}
    monkeypatch.setattr(tables, "ORDERS", len(filled) + 2)
    orders = data_of(Html().write(finished.path).read_text())["orders"]
    assert filled <= {row[0] for row in orders["rows"]}
    assert len(orders["rows"]) == len(filled) + 2
    assert orders["left_out"] == orders["total"] - len(filled) - 2 > 0


def test_a_spike_of_one_sample_survives_thinning():
    flat = [0.0] * 100_000
    flat[54_321] = 9.0
    assert 54_321 in kept([flat, [1.0] * 100_000], 1_000)
    assert len(kept([flat, [1.0] * 100_000], 1_000)) <= 1_004


def test_quotes_are_left_out_only_where_all_markets_together_have_too_many(finished, monkeypatch):
    whole = data_of(Html().write(finished.path).read_text())["markets"]
    assert sum(market["quotes"]["left_out"] for market in whole) == 0
    monkeypatch.setattr(figures, "QUOTES", 20)
    thinned = data_of(Html().write(finished.path).read_text())["markets"]
    shown = sum(len(market["quotes"][lane]) for market in thinned for lane in ("bids", "asks", "exits"))
    assert 10 <= shown <= 24
    assert shown + sum(market["quotes"]["left_out"] for market in thinned) == sum(
        len(market["quotes"][lane]) for market in whole for lane in ("bids", "asks", "exits")
    )


def test_a_gap_in_a_line_survives_thinning():
    rows = [(i * 1_000, None if 4_000 <= i < 6_000 else 5) for i in range(10_000)]
    thinned = columns(rows, ("bid",), Window(0, 10_000_000), 200)
    assert None in thinned["bid"]
    assert thinned["t"][0] == 0 and thinned["t"][-1] == 9_999


def test_a_run_without_markets_still_has_a_report(finished):
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        for table in ("settlements", "markouts", "fills", "order_transitions", "funds_reconciliation", "orders"):
            db.execute(f"DELETE FROM {table}")
        for table in ("mids", "refusals", "inventory", "market_changes", "selections", "markets", "equity"):
            db.execute(f"DELETE FROM {table}")
    page = Html().write(finished.path).read_text()
    for sentence in (
        "No market was quoted.",
        "No market was listed.",
        "No fill has a mark-out: there was none, or no mid was known.",
        "Nothing was bought, so there was nothing to sell.",
        "This run estimated no rewards.",
        "Nothing was refused.",
        "Nothing was to be settled.",
        "No halt and nothing odd.",
        "This run kept no timings.",
    ):
        assert sentence in page


@pytest.mark.parametrize("missing", ["summary.json", "manifest.json", FILE])
def test_a_directory_that_is_no_run_gets_no_report(finished, missing):
    (finished.path / missing).unlink()
    with pytest.raises(DataError, match=re.escape(missing)):
        Html().write(finished.path)
    assert not (finished.path / "report.html").exists()


def test_an_unfinished_run_gets_no_report(finished):
    (finished.path / "summary.json").write_text('{"complete": false}')
    with pytest.raises(DataError, match="did not finish"):
        Html().write(finished.path)


def add_like(db: sqlite3.Connection, table: str, rows: list[dict]) -> None:
    """Add rows that are like the first of a table, but for what they say."""
    cursor = db.execute(f"SELECT * FROM {table} LIMIT 1")
    first = dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
    names = ", ".join(f":{name}" for name in first)
    db.executemany(f"INSERT INTO {table} VALUES ({names})", [first | row for row in rows])


def test_two_hours_in_a_hundred_markets_stay_below_eight_megabytes(finished):
    rng = np.random.default_rng(7)
    markets, samples, traded = range(10, 110), 1_500, 600
    mids, held, orders, fills = [], [], [], []
    for market in markets:
        times = (1_700_000_000_000_000 + np.sort(rng.choice(7_200_000_000, samples, replace=False))).tolist()
        prices = rng.integers(100, 9_900, samples).tolist()
        for at, price in zip(times, prices, strict=True):
            mids.append({"market": market, "at_us": at, "bid_e4": price, "ask_e4": price + 30})
            held.append(
                {"market": market, "at_us": at, "yes_shares_e6": price * 123_457, "no_shares_e6": price * 76_543}
            )
        for at, price in zip(times[:traded], prices, strict=False):
            no = 1_000 + len(orders)
            when = {"placed_at_us": at, "submitted_at_ms": at // 1_000, "ended_at_us": at + 5_000_000}
            amounts = {"price_e4": price, "filled_size_e6": 19_000_001, "filled_cash_e6": 8_550_001}
            orders.append({"order_no": no, "client_order_id": f"o-{no}", "market": market, **when, **amounts})
            fill = {"price_e4": price, "size_e6": 19_000_001, "at_us": at}
            fills.append({"trade_id": f"t-{no}", "order_no": no, "market": market, **fill})
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        for table, rows in (
            ("markets", [{"market": market} for market in markets]),
            ("mids", mids),
            ("inventory", held),
            ("orders", orders),
            ("fills", fills),
        ):
            add_like(db, table, rows)
        db.execute(
            "INSERT INTO selections (at_us, market, verdict, code, by, numbers_json) "
            "SELECT 0, market, 'selected', 'selected', '', '{}' FROM markets WHERE market >= 10"
        )
    assert 4_000_000 < Html().write(finished.path).stat().st_size < 8_000_000


# What a sceptic looks for.


def change_summary(finished, **more: object) -> str:
    """Say something else in the summary; return the page."""
    path = finished.path / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))
    return Html().write(finished.path).read_text(encoding="utf-8")


def with_rewards(finished) -> None:
    """Two markets in three minutes: one scores all the time, the other never."""
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        for minute in range(3):
            for market, paid in ((0, 1.0), (1, 0.0)):
                row = (market, START_US + minute * 20_000_000, paid > 0, 5.0, 5.0, 15.0, 0.25, 0.4, 0.5)
                pay = (0.1 * paid, 0.2 * paid, 0.3 * paid, 0.01 * paid, 0.02 * paid, 0.03 * paid)
                db.execute(f"INSERT INTO reward_minutes VALUES ({', '.join('?' * 15)})", (*row, *pay))


def test_one_glance_says_what_came_of_it(page):
    lead = re.search(r'<p class="lead">(.*?)</p>', page)[1]
    assert "traded 2 of 3 recorded markets" in lead
    assert "simulated fills, and it lost $1,234.50 after fees" in lead
    assert "of 3 scanned, 1 at the end" in re.search(r"Markets traded.*?</div>.*?</div>.*?</div>", page)[0]
    assert "In 1 min 1 s follow &lt;b&gt;me&lt;/b&gt;" in lead


def test_rewards_are_an_interval_beside_the_pnl_and_called_estimated(finished):
    with_rewards(finished)
    page = Html().write(finished.path).read_text(encoding="utf-8")
    assert "$0.33 – $0.99, not in the PnL" in page
    assert "scoring in 50 % of the minutes sampled in selected markets" in page
    assert "may have earned $0.33 – $0.99 in rewards: an estimate, not part of the PnL" in page
    band = data_of(page)["rewards"]
    assert (band["low"][-1], band["mid"][-1], band["high"][-1]) == (0.33, 0.66, 0.99)
    assert band["low"] == sorted(band["low"])
    assert "100 % <small>of 3 min</small>" in page and "0 % <small>of 3 min</small>" in page


def test_mark_outs_are_means_of_shares_and_those_of_failed_fills_are_left_out(finished):
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        fills = db.execute("SELECT trade_id, order_no FROM fills ORDER BY rowid").fetchall()
        assert len(fills) > 3
        db.execute("UPDATE markouts SET per_share_twice_e4 = NULL")
        for (trade, order), shares, gain in zip(fills, (1, 3, 9), (200, 100, 999), strict=False):
            where = "WHERE trade_id = ? AND order_no = ?"
            db.execute(f"UPDATE fills SET size_e6 = ? {where}", (shares * 1_000_000, trade, order))
            db.execute(
                f"UPDATE markouts SET per_share_twice_e4 = ? {where} AND horizon_us = 5000000", (gain, trade, order)
            )
        db.execute("UPDATE fills SET settlement = 'failed' WHERE trade_id = ? AND order_no = ?", fills[2])
    page = Html().write(finished.path).read_text(encoding="utf-8")
    assert data_of(page)["markouts"] == [["5 s", 2, 0.625]]  # (1 x 1.0 + 3 x 0.5) / 4 cents
    assert "+0.62</span> <small>of 2</small>" in page
    assert "1 of" in page and "fills failed to settle; they were taken back." in page


def test_the_funnel_counts_down_to_what_was_traded_and_says_what_was_missing(finished):
    numbers = {"value": 0.5, "limit": 2.0, "margin": 1.5, "unit": "days"}
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        db.execute("UPDATE selections SET numbers_json = ? WHERE verdict = 'dropped'", (json.dumps(numbers),))
    page = Html().write(finished.path).read_text(encoding="utf-8")
    stages = re.findall(r'stage-name">([^<]+)</span>.*?<span class="num">(\d+)</span>', page)
    assert stages == [("listed", "3"), ("no_hail", "2"), ("traded", "2")]
    row = re.search(r"Will hail happen\?<br>.*?</tr>", page)[0]
    assert re.findall(r"class=num>([^<]+)<", row) == ["0.5", "2", "1.5"] and "days" in row


def test_a_market_whose_book_never_came_was_not_traded(finished):
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        db.execute("DELETE FROM selections WHERE market = 1")
    page = Html().write(finished.path).read_text(encoding="utf-8")
    stages = re.findall(r'stage-name">([^<]+)</span>.*?<span class="num">(\d+)</span>', page)
    assert stages == [("listed", "3"), ("no_hail", "2"), ("book (none was known)", "1"), ("traded", "1")]
    assert "traded 1 of 3 recorded markets" in page
    assert len(data_of(page)["markets"]) == 1


def test_the_head_carries_the_remarks_and_says_why_nothing_was_traded(finished):
    said = json.loads((finished.path / "summary.json").read_text())
    said["markets"]["nothing_left"] = "no market passed the filters"
    (finished.path / "summary.json").write_text(json.dumps(said))
    head = re.search(r"<header>.*?</header>", Html().write(finished.path).read_text(), re.DOTALL)[0]
    assert ". No market passed the filters.</p>" in head
    assert "<li>fills are simulated: queue model, cancels shared</li>" in head


def test_the_head_says_what_halted_the_run_when_by_which_numbers_and_what_may_still_rest(finished, page):
    """A limit that stopped quoting is no footnote (P9)."""
    assert "class='stops'" not in page
    said = json.loads((finished.path / "summary.json").read_text())
    tripped = {
        "by": "risk.drawdown", "code": "drawdown", "market": None, "times": 1, "first": "2026-09-21T14:20:00.000Z",
        "last": "2026-09-21T14:20:00.000Z", "seconds": 5400.0, "to_the_end": True,
        "numbers": {"fallen": 50_250_000, "at_risk": 1_000_000, "limit": 50_000_000},
    }  # fmt: skip
    waited = {**tripped, "code": "equity_unknown", "to_the_end": False, "numbers": {}}
    said |= {"halts": [waited, tripped], "may_rest": ["order <7>"], "stopped": "SIGTERM"}
    (finished.path / "summary.json").write_text(json.dumps(said))
    with opened(finished.path) as run:
        listed = re.findall("<li>(.*?)</li>", unescape(re.sub("</?b>", "", head.stops(run))))
    numbers = "(fallen $50.25, at risk $1, limit $50)"
    assert listed == [
        f"Halted to the end of the run: drawdown by risk.drawdown {numbers} from 2026-09-21T14:20:00.000Z to the end, "
        "1 h 30 min",
        "Stopped by: SIGTERM",
        "May rest: order <7>",
    ]


def test_halts_and_oddities_leave_out_how_every_run_begins_and_ends(finished):
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        db.execute("DELETE FROM alerts")
        for code in ("clean_start", "stop_only", "feed_ended"):
            db.execute("INSERT INTO alerts VALUES (NULL, 1, 'cancel_all', NULL, ?, 'desk', '{}')", (code,))
    with opened(finished.path) as run:
        assert "No halt and nothing odd." in tables.alerts(run)
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        db.execute("INSERT INTO alerts VALUES (NULL, 1, 'cancel_all', NULL, 'feed_lost', 'desk', '{}')")
    with opened(finished.path) as run:
        assert "feed_lost" in tables.alerts(run) and "clean_start" not in tables.alerts(run)


def test_a_market_that_lost_its_place_is_traded_all_the_same(finished):
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        db.execute(
            "INSERT INTO selections (at_us, market, verdict, code, by, numbers_json) "
            "VALUES (1, 0, 'dropped', 'max_markets', 'universe', '{}')"
        )
    page = Html().write(finished.path).read_text(encoding="utf-8")
    assert "Traded for a while, then no more (1)" in page
    assert len(data_of(page)["markets"]) == 2


def test_an_exit_is_told_from_a_quote_with_its_price_step_and_its_time(finished):
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        sold = db.execute("SELECT order_no FROM fills WHERE side = 'SELL' ORDER BY at_us LIMIT 1").fetchone()[0]
        db.execute("UPDATE orders SET purpose = 'hedge', basis = 'hedge_cover' WHERE order_no = ?", (sold,))
        db.execute(
            "INSERT INTO refusals (refusal, at_us, market, outcome, side, size_e6, purpose, code, by, numbers_json) "
            "VALUES (99, 1, 0, 'YES', 'SELL', 3000000, 'hedge', 'below_min_size', 'hedging', '{}')"
        )
    page = Html().write(finished.path).read_text(encoding="utf-8")
    assert "into bids that take all of it</td>" in page and "sold by a quote</td>" in page
    assert "too few shares for an order</td>" in page
    drawn = data_of(page)["markets"]
    assert sum(row[9] == "hedge" for market in drawn for row in market["fills"]["rows"]) >= 1
    assert sum(len(market["quotes"]["exits"]) for market in drawn) == 1


def test_refusals_of_one_kind_at_one_time_are_one_mark_that_counts_them(page, finished):
    marks = [row for market in data_of(page)["markets"] for row in market["refusals"]["rows"]]
    with closing(sqlite3.connect(finished.path / FILE)) as db:
        assert sum(row[4] for row in marks) == db.execute("SELECT count(*) FROM refusals").fetchone()[0] > 0
    assert any("risk.dear: too_dear" in row[3] for row in marks)


def test_a_bracket_is_shown_where_there_is_one(finished, page):
    assert 'id="bracket"' not in page
    result = {"pnl_usd": {"total": -3.5, "realised": 1.0}, "fills": {"count": 4, "shares": 80}}
    models = {"pessimistic": result, "realistic": result, "optimistic": result}
    page = change_summary(finished, bracket=models)
    shown = re.search(r'<section id="bracket">.*?</section>', page, re.DOTALL)[0]
    assert [name for name in models if f"<td>{name}</td>" in shown] == list(models)
    assert shown.count("−$3.50") == 3 and "simulated" in shown


def test_timings_of_the_summary_complete_those_of_the_store(finished):
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        db.execute("INSERT INTO timings VALUES ('desk decisions', 1234, 2500.0, 0.01, 0.5, 12.0)")
    slow = {"count": 1, "total_ms": 900.0, "p50_ms": 900.0, "p99_ms": 900.0, "max_ms": 900.0}
    page = change_summary(finished, timings={"report": slow})
    assert re.search(r"desk decisions</td><td class=num>1,234</td><td class=num>2.50<", page)
    assert re.search(r"report</td><td class=num>1</td><td class=num>0.90<", page)


@pytest.mark.parametrize(
    ("dollars", "said"),
    [
        (0, "$0.00"),
        (-1234.5, "−$1,234.50"),
        (0.1, "$0.10"),
        (0.0999, "$0.0999"),
        (0.0001, "$0.0001"),
        (9e-5, "<$0.0001"),
    ],
)
def test_small_amounts_are_not_rounded_to_nothing(dollars, said):
    assert markup.money(dollars) == said


def test_numbers_of_reasons_are_in_dollars_and_shares_where_their_unit_is_known():
    said = markup.numbers('{"gap": 900, "limit": 525}', "price_cliff")
    assert said == "gap $0.09 · limit $0.0525"
    assert markup.numbers('{"size": 9860000, "needed": 250000000}', "too_little_protection") == (
        "size 9.86 shares · needed 250 shares"
    )
    assert markup.numbers('{"after": 60000000, "limit": 25000000}', "exposure_limit") == "after $60.00 · limit $25.00"
    assert markup.numbers('{"limit": 3, "variation": 0.097183, "word": "x"}') == "limit 3 · variation 0.097183 · word x"


def test_quoting_time_counts_overlapping_quotes_once(finished):
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        db.execute("UPDATE orders SET state = 'REJECTED'")
        when = "submitted_at_ms = ? / 1000, ended_at_us = ?, state = 'CANCELED', purpose = 'quote', market = 0"
        for no, start, end in ((1, 0, 20_000_000), (2, 10_000_000, 30_000_000)):
            db.execute(f"UPDATE orders SET {when} WHERE order_no = ?", (START_US + start, START_US + end, no))
        db.execute("DELETE FROM mids")
        for market, at in ((0, 0), (0, 50_000_000), (1, 0), (1, 10_000_000)):
            db.execute("INSERT INTO mids (market, at_us) VALUES (?, ?)", (market, START_US + at))
    with opened(finished.path) as run:
        window = Window(START_US, START_US + 60_000_000)
        assert tables.quoting(run, window) == pytest.approx(30 / (50 + 10))


sides = st.sampled_from(["BUY", "SELL"])
trades = st.lists(st.tuples(st.integers(0, 1), sides, st.integers(1, 9), st.integers(1, 99)), max_size=30)


@given(trades)
def test_every_share_bought_is_sold_once_or_still_held(drawn):
    fills = [
        Traded(market, "YES", side, at, price, size, "quote", "")
        for at, (market, side, size, price) in enumerate(drawn)
    ]
    found = list(parts(fills))
    bought, sold = Counter(), Counter()
    for part in found:
        assert part.size > 0
        bought[part.bought] += part.size
        if part.sale is not None:
            assert part.sale.market == part.bought.market and part.sale.at > part.bought.at
            sold[part.sale] += part.size
    assert bought == Counter({fill: fill.size for fill in fills if fill.side == "BUY"})
    held = [0, 0]
    for fill in fills:
        if fill.side == "BUY":
            held[fill.market] += fill.size
        else:
            assert sold[fill] == min(fill.size, held[fill.market])
            held[fill.market] -= sold[fill]
    assert sum(part.size for part in found if part.sale is None) == sum(held)


def test_the_oldest_shares_are_sold_first():
    buys = [Traded(0, "YES", "BUY", at, price, 10, "quote", "") for at, price in ((1, 40), (2, 50))]
    sale = Traded(0, "YES", "SELL", 5, 60, 15, "hedge", "stop_loss")
    found = list(parts([*buys, sale]))
    assert [(part.bought.price, part.size, part.gain, part.took_us) for part in found] == [
        (40, 10, 200, 4),
        (50, 5, 50, 3),
        (50, 5, 0, None),
    ]
    assert step(sale) == "stop loss"


# In a browser. The page's own policy forbids every request; one that was tried would be an error on the console.


LOOK_INSIDE = """
setInterval(() => {
  const page = document.querySelector("iframe").contentDocument.documentElement;
  document.title = `wide ${page.clientWidth} needs ${page.scrollWidth}`;
  const copy = page.cloneNode(true);
  copy.querySelectorAll("script").forEach((each) => each.remove());
  document.querySelector("pre").textContent = copy.outerHTML;
}, 500);
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (420, False), (1280, True)])
def test_a_browser_draws_everything_without_an_error(finished, tmp_path_factory, width, dark):
    with_rewards(finished)
    inside = escape(Html().write(finished.path).read_text())
    room = tmp_path_factory.mktemp("browser")
    # A browser's window has a least width; a frame has not.
    frame = f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{inside}"></iframe><pre></pre>'
    (room / "frame.html").write_text(f"<!doctype html><body>{frame}<script>{LOOK_INSIDE}</script></body>")
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={room / 'profile'}",
        "--window-size=1300,900",
        "--hide-scrollbars",
        "--virtual-time-budget=4000",
        "--enable-logging=stderr",
        "--v=0",
        *(["--blink-settings=preferredColorScheme=0"] if dark else []),
    ]
    address = (room / "frame.html").as_uri()
    ran = subprocess.run(
        [CHROMIUM, *flags, "--dump-dom", address], capture_output=True, text=True, timeout=120, check=True
    )
    assert [line for line in ran.stderr.splitlines() if "CONSOLE" in line] == []
    dom = unescape(re.search(r"<pre>(.*?)</pre>", ran.stdout, re.DOTALL)[1])
    assert 'data-drawn="yes"' in dom
    assert f"wide {width} needs {width}" in ran.stdout  # nothing sticks out at the side
    for chart in ("equity", "reward", "exposure", "markout", "book"):
        assert re.search(rf'<div id="{chart}"[^>]*>.*?main-svg', dom, re.DOTALL), chart
    assert "our bids" in dom and "PnL" in dom
    orders = re.search(r'<table id="orders">.*?</table>', dom, re.DOTALL)[0]
    assert orders.count("<tr>") > 2
    assert "<script>alert" not in dom


# What made the PnL (P8).


@pytest.fixture
def closed(finished):
    """A finished run whose summary has the parts of its PnL; returns a way to change it and write the page."""

    def write(**pnl) -> str:
        path = finished.path / "summary.json"
        summary = json.loads(path.read_text())
        summary["pnl_usd"] |= {"parts": {"spread": 1.0}, "complaints": [], "total_at_exit": -1240.0} | pnl
        summary["wallet_usd"] = {"start": 5000.0, "end": 3765.5, "transfers": 0.0, "cash": 3700.0}
        path.write_text(json.dumps(summary))
        return Html().write(finished.path).read_text(encoding="utf-8")

    return write


def test_rebates_that_are_paid_with_the_fills_are_said_to_be_in_the_pnl(finished, page):
    assert "rebates and rewards estimated" in page and "not in the PnL" in page
    said = json.loads((finished.path / "summary.json").read_text())
    said["pnl_usd"]["rebates_in_fees"] = True
    (finished.path / "summary.json").write_text(json.dumps(said))
    text = Html().write(finished.path).read_text().partition('id="data"')[0]
    assert "paid with each fill, inside the PnL" in text
    assert "Beside it: rebates" not in text and "rebates and rewards estimated" not in text


def test_every_link_of_the_navigation_leads_somewhere_and_every_part_has_one(page):
    nav = re.search(r"<nav.*?</nav>", page)[0]
    linked = re.findall(r'href="#([^"]+)"', nav)
    assert all(f'id="{place}"' in page for place in linked)
    assert set(re.findall(r'<section id="([^"]+)"', page)) | {"parts", "leaving"} == set(linked)


def test_the_parts_are_shown_and_said_to_sum(closed):
    page = closed()
    assert "The parts sum to the change of the wallet exactly" in page
    assert "Spread captured" in page and "Mark-out" in page
    assert "PnL if all were sold at once" in page and "−$1,240.00" in page


def test_a_pnl_that_does_not_close_is_no_footnote(closed):
    page = closed(complaints=["market 3: 1 units are <b>nowhere</b>"])
    assert "The PnL does not close." in page
    assert "1 units are &lt;b&gt;nowhere&lt;/b&gt;" in page
    assert "sum to the change of the wallet exactly" not in page


def test_a_run_of_an_older_pmrun_has_no_parts_and_says_so(page):
    assert "This run has no parts of its PnL" in page


def test_mark_outs_are_shown_by_reason_and_realised_spreads_are_twice_the_mark_out(finished):
    with closing(sqlite3.connect(finished.path / "run.sqlite")) as db, db:
        db.execute("UPDATE markouts SET per_share_twice_e4 = NULL")
        db.execute("UPDATE markouts SET per_share_twice_e4 = 200 WHERE horizon_us = 5000000")
        bases = {basis for (basis,) in db.execute("SELECT DISTINCT basis FROM orders WHERE filled_size_e6 > 0")}
    page = Html().write(finished.path).read_text(encoding="utf-8")
    assert "+2.00</span> <small>" in page  # a cent gained on one side, two of both
    assert "Realised spread" in page
    assert all(basis in page for basis in bases)
