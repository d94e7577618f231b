"""Writes what the mid did after our fills: mark-outs and realised spreads, by what was filled and why."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pmrun.plugins.reports.finished import Finished
from pmrun.plugins.reports.markup import ROWS, Cell, cents, count, folded, left_out, named, sentence, table

HORIZONS: Final = ((0, "at the fill"), (5, "5 s"), (30, "30 s"), (300, "5 min"), (3_600, "1 h"))
Mean = tuple[int, float]  # how many fills, and the gain of a share in dollars
_KIND: Final = (
    "CASE WHEN o.purpose = 'quote' THEN 'quotes' WHEN f.maker THEN 'exits that rested' ELSE 'exits that took' END"
)
_WHY: Final = (
    "CASE o.purpose WHEN 'quote' THEN '' WHEN 'hedge' THEN 'hedge: ' ELSE 'flatten: ' END || "
    "coalesce(nullif(o.basis, ''), 'no word')"
)


def means(run: Finished, by: str) -> dict[Any, dict[int, Mean]]:
    """Return mean gains a share, weighed by shares, by a column and by horizon in seconds."""
    rows = run.db.execute(
        f"SELECT {by}, k.horizon_us / 1000000, count(*), "
        "1.0 * sum(k.per_share_twice_e4 * f.size_e6) / sum(f.size_e6) / 2e4 FROM markouts k "
        "JOIN fills f USING (trade_id, order_no) JOIN orders o USING (order_no) "
        "WHERE f.settlement != 'failed' AND k.per_share_twice_e4 IS NOT NULL GROUP BY 1, 2"
    )
    found: defaultdict[Any, dict[int, Mean]] = defaultdict(dict)
    for key, horizon, times, mean in rows:
        found[key][horizon] = times, mean
    return found


def of_quotes(run: Finished) -> list[list[Any]]:
    """Return the mean gain a share of what quotes filled, at each horizon: name, how many fills, cents."""
    found = means(run, "o.purpose").get("quote", {})
    known = [(name, found[horizon]) for horizon, name in HORIZONS if horizon in found]
    return [[name, times, round(mean * 100, 4)] for name, (times, mean) in known]


def markouts(run: Finished) -> str:
    """Write the mean gain a share at each horizon, and the realised spread: by kind of fill, reason and market."""
    whole = means(run, "'all'").get("all")
    if not whole:
        return sentence("No fill has a mark-out: there was none, or no mid was known.")
    kinds = means(run, _KIND)
    rows: list[tuple[object, ...]] = [(Cell("<b>All fills</b>"), *_cells(whole))]
    if len(kinds) > 1:
        rows += [(name, *_cells(found)) for name, found in _most_first(kinds)]
    rows.append((Cell("<b>Realised spread</b>, all fills"), *_cells(whole, 2)))
    if len(kinds) > 1:
        rows += [(f"realised spread, {name}", *_cells(found, 2)) for name, found in _most_first(kinds)]
    return _table(rows) + _by_reason(run) + _by_market(run)


def _by_reason(run: Finished) -> str:
    reasons = _most_first(means(run, _WHY))
    rows = [(name, *_cells(found)) for name, found in reasons[:ROWS]]
    return folded(f"By reason of the order ({count(len(reasons))})", _table(rows))


def _by_market(run: Finished) -> str:
    names = {
        no: (question, slug) for no, question, slug in run.db.execute("SELECT market, question, slug FROM markets")
    }
    markets = _most_first(means(run, "f.market"))
    rows = [(named(*names[no], no), *_cells(found)) for no, found in markets[:ROWS]]
    return folded(f"By market ({count(len(markets))})", _table(rows)) + left_out(len(markets) - ROWS)


def _most_first(found: Mapping[Any, dict[int, Mean]]) -> list[tuple[Any, dict[int, Mean]]]:
    return sorted(found.items(), key=lambda item: -item[1].get(0, (0, 0.0))[0])


def _table(rows: Iterable[tuple[object, ...]]) -> str:
    heads = ("Cents a share", *(name for _, name in HORIZONS))
    return table(heads, list(rows), range(1, len(heads)))


def _cells(found: Mapping[int, Mean], times: int = 1) -> list[Cell]:
    """Write means; twice a mean is a spread, both its halves (Huang and Stoll 1996)."""
    shown = []
    for horizon, _ in HORIZONS:
        mean = found.get(horizon)
        fills = f" <small>of {count(mean[0])}</small>" if mean else ""
        shown.append(Cell(f"{cents(times * mean[1] if mean else None)}{fills}"))
    return shown
