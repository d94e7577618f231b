"""Writes the sections that judge a run: exits, estimated rewards, the bracket, timings."""

from collections import defaultdict
from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from pmrun.plugins.reports.exits import Part, parts_of, step
from pmrun.plugins.reports.finished import ESTIMATED, Finished
from pmrun.plugins.reports.markup import (
    MISSING,
    ROWS,
    Cell,
    cents,
    clock,
    count,
    folded,
    gain,
    lasted,
    left_out,
    link,
    money,
    named,
    percent,
    price,
    sentence,
    span,
    table,
    tag,
)
from pmrun.runner.units import NOTIONAL_PER_CASH

_GAPS: Final = {
    "awaiting_settlement": "waiting for the purchase to settle",
    "below_min_size": "too few shares for an order",
    "hedge_retry": "a sale was rejected; trying again",
    "hedge_alarm": "sales were rejected again and again: look at it",
    "covered_by_sibling": "held against NO of another market of the event: a pair pays a dollar at least",
    "buys_sibling": "covered elsewhere: NO of another market of the event is being bought",
}


# From purchase to sale.


def exits(run: Finished) -> str:
    """Write how what was bought was sold: by price step, part by part, and what no sale covered."""
    parts = parts_of(run.db)
    if not parts:
        return sentence("Nothing was bought, so there was nothing to sell.")
    sold = [part for part in parts if part.sale is not None]
    held = sum(part.size for part in parts if part.sale is None)
    times = [part.took_us for part in sold if part.took_us is not None]
    said = f"{count(sum(part.size for part in sold) / 1e6)} shares bought were sold again"
    said += f", half of the parts within {lasted(median(times))}" if times else ""
    said += f"; {count(held / 1e6)} were not: held to the end, or paid out when their market resolved" if held else ""
    return sentence(f"{said}.", "") + _steps(sold) + _parts(run, parts) + _gaps(run)


def _steps(sold: list[Part]) -> str:
    by_step: defaultdict[str, list[Part]] = defaultdict(list)
    for part in sold:
        if part.sale is not None:
            by_step[step(part.sale)].append(part)
    rows = []
    for name, parts in sorted(by_step.items(), key=lambda item: -len(item[1])):
        shares = sum(part.size for part in parts)
        won = sum(part.gain for part in parts)
        took = median(part.took_us or 0 for part in parts)
        rows.append(
            (name, count(len(parts)), count(shares / 1e6), lasted(took), cents(won / shares / 1e4), _dollars(won))
        )
    heads = ("How it was sold", "Parts", "Shares", "Time to sale, median", "Gain, ¢ a share", "Gain")
    return table(heads, rows, range(1, 6), "Nothing that was bought has been sold.")


def _parts(run: Finished, parts: list[Part]) -> str:
    slugs = dict(run.db.execute("SELECT market, slug FROM markets").fetchall())
    rows = []
    for part in parts[-ROWS:]:
        bought, sale = part.bought, part.sale
        rows.append(
            (
                link(slugs[bought.market], bought.market),
                bought.outcome,
                count(part.size / 1e6),
                f"{price(bought.price)} at {clock(bought.at)}",
                "still held at the end, or paid out" if sale is None else f"{price(sale.price)} at {clock(sale.at)}",
                MISSING if sale is None else step(sale),
                lasted(part.took_us),
                MISSING if sale is None else _dollars(part.gain),
            )
        )
    heads = ("Market", "Token", "Shares", "Bought (UTC)", "Sold (UTC)", "How", "After", "Gain")
    return folded(f"Each part ({count(len(parts))})", table(heads, rows, (2, 6, 7))) + left_out(len(parts) - ROWS)


def _dollars(notional: int) -> Cell:
    return gain(notional / NOTIONAL_PER_CASH / 1e6)


def _gaps(run: Finished) -> str:
    rows = run.db.execute(
        "SELECT code, count(*), count(DISTINCT market), max(size_e6), max(at_us) FROM refusals "
        "WHERE purpose != 'quote' AND by = 'hedging' GROUP BY code ORDER BY 2 DESC"
    )
    shown = [
        (
            _GAPS.get(code, code),
            count(times),
            count(markets),
            MISSING if most is None else count(most / 1e6),
            clock(last),
        )
        for code, times, markets, most, last in rows
    ]
    heads = ("Shares that no sale covered", "Times", "Markets", "Most shares", "Last (UTC)")
    return table(heads, shown, (1, 2, 3, 4), "No share was ever left without a sale that covered it.")


