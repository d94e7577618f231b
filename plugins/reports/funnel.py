"""Shows which markets were traded, and which filter kept the others out, by how much (R1)."""

import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

from pmrun.plugins.reports.finished import Finished
from pmrun.plugins.reports.markup import (
    ROWS,
    Cell,
    clock,
    count,
    folded,
    left_out,
    named,
    numbers,
    plain_number,
    sentence,
    table,
)

_JUDGED = ("value", "limit", "margin", "unit")


def funnel(run: Finished) -> str:
    """Write the stages, then every market that was kept out, then what each scan changed."""
    scanned = int(run.db.execute("SELECT count(*) FROM markets").fetchone()[0])
    if not scanned:
        return sentence("No market was listed.")
    dropped = run.db.execute(
        "SELECT m.question, m.slug, d.by, d.code, d.numbers_json FROM drops d JOIN markets m USING (market) "
        "ORDER BY d.by, d.code, m.slug"
    ).fetchall()
    return (
        _stages(run, scanned, Counter(by for _, _, by, _, _ in dropped))
        + (sentence("Every listed market was traded.") if run.traded() == scanned else _kept_out(dropped))
        + _left(run)
        + _scans(run)
    )


def _stages(run: Finished, scanned: int, dropped: Counter[str]) -> str:
    """Draw how many markets are left after each filter, in the order in which they are asked."""
    order = [str(name) for name in run.manifest.get("order") or () if str(name).startswith("filters.")]
    stages = [name for name in order if name in dropped] + [name for name in dropped if name not in order]
    left, rows = scanned, [_stage("listed", scanned, scanned, "")]
    traded = run.traded()
    for name in stages:
        left -= dropped[name]
        rows.append(_stage(name, left, scanned, f"−{count(dropped[name])}"))
    if left > traded:
        rows.append(_stage("book (none was known)", traded, scanned, f"−{count(left - traded)}"))
    rows.append(_stage("traded", traded, scanned, "", "traded"))
    idle = [name for name in order if name not in dropped]
    note = sentence(f"Dropped nothing: {', '.join(name.removeprefix('filters.') for name in idle)}.") if idle else ""
    return f'<div class="funnel">{"".join(rows)}</div>{note}'


def _stage(name: str, left: int, scanned: int, lost: str, kind: str = "") -> str:
    return (
        f'<div class="stage {kind}"><span class="stage-name">{escape(name.removeprefix("filters."))}</span>'
        f'<span class="stage-bar"><i style="width:{100 * left / scanned:.1f}%"></i></span>'
        f'<span class="num">{count(left)}</span><span class="num quiet">{escape(lost)}</span></div>'
    )


def _kept_out(dropped: Sequence[Sequence[Any]]) -> str:
    rows = []
    for question, slug, by, code, text in dropped[:ROWS]:
        found = json.loads(text)
        value, limit, margin, unit = (found.pop(name, "") for name in _JUDGED)
        rest = numbers(json.dumps(found), code) if found else ""
        reason = Cell(f"{escape(code)}<br><small>{escape(rest)}</small>" if rest else escape(code))
        said = tuple(map(plain_number, (value, limit, margin, unit)))
        rows.append((named(question, slug), by, reason, *said))
    if not rows:
        return ""
    heads = ("Market", "Kept out by", "Reason", "It has", "Limit", "Missing to pass", "Unit")
    return folded(f"Each market that was kept out ({count(len(dropped))})", table(heads, rows, (3, 4, 5))) + left_out(
        len(dropped) - ROWS
    )


def _left(run: Finished) -> str:
    """List the markets that were traded for a while and lost their place at a rescan."""
    rows = run.db.execute(
        "SELECT m.question, m.slug, m.market, s.by, s.code, s.at_us FROM markets m JOIN selections s ON s.no = "
        "(SELECT max(no) FROM selections WHERE market = m.market) WHERE s.verdict = 'dropped' "
        "AND m.market NOT IN (SELECT market FROM drops) ORDER BY s.at_us, m.slug LIMIT ?",
        (ROWS,),
    )
    shown = [(named(question, slug, market), by, code, clock(at)) for question, slug, market, by, code, at in rows]
    if not shown:
        return ""
    inside = table(("Market", "By", "Reason", "Last judged (UTC)"), shown)
    return folded(f"Traded for a while, then no more ({count(len(shown))})", inside)


def _scans(run: Finished) -> str:
    rows = run.db.execute(
        "SELECT at_us, sum(verdict = 'selected'), sum(verdict = 'dropped') FROM selections WHERE at_us > 0 "
        "GROUP BY at_us ORDER BY at_us LIMIT ?",
        (ROWS,),
    ).fetchall()
    if not rows:
        return ""
    inside = table(
        ("Scan (UTC)", "Selected", "Dropped"), [(clock(at), count(ins), count(outs)) for at, ins, outs in rows], (1, 2)
    )
    return folded(f"Scans ({count(len(rows))})", inside)
