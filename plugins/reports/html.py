"""Writes the report of a run as one HTML file that opens without a network."""

import base64
import gzip
import json
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pmrun.plugins.reports import calibration, figures, funnel, head, markouts, parts, sections, tables
from pmrun.plugins.reports.finished import ESTIMATED, Finished, opened
from pmrun.plugins.reports.markup import moment, tag

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
    title = f"{run.text('strategy', 'pmrun')} on {run.text('exchange', 'an exchange')}"
    when = figures.window(run.db)
    shown = {
        "title": escape(title),
        "strategy": escape(run.text("strategy")),
        "subtitle": escape(
            f"{run.text('exchange')} · {run.text('feed')} · {moment(when.start_us)} to {moment(when.end_us)} UTC"
        ),
        "badges": head.badges(run),
        "glance": tables.glance(run, when),
        "cards": tables.key_figures(run, when),
        "more_cards": tables.more_figures(run),
        "fill_tag": tag(run.labels.fills),
        "estimated_tag": tag(ESTIMATED, run.labels.rewards),
        "market_tags": head.kinds(run),
        "bracket": sections.bracket(run),
        "rewards": sections.rewards(run),
        "beside": head.beside(run),
        "parts": parts.parts(run),
        "leaving": parts.leaving(run),
        "markouts": markouts.markouts(run),
        "calibration": calibration.calibration(run),
        "exits": sections.exits(run),
        "markets": tables.markets(run),
        "funnel": funnel.funnel(run),
        "refusals": tables.refusals(run),
        "reasons": tables.reasons(run),
        "alerts": tables.alerts(run),
        "settlements": tables.settlements(run),
        "funds": tables.funds(run),
        "stops": head.stops(run),
        "remarks": head.remarks(run),
        "timings": sections.timings(run),
        "provenance": tables.provenance(run),
        "data": _inline_json(_data(run, when)),
        "style": _resource("page.css"),
        "script": _resource("page.js"),
        "plotly": _plotly(),
    }
    shown["nav"] = head.places(shown)
    # Split once, so that no text from data is ever taken for a placeholder.
    pieces = _resource("page.html").split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += (shown[name], rest)
    return "".join(filled)


def _data(run: Finished, when: figures.Window) -> dict[str, Any]:
    return {
        "start_ms": when.start_us // 1_000,
        "end_ms": when.ms(when.end_us),
        "fills_word": run.labels.fills,
        "rebates_paid": run.rebates_paid,
        "equity": figures.equity(run.db, when),
        "exposure": figures.exposure(run.db, when),
        "rewards": figures.rewards(run.db, when),
        "markouts": markouts.of_quotes(run),
        "markets": figures.markets(run.db, when),
        "slugs": dict(
            run.db.execute("SELECT market, slug FROM markets WHERE market IN (SELECT market FROM orders)").fetchall()
        ),
        "orders": tables.orders(run),
    }


@cache
def _plotly() -> str:
    """Return the chart library, packed: written out it would be most of the page."""
    plain = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(plain, 6, mtime=0)).decode("ascii")


def _inline_json(data: dict[str, Any]) -> str:
    """Write JSON that no text in it can end early: `<` never appears (HTML, 4.12.1.3)."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028")


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
