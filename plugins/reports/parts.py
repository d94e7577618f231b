"""Writes what the PnL is made of, part by part, and what leaving would have cost."""

from collections import defaultdict
from collections.abc import Mapping
from html import escape
from typing import Final

from pmrun.plugins.reports.finished import ESTIMATED, Finished
from pmrun.plugins.reports.markup import (
    ROWS,
    Cell,
    count,
    folded,
    gain,
    left_out,
    money,
    named,
    sentence,
    table,
    tag,
)

# What each part is, in words for a reader; in this order.
PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "spread": ("Spread captured", "quotes: the mid at the fill against the price, times the shares"),
    "markout": ("Mark-out", "what was held gained or lost as the mid moved, from the fill on"),
    "hedge": ("Hedge cost", "exits: the mid at the fill against the price they got; fees are apart"),
    "fees": ("Fees", "paid as a taker, and as a seller where sellers pay, less rebates paid with a fill"),
    "merge": ("Merged pairs", "what merges paid, against a dollar a pair"),
    "resolution": ("Resolution", "what resolved markets paid, against the last mid"),
    "adopted": ("Held before", "what was held at the start, at the first mid, against what it had cost"),
    "unpriced": ("Without a price", "by cost, in markets whose price was never known"),
    "rounding": ("Rounding", "cash moves in millionths of a dollar, and holdings are valued in them"),
}
ALWAYS: Final = ("spread", "markout", "hedge", "fees")  # shown even where they are nothing
UNITS: Final = 2e10  # a dollar


def parts(run: Finished) -> str:
    """Write the parts of the PnL, in total and by market; a gap between them and the wallet is shown as what it is."""
    found = _found(run)
    said = run.summary.get("pnl_usd")
    if not found or not isinstance(said, Mapping) or "parts" not in said:
        return sentence("This run has no parts of its PnL: nothing was traded, or an older pmrun made it.")
    sums = {name: sum(market.get(name, 0) for market in found.values()) for name in PARTS}
    rows = [
        (Cell(f"{escape(title)}<br><small>{escape(means)}</small>"), _amount(sums[name]))
        for name, (title, means) in PARTS.items()
        if sums[name] or name in ALWAYS
    ]
    rows.append((Cell(f"<b>PnL</b>{tag(run.labels.fills)}"), Cell(f"<b>{gain(run.number('pnl_usd', 'total'))}</b>")))
    made = table(("What made it", "Dollars"), rows, (1,))
    beside = f'<div class="side"><div>{made}</div><div>{_wallet(run)}</div></div>'
    return _complaints(run) + beside + _by_market(run, found)


def _found(run: Finished) -> dict[int, dict[str, int]]:
    found: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for market, part, units in run.db.execute("SELECT market, part, units FROM pnl_parts"):
        found[market][part] = units
    return dict(found)


def _amount(units: int) -> Cell:
    return gain(units / UNITS)


def _complaints(run: Finished) -> str:
    said = run.summary.get("pnl_usd")
    found = said.get("complaints") if isinstance(said, Mapping) else None
    if not found:
        return sentence("The parts sum to the change of the wallet exactly, in every market and in all.")
    listed = "".join(f"<li>{escape(str(one))}</li>" for one in found)
    return (
        f'<p class="loss"><b>The PnL does not close.</b> Do not trust it before this is explained:</p><ul>{listed}</ul>'
    )


def _wallet(run: Finished) -> str:
    """Write the wallet from start to end, and what stands beside the PnL."""
    number = {name: run.number("wallet_usd", name) for name in ("start", "end", "transfers", "cash")}
    fills, fees, rebates = run.labels.fills, run.labels.fees, run.number("pnl_usd", "rebates")
    rows: list[tuple[object, object]] = [
        ("Wallet at the start", money(number["start"])),
        ("In and out from elsewhere", money(number["transfers"], sign=True)),
        (Cell(f"PnL{tag(fills)}"), gain(run.number("pnl_usd", "total"))),
        (Cell("<b>Wallet at the end</b>"), Cell(f"<b>{money(number['end'])}</b>")),
        ("of it cash", money(number["cash"])),
        ("of it held, at the mid", money(run.number("wallet_usd", "inventory_at_mid"))),
        ("the same, sold at once", money(run.number("wallet_usd", "inventory_at_exit"))),
        (Cell(f"<b>PnL if all were sold at once</b>{tag(fills)}"), gain(run.number("pnl_usd", "total_at_exit"))),
        *([] if run.rebates_paid else [(Cell(f"Beside it: rebates{tag(ESTIMATED, fees)}"), money(rebates))]),
        (Cell(f"Beside it: rewards{tag(ESTIMATED)}"), money(run.number("pnl_usd", "rewards_estimated"))),
    ]
    return table(("Wallet", "Dollars"), rows, (1,))


def _by_market(run: Finished, found: Mapping[int, Mapping[str, int]]) -> str:
    shown = [name for name in PARTS if name in ALWAYS or any(market.get(name) for market in found.values())]
    names = {
        no: (question, slug) for no, question, slug in run.db.execute("SELECT market, question, slug FROM markets")
    }
    moved = {no: market for no, market in found.items() if any(market.values())}
    ordered = sorted(moved.items(), key=lambda item: -abs(sum(item[1].values())))
    rows = [
        (named(*names[no], no), *(_amount(market.get(name, 0)) for name in shown), _amount(sum(market.values())))
        for no, market in ordered[:ROWS]
    ]
    heads = ("Market", *(PARTS[name][0] for name in shown), "PnL")
    inside = table(heads, rows, range(1, len(heads)), "Nothing was traded.")
    return folded(f"By market ({count(len(moved))})", inside) + left_out(len(ordered) - ROWS)


def leaving(run: Finished) -> str:
    """Write what it would have cost to sell what was held at the end."""
    rows = run.db.execute(
        "SELECT market, question, slug, yes_shares, no_shares, paired, unsold, mid_usd, exit_usd, exit_cost_usd, "
        "fees_usd FROM v_exits ORDER BY exit_cost_usd DESC, market"
    ).fetchall()
    if not rows:
        return sentence("Nothing was held at the end: there was nothing to leave.")
    shown = [
        (
            named(question, slug, market),
            f"{count(yes)} / {count(no)}",
            count(paired),
            money(mid),
            money(left),
            gain(-cost),
            money(fees),
            count(unsold),
        )
        for market, question, slug, yes, no, paired, unsold, mid, left, cost, fees in rows[:ROWS]
    ]
    heads = ("Market", "Held YES / NO", "Pairs", "At the mid", "Sold at once", "Difference", "of it fees", "Unsold")
    unsold = sum(row[6] for row in rows)
    lost = sum(row[9] for row in rows)
    said = f"Selling everything into the last known bids would have cost {money(lost)} against the mid"
    said += f"; {count(unsold)} shares find no bid, or are too few for an order, and count nothing" if unsold else ""
    return sentence(f"{said}.", "") + table(heads, shown, range(1, 8)) + left_out(len(rows) - ROWS)
