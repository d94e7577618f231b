"""Writes the tables of a report as HTML, every text from data escaped."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from pmrun.plugins.reports.finished import ASSUMED, ESTIMATED, Finished

ORDERS: Final = 3_000  # rows of the orders table; those that filled are kept first
MARKETS: Final = 300  # rows of the tables of markets
MISSING: Final = "—"


class Cell(str):
    """HTML that is safe already."""

    __slots__ = ()


def safe(value: object) -> str:
    """Escape a value, unless it is HTML of ours."""
    return value if isinstance(value, Cell) else escape(str(value))


def tag(*words: str) -> Cell:
    """Write the words that say what kind of number stands beside them."""
    return Cell("".join(f' <span class="tag {escape(word)}">{escape(word)}</span>' for word in words if word))


def kinds(run: Finished) -> Cell:
    """Write what kind the book and the fills of a chart are."""
    said = [(run.labels.data, f"{run.labels.data} book")]
    said += [(run.labels.fills, f"{run.labels.fills} fills")] if run.labels.fills else []
    return Cell("".join(f' <span class="tag {escape(word)}">{escape(text)}</span>' for word, text in said))


def money(value: float | None, sign: bool = False) -> str:
    """Write dollars with cents, or more digits where cents would hide them."""
    if value is None:
        return MISSING
    digits = 2 if value == 0 or abs(value) >= 0.1 else 4
    mark = "−" if value < 0 else "+" if sign and value > 0 else ""
    return f"{mark}${abs(value):,.{digits}f}"


def count(value: float | None) -> str:
    """Write a count or a number of shares."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def moment(at_us: int | None) -> str:
    """Write a moment in UTC to the second."""
    return MISSING if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], numeric: Sequence[int] = (), empty: str = "") -> str:
    """Write a table; `numeric` are the columns to align right, `empty` is said when there is no row."""
    body = [
        "<tr>" + "".join(f"<td{' class=num' if i in numeric else ''}>{safe(cell)}</td>" for i, cell in enumerate(row))
        for row in rows
    ]
    if not body:
        return f'<p class="quiet">{escape(empty)}</p>'
    head = "".join(f"<th{' class=num' if i in numeric else ''}>{safe(name)}</th>" for i, name in enumerate(heads))
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _card(name: str, value: str, words: Sequence[str], note: str = "", tone: float | None = None) -> str:
    colour = "" if not tone else " gain" if tone > 0 else " loss"
    small = f'<div class="note">{escape(note)}</div>' if note else ""
    return (
        f'<div class="card"><div class="name">{escape(name)}{tag(*words)}</div>'
        f'<div class="value{colour}">{escape(value)}</div>{small}</div>'
    )


def key_figures(run: Finished) -> str:
    """Write the numbers to look at first, each with the word for what it is."""
    fills, fees = run.labels.fills, run.labels.fees
    pnl = {name: run.number("pnl_usd", name) for name in ("total", "realised", "unrealised", "fees", "rebates")}
    rewards = run.number("pnl_usd", "rewards_estimated")
    shares, notional = run.number("fills", "shares"), run.number("fills", "notional_usd")
    orders = {name: count(run.number("orders", name)) for name in ("cancelled", "refused", "rejected")}
    selected, scanned = run.number("markets", "selected"), run.number("markets", "scanned")
    cards = [
        _card("PnL", money(pnl["total"], sign=True), [fills], "after fees, what is held at the mid", pnl["total"]),
        _card("Realised", money(pnl["realised"], sign=True), [fills], "sold and redeemed", pnl["realised"]),
        _card("Unrealised", money(pnl["unrealised"], sign=True), [fills], _held(run), pnl["unrealised"]),
        _card("Fees paid", money(pnl["fees"]), [fills, fees], "inside the PnL"),
        _card("Maker rebates", money(pnl["rebates"]), [ESTIMATED, fees]),
        _card("Rewards", money(rewards), [ESTIMATED, run.labels.rewards]),
        _card("Fills", count(run.number("fills", "count")), [fills], f"{count(shares)} shares for {money(notional)}"),
        _card(
            "Orders",
            count(run.number("orders", "placed")),
            [fills],
            f"{orders['cancelled']} cancelled, {orders['rejected']} rejected, {orders['refused']} refused before",
        ),
        _card("Exposure, most", money(run.number("exposure_max_usd")), [fills], "worst case, resting bids included"),
        _card("Markets quoted", count(selected), [], f"of {count(scanned)} scanned"),
    ]
    return "".join(cards)


def _held(run: Finished) -> str:
    """Say how much of what is held has no mid: counted at cost, it hides a gain or a loss."""
    last = run.db.execute("SELECT at_cost_cash_e6 FROM equity ORDER BY at_us DESC LIMIT 1").fetchone()
    if not last or not last[0]:
        return "what is still held, at the mid"
    return f"what is still held; {money(last[0] / 1e6)} of it has no mid and counts at cost"


