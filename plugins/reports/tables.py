"""Writes the summary and the tables of a report as HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from pmrun.plugins.reports.figures import Window
from pmrun.plugins.reports.finished import ESTIMATED, TRADED, Finished
from pmrun.plugins.reports.markup import (
    ROWS,
    Cell,
    count,
    gain,
    lasted,
    left_out,
    moment,
    money,
    named,
    numbers,
    percent,
    plain_number,
    sentence,
    span,
    table,
    tag,
)

ORDERS: Final = 3_000  # rows of the orders table; those that filled are kept first


def _card(name: str, value: str, words: Sequence[str], note: str = "", tone: float | None = None) -> str:
    colour = "" if not tone else " gain" if tone > 0 else " loss"
    small = f'<div class="note">{escape(note)}</div>' if note else ""
    return (
        f'<div class="card"><div class="name">{escape(name)}{tag(*words)}</div>'
        f'<div class="value{colour}">{escape(value)}</div>{small}</div>'
    )


def glance(run: Finished, when: Window) -> str:
    """Say in two sentences what came of the run."""
    labels = run.labels
    market = "simulated" if labels.data == "simulated" else "recorded"
    fills, pnl = run.number("fills", "count"), run.number("pnl_usd", "total")
    traded = (
        f"{count(run.number('fills', 'shares'))} shares changed hands in {count(fills)} {labels.fills} fills"
        if fills
        else "nothing filled"
    )
    came = "made nothing and lost nothing" if not pnl else f"{'made' if pnl > 0 else 'lost'} {money(abs(pnl))}"
    first = (
        f"In {lasted(when.end_us - when.start_us)} {run.text('strategy', 'the strategy')} traded "
        f"{count(run.traded())} of {count(run.number('markets', 'scanned'))} {market} markets; "
        f"{traded}, and it {came} after fees."
    )
    low, _, high = rewards_of(run)
    if high:
        first += f" Resting orders may have earned {span(low, high)} in rewards: an estimate, not part of the PnL."
    untraded = run.nothing_left()
    first += f" {untraded[0].upper()}{untraded[1:]}." if untraded else ""
    return f'<p class="lead">{escape(first)}</p>'


def rewards_of(run: Finished) -> tuple[float | None, float | None, float | None]:
    """Return the estimated rewards of all markets, low, mid and high; None where nothing estimated them."""
    found: tuple[float | None, float | None, float | None] = run.db.execute(
        "SELECT sum(native_low_usd + sponsored_low_usd), sum(native_mid_usd + sponsored_mid_usd), "
        "sum(native_high_usd + sponsored_high_usd) FROM reward_minutes"
    ).fetchone()
    said = run.number("pnl_usd", "rewards_estimated")
    return (said, said, said) if found[1] is None else found


def scoring(run: Finished) -> float | None:
    """Return in which share of the sampled minutes our orders scored."""
    found: float | None = run.db.execute("SELECT avg(scoring) FROM reward_minutes").fetchone()[0]
    return found


def quoting(run: Finished, when: Window) -> float | None:
    """Return for how much of the time in which its book was known a traded market had a quote of ours."""
    seen = run.db.execute("SELECT market, min(at_us), max(at_us) FROM mids GROUP BY market").fetchall()
    lasted_us = sum(last - first for _, first, last in seen)
    ends = {market: (first, last) for market, first, last in seen}
    rows = run.db.execute(
        "SELECT market, coalesce(submitted_at_ms * 1000, placed_at_us) AS since, coalesce(ended_at_us, ?) FROM orders "
        "WHERE purpose = 'quote' AND state != 'REJECTED' ORDER BY market, since",
        (when.end_us,),
    )
    covered, upto = 0, dict.fromkeys(ends, 0)
    for market, since, until in rows:
        if market in ends:
            first, last = ends[market]
            covered += max(0, min(until, last) - max(since, upto[market], first))
            upto[market] = max(upto[market], until)
    return covered / lasted_us if lasted_us else None


def key_figures(run: Finished, when: Window) -> str:
    """Write the five numbers to look at first, each with the word for what it is."""
    fills = run.labels.fills
    total = run.number("pnl_usd", "total")
    low, mid, high = rewards_of(run)
    shares, notional = run.number("fills", "shares"), run.number("fills", "notional_usd")
    score = scoring(run)
    cards = [
        _card("PnL", money(total, sign=True), [fills], "after fees, what is held at the mid", total),
        _card("Fills", count(run.number("fills", "count")), [fills], f"{count(shares)} shares for {money(notional)}"),
        _card(
            "Rewards",
            money(mid),
            [ESTIMATED, run.labels.rewards],
            "this run estimated none" if mid is None else f"{span(low, high)}, not in the PnL",
        ),
        _card("Exposure, most", money(run.number("exposure_max_usd")), [fills], "worst case, resting bids included"),
        _card(
            "Quoting",
            percent(quoting(run, when)),
            [fills],
            "of the time between the first and the last known book of each traded market"
            + ("" if score is None else f"; scoring in {percent(score)} of the minutes sampled in selected markets"),
        ),
    ]
    return "".join(cards)


def more_figures(run: Finished) -> str:
    """Write what the first numbers are made of."""
    fills, fees = run.labels.fills, run.labels.fees
    pnl = {name: run.number("pnl_usd", name) for name in ("realised", "unrealised", "fees", "rebates")}
    orders = {name: count(run.number("orders", name)) for name in ("cancelled", "refused", "rejected")}
    ends = f"{orders['cancelled']} cancelled, {orders['rejected']} rejected"
    unsent = run.number("orders", "never_sent")
    kept = f"{count(unsent)} never sent, " if unsent else ""
    selected, scanned = run.number("markets", "selected"), run.number("markets", "scanned")
    last = "" if selected is None else f", {count(selected)} at the end"
    cards = [
        _card("Realised", money(pnl["realised"], sign=True), [fills], "sold and redeemed", pnl["realised"]),
        _card("Unrealised", money(pnl["unrealised"], sign=True), [fills], _held(run), pnl["unrealised"]),
        _card("Fees paid", money(pnl["fees"]), [fills, fees], "inside the PnL"),
        _card("Rebates", "in the fees", [fills], "paid with each fill, inside the PnL")
        if run.rebates_paid
        else _card("Rebates", money(pnl["rebates"]), [ESTIMATED, fees], "not in the PnL"),
        _card(
            "Orders",
            count(run.number("orders", "placed")),
            [fills],
            f"{ends}, {kept}{orders['refused']} refused before",
        ),
        _card("Markets traded", count(run.traded()), [], f"of {count(scanned)} scanned{last}"),
    ]
    return "".join(cards)


def _held(run: Finished) -> str:
    """Say how much of what is held has no mid: counted at cost, it hides a gain or a loss."""
    last = run.db.execute("SELECT at_cost_cash_e6 FROM equity ORDER BY at_us DESC LIMIT 1").fetchone()
    if not last or not last[0]:
        return "what is still held, at the mid"
    return f"what is still held; {money(last[0] / 1e6)} of it has no mid and counts at cost"


def markets(run: Finished) -> str:
    """Write one row a market that was traded."""
    rows = run.db.execute(
        "SELECT market, question, slug, status, settled_yes, orders, fills, shares_traded, yes_held, no_held, "
        "coalesce((SELECT sum(units) / 2e10 FROM pnl_parts p WHERE p.market = v.market), pnl_usd), "
        f"rebates_estimated_usd FROM v_markets v WHERE market IN ({TRADED}) ORDER BY fills DESC, orders DESC, market"
    )
    shown = []
    for market, question, slug, status, settled, orders, fills, shares, yes, no, pnl, rebates in rows:
        state = status if settled is None else f"{status}, YES paid ${settled:g}"
        held = f"{count(yes)} / {count(no)}"
        amounts = (gain(pnl), count(fills), count(shares), count(orders), held, *_rebates(run, money(rebates)), state)
        shown.append((named(question, slug, market), *amounts))
    word = tag(run.labels.fills)
    heads = (
        "Market",
        Cell(f"PnL{word}"),
        Cell(f"Fills{word}"),
        Cell(f"Shares{word}"),
        "Orders",
        "Held YES / NO",
        *_rebates(run, Cell(f"Rebates{tag(ESTIMATED, run.labels.fees)}")),
        "Status",
    )
    return table(heads, shown[:ROWS], range(1, len(heads) - 1), "No market was quoted.") + left_out(len(shown) - ROWS)


def _rebates(run: Finished, cell: str) -> tuple[str, ...]:
    """Return the cell of estimated rebates, where there are any: those that are paid with a fill are in the PnL."""
    return () if run.rebates_paid else (cell,)


def refusals(run: Finished) -> str:
    """Write how often each reason kept an order from resting, with the numbers of the last time."""
    rows = run.db.execute(
        "SELECT v.by, v.code, v.times, v.markets, r.numbers_json FROM v_refusals_by_reason v "
        "JOIN refusals r ON r.no = v.last_no ORDER BY v.times DESC, v.by, v.code"
    )
    shown = [(by, code, count(times), count(markets), numbers(text, code)) for by, code, times, markets, text in rows]
    heads = ("Said by", "Reason", "Times", "Markets", "Numbers, last time")
    return table(heads, shown, (2, 3), "Nothing was refused.")


def alerts(run: Finished) -> str:
    """Write what a person should look at: halts, oddities, lost feeds."""
    rows = run.db.execute(
        "SELECT kind, by, code, count(*), min(at_us), max(at_us) FROM alerts "
        "WHERE NOT (kind = 'cancel_all' AND code IN ('clean_start', 'stop_only', 'feed_ended')) "
        "GROUP BY kind, by, code ORDER BY 4 DESC"
    )
    shown = [(kind, by, code, count(times), moment(first), moment(last)) for kind, by, code, times, first, last in rows]
    return table(("Kind", "By", "Code", "Times", "First", "Last"), shown, (3,), "No halt and nothing odd.")


def settlements(run: Finished) -> str:
    """Say which fills failed to settle, or how many are still on their way."""
    failed = run.db.execute(
        "SELECT m.question, m.slug, m.market, f.settlement_at_us, f.side, f.outcome, f.size_e6, f.cash_e6 FROM fills f "
        "JOIN markets m USING (market) WHERE f.settlement = 'failed' ORDER BY f.settlement_at_us"
    ).fetchall()
    total, waiting = run.db.execute(
        "SELECT count(*), count(CASE WHEN settlement NOT IN ('confirmed', 'failed') THEN 1 END) FROM fills"
    ).fetchone()
    if not total:
        return sentence("Nothing was to be settled.")
    pending = f" {count(waiting)} were not settled yet when the run ended." if waiting else ""
    if not failed:
        return sentence(f"None of {count(total)} fills failed to settle.{pending}", "")
    rows = [
        (named(question, slug, market), moment(at), f"{side} {outcome}", count(size / 1e6), money(cash / 1e6))
        for question, slug, market, at, side, outcome, size, cash in failed[:ROWS]
    ]
    said = f"{count(len(failed))} of {count(total)} fills failed to settle; they were taken back.{pending}"
    heads = ("Market", "Failed (UTC)", "Fill", "Shares", "Cash")
    return sentence(said, "loss") + table(heads, rows, (3, 4)) + left_out(len(failed) - ROWS)


def funds(run: Finished) -> str:
    """Say whether the cash of every ended order moved as its fills say."""
    ended, off, worst = run.db.execute(
        "SELECT count(*), count(CASE WHEN difference_cash_e6 != 0 THEN 1 END), max(abs(difference_cash_e6)) "
        "FROM funds_reconciliation"
    ).fetchone()
    if off:
        return (
            f'<p class="loss">{count(off)} of {count(ended)} ended orders moved other cash than their fills say; '
            f"at most {money(worst / 1e6)}.</p>"
        )
    return f"<p>{count(ended)} ended orders: the cash of each moved exactly as its fills say.</p>"


def reasons(run: Finished) -> str:
    """Write why orders were pulled, rejected by the exchange, or never sent."""
    parts = []
    for key, title in (
        ("cancels", "Orders pulled"),
        ("rejections", "Orders rejected by the exchange"),
        ("never_sent", "Orders that never left this machine"),
    ):
        found = run.summary.get(key)
        if isinstance(found, Mapping) and found:
            rows = [(reason, plain_number(times)) for reason, times in found.items()]
            parts.append(f"<h3>{title}{tag(run.labels.fills)}</h3>{table(('Reason', 'Times'), rows, (1,))}")
    return "".join(parts)


def provenance(run: Finished) -> str:
    """Write the manifest, flat."""
    rows = [*flat(run.manifest), ("journal_hash", run.text("journal_hash")), ("seed", run.text("seed"))]
    return table(("What", "Value"), [(key, Cell(f"<code>{escape(str(value))}</code>")) for key, value in rows])


def flat(tree: Mapping[str, Any], under: str = "") -> list[tuple[str, Any]]:
    """Flatten nested mappings to dotted keys."""
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{under}{key}"
        found += flat(value, f"{name}.") if isinstance(value, Mapping) and value else [(name, value)]
    return found


def orders(run: Finished) -> dict[str, Any]:
    """Return the rows of the orders table, newest last, and how many were left out."""
    total = int(run.db.execute("SELECT count(*) FROM orders").fetchone()[0])
    rows = run.db.execute(
        "SELECT * FROM (SELECT o.order_no, o.placed_at_us / 1000, o.market, o.side, o.outcome, o.price_e4, o.size_e6, "
        "o.filled_size_e6, "
        "CASE WHEN o.filled_size_e6 > 0 THEN round(1.0 * o.filled_cash_e6 / o.filled_size_e6, 6) END, "
        "o.state, o.purpose, o.basis, coalesce(nullif(o.cancel_code, ''), "
        "(SELECT t.reason FROM order_transitions t WHERE t.order_no = o.order_no AND t.after = 'REJECTED'), '') "
        "FROM orders o ORDER BY o.filled_size_e6 > 0 DESC, o.order_no DESC LIMIT ?) ORDER BY 1",
        (ORDERS,),
    ).fetchall()
    return {"rows": [list(row) for row in rows], "total": total, "left_out": total - len(rows)}
