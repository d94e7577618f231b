"""The report says what happened, and what of it is not real."""

import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pmrun.plugins.reports import tables
from pmrun.plugins.reports.figures import Window, columns, kept
from pmrun.plugins.reports.html import Html
from pmrun.plugins.stores.sqlite import FILE
from pmrun.runner.errors import DataError

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
        "markets": {"scanned": 3, "selected": 2, "rejected_by": {"filters.no_hail": 1}},
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
    return re.sub(r"<script>/\*\*\s+\* plotly.*?</script>", "<script></script>", text, flags=re.DOTALL)


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
    assert not {"img", "iframe", "b", "i"} & set(found.tags)
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
        ("Maker rebates", ["estimated", "assumed"]),
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
        "simulated fills",
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
    assert ">simulated fills<" in Html().write(finished.path).read_text()
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
    assert "filters.no_hail</td>" in page and "days 0.5 · limit 2" in page
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


def test_a_gap_in_a_line_survives_thinning():
    rows = [(i * 1_000, None if 4_000 <= i < 6_000 else 5) for i in range(10_000)]
    thinned = columns(rows, ("bid",), Window(0, 10_000_000), 200)
    assert None in thinned["bid"]
    assert thinned["t"][0] == 0 and thinned["t"][-1] == 9_999


def test_a_run_without_markets_still_has_a_report(finished):
    with closing(sqlite3.connect(finished.path / FILE)) as db, db:
        for table in ("settlements", "fills", "order_transitions", "funds_reconciliation", "orders", "mids", "drops"):
            db.execute(f"DELETE FROM {table}")
        for table in ("refusals", "inventory", "market_changes", "markets", "equity"):
            db.execute(f"DELETE FROM {table}")
    assert "No market was quoted." in Html().write(finished.path).read_text()


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
    assert 6_000_000 < Html().write(finished.path).stat().st_size < 8_000_000


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [1280, 420])
def test_a_browser_draws_everything_without_an_error(finished, tmp_path_factory, width):
    path: Path = Html().write(finished.path)
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}",
        f"--window-size={width},900",
        "--virtual-time-budget=5000",
        "--enable-logging=stderr",
        "--v=0",
    ]
    ran = subprocess.run(
        [CHROMIUM, *flags, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert [line for line in ran.stderr.splitlines() if "CONSOLE" in line] == []
    dom = re.sub(r"<script.*?</script>", "", ran.stdout, flags=re.DOTALL)
    assert 'data-drawn="yes"' in dom
    assert dom.count("main-svg") >= 3
    assert "our bids" in dom and "PnL" in dom
    orders = re.search(r'<table id="orders">.*?</table>', dom, re.DOTALL)[0]
    assert orders.count("<tr>") > 2
    assert "<script>alert" not in dom
