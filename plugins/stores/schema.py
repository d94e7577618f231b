"""The schema of `run.sqlite`, as numbered migrations.

Integers are exact and the column says the unit: `_e4` is 1/10,000 dollar (a price), `size_e6` and `shares_e6` are
1/1,000,000 share, `cash_e6` is 1/1,000,000 dollar, `_us` microseconds UTC, `_ms` milliseconds UTC. The views (`v_…`)
say the same in dollars, shares and ISO time, for people.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pmrun.runner.errors import DataError

_TABLES: Final = """
CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE remarks (no INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE markets (
    market INTEGER PRIMARY KEY,
    condition_id TEXT NOT NULL,
    question TEXT NOT NULL,
    slug TEXT NOT NULL,
    yes_token TEXT NOT NULL,
    no_token TEXT NOT NULL,
    yes_name TEXT NOT NULL,
    no_name TEXT NOT NULL,
    tick_e4 INTEGER NOT NULL,
    min_order_size_e6 INTEGER NOT NULL,
    fee_rate_ppm INTEGER NOT NULL,
    rebate_ppm INTEGER NOT NULL,
    reward_min_size_e6 INTEGER,
    reward_max_spread_e4 INTEGER,
    reward_daily_cash_e6 INTEGER,
    ends_at_us INTEGER,
    status TEXT NOT NULL DEFAULT 'trading',
    settled_yes_e4 INTEGER,
    simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    assumed_json TEXT NOT NULL
) STRICT;

CREATE TABLE market_changes (
    no INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    market INTEGER NOT NULL REFERENCES markets,
    kind TEXT NOT NULL CHECK (kind IN ('tick', 'status')),
    tick_e4 INTEGER,
    inferred INTEGER NOT NULL DEFAULT 0,
    status TEXT,
    settled_yes_e4 INTEGER,
    redeemed_cash_e6 INTEGER NOT NULL DEFAULT 0  -- what the resolution of the market paid us
) STRICT;

CREATE TABLE drops (
    market INTEGER PRIMARY KEY REFERENCES markets,
    at_us INTEGER NOT NULL,
    code TEXT NOT NULL,
    by TEXT NOT NULL,
    numbers_json TEXT NOT NULL
) STRICT;

-- The last touch of each interval in which a book changed; prices are those of YES.
CREATE TABLE mids (
    market INTEGER NOT NULL REFERENCES markets,
    at_us INTEGER NOT NULL,
    bid_e4 INTEGER,
    bid_size_e6 INTEGER,
    ask_e4 INTEGER,
    ask_size_e6 INTEGER,
    mid_twice_e4 INTEGER,  -- bid + ask: exact
    PRIMARY KEY (market, at_us)
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    order_no INTEGER PRIMARY KEY,
    client_order_id TEXT NOT NULL UNIQUE,
    exchange_order_id TEXT,
    market INTEGER NOT NULL REFERENCES markets,
    outcome TEXT NOT NULL,
    side TEXT NOT NULL,
    price_e4 INTEGER NOT NULL,
    size_e6 INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    basis TEXT NOT NULL,
    post_only INTEGER NOT NULL,
    state TEXT NOT NULL,
    outcome_unknown INTEGER NOT NULL,
    placed_at_us INTEGER NOT NULL,
    submitted_at_ms INTEGER,
    last_event_at_ms INTEGER,
    ended_at_us INTEGER,
    filled_size_e6 INTEGER NOT NULL,
    remaining_size_e6 INTEGER NOT NULL,
    filled_cash_e6 INTEGER NOT NULL,  -- with filled_size_e6: the average fill price, as an exact pair
    raw_last_ws_event TEXT,
    raw_last_rest_snapshot TEXT,
    cancel_at_us INTEGER,  -- when we asked for the first cancel
    cancel_code TEXT,
    cancel_by TEXT,
    cancel_numbers_json TEXT
) STRICT;
CREATE INDEX orders_by_market ON orders (market);

CREATE TABLE order_transitions (
    no INTEGER PRIMARY KEY,
    order_no INTEGER NOT NULL REFERENCES orders,
    at_us INTEGER NOT NULL,
    before TEXT,
    after TEXT NOT NULL,
    news TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX order_transitions_by_order ON order_transitions (order_no);

CREATE TABLE fills (
    trade_id TEXT NOT NULL,
    order_no INTEGER NOT NULL REFERENCES orders,
    market INTEGER NOT NULL REFERENCES markets,
    at_us INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    side TEXT NOT NULL,
    price_e4 INTEGER NOT NULL,
    size_e6 INTEGER NOT NULL,
    cash_e6 INTEGER NOT NULL,  -- what moved, without the fee
    fee_cash_e6 INTEGER NOT NULL,
    rebate_estimated_cash_e6 INTEGER NOT NULL,
    maker INTEGER NOT NULL,
    settlement TEXT NOT NULL,
    settlement_at_us INTEGER NOT NULL,
    PRIMARY KEY (trade_id, order_no)
) STRICT;
CREATE INDEX fills_by_market ON fills (market);
CREATE INDEX fills_by_order ON fills (order_no);

CREATE TABLE settlements (
    no INTEGER PRIMARY KEY,
    trade_id TEXT NOT NULL,
    order_no INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    FOREIGN KEY (trade_id, order_no) REFERENCES fills
) STRICT;

-- One row a reason; rows of one refused order share `refusal`.
CREATE TABLE refusals (
    no INTEGER PRIMARY KEY,
    refusal INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    market INTEGER NOT NULL REFERENCES markets,
    outcome TEXT NOT NULL,
    side TEXT NOT NULL,
    price_e4 INTEGER,
    size_e6 INTEGER,
    purpose TEXT NOT NULL,
    code TEXT NOT NULL,
    by TEXT NOT NULL,
    numbers_json TEXT NOT NULL
) STRICT;

-- What a person should look at: halts, oddities, lost feeds, everything pulled.
CREATE TABLE alerts (
    no INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    market INTEGER,
    code TEXT NOT NULL,
    by TEXT NOT NULL,
    numbers_json TEXT NOT NULL
) STRICT;

CREATE TABLE equity (
    at_us INTEGER PRIMARY KEY,
    cash_e6 INTEGER NOT NULL,
    locked_cash_e6 INTEGER NOT NULL,
    inventory_cash_e6 INTEGER NOT NULL,  -- what is held, at the mid, or at cost where there is none
    at_cost_cash_e6 INTEGER NOT NULL,  -- the part of it that has no mid
    equity_cash_e6 INTEGER NOT NULL,
    pnl_cash_e6 INTEGER NOT NULL,  -- realised + unrealised, fees included, rebates not
    realised_cash_e6 INTEGER NOT NULL,
    unrealised_cash_e6 INTEGER NOT NULL,
    fees_cash_e6 INTEGER NOT NULL,
    rebates_estimated_cash_e6 INTEGER NOT NULL,
    exposure_cash_e6 INTEGER NOT NULL,  -- rounded up to a base unit
    exposure_max_cash_e6 INTEGER NOT NULL
) STRICT;

CREATE TABLE inventory (
    market INTEGER NOT NULL REFERENCES markets,
    at_us INTEGER NOT NULL,
    yes_shares_e6 INTEGER NOT NULL,
    no_shares_e6 INTEGER NOT NULL,
    cost_cash_e6 INTEGER NOT NULL,
    value_cash_e6 INTEGER NOT NULL,
    exposure_cash_e6 INTEGER NOT NULL,
    PRIMARY KEY (market, at_us)
) STRICT, WITHOUT ROWID;

-- One row an ended order: the cash its fills should have moved, at price x size and fee, and what the ledger moved.
CREATE TABLE funds_reconciliation (
    order_no INTEGER PRIMARY KEY REFERENCES orders,
    at_us INTEGER NOT NULL,
    state TEXT NOT NULL,
    fills INTEGER NOT NULL,
    expected_cash_e6 INTEGER NOT NULL,
    moved_cash_e6 INTEGER NOT NULL,
    difference_cash_e6 INTEGER NOT NULL
) STRICT;
"""


def _time(column: str, scale: int = 1_000_000) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%fZ', {column} / {scale}.0, 'unixepoch')"


_VIEWS: Final = f"""
CREATE VIEW v_orders AS SELECT
    o.order_no, o.client_order_id, o.exchange_order_id, m.slug, m.question, o.outcome, o.side,
    o.price_e4 / 1e4 AS price, o.size_e6 / 1e6 AS shares, o.filled_size_e6 / 1e6 AS filled,
    o.remaining_size_e6 / 1e6 AS remaining,
    CASE WHEN o.filled_size_e6 > 0 THEN 1.0 * o.filled_cash_e6 / o.filled_size_e6 END AS avg_fill_price,
    o.purpose, o.basis, o.state, {_time("o.placed_at_us")} AS placed_at,
    {_time("o.submitted_at_ms", 1000)} AS submitted_at, {_time("o.last_event_at_ms", 1000)} AS last_event_at,
    {_time("o.ended_at_us")} AS ended_at, o.cancel_code, o.cancel_by
FROM orders o JOIN markets m USING (market);

CREATE VIEW v_transitions AS SELECT
    t.order_no, {_time("t.at_us")} AS at, t.before, t.after, t.news, t.reason, m.slug
FROM order_transitions t JOIN orders o USING (order_no) JOIN markets m USING (market) ORDER BY t.no;

CREATE VIEW v_fills AS SELECT
    f.trade_id, f.order_no, {_time("f.at_us")} AS at, m.slug, m.question, f.outcome, f.side, f.price_e4 / 1e4 AS price,
    f.size_e6 / 1e6 AS shares, f.cash_e6 / 1e6 AS usd, f.fee_cash_e6 / 1e6 AS fee_usd,
    f.rebate_estimated_cash_e6 / 1e6 AS rebate_estimated_usd, f.maker, f.settlement
FROM fills f JOIN markets m USING (market);

CREATE VIEW v_refusals AS SELECT
    r.refusal, {_time("r.at_us")} AS at, m.slug, r.outcome, r.side, r.price_e4 / 1e4 AS price,
    r.size_e6 / 1e6 AS shares, r.purpose, r.by, r.code, r.numbers_json
FROM refusals r JOIN markets m USING (market);

CREATE VIEW v_refusals_by_reason AS SELECT
    by, code, count(*) AS times, count(DISTINCT market) AS markets, max(no) AS last_no
FROM refusals GROUP BY by, code;

CREATE VIEW v_drops AS SELECT
    m.slug, m.question, {_time("d.at_us")} AS at, d.by, d.code, d.numbers_json
FROM drops d JOIN markets m USING (market);

CREATE VIEW v_mids AS SELECT
    m.slug, {_time("q.at_us")} AS at, q.bid_e4 / 1e4 AS bid, q.ask_e4 / 1e4 AS ask, q.mid_twice_e4 / 2e4 AS mid,
    q.bid_size_e6 / 1e6 AS bid_shares, q.ask_size_e6 / 1e6 AS ask_shares
FROM mids q JOIN markets m USING (market);

CREATE VIEW v_equity AS SELECT
    {_time("at_us")} AS at, cash_e6 / 1e6 AS cash_usd, locked_cash_e6 / 1e6 AS locked_usd,
    inventory_cash_e6 / 1e6 AS inventory_usd, at_cost_cash_e6 / 1e6 AS at_cost_usd,
    equity_cash_e6 / 1e6 AS equity_usd, pnl_cash_e6 / 1e6 AS pnl_usd,
    realised_cash_e6 / 1e6 AS realised_usd, unrealised_cash_e6 / 1e6 AS unrealised_usd, fees_cash_e6 / 1e6 AS fees_usd,
    rebates_estimated_cash_e6 / 1e6 AS rebates_estimated_usd, exposure_cash_e6 / 1e6 AS exposure_usd
FROM equity;

CREATE VIEW v_funds_reconciliation AS SELECT
    r.order_no, o.client_order_id, {_time("r.at_us")} AS at, r.state, r.fills, r.expected_cash_e6 / 1e6 AS expected_usd,
    r.moved_cash_e6 / 1e6 AS moved_usd, r.difference_cash_e6 / 1e6 AS difference_usd
FROM funds_reconciliation r JOIN orders o USING (order_no);

-- What a market earned: the cash of its fills, what its resolution paid, and what is still held.
CREATE VIEW v_markets AS
WITH
    traded AS (
        SELECT market, count(*) AS fills, sum(size_e6) AS size_e6,
            sum(CASE side WHEN 'BUY' THEN -cash_e6 ELSE cash_e6 END - fee_cash_e6) AS cash_e6,
            sum(fee_cash_e6) AS fees_e6, sum(rebate_estimated_cash_e6) AS rebates_e6
        FROM fills WHERE settlement != 'failed' GROUP BY market
    ),
    redeemed AS (SELECT market, sum(redeemed_cash_e6) AS cash_e6 FROM market_changes GROUP BY market),
    held AS (SELECT market, max(at_us), yes_shares_e6, no_shares_e6, value_cash_e6 FROM inventory GROUP BY market),
    asked AS (SELECT market, count(*) AS orders FROM orders GROUP BY market)
SELECT
    m.market, m.slug, m.question, m.status, m.settled_yes_e4 / 1e4 AS settled_yes, m.simulated, m.assumed_json,
    coalesce(asked.orders, 0) AS orders, coalesce(traded.fills, 0) AS fills,
    coalesce(traded.size_e6, 0) / 1e6 AS shares_traded,
    coalesce(held.yes_shares_e6, 0) / 1e6 AS yes_held, coalesce(held.no_shares_e6, 0) / 1e6 AS no_held,
    coalesce(traded.cash_e6, 0) + coalesce(redeemed.cash_e6, 0) + coalesce(held.value_cash_e6, 0) AS pnl_cash_e6,
    (coalesce(traded.cash_e6, 0) + coalesce(redeemed.cash_e6, 0) + coalesce(held.value_cash_e6, 0)) / 1e6 AS pnl_usd,
    coalesce(traded.fees_e6, 0) / 1e6 AS fees_usd, coalesce(traded.rebates_e6, 0) / 1e6 AS rebates_estimated_usd,
    d.by AS dropped_by, d.code AS dropped_code
FROM markets m
    LEFT JOIN traded USING (market) LEFT JOIN redeemed USING (market) LEFT JOIN held USING (market)
    LEFT JOIN asked USING (market) LEFT JOIN drops d USING (market);
"""

_REVIEW: Final = f"""
-- Every verdict of every scan: traded from here on, or not, by whom and by how much (R1).
CREATE TABLE selections (
    no INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    market INTEGER NOT NULL REFERENCES markets,
    verdict TEXT NOT NULL CHECK (verdict IN ('selected', 'dropped')),
    code TEXT NOT NULL,
    by TEXT NOT NULL,
    value ANY,  -- what was judged, its limit, and how far it was from passing, in the unit of the filter
    "limit" ANY,
    margin ANY,
    numbers_json TEXT NOT NULL
) STRICT;
CREATE INDEX selections_by_market ON selections (market);
INSERT INTO selections (at_us, market, verdict, code, by, numbers_json)
    SELECT at_us, market, 'dropped', code, by, numbers_json FROM drops;
INSERT INTO selections (at_us, market, verdict, code, by, numbers_json)
    SELECT 0, market, 'selected', 'selected', '', '{{}}' FROM markets WHERE market NOT IN (SELECT market FROM drops);
DROP TABLE drops;

-- The markets that were never traded, with what was said of them last.
CREATE VIEW drops AS SELECT market, at_us, code, by, numbers_json, value, "limit", margin, max(no) AS no
FROM selections WHERE market NOT IN (SELECT market FROM selections WHERE verdict = 'selected') GROUP BY market;

CREATE VIEW v_selections AS SELECT
    s.no, {_time("s.at_us")} AS at, m.slug, m.question, s.verdict, s.by, s.code, s.value, s."limit", s.margin,
    s.numbers_json
FROM selections s JOIN markets m USING (market) ORDER BY s.no;

-- What resting orders may have earned, minute by minute: an estimate, in dollars; low to high is what public depth
-- allows for the competitors' score (R2).
CREATE TABLE reward_minutes (
    market INTEGER NOT NULL REFERENCES markets,
    at_us INTEGER NOT NULL,  -- the sampled moment of the minute
    scoring INTEGER NOT NULL CHECK (scoring IN (0, 1)),
    ours REAL NOT NULL,
    competitors_low REAL NOT NULL,
    competitors_high REAL NOT NULL,
    share_low REAL NOT NULL,
    share_mid REAL NOT NULL,
    share_high REAL NOT NULL,
    native_low_usd REAL NOT NULL,
    native_mid_usd REAL NOT NULL,
    native_high_usd REAL NOT NULL,
    sponsored_low_usd REAL NOT NULL,
    sponsored_mid_usd REAL NOT NULL,
    sponsored_high_usd REAL NOT NULL,
    PRIMARY KEY (market, at_us)
) STRICT, WITHOUT ROWID;

CREATE VIEW v_rewards_estimated AS SELECT
    r.market, m.slug, m.question, count(*) AS minutes, sum(r.scoring) AS scoring_minutes,
    1.0 * sum(r.scoring) / count(*) AS uptime,
    sum(r.native_low_usd) AS native_low_usd, sum(r.native_mid_usd) AS native_mid_usd,
    sum(r.native_high_usd) AS native_high_usd, sum(r.sponsored_low_usd) AS sponsored_low_usd,
    sum(r.sponsored_mid_usd) AS sponsored_mid_usd, sum(r.sponsored_high_usd) AS sponsored_high_usd
FROM reward_minutes r JOIN markets m USING (market) GROUP BY r.market;

-- What the mid did after each fill (P4): horizon 0 is the fill itself. `_twice_e4` is 1/20,000 dollar; NULL where no
-- mid was known then, or the run ended before.
CREATE TABLE markouts (
    trade_id TEXT NOT NULL,
    order_no INTEGER NOT NULL,
    horizon_us INTEGER NOT NULL,
    mid_twice_e4 INTEGER,  -- of YES
    per_share_twice_e4 INTEGER,  -- positive is good for us, whatever we bought or sold
    PRIMARY KEY (trade_id, order_no, horizon_us),
    FOREIGN KEY (trade_id, order_no) REFERENCES fills
) STRICT, WITHOUT ROWID;

CREATE VIEW v_markouts AS SELECT
    k.trade_id, k.order_no, m.slug, {_time("f.at_us")} AS filled_at, f.outcome, f.side, o.purpose,
    f.price_e4 / 1e4 AS price, f.size_e6 / 1e6 AS shares, k.horizon_us / 1e6 AS horizon_s, k.mid_twice_e4 / 2e4 AS mid,
    k.per_share_twice_e4 / 2e4 AS per_share_usd, k.per_share_twice_e4 / 1e4 AS realised_spread_usd,
    k.per_share_twice_e4 / 2e4 * f.size_e6 / 1e6 AS usd
FROM markouts k JOIN fills f USING (trade_id, order_no) JOIN orders o USING (order_no)
    JOIN markets m ON m.market = f.market
WHERE f.settlement != 'failed';

CREATE TABLE timings (
    name TEXT PRIMARY KEY,
    times INTEGER NOT NULL,
    total_ms REAL NOT NULL,
    p50_ms REAL NOT NULL,
    p99_ms REAL NOT NULL,
    max_ms REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- Shares that no sell covered, each time that began or its reason changed (R9, R10).
CREATE VIEW v_unhedged AS SELECT * FROM v_refusals WHERE purpose != 'quote' AND by = 'hedging';
"""

_MERGES: Final = f"""
-- Pairs of YES and NO that were to become a dollar each; without an answer `at_us` is NULL, refused ones are 0 pairs.
CREATE TABLE merges (
    merge_no INTEGER PRIMARY KEY,
    asked_at_us INTEGER NOT NULL,
    market INTEGER NOT NULL REFERENCES markets,
    asked_e6 INTEGER NOT NULL,
    at_us INTEGER,
    pairs_e6 INTEGER NOT NULL DEFAULT 0,
    cash_e6 INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE VIEW v_merges AS SELECT
    g.merge_no, {_time("g.asked_at_us")} AS asked_at, {_time("g.at_us")} AS at, m.slug, m.question,
    g.asked_e6 / 1e6 AS asked, g.pairs_e6 / 1e6 AS pairs, g.cash_e6 / 1e6 AS usd, g.reason
FROM merges g JOIN markets m USING (market) ORDER BY g.merge_no;

-- What a market earned: the cash of its fills, of merged pairs, what its resolution paid, and what is still held.
DROP VIEW v_markets;
CREATE VIEW v_markets AS
WITH
    traded AS (
        SELECT market, count(*) AS fills, sum(size_e6) AS size_e6,
            sum(CASE side WHEN 'BUY' THEN -cash_e6 ELSE cash_e6 END - fee_cash_e6) AS cash_e6,
            sum(fee_cash_e6) AS fees_e6, sum(rebate_estimated_cash_e6) AS rebates_e6
        FROM fills WHERE settlement != 'failed' GROUP BY market
    ),
    redeemed AS (SELECT market, sum(redeemed_cash_e6) AS cash_e6 FROM market_changes GROUP BY market),
    merged AS (SELECT market, sum(cash_e6) AS cash_e6 FROM merges GROUP BY market),
    held AS (SELECT market, max(at_us), yes_shares_e6, no_shares_e6, value_cash_e6 FROM inventory GROUP BY market),
    asked AS (SELECT market, count(*) AS orders FROM orders GROUP BY market)
SELECT
    m.market, m.slug, m.question, m.status, m.settled_yes_e4 / 1e4 AS settled_yes, m.simulated, m.assumed_json,
    coalesce(asked.orders, 0) AS orders, coalesce(traded.fills, 0) AS fills,
    coalesce(traded.size_e6, 0) / 1e6 AS shares_traded,
    coalesce(held.yes_shares_e6, 0) / 1e6 AS yes_held, coalesce(held.no_shares_e6, 0) / 1e6 AS no_held,
    coalesce(traded.cash_e6, 0) + coalesce(merged.cash_e6, 0) + coalesce(redeemed.cash_e6, 0)
        + coalesce(held.value_cash_e6, 0) AS pnl_cash_e6,
    (coalesce(traded.cash_e6, 0) + coalesce(merged.cash_e6, 0) + coalesce(redeemed.cash_e6, 0)
        + coalesce(held.value_cash_e6, 0)) / 1e6 AS pnl_usd,
    coalesce(traded.fees_e6, 0) / 1e6 AS fees_usd, coalesce(traded.rebates_e6, 0) / 1e6 AS rebates_estimated_usd,
    d.by AS dropped_by, d.code AS dropped_code
FROM markets m
    LEFT JOIN traded USING (market) LEFT JOIN redeemed USING (market) LEFT JOIN merged USING (market)
    LEFT JOIN held USING (market) LEFT JOIN asked USING (market) LEFT JOIN drops d USING (market);
"""

_PNL: Final = f"""
-- What each market made, by cause, at the end of the run; 20,000,000,000 units are a dollar, and the parts sum to it
-- exactly (P8).
CREATE TABLE pnl_parts (
    market INTEGER NOT NULL REFERENCES markets,
    part TEXT NOT NULL,
    units INTEGER NOT NULL,
    PRIMARY KEY (market, part)
) STRICT, WITHOUT ROWID;

CREATE VIEW v_pnl_parts AS SELECT
    p.market, m.slug, m.question, p.part, p.units / 2e10 AS usd
FROM pnl_parts p JOIN markets m USING (market);

-- What was held at the end: at the mid, and if it had to be sold into the bids of the last book, fees taken off. What
-- no bid takes counts nothing; pairs count a dollar where nothing sells their legs one by one.
CREATE TABLE exits (
    market INTEGER PRIMARY KEY REFERENCES markets,
    yes_shares_e6 INTEGER NOT NULL,
    no_shares_e6 INTEGER NOT NULL,
    paired_shares_e6 INTEGER NOT NULL,
    unsold_shares_e6 INTEGER NOT NULL,
    mid_cash_e6 INTEGER NOT NULL,
    exit_cash_e6 INTEGER NOT NULL,
    fees_cash_e6 INTEGER NOT NULL
) STRICT;

CREATE VIEW v_exits AS SELECT
    e.market, m.slug, m.question, e.yes_shares_e6 / 1e6 AS yes_shares, e.no_shares_e6 / 1e6 AS no_shares,
    e.paired_shares_e6 / 1e6 AS paired, e.unsold_shares_e6 / 1e6 AS unsold, e.mid_cash_e6 / 1e6 AS mid_usd,
    e.exit_cash_e6 / 1e6 AS exit_usd, (e.mid_cash_e6 - e.exit_cash_e6) / 1e6 AS exit_cost_usd,
    e.fees_cash_e6 / 1e6 AS fees_usd
FROM exits e JOIN markets m USING (market);

-- With the basis of each order: the reason it was placed at its price.
DROP VIEW v_markouts;
CREATE VIEW v_markouts AS SELECT
    k.trade_id, k.order_no, m.slug, {_time("f.at_us")} AS filled_at, f.outcome, f.side, o.purpose, o.basis, f.maker,
    f.price_e4 / 1e4 AS price, f.size_e6 / 1e6 AS shares, k.horizon_us / 1e6 AS horizon_s, k.mid_twice_e4 / 2e4 AS mid,
    k.per_share_twice_e4 / 2e4 AS per_share_usd, k.per_share_twice_e4 / 1e4 AS realised_spread_usd,
    k.per_share_twice_e4 / 2e4 * f.size_e6 / 1e6 AS usd
FROM markouts k JOIN fills f USING (trade_id, order_no) JOIN orders o USING (order_no)
    JOIN markets m ON m.market = f.market
WHERE f.settlement != 'failed';
"""

# Append only: version n is what the first n leave.
_CALIBRATION: Final = """
-- What components learned of each market (P2), as far as the run knew at its end: estimates, not observations. The
-- names say the unit; `by` is the component.
CREATE TABLE market_calibration (
    market INTEGER NOT NULL REFERENCES markets,
    by TEXT NOT NULL,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (market, by, name)
) STRICT, WITHOUT ROWID;

CREATE VIEW v_market_calibration AS SELECT
    c.market, m.slug, m.question,
    max(CASE c.name WHEN 'fills_per_minute_at_mid' THEN c.value END) AS fills_per_minute_at_mid,
    max(CASE c.name WHEN 'decay_per_cent' THEN c.value END) AS decay_per_cent,
    max(CASE c.name WHEN 'decay_error' THEN c.value END) AS decay_error,
    max(CASE c.name WHEN 'quote_seconds' THEN c.value END) AS quote_seconds,
    max(CASE c.name WHEN 'fills' THEN c.value END) AS fills,
    max(CASE c.name WHEN 'predicted' THEN c.value END) AS predicted,
    max(CASE c.name WHEN 'predicted_by_prior' THEN c.value END) AS predicted_by_prior,
    max(CASE c.name WHEN 'deviance' THEN c.value END) AS deviance,
    max(CASE c.name WHEN 'deviance_of_prior' THEN c.value END) AS deviance_of_prior,
    max(CASE c.name WHEN 'marked_out' THEN c.value END) AS marked_out,
    max(CASE c.name WHEN 'cost_of_a_fill_usd' THEN c.value END) AS cost_of_a_fill_usd
FROM market_calibration c JOIN markets m USING (market) GROUP BY c.market;
"""

MIGRATIONS: Final[tuple[str, ...]] = (_TABLES, _VIEWS, _REVIEW, _MERGES, _PNL, _CALIBRATION)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the schema version of a database; 0 is an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring a database to the present version, one numbered step a transaction.

    Raises DataError when a newer pmrun wrote it: what we do not know, we do not touch.
    """
    version = version_of(connection)
    refuse_newer(version, path, len(migrations))
    for number in range(version, len(migrations)):
        try:
            connection.executescript(f"BEGIN; {migrations[number]} PRAGMA user_version = {number + 1}; COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def refuse_newer(version: int, path: Path, known: int = len(MIGRATIONS)) -> None:
    """Raise DataError when a database has a version that this pmrun does not know."""
    if version > known:
        raise DataError(f"{path}: schema version {version}; this pmrun knows up to {known}: use a newer pmrun")