def badges(run: Finished) -> str:
    """Write what a reader must know before reading any number."""
    labels = run.labels
    said = [
        ("simulated fills", "simulated") if labels.fills else ("fills of a real exchange", "recorded"),
        (f"{labels.data} market data", labels.data),
        ("rebates and rewards estimated", ESTIMATED),
    ]
    if labels.assumed:
        said.append((f"assumed terms: {', '.join(labels.assumed)}", ASSUMED))
    return "".join(f'<span class="badge {kind}">{escape(text)}</span>' for text, kind in said)


def markets(run: Finished) -> str:
    """Write one row a market that was quoted."""
    rows = run.db.execute(
        "SELECT market, question, slug, status, settled_yes, orders, fills, shares_traded, yes_held, no_held, pnl_usd, "
        "rebates_estimated_usd FROM v_markets WHERE dropped_code IS NULL ORDER BY fills DESC, orders DESC, market"
    )
    shown = []
    for market, question, slug, status, settled, orders, fills, shares, yes, no, pnl, rebates in rows:
        name = f'<a href="#market" data-market="{int(market)}">{escape(question)}</a><br><small>{escape(slug)}</small>'
        state = status if settled is None else f"{status}, YES paid ${settled:g}"
        tone = "gain" if pnl > 0 else "loss" if pnl < 0 else ""
        shown.append(
            (
                Cell(name),
                state,
                count(orders),
                count(fills),
                count(shares),
                f"{count(yes)} / {count(no)}",
                Cell(f'<span class="{tone}">{escape(money(pnl, sign=True))}</span>'),
                money(rebates),
            )
        )
    word = tag(run.labels.fills)
    heads = (
        "Market",
        "Status",
        "Orders",
        Cell(f"Fills{word}"),
        Cell(f"Shares{word}"),
        "Held YES / NO",
        Cell(f"PnL{word}"),
        Cell(f"Rebates{tag(ESTIMATED, run.labels.fees)}"),
    )
    return table(heads, shown[:MARKETS], range(2, 8), "No market was quoted.") + _left_out(len(shown) - MARKETS)


def refusals(run: Finished) -> str:
    """Write how often each reason kept an order from resting, with the numbers of the last time."""
    rows = run.db.execute(
        "SELECT v.by, v.code, v.times, v.markets, r.numbers_json FROM v_refusals_by_reason v "
        "JOIN refusals r ON r.no = v.last_no ORDER BY v.times DESC, v.by, v.code"
    )
    shown = [(by, code, count(times), count(markets), numbers(text)) for by, code, times, markets, text in rows]
    heads = ("Said by", "Reason", "Times", "Markets", "Numbers, last time (base units)")
    return table(heads, shown, (2, 3), "Nothing was refused.")


def drops(run: Finished) -> str:
    """Write how many markets each filter did not let in, then which, and why."""
    counted = run.db.execute("SELECT by, code, count(*) FROM drops GROUP BY by, code ORDER BY 3 DESC, by, code")
    totals = [(by, code, count(times)) for by, code, times in counted]
    rows = run.db.execute("SELECT question, slug, by, code, numbers_json FROM v_drops ORDER BY by, code, slug")
    shown = [
        (Cell(f"{escape(question)}<br><small>{escape(slug)}</small>"), by, code, numbers(text))
        for question, slug, by, code, text in rows
    ]
    if not shown:
        return table((), (), empty="No market was dropped.")
    every = table(("Market", "Filter", "Reason", "Numbers (base units)"), shown[:MARKETS])
    return table(("Filter", "Reason", "Markets"), totals, (2,)) + every + _left_out(len(shown) - MARKETS)


def _left_out(rows: int) -> str:
    return f'<p class="quiet">{count(rows)} more are left out here; run.sqlite has all.</p>' if rows > 0 else ""


def alerts(run: Finished) -> str:
    """Write what a person should look at: halts, oddities, lost feeds."""
    rows = run.db.execute(
        "SELECT kind, by, code, count(*), min(at_us), max(at_us) FROM alerts "
        "WHERE NOT (kind = 'cancel_all' AND code = 'feed_ended') GROUP BY kind, by, code ORDER BY 4 DESC"
    )
    shown = [(kind, by, code, count(times), moment(first), moment(last)) for kind, by, code, times, first, last in rows]
    return table(("Kind", "By", "Code", "Times", "First", "Last"), shown, (3,), "No halt and nothing odd.")


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


def remarks(run: Finished) -> str:
    """List what was said of how the results were made."""
    said = [str(text) for text in run.summary.get("remarks") or ()]
    said += [str(text) for (text,) in run.db.execute("SELECT text FROM remarks ORDER BY no") if text not in said]
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in said)}</ul>" if said else ""


def reasons(run: Finished) -> str:
    """Write why orders were pulled, and what the exchange said to those it rejected."""
    parts = []
    for key, title in (("cancels", "Orders pulled"), ("rejections", "Orders rejected by the exchange")):
        found = run.summary.get(key)
        if isinstance(found, Mapping) and found:
            rows = [(reason, _number(times)) for reason, times in found.items()]
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


def numbers(text: str) -> str:
    """Write the numbers of a reason as `name value` pairs."""
    found = json.loads(text)
    if not isinstance(found, Mapping):
        return _number(found)
    return " · ".join(f"{key} {_number(value)}" for key, value in found.items())


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


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
