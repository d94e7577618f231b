"""Writes the report of a run as one HTML file that opens without a network."""

import json
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pmrun.plugins.reports import figures, tables
from pmrun.plugins.reports.finished import Finished, opened

FILE: Final = "report.html"


@dataclass(frozen=True, slots=True, eq=False)
class Html:
    """Show a run as a self-contained page: figures, charts, orders, refusals, and what of it is simulated."""

    reads = ("store",)

    def write(self, run: Path) -> Path:
        """Write `report.html` into a finished run directory; raises DataError when it is not one."""
        with opened(run) as finished:
            page = _page(finished)
        path = run / FILE
        half = path.with_name(FILE + ".part")  # nothing half-written passes for a report
        half.write_text(page, encoding="utf-8")
        half.replace(path)
        return path


def _page(run: Finished) -> str:
    # Plotly is heavy, and only the report needs it.
    from plotly.offline import get_plotlyjs

    title = f"{run.text('strategy', 'pmrun')} on {run.text('exchange', 'an exchange')}"
    when = figures.window(run.db)
    parts = {
        "title": escape(title),
        "strategy": escape(run.text("strategy")),
        "subtitle": escape(
            f"{run.text('exchange')} · {run.text('feed')} · {tables.moment(when.start_us)} to "
            f"{tables.moment(when.end_us)} UTC"
        ),
        "badges": tables.badges(run),
        "cards": tables.key_figures(run),
        "fill_tag": tables.tag(run.labels.fills),
        "market_tags": tables.kinds(run),
        "markets": tables.markets(run),
        "refusals": tables.refusals(run),
        "reasons": tables.reasons(run),
        "drops": tables.drops(run),
        "alerts": tables.alerts(run),
        "funds": tables.funds(run),
        "remarks": tables.remarks(run),
        "provenance": tables.provenance(run),
        "data": _inline_json(_data(run, when)),
        "style": _resource("page.css"),
        "script": _resource("page.js"),
        "plotly": get_plotlyjs(),
    }
    # Split once, so that no text from data is ever taken for a placeholder.
    pieces = _resource("page.html").split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += (parts[name], rest)
    return "".join(filled)


def _data(run: Finished, when: figures.Window) -> dict[str, Any]:
    return {
        "start_ms": when.start_us // 1_000,
        "end_ms": when.ms(when.end_us),
        "fills_word": run.labels.fills,
        "equity": figures.equity(run.db, when),
        "exposure": figures.exposure(run.db, when),
        "markets": figures.markets(run.db, when),
        "slugs": dict(
            run.db.execute("SELECT market, slug FROM markets WHERE market IN (SELECT market FROM orders)").fetchall()
        ),
        "orders": tables.orders(run),
    }


def _inline_json(data: dict[str, Any]) -> str:
    """Write JSON that no text in it can end early: `<` never appears (HTML, 4.12.1.3)."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028")


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