# Rewards.


def rewards(run: Finished) -> str:
    """Write what each market may have paid for resting orders; an estimate, beside the PnL."""
    rows = run.db.execute(
        "SELECT market, question, slug, uptime, minutes, native_low_usd, native_mid_usd, native_high_usd, "
        "sponsored_low_usd, sponsored_mid_usd, sponsored_high_usd FROM v_rewards_estimated "
        "ORDER BY native_mid_usd + sponsored_mid_usd DESC, slug"
    ).fetchall()
    if not rows:
        return sentence("This run estimated no rewards.")
    shown = []
    for market, question, slug, uptime, minutes, *paid in rows[:ROWS]:
        native, sponsored = paid[:3], paid[3:]
        total = [a + b for a, b in zip(native, sponsored, strict=True)]
        shown.append(
            (
                named(question, slug, market),
                Cell(f"{percent(uptime)} <small>of {count(minutes)} min</small>"),
                money(total[1]),
                span(total[0], total[2]),
                span(native[0], native[2]),
                span(sponsored[0], sponsored[2]) if sponsored[2] else MISSING,
            )
        )
    heads = (
        "Market",
        "Scoring",
        Cell(f"Mid{tag(ESTIMATED)}"),
        Cell(f"Low – high{tag(ESTIMATED)}"),
        "of it the exchange's",
        "of it sponsors'",
    )
    inside = table(heads, shown, range(1, 6)) + left_out(len(rows) - ROWS)
    return _assumes(run) + folded(f"By market ({count(len(rows))})", inside)


def _assumes(run: Finished) -> str:
    found = run.summary.get("rewards")
    if not isinstance(found, Mapping) or not found.get("assumes"):
        return ""
    least = found.get("payout_minimum_usd")
    unpaid = f" A day that earned less than {money(least)} is not paid." if isinstance(least, int | float) else ""
    return sentence(f"Assumed: {found['assumes']}.{unpaid}")


# The bracket.


def bracket(run: Finished) -> str:
    """Write the same run under three fill models, where it was asked for; otherwise nothing."""
    found = run.summary.get("bracket")
    if not isinstance(found, Mapping) or not found:
        return ""
    rows = []
    for name, result in found.items():
        if not isinstance(result, Mapping):
            continue
        rows.append(
            (
                str(name),
                gain(_number(result, "pnl_usd", "total")),
                gain(_number(result, "pnl_usd", "realised")),
                count(_number(result, "fills", "count")),
                count(_number(result, "fills", "shares")),
            )
        )
    heads = ("Fill model", "PnL", "Realised", "Fills", "Shares")
    inside = table(heads, rows, range(1, 5), "The bracket is empty.")
    return (
        f'<section id="bracket"><h2>If fills were worse, or better{tag(run.labels.fills)}</h2>'
        '<p class="quiet">The same markets and the same strategy; only how soon a resting order fills is assumed '
        "differently. What differs is a belief about the queue, not a result. A desk that was filled quotes otherwise "
        f"afterwards, so the three need not be in order.</p>{inside}</section>"
    )


def _number(tree: Mapping[str, Any], *keys: str) -> float | None:
    found: object = tree
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


# Timings.


def timings(run: Finished) -> str:
    """Write how long the key operations took on this machine (R16)."""
    found = {
        name: rest
        for name, *rest in run.db.execute("SELECT name, times, total_ms, p50_ms, p99_ms, max_ms FROM timings")
    }
    said = run.summary.get("timings")
    if isinstance(said, Mapping):  # what ended after the store had closed is only there
        keys = ("count", "total_ms", "p50_ms", "p99_ms", "max_ms")
        found |= {str(name): [_number(one, key) for key in keys] for name, one in said.items()}
    rows = [
        (name, count(times), f"{(total or 0) / 1e3:,.2f}", *(f"{each or 0:,.3f}" for each in rest))
        for name, (times, total, *rest) in sorted(found.items(), key=lambda item: -(item[1][1] or 0))
    ]
    heads = ("Operation", "Times", "Total, s", "Median, ms", "99th percentile, ms", "Longest, ms")
    return table(heads, rows, range(1, 6), "This run kept no timings.")
